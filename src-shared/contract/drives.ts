import { z } from './zod.ts';
import { errorCodes } from '../errors.ts';
import {
  count,
  done,
  download,
  driveId,
  hash,
  localPath,
  nothing,
  path,
  peerId,
  role,
  time,
  userId,
  version,
  watched,
  watchedList,
} from './common.ts';
import { command, query, subscription } from '../rpc/contract.ts';

/** What stands for a drive in inputs: its id, or its name when only one has it. */
const drive = z.string().min(1).max(255);
/** Where files are read only: also a link of an unlisted or public drive, or the id of a public one, without joining. */
const readable = z.string().min(1).max(8192);

export const driveState = z.enum([
  'scanning',
  'syncing',
  'in_step',
  'waiting', // nobody who has the rest is reachable
  'paused',
  'held', // a mass delete waits for a person
  'stopped', // a problem only a person can solve, named in `problems`
]);

export const driveSummary = z.object({
  driveId,
  name: z.string(),
  state: driveState,
  folder: localPath,
  role: role.nullable(),
  files: count,
  bytes: count,
});
export type DriveSummary = z.infer<typeof driveSummary>;

export const problem = z.object({ code: z.enum(errorCodes), path, message: z.string() });
export type DriveProblem = z.infer<typeof problem>;

export const driveStatus = z.object({
  driveId,
  name: z.string(),
  state: driveState,
  folder: localPath,
  role: role.nullable(),
  files: count,
  bytes: count,
  /** Entry ids without a successor, sorted: equal on all computers that know the same history. */
  heads: z.array(z.string()),
  /** Changes of the folder not yet in the history / of the history not yet in the folder. */
  pendingUp: count,
  pendingDown: count,
  /** Bytes still to be fetched. */
  pendingBytes: count,
  conflicts: count,
  /** Computers known to hold everything, this one included. */
  copies: count,
  problems: z.array(problem),
});
export type DriveStatus = z.infer<typeof driveStatus>;

export const member = z.object({ userId, role, since: time });
export type DriveMember = z.infer<typeof member>;

const deedKind = z.enum(['create', 'change', 'delete', 'move', 'restore']);

/** One thing that was done in a drive. */
export const deed = z.object({
  version,
  op: deedKind,
  kind: z.enum(['file', 'dir', 'link']),
  /** Where it was after that. */
  path,
  /** Of a move: where it was before. */
  from: path.nullable(),
  /** Where it is now; null: it is gone. */
  now: path.nullable(),
  size: count,
  /** The per-drive key that signed it, hex. */
  writer: z.string(),
  user: userId.nullable(),
  deviceId: peerId.nullable(),
  device: z.string(),
  time,
});
export type Deed = z.infer<typeof deed>;

export const driveCheck = z.object({
  ok: z.boolean(),
  entries: count,
  writers: count,
  forks: count,
  /** When the ledger last took in the head; null: never. */
  anchoredAt: time.nullable(),
  /** Everything that does not hold, one by one. */
  findings: z.array(
    z.object({
      kind: z.enum(['fork', 'damaged', 'rejected', 'forbidden', 'quarantined']),
      /** The entry, if it is known which. */
      entry: z.string().nullable(),
      writer: z.string().nullable(),
      seq: count.nullable(),
      message: z.string(),
    }),
  ),
});
export type DriveCheckReport = z.infer<typeof driveCheck>;

const link = z.object({ link: z.string() });
export const visibility = z.enum(['private', 'unlisted', 'public']);
export type DriveVisibility = z.infer<typeof visibility>;

/** An invitation by link. Its link is shown once, when it is made: the secret in it is kept nowhere. */
export const driveInvite = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  role,
  author: userId,
  made: time,
  expires: time.nullable(),
  /** People it lets in; null: any number. */
  uses: count.nullable(),
  used: z.array(userId),
  state: z.enum(['open', 'expired', 'used_up', 'revoked']),
});
export type DriveInvite = z.infer<typeof driveInvite>;
const inviteRole = z.enum(['reader', 'editor', 'manager']);

