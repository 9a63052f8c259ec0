import type { Content, Drive, NodeId, NodeKind, OpId } from '../drive/index.ts';
import type { BlockSource } from '../exchange/index.ts';
import type { EntryId } from '../history/index.ts';
import type { AppError, ErrorCode } from '../../src-shared/errors.ts';
import type { Events, Service } from '../../src-shared/runtime.ts';
import type { HandedRow } from './mounts/handover.ts';

/** `differs`: at rest, and its mode keeps folder and drive apart. */
export type FolderState =
  'scanning' | 'syncing' | 'in_step' | 'differs' | 'waiting' | 'paused' | 'held' | 'stopped';

/** Whether a device's changes go into the history, and others' changes into its folder. */
export type DriveMode = 'send-receive' | 'send-only' | 'receive-only';

/** Something that folder and drive are kept apart in, and what was done here (receive-only) or by others (send-only). */
export interface Difference {
  readonly path: string;
  readonly what: 'added' | 'changed' | 'moved' | 'deleted';
}

export interface Problem {
  readonly code: ErrorCode;
  /** Relative to the folder; '' for the whole drive. */
  readonly path: string;
  /** A sentence for people, with what to do. */
  readonly message: string;
}

export interface FolderStatus {
  readonly state: FolderState;
  readonly files: number;
  readonly bytes: number;
  /** Local changes not yet in the history / remote ones not yet on disk (entries of the tree). */
  readonly pendingUp: number;
  readonly pendingDown: number;
  /** Bytes of content still to be fetched. */
  readonly pendingBytes: number;
  readonly conflicts: number;
  readonly problems: readonly Problem[];
  /** Of `files` and `bytes`: what is held online only. */
  readonly onlineFiles: number;
  readonly onlineBytes: number;
  /** This computer holds the bytes of everything in the drive. */
  readonly whole: boolean;
  readonly mode: DriveMode;
  /** Entries in which its mode keeps folder and drive apart. */
  readonly differing: number;
}

/**
 * Where the bytes of an entry of the folder are. `online`: not here, by choice; its row is a placeholder and nothing is on
 * the disk. `wanted`: as `online`, and on its way here. `freeing`: being taken off the disk just now.
 */
export type Held = 'here' | 'online' | 'wanted' | 'freeing';

/** One row of a tree the planner compares. Shapes of the three trees are alike so that equality is one function. */
export interface SyncRow {
  readonly id: NodeId;
  readonly parent: NodeId;
  readonly name: string;
  readonly kind: NodeKind;
  /** Hex SHA-256 of the file, `link:<target>` of a link, '' of a folder. */
  readonly content: string;
  readonly exec: boolean;
  /** The op that set the content, as `TreeNode.version`; '' in the local tree. */
  readonly version: OpId;
  /**
   * Absent: here. In the local tree what became of the bytes; in the synced tree `online` while the row stands for something
   * that is not on the disk, so that its absence there never means anything.
   */
  readonly held?: Held;
}

/** What the planner reads; backed by SQLite in the app and by Maps in tests. */
export interface TreeView {
  get(id: NodeId): SyncRow | null;
  children(parent: NodeId): Iterable<SyncRow>;
  child(parent: NodeId, name: string): SyncRow | null;
}

/**
 * One step towards folder = drive. The order of a plan is an order of execution: parents are made before children, names
 * are freed before they are taken. Each step checks again what it rests on before it acts.
 */
export type PlanOp =
  /** Bring the folder to the drive's tree. */
  | { readonly t: 'mkdir'; readonly node: SyncRow }
  | { readonly t: 'write'; readonly node: SyncRow }
  /** Note it without its bytes: a new placeholder, or what others changed of one. Touches no disk. */
  | { readonly t: 'placeholder'; readonly node: SyncRow }
  | { readonly t: 'rename'; readonly id: NodeId; readonly parent: NodeId; readonly name: string }
  | { readonly t: 'trash'; readonly id: NodeId }
  /**
   * The same thing got two ids (made on two computers): the local row takes the drive's id. Touches no disk. `base` is
   * what counts as last agreed for that id from now on.
   */
  | { readonly t: 'relabel'; readonly from: NodeId; readonly to: NodeId; readonly base: SyncRow | null }
  /**
   * The drive had this before, although nothing is known here of having agreed on it (a power cut took that back): `base` counts as
   * agreed from now on. Touches no disk.
   */
  | { readonly t: 'recall'; readonly id: NodeId; readonly base: SyncRow }
  /** Bring the drive's tree to the folder; content and names are taken from the local row. */
  | { readonly t: 'make'; readonly id: NodeId }
  | { readonly t: 'move'; readonly id: NodeId }
  | { readonly t: 'put'; readonly id: NodeId; readonly base: readonly OpId[] }
  | { readonly t: 'del'; readonly id: NodeId; readonly base: readonly OpId[] }
  /** Both already agree: remember it (or forget what both no longer have). */
  | { readonly t: 'agree'; readonly id: NodeId };

export interface Plan {
  readonly ops: readonly PlanOp[];
  /** Nodes that can only be decided after these operations are done, or that did not fit into the slice. */
  readonly later: readonly NodeId[];
}

export interface TrashItem {
  readonly id: string;
  readonly path: string;
  readonly size: number;
  readonly trashedAt: number;
  readonly reason: 'deleted' | 'replaced';
}

export type FolderEvents = {
  status: FolderStatus;
  /** Something in the folder could not be done; also in `status().problems`. */
  problem: AppError;
};

