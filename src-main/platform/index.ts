export type { Capabilities, Platform } from './types.ts';
export { headlessPlatform } from './headless.ts';
export { systemClock } from './clock.ts';
export { lockFolder } from './folder-lock.ts';
export type { FolderLock } from './folder-lock.ts';
export { tuneProcess } from './tune.ts';