export const drives = {
  create: command(
    z.object({
      name: z.string().min(1).max(255),
      folder: localPath,
      visibility: visibility.default('private'),
    }),
    z.object({ driveId, link: z.string() }),
  ),
  /** `link`: a link, or the id of a drive shared with this user. */
  join: command(
    z.object({
      link: z.string().min(1).max(8192),
      folder: localPath,
      onlineOnly: z.boolean().default(false),
    }),
    z.object({ driveId, name: z.string() }),
  ),
  list: query(nothing, z.array(driveSummary)),
  status: query(z.object({ drive }), driveStatus),
  /** Where a new drive's folder could be: a free path in the person's home folder, and the room there in bytes. */
  suggest: query(
    z.object({ name: z.string().min(1).max(255) }),
    z.object({ folder: localPath, free: count, total: count }),
  ),
  /** Key `driveId`. */
  watchList: subscription(nothing, watchedList(driveSummary)),
  watchStatus: subscription(z.object({ drive }), watched(driveStatus)),
  pause: command(z.object({ drive }), done),
  resume: command(z.object({ drive }), done),
  /** Forgets the drive here; the folder and its files stay. */
  leave: command(z.object({ drive }), done),
  /** Answers when scanned, planned and in step with all reachable members; `timeout` (seconds) refuses after that. */
  wait: query(
    z.object({ drive, timeout: z.number().positive().max(86_400).nullable().default(null) }),
    driveStatus,
  ),
  /**
   * Without a role: the link of the drive itself, which opens a private drive for its members only, an unlisted or public one for
   * whoever has it. With one: a new invitation; `invite` is its id. `expires`: a moment, null: never. `uses`: people, null: any number.
   */
  link: command(
    z.object({
      drive,
      role: inviteRole.nullable().default(null),
      expires: time.nullable().default(null),
      uses: z.int().min(1).max(1_000_000).nullable().default(null),
    }),
    z.object({ link: z.string(), invite: z.string().nullable() }),
  ),
  /** Invitations by link, oldest first. */
  invites: query(z.object({ drive }), z.array(driveInvite)),
  /** Ends an invitation; who came in by it stays. */
  endInvite: command(z.object({ drive, invite: z.string().regex(/^[0-9a-f]{32}$/) }), done),
  visibility: query(z.object({ drive }), z.object({ visibility })),
  /** Making a drive private again ends its links: what is written from then on has a key they do not open. */
  setVisibility: command(z.object({ drive, visibility }), link),
  share: command(z.object({ drive, user: userId, role: z.enum(['reader', 'editor', 'manager']) }), link),
  unshare: command(z.object({ drive, user: userId }), done),
  members: query(z.object({ drive }), z.array(member)),
  /**
   * What was done in the whole drive, newest first. With a filter a page may be short, even empty, and not be the last: go
   * on with `next` as `before` until it is null. `writers`: every device that ever wrote, for filters.
   */
  history: query(
    z.object({
      drive,
      before: z.string().max(200).nullable().default(null),
      limit: z.int().min(1).max(200).default(50),
      user: userId.nullable().default(null),
      device: peerId.nullable().default(null),
      op: deedKind.nullable().default(null),
    }),
    z.object({
      items: z.array(deed),
      next: z.string().nullable(),
      writers: z.array(z.object({ user: userId, deviceId: peerId, device: z.string() })),
    }),
  ),
  verify: query(z.object({ drive }), driveCheck),
  confirm: command(z.object({ drive }), done),
};

export const fileEntry = z.object({
  path,
  name: z.string(),
  kind: z.enum(['file', 'dir', 'link']),
  size: count,
  /** null for folders. */
  mtime: time.nullable(),
  hash: hash.nullable(),
  version,
  /** `online`: known, its bytes are elsewhere; `pending`: on its way. */
  state: z.enum(['here', 'pending', 'online']),
  /** The path of the file whose name it could not have. */
  conflictOf: path.nullable(),
});
export type FileEntry = z.infer<typeof fileEntry>;

export const filePage = z.object({
  items: z.array(fileEntry),
  /** Pass as `after` for the next page; null: this was the last. */
  next: z.string().nullable(),
});
export type FilePage = z.infer<typeof filePage>;

