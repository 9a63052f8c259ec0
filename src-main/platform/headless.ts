import envPaths from 'env-paths';
import type { Platform } from './types.ts';

/** The daemon: nobody sits in front of it, so it offers nothing that needs a screen. */
export const headlessPlatform: Platform = {
  name: 'headless',
  capabilities: {
    dialogs: false,
    notifications: false,
    revealInFolder: false,
    startAtLogin: false,
    osKeychain: false,
  },
  defaultDataDir: () => envPaths('extrachain', { suffix: '' }).data,
};
