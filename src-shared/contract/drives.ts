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
  'differs', // at rest, and its mode keeps folder and drive apart
  'waiting', // nobody who has the rest is reachable
  'paused',
  'held', // a mass delete waits for a person
  'stopped', // a problem only a person can solve, named in `problems`
]);

/** Whether this device's changes go into the history, and others' changes into its folder. */
export const driveMode = z.enum(['send-receive', 'send-only', 'receive-only']);
export type DriveMode = z.infer<typeof driveMode>;

/** What the mode keeps apart: what was done here (receive-only) or by others (send-only). */
export const driveDifference = z.object({ path, what: z.enum(['added', 'changed', 'moved', 'deleted']) });
export type DriveDifference = z.infer<typeof driveDifference>;

export const driveSummary = z.object({
  driveId,
  name: z.string(),
  state: driveState,
  folder: localPath,
  role: role.nullable(),
  files: count,
  bytes: count,
  /** Copies of files that two people changed at one time, for somebody to look at. */
  conflicts: count,
  /** Set when it has its place in a folder of another drive: of which, and where. */
  mount: z.object({ drive: driveId, path }).nullable(),
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
  mount: z.object({ drive: driveId, path }).nullable(),
  /** Entry ids without a successor, sorted: equal on all computers that know the same history. */
  heads: z.array(z.string()),
  /** Changes of the folder not yet in the history / of the history not yet in the folder. */
  pendingUp: count,
  pendingDown: count,
  /** Bytes still to be fetched. */
  pendingBytes: count,
  conflicts: count,
  /** Computers known to hold everything, this one included; who holds some files online only is none. */
  copies: count,
  /** Of `files` and `bytes`: what is held online only here. */
  online: z.object({ files: count, bytes: count }),
  mode: driveMode,
  /** Entries in which its mode keeps folder and drive apart. */
  differing: count,
  problems: z.array(problem),
});
export type DriveStatus = z.infer<typeof driveStatus>;

/** `opened`: one of their computers has had the drive, so they are more than invited. */
export const member = z.object({ userId, role, since: time, opened: z.boolean() });
export type DriveMember = z.infer<typeof member>;

/** A drive somebody shares with this user, or that another computer of the user has, and that is not on this one. */
export const sharedDrive = z.object({
  driveId,
  name: z.string(),
  role,
  /** Whose computer says so; the user's own: it is on another computer of theirs. Joining checks it. */
  from: userId,
  time,
});
export type SharedDrive = z.infer<typeof sharedDrive>;

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
      /** `rewritten`: the ledger holds another entry at that place of the feed. */
      kind: z.enum(['fork', 'damaged', 'rejected', 'forbidden', 'quarantined', 'rewritten']),
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

/** One thing that was done to the rights of a drive. */
export const rightsDeed = z.object({
  id: hash,
  kind: z.enum(['create', 'grant', 'change', 'remove', 'revoke', 'invite', 'uninvite', 'open', 'close']),
  time,
  author: userId,
  deviceId: peerId,
  device: z.string(),
  /** Whom it is about; null: nobody named. */
  user: userId.nullable(),
  role: role.nullable(),
  /** The role they had before. */
  was: role.nullable(),
  /** `open`: to whom. */
  visibility: visibility.nullable(),
  /** `grant`: by an invitation's link. */
  byLink: z.boolean(),
});
export type RightsDeed = z.infer<typeof rightsDeed>;

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
  /** What a link (or the id of a public drive) opens, without joining. Nothing is kept. */
  look: query(
    z.object({ link: readable }),
    z.object({ driveId, name: z.string(), visibility, files: count, bytes: count }),
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
  /**
   * Says where its folder is now. Without `anew` it was moved and carries the drive's mark. With it, it is another one, or has lost its mark:
   * what it lacks is brought from other computers, what else it holds becomes part of the drive, nothing is deleted.
   */
  move: command(z.object({ drive, folder: localPath, anew: z.boolean().default(false) }), driveStatus),
  /** Forgets the drive here; the folder and its files stay. */
  leave: command(z.object({ drive }), done),
  /** Answers when scanned, planned and in step with all reachable members; `timeout` (seconds) refuses after that. */
  wait: query(
    z.object({ drive, timeout: z.number().positive().max(86_400).nullable().default(null) }),
    driveStatus,
  ),
  /**
   * With nothing else: the link of the drive itself, which opens a private drive for its members only, an unlisted or public one for
   * whoever has it. With a role, a moment or a number of uses: a new invitation (for readers, where no role is said); `invite` is its
   * id. `expires`: a moment, null: never. `uses`: people, null: any number.
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
  /**
   * Makes a drive of its own of a folder, whose files stay where they are; `user` (not null) gets `role` in it. Answers when its files
   * are taken in and the members of the drive around it are told.
   */
  shareFolder: command(
    z.object({
      drive,
      path,
      user: userId.nullable().default(null),
      role: inviteRole.default('reader'),
    }),
    z.object({ driveId, link: z.string() }),
  ),
  /** Makes an ordinary folder of such a drive again. Who has a role in it only, and not in the drive around it, loses it. */
  unshareFolder: command(z.object({ drive, path }), done),
  members: query(z.object({ drive }), z.array(member)),
  /** Drives shared with this user that are not on this computer, newest first. `join` with the id keeps one here. */
  shared: query(nothing, z.array(sharedDrive)),
  /** Key `driveId`. */
  watchShared: subscription(nothing, watchedList(sharedDrive)),
  /** Takes one out of that list; the right to it stays. */
  hideShared: command(z.object({ drive: driveId }), done),
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
  /** What was done to its rights, newest first, at most 1000. */
  rights: query(z.object({ drive }), z.array(rightsDeed)),
  verify: query(z.object({ drive }), driveCheck),
  /** Sets how this device takes part. Nothing is deleted for anybody by that: what was deleted while it only received comes back. */
  setMode: command(z.object({ drive, mode: driveMode }), done),
  /** The first of what the mode keeps apart. */
  differences: query(
    z.object({ drive, limit: z.int().min(1).max(1000).default(200) }),
    z.array(driveDifference),
  ),
  /** Receive-only: the folder becomes what the drive says; what was changed here goes to the trash. */
  revert: command(z.object({ drive }), done),
  /** Send-only: the drive becomes what the folder is, for everybody. */
  override: command(z.object({ drive }), done),
  /** Folders of which was said that what comes into them is kept here, or is not; '' is the drive itself. */
  keeps: query(z.object({ drive }), z.array(z.object({ path, keep: z.boolean() }))),
  confirm: command(z.object({ drive }), done),
};