export const fileVersion = z.object({
  version,
  /** The per-drive key that signed it, hex. */
  writer: z.string(),
  user: userId.nullable(),
  device: z.string(),
  time,
  size: count,
  hash: hash.nullable(),
  op: z.enum(['create', 'change', 'delete', 'move', 'restore']),
  content: z.enum(['here', 'elsewhere', 'lost']),
  anchored: z.boolean(),
});
export type FileVersion = z.infer<typeof fileVersion>;

/** One folder in one order: folders first, then the rest. */
const view = z.object({
  drive: readable,
  path: path.default(''),
  sort: z.enum(['name', 'size', 'changed']).default('name'),
  descending: z.boolean().default(false),
  /** `moving`: only what is on its way; `attention`: only conflicts and problems; both with the folders that hold such. */
  show: z.enum(['all', 'moving', 'attention']).default('all'),
});

export const fileWindow = z.object({
  /** Entries of the folder that are shown. */
  total: count,
  /** Those from `offset` on. */
  items: z.array(fileEntry),
});
export type FileWindow = z.infer<typeof fileWindow>;

const aFile = z.object({ drive: readable, path });
const aVersion = z.object({ drive: readable, path, version: version.nullable().default(null) });

export const files = {
  /** One folder, by name, at most `limit` at a time. */
  list: query(
    z.object({
      drive: readable,
      path: path.default(''),
      after: z.string().nullable().default(null),
      limit: z.int().min(1).max(1000).default(200),
    }),
    filePage,
  ),
  /** A part of one folder, wherever it is: what a list on a screen shows. */
  window: query(
    view.extend({ offset: count.default(0), limit: z.int().min(1).max(500).default(100) }),
    fileWindow,
  ),
  /** Where the first entry is whose name is `name` (or, not `exact`, begins with it, in any case) at or after `from`. */
  locate: query(
    view.extend({
      name: z.string().min(1).max(255),
      exact: z.boolean().default(true),
      from: count.default(0),
    }),
    z.object({ index: count.nullable() }),
  ),
  /** Entries of the whole drive whose name contains the text, in any case; the first `limit` found. */
  search: query(
    z.object({ drive, text: z.string().trim().min(1).max(255), limit: z.int().min(1).max(200).default(50) }),
    z.array(fileEntry),
  ),
  mkdir: command(aFile, done),
  /** Gives a file or folder another name, another folder, or both. */
  move: command(z.object({ drive, from: path, to: path }), done),
  /** Deletes for every member; each computer keeps the files in the drive's trash. */
  remove: command(z.object({ drive, paths: z.array(path).min(1).max(1000) }), done),
  /** A URL that takes the bytes of a file by PUT, once; without `replace` a name in use is refused. */
  upload: command(
    z.object({ drive, path, size: count, replace: z.boolean().default(false) }),
    z.object({ url: z.url() }),
  ),
  history: query(aFile, z.array(fileVersion)),
  restore: command(z.object({ drive, path, version }), done),
  /** Makes it online-only: refused unless others hold it. */
  free: command(aFile, done),
  /** Answers when it is whole. */
  fetch: command(aFile, done),
  /** `preview`: with the type of what browsers can show, to be embedded; never to be run. */
  open: command(aVersion.extend({ as: z.enum(['download', 'preview']).default('download') }), download),
  proof: command(aVersion, download),
};

export const trashItem = z.object({
  path,
  size: count,
  time,
  reason: z.enum(['deleted', 'replaced']),
});
export type TrashEntry = z.infer<typeof trashItem>;

export const trash = {
  list: query(z.object({ drive }), z.array(trashItem)),
  restore: command(aFile, done),
  empty: command(z.object({ drive }), done),
};

export const proofCheck = z.object({
  ok: z.boolean(),
  drive: driveId,
  path,
  version,
  hash,
  user: userId.nullable(),
  anchored: z.boolean(),
  /** A sentence: what the answer rests on. */
  root: z.string(),
});
export type ProofCheck = z.infer<typeof proofCheck>;