/** Bytes from `start` up to before `end`; all of it by default. */
export interface ReadRange {
  readonly start?: number;
  readonly end?: number;
  readonly signal?: AbortSignal;
}

/** A file on its way. */
export interface FileFlow {
  readonly node: NodeId;
  /** Bytes that have gone over. */
  readonly done: number;
  /** Bytes of the file. */
  readonly total: number;
  /** Under way now; otherwise it waits for its turn or for someone who has it. */
  readonly active: boolean;
}

/**
 * Folders at which the drive ends, as another one has its place there. What lies in them is neither looked at nor changed, from the
 * moment the drive says so until `takeBack`.
 */
export interface FolderMounts {
  /** Such folders, also those whose mount has ended and which were not taken back yet. */
  held(): readonly NodeId[];
  /** Folders taken back here while the drive still says that they are another drive's. */
  opened(): readonly NodeId[];
  /** Where the folder is on disk, relative to the drive's; null: it is not there (yet). */
  path(node: NodeId): string | null;
  /** What is still known of the files in such a folder, from before. */
  rows(node: NodeId): Iterable<HandedRow>;
  /** Forgets it: another engine looks after them now. */
  letGo(node: NodeId): Promise<void>;
  /** The folder is an ordinary one again: goes on where the other drive's engine stood. */
  takeBack(node: NodeId, from: Drive, rows: Iterable<HandedRow>, newer: boolean): Promise<void>;
}

/** What became of files that were to be freed. */
export interface FreeReport {
  readonly files: number;
  readonly bytes: number;
  /** Files that stay here. */
  readonly kept: number;
  /** The first of them, and why. */
  readonly reasons: readonly { readonly path: string; readonly error: AppError }[];
}

/** What this computer holds online only, and which folders it keeps. */
export interface OnlineFiles {
  /** Whether the bytes of a node are in the folder; null: it knows nothing of the node (yet). */
  held(node: NodeId): Held | null;
  /**
   * Takes a file, or all files of a folder, off this computer's disk, as far as enough others hold them; of a folder nothing new
   * is brought here from now on. Links and files that ride in the history need nobody. @throws AppError `not_found`;
   * `too_few_copies`, `not_allowed` (not in step) when nothing could be freed
   */
  free(node: NodeId, signal: AbortSignal): Promise<FreeReport>;
  /**
   * Brings a file, or everything of a folder, here and keeps it. Resolves when it is whole. @throws AppError `not_found`,
   * `not_allowed` (the drive is paused), `unreachable` or `content_lost` when nobody who can be reached has some of it: it
   * stays wanted, and comes when somebody has it
   */
  fetch(node: NodeId, signal: AbortSignal): Promise<void>;
  /** Frees what was here longest until so many bytes are free again; what is not safe elsewhere stays. */
  freeSpace(bytes: number, signal: AbortSignal): Promise<FreeReport>;
  /** Folders of which a person said that they are (not) kept here; the top folder has the id of the root. */
  policies(): ReadonlyMap<NodeId, boolean>;
  /** Whether what comes into a folder is brought here from now on. Touches no file. */
  setPolicy(folder: NodeId, keep: boolean): void;
}

/** Keeps one folder and one drive in step. */
export interface FolderSync extends Service, Events<FolderEvents> {
  readonly driveId: EntryId;
  readonly folder: string;
  /** This computer's copies of blocks, for `Exchange.addDrive`. */
  readonly blocks: BlockSource;
  status(): FolderStatus;
  /** Files that come into the folder, at most `limit`; as a rule those under way come first. */
  incoming(limit: number): readonly FileFlow[];
  /** Files of which members took something in the last seconds. */
  outgoing(): readonly FileFlow[];
  /** Conflict copies that nobody has dealt with. */
  conflictCopies(): readonly NodeId[];
  pause(): void;
  resume(): void;
  /** Lets a held mass delete go ahead. */
  confirm(): Promise<void>;
  /** Scans now; resolves when the scan's changes are in the history. */
  scan(): Promise<void>;
  /**
   * Resolves when scanned, planned and applied: folder equals tree, nothing pending but what is known to be lost. Right after a
   * start, members seen before are given a moment to be reached.
   */
  settled(signal?: AbortSignal): Promise<void>;
  /** The bytes of a version from wherever they are: the folder, its trash, what was retained, or other members. */
  readContent(content: Content, range?: ReadRange): AsyncIterable<Uint8Array>;
  /** Whether those bytes are on this computer, perhaps on others, or known to be nowhere. */
  contentState(content: Content): 'here' | 'elsewhere' | 'lost';
  /** Whether the ignore rules here leave this path (relative to the folder) alone. */
  ignored(path: string, dir: boolean): boolean;
  mounts: FolderMounts;
  readonly online: OnlineFiles;
  /** Changes the mode; what was deleted here while the device only received comes back. Throws `not_allowed` while paused. */
  setMode(mode: DriveMode): Promise<void>;
  /** The first `limit` entries in which the mode keeps folder and drive apart. */
  differences(limit: number): readonly Difference[];
  /** Receive-only: the folder becomes what the drive says; what was changed here goes to the trash. Else `not_allowed`. */
  revert(): Promise<void>;
  /** Send-only: the drive becomes what the folder is, for everybody. Else `not_allowed`. */
  override(): Promise<void>;
  trash: {
    list(): readonly TrashItem[];
    restore(path: string): Promise<void>;
    empty(): Promise<void>;
  };
}
