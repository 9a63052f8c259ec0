export { createCollection, maxValueJson } from './collection.ts';
export type {
  Collection,
  CollectionChange,
  CollectionEntry,
  CollectionPage,
  JsonValue,
} from './collection.ts';
export { watchCollection } from './watch.ts';
