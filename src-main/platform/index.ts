export type { Capabilities, Platform } from './types.ts';
export { headlessPlatform } from './headless.ts';
export { systemClock } from './clock.ts';
export { lockFolder } from './folder-lock.ts';
export type { FolderLock } from './folder-lock.ts';
export { tuneProcess } from './tune.ts';
export { createLogFile, keepCrashReports, readLogs } from './log-file.ts';
export type { LogFile } from './log-file.ts';
export { redact } from './redact.ts';
