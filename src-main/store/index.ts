export { openDatabase, checkDatabase, moveDatabaseAside } from './database.ts';
export type { Database, DatabaseOptions } from './database.ts';
export { migrate } from './migrate.ts';
export { storeError } from './store-error.ts';
export { createSettings } from './settings.ts';
export type { JsonValue, Setting, Settings } from './settings.ts';
export { createChunkStore } from './chunks.ts';
export type { Chunk, ChunkStore, ChunkStoreOptions } from './chunks.ts';
