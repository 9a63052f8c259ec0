import { count, hash, path, time } from '../../contract/common.ts';
import { z } from '../../contract/zod.ts';
import { shownText } from '../text.ts';
import { appUrl, inlineBytes, method, nothing, ok, watching } from './frame.ts';

/** A folder that the person gave to the app: a handle that says nothing about where it lies. */
const folder = z.string().regex(/^[A-Za-z0-9_-]{22}$/);
/** From that folder on; '' is the folder itself. */
const inFolder = { folder, path };

export const appFolder = z.object({
  folder,
  name: z.string(),
  /** `read` and, where granted, `write`. */
  access: z.enum(['read', 'write']),
  /** The folder is not there at the moment: its drive was left, or it was deleted. */
  missing: z.boolean(),
});
export type AppFolder = z.infer<typeof appFolder>;

const appFile = z.object({
  path,
  name: z.string(),
  kind: z.enum(['file', 'dir', 'link']),
  size: count,
  mtime: time.nullable(),
  /** SHA-256 of the content; null for folders and what is not known yet. */
  hash: hash.nullable(),
  version: z.string(),
  /** `online`: its bytes are elsewhere and are fetched when read. */
  state: z.enum(['here', 'pending', 'online']),
});
export type AppFile = z.infer<typeof appFile>;

/** Files of folders that the person picked, and nothing else. */
export const driveMethods = {
  /** Lets the person pick a folder of a drive, in our own window; refused (4001) when none is picked. */
  exc_pickFolder: method(
    [],
    z.object({ access: z.enum(['read', 'write']).default('read'), reason: shownText(200).default('') }),
    appFolder,
  ),
  exc_driveList: method([], nothing, z.object({ folders: z.array(appFolder) })),
  exc_driveEntries: method(
    ['drive.read'],
    z.object({
      ...inFolder,
      after: z.string().max(1024).nullable().default(null),
      limit: z.int().min(1).max(1000).default(200),
    }),
    z.object({ items: z.array(appFile), next: z.string().nullable() }),
  ),
  /** `bytes`: up to 256 KiB from `offset` on; `url`: of the whole, for `<img>`, `<video>`, `fetch` with ranges, good for an hour after each use. */
  exc_driveRead: method(
    ['drive.read'],
    z.object({
      ...inFolder,
      as: z.enum(['bytes', 'url']).default('bytes'),
      offset: count.default(0),
      length: z.int().min(0).max(262_144).default(262_144),
    }),
    z.object({ size: count, bytes: inlineBytes.optional(), url: appUrl.optional() }),
  ),
  /** With `bytes` the file is written; with `size` alone a URL is answered that takes them by PUT. */
  exc_driveWrite: method(
    ['drive.write'],
    z.object({
      ...inFolder,
      bytes: inlineBytes.optional(),
      size: count.max(1_099_511_627_776).optional(),
      /** A name in use is refused without. */
      replace: z.boolean().default(false),
    }),
    z.object({ url: appUrl.optional() }),
  ),
  exc_driveMkdir: method(['drive.write'], z.object(inFolder), ok),
  /** Into the drive's trash. */
  exc_driveRemove: method(['drive.write'], z.object({ folder, paths: z.array(path).min(1).max(200) }), ok),
  /** Tells that something in the folder may have changed, at most four times a second. */
  exc_driveWatch: watching(['drive.read'], z.object({ folder }), z.object({ changed: z.literal(true) })),
  /**
   * A link by which others join the folder (or one inside it, which becomes a drive of its own); the person is asked each time. The
   * manifest has to name `drive.share`.
   */
  exc_driveShare: method(
    ['drive.read'],
    z.object({
      ...inFolder,
      role: z.enum(['reader', 'editor']).default('reader'),
      expires: time.nullable().default(null),
      uses: z.int().min(1).max(100_000).nullable().default(null),
    }),
    z.object({ link: z.string() }),
  ),
  /**
   * Opens the folder (one inside becomes a drive of its own) to everybody who has the link, to read, without joining; the person is asked.
   * The manifest has to name `drive.share`. What is open already stays as it is.
   */
  exc_drivePublish: method(['drive.read'], z.object(inFolder), z.object({ link: z.string() })),
};