export const fileEntry = z.object({
  path,
  name: z.string(),
  kind: z.enum(['file', 'dir', 'link']),
  /** Bytes; of a folder of all files in it, at any depth. */
  size: count,
  /** Of a folder: files in it, at any depth; null for others. */
  files: count.nullable(),
  /** null for folders. */
  mtime: time.nullable(),
  hash: hash.nullable(),
  version,
  /** `online`: known, its bytes are elsewhere; `pending`: on its way. */
  state: z.enum(['here', 'pending', 'online']),
  /** The path of the file whose name it could not have. */
  conflictOf: path.nullable(),
  /** Of a folder that is a drive of its own: which. */
  mount: driveId.nullable(),
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
  /** Its entry, or a later one of the same feed, stands in the ledger: it existed by then. */
  anchored: z.boolean(),
  /** Where; null when it is not anchored. */
  anchor: z.object({ chainId: z.string(), height: count, time }).nullable(),
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

export const unfinishedUpload = z.object({
  drive,
  path,
  size: count,
  modified: time.nullable(),
  /** Bytes that are here. */
  received: count,
  /** SHA-256 of the last 64 KiB of them, or of all when there are fewer. */
  tail: hash,
  /** Whether somebody sends it at this moment. */
  sending: z.boolean(),
  /** Where the rest goes: PUT with `content-range`, HEAD for how far it is, DELETE to give it up. */
  url: z.url(),
});
export type UnfinishedUpload = z.infer<typeof unfinishedUpload>;

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
  /**
   * Of a file that two people changed at one time (`path` is the copy, see `conflictOf`) one version stands from now on, under the
   * name both wanted; the other stays in its history and in the trash. One operation: nobody ever sees half of it.
   */
  settle: command(aFile.extend({ keep: z.enum(['copy', 'original']) }), done),
  /** A URL that takes the bytes of a file by PUT, once; without `replace` a name in use is refused. */
  upload: command(
    z.object({
      drive,
      path,
      size: count,
      replace: z.boolean().default(false),
      /** Of the file on its sender's disk: by it and by the size a sender knows it again. */
      modified: time.nullable().default(null),
    }),
    z.object({ url: z.url() }),
  ),
  /** Uploads of which something came and something is missing; they wait a day, while the node runs. */
  uploads: query(nothing, z.array(unfinishedUpload)),
  history: query(aFile, z.array(fileVersion)),
  restore: command(z.object({ drive, path, version }), done),
  /**
   * Makes a file, or all that is in a folder, online-only; of the folder nothing new is brought here from then on. What too few
   * others hold stays, and is named; when nothing could be freed it is refused (`too_few_copies`, `not_allowed`).
   */
  free: command(
    aFile,
    z.object({
      files: count,
      bytes: count,
      kept: count,
      reasons: z.array(z.object({ path, code: z.enum(errorCodes), message: z.string() })),
    }),
  ),
  /** Brings a file, or all of a folder, here to stay; answers when it is whole. */
  fetch: command(aFile, done),
  /** `preview`: with the type of what browsers can show, to be embedded; never to be run. */
  open: command(aVersion.extend({ as: z.enum(['download', 'preview']).default('download') }), download),
  /** Several files, and folders with all that is in them, as one ZIP file of that name. */
  archive: command(
    z.object({
      drive: readable,
      paths: z.array(path.min(1)).min(1).max(10_000),
      name: z.string().min(1).max(255),
    }),
    download,
  ),
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
  /** The block by which the version existed; null when the proof carries no anchor. */
  anchor: z.object({ chainId: z.string(), height: count, time }).nullable(),
  /** A sentence: what the answer rests on. */
  root: z.string(),
});
export type ProofCheck = z.infer<typeof proofCheck>;
