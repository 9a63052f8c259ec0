export type * from './types.ts';
export { createFolderSync } from './engine/folder-sync.ts';
export type { FolderSyncDeps, FolderSyncOptions } from './engine/folder-sync.ts';
export { createRealFs } from './fs/real.ts';
export type { FolderFs, FsEntry, FsStat } from './fs/types.ts';
export { createWatcherFactory } from './scan/watcher.ts';
export type { FolderWatcher, WatcherFactory, WatcherKind, WatchEvents } from './scan/watcher.ts';
export { plan } from './plan/plan.ts';
