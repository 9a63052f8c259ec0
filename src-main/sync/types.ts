import type { Content, NodeId, NodeKind, OpId } from '../drive/index.ts';
import type { BlockSource } from '../exchange/index.ts';
import type { EntryId } from '../history/index.ts';
import type { AppError, ErrorCode } from '../../src-shared/errors.ts';
import type { Events, Service } from '../../src-shared/runtime.ts';

export type FolderState = 'scanning' | 'syncing' | 'in_step' | 'waiting' | 'paused' | 'held' | 'stopped';

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
}

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
  | { readonly t: 'rename'; readonly id: NodeId; readonly parent: NodeId; readonly name: string }
  | { readonly t: 'trash'; readonly id: NodeId }
  /**
   * The same thing got two ids (made on two computers): the local row takes the drive's id. Touches no disk. `base` is
   * what counts as last agreed for that id from now on.
   */
  | { readonly t: 'relabel'; readonly from: NodeId; readonly to: NodeId; readonly base: SyncRow | null }
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
  trash: {
    list(): readonly TrashItem[];
    restore(path: string): Promise<void>;
    empty(): Promise<void>;
  };
}
