import { z } from './zod.ts';
import { done, localPath, nothing, path, watched } from './common.ts';
import { command, query, subscription } from '../rpc/contract.ts';

/** What the computer at which the window is shown can do for it, so that no button is dead. */
export const capabilities = z.object({
  /** `browser`: the page of a daemon; `desktop`: the application's own window. */
  host: z.enum(['browser', 'desktop']),
  /** Of the computer the node runs on, as Node names it. */
  os: z.string(),
  pickFolder: z.boolean(),
  /** `reveal` and `open`. */
  showFiles: z.boolean(),
  /** Files can be dragged out of the window. */
  drag: z.boolean(),
  /** `preferences` and `setPreferences`. */
  preferences: z.boolean(),
  startAtLogin: z.boolean(),
  notifications: z.boolean(),
  /** The system's keychain guards the keystore. Where false, a password is needed before an identity is made. */
  keychain: z.boolean(),
  /** Links to `extrachain:` come through `watchLinks`. */
  links: z.boolean(),
  updates: z.boolean(),
});
export type Capabilities = z.infer<typeof capabilities>;

export const preferences = z.object({
  startAtLogin: z.boolean(),
  /** Closing the window leaves the node running in the tray. */
  closeToTray: z.boolean(),
  notifications: z.boolean(),
  /** Of tray, menus and notifications; null: the system's. */
  language: z.enum(['en', 'de']).nullable(),
});
export type Preferences = z.infer<typeof preferences>;

export const updateState = z.object({
  /** `off`: this build does not update itself. */
  state: z.enum(['off', 'idle', 'checking', 'downloading', 'ready', 'failed']),
  /** The one under way or ready. */
  version: z.string().nullable(),
  /** 0 to 100, while downloading. */
  percent: z.number().min(0).max(100).nullable(),
  /** What went wrong: for people. */
  message: z.string().nullable(),
});
export type UpdateState = z.infer<typeof updateState>;

/** A link that was clicked somewhere else. Nothing is done with it before the person agrees. */
export const link = z.object({ link: z.string() });

const drive = z.string().min(1).max(255);

/** What a host without a screen can't do answers `unsupported`. */
export const platform = {
  capabilities: query(nothing, capabilities),
  /** Lets the person choose a folder; null: he chose none. */
  pickFolder: command(
    z.object({ title: z.string().max(200).optional(), from: localPath.optional() }),
    z.object({ folder: localPath.nullable() }),
  ),
  /** Shows a file of a drive in the system's file manager. */
  reveal: command(z.object({ drive, path }), done),
  /** Opens it in the program the system has for it. Programs and scripts are refused with `not_allowed`: reveal them. */
  open: command(z.object({ drive, path }), done),
  /** Begins to drag files of a drive out of the window, in answer to its `dragstart`. */
  drag: command(z.object({ drive, paths: z.array(path).min(1).max(1000) }), done),
  /** Opens a page in the person's browser: https only. */
  openExternal: command(z.object({ url: z.url().max(4096) }), done),
  preferences: query(nothing, preferences),
  /** What is left out stays as it is. */
  setPreferences: command(preferences.partial(), preferences),
  /** Links that came since the last subscription, then each as it comes. */
  watchLinks: subscription(nothing, link),
  watchUpdate: subscription(nothing, watched(updateState)),
  checkForUpdate: command(nothing, done),
  /** Stops the node, installs what is `ready` and starts again. */
  installUpdate: command(nothing, done),
};
