import type { NodeId, NodeKind, OpDraft, TreeNode } from '../drive/index.ts';
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
}

/** What the planner reads; backed by SQLite in the app and by Maps in tests. */
export interface TreeView {
  get(id: NodeId): SyncRow | null;
  children(parent: NodeId): Iterable<SyncRow>;
  child(parent: NodeId, name: string): SyncRow | null;
}

export type PlanOp =
  /** Bring the folder to the drive's tree. */
  | { readonly t: 'mkdir'; readonly node: TreeNode | SyncRow }
  | { readonly t: 'write'; readonly node: SyncRow }
  | { readonly t: 'rename'; readonly id: NodeId; readonly parent: NodeId; readonly name: string }
  | { readonly t: 'trash'; readonly id: NodeId }
  /** Bring the drive's tree to the folder. */
  | { readonly t: 'commit'; readonly op: OpDraft }
  /** Both already agree: remember it. */
  | { readonly t: 'agree'; readonly id: NodeId };

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

/** Keeps one folder and one drive in step. */
export interface FolderSync extends Service, Events<FolderEvents> {
  readonly driveId: EntryId;
  readonly folder: string;
  status(): FolderStatus;
  pause(): void;
  resume(): void;
  /** Lets a held mass delete go ahead. */
  confirm(): Promise<void>;
  /** Scans now; resolves when the scan's changes are in the history. */
  scan(): Promise<void>;
  /** Resolves when scanned, planned and applied: folder equals tree, nothing pending. */
  settled(signal?: AbortSignal): Promise<void>;
  trash: {
    list(): readonly TrashItem[];
    restore(path: string): Promise<void>;
    empty(): Promise<void>;
  };
}
