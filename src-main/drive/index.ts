export type * from './types.ts';
export { rootNode } from './types.ts';
export type * from './content/types.ts';
export * from './content/index.ts';
