import type { UserId, DeviceId } from '../identity/index.ts';
import type {
  EntryId,
  EntryHash,
  FeedTip,
  Fork,
  HistoryCheck,
  Entry,
  IngestResult,
} from '../history/index.ts';
import type { Events } from '../../src-shared/runtime.ts';

/** 32 hex characters (16 random bytes); the root folder is 32 zeros. Stable for the life of a file or folder. */
export type NodeId = string;
export const rootNode: NodeId = '00000000000000000000000000000000';
export type NodeKind = 'dir' | 'file' | 'link';
/** Names one operation: `<entry id>/<index in its body>`. Version ids in the CLI have this form. */
export type OpId = string;
/** 64 hex characters: SHA-256 name of a key epoch (see keys.ts). */
export type EpochId = string;

export type Role = 'owner' | 'manager' | 'editor' | 'reader';

/** One sealed block of a file. */
export interface BlockRef {
  /** SHA-256 of the ciphertext, 32 bytes. */
  readonly id: Uint8Array;
  /** The key epoch it is sealed under. */
  readonly epoch: EpochId;
  /** SHA-256 of the plaintext, 32 bytes. */
  readonly plainHash: Uint8Array;
  /** Plaintext bytes. */
  readonly len: number;
  /** Weak rolling sum of the plaintext (rsync's idea), unsigned 32 bits. */
  readonly weak: number;
}

export interface FileContent {
  readonly kind: 'file';
  readonly size: number;
  /** ms since the epoch, for display and to set on disk; never for order. */
  readonly mtime: number;
  readonly exec: boolean;
  /** SHA-256 of the whole plaintext, 32 bytes (what sha256sum prints). */
  readonly hash: Uint8Array;
  /** Present for files up to 4 KiB: the bytes themselves; `blocks` is empty then. */
  readonly inline: Uint8Array | null;
  readonly blockSize: number;
  readonly blocks: readonly BlockRef[];
}
export interface LinkContent {
  readonly kind: 'link';
  readonly target: string;
}
export type Content = FileContent | LinkContent;

/**
 * Tree operations as the sync engine and the API ask for them. `parents`/`seen` name what the asker had before its eyes;
 * the drive fills in op ids. Names are NFC and hold no `/`, no NUL, are not `.` or `..`, 1..255 UTF-8 bytes... the drive checks.
 */
export type OpDraft =
  | {
      readonly t: 'make';
      readonly node: NodeId;
      readonly kind: NodeKind;
      readonly parent: NodeId;
      readonly name: string;
      readonly content: Content | null;
    }
  | { readonly t: 'move'; readonly node: NodeId; readonly parent: NodeId; readonly name: string }
  /** `base`: the content op(s) this one replaces, as last seen by the asker. Empty = made without sight of any (join). */
  | { readonly t: 'put'; readonly node: NodeId; readonly base: readonly OpId[]; readonly content: Content }
  /**
   * Of the two contents of a file that were written at one time, the untouched copy's (`node`) or the file's own stands from now on.
   * One operation, so there is no moment in which one is gone and the other has not its name.
   */
  | { readonly t: 'settle'; readonly node: NodeId; readonly keep: 'copy' | 'original' }
  /** Deletes what the asker saw; what others did meanwhile survives (edit and move beat delete). */
  | { readonly t: 'del'; readonly node: NodeId; readonly base: readonly OpId[] }
  /** Managers only: the folder becomes the place of that drive; null: an ordinary folder again, with what it held before. */
  | { readonly t: 'mount'; readonly node: NodeId; readonly drive: EntryId | null }
  /** Of a collection only: the value of a key (null: none), in place of what it has here now. */
  | { readonly t: 'set'; readonly key: string; readonly value: Uint8Array | null };

/** What a drive is for, when it holds no files: the keys and values of an app. Said in its genesis, for ever. */
export interface DrivePurpose {
  readonly kind: 'collection';
  /** Which app it belongs to, 1..128 bytes. */
  readonly app: string;
}

/** A key of a collection and what it has now. */
export interface Register {
  readonly key: string;
  readonly value: Uint8Array;
  /** The operation that set it. */
  readonly version: OpId;
  /** Who wrote it; null when that can't be told. */
  readonly user: UserId | null;
  /** ms, the writer's clock. */
  readonly time: number;
  /** Values written at the same time as this one; the last in the one order is shown. */
  readonly concurrent: boolean;
}

/** A page of keys, in the order of their UTF-8 bytes. */
export interface RegisterQuery {
  readonly prefix?: string;
  /** Keys after (with `reverse` before) this one. */
  readonly after?: string;
  readonly limit: number;
  readonly reverse?: boolean;
}

/** Read access to the keys of a collection. */
export interface Registers {
  get(key: string): Register | null;
  page(query: RegisterQuery): readonly Register[];
  /** All values that a key has at once, the one shown first. */
  heads(key: string): readonly (Omit<Register, 'value'> & { readonly value: Uint8Array | null })[];
  /** Monotone; grows with every change of a key. */
  revision(): number;
  /** Keys that changed after that revision, the one that changed first before the others; `value` null: it has none any more. */
  changedSince(
    revision: number,
    limit: number,
  ): {
    readonly changes: readonly { readonly key: string; readonly register: Register | null }[];
    readonly revision: number;
  };
  count(): number;
}

/** One visible entry of the merged tree, conflicts and duplicate names already resolved. */
export interface TreeNode {
  readonly id: NodeId;
  readonly parent: NodeId;
  /** As shown: the conflict name when this is a conflict copy. Unique among its siblings (exact NFC comparison). */
  readonly name: string;
  readonly kind: NodeKind;
  /** null for folders. */
  readonly content: Content | null;
  /** The op that set the content shown (the version id); for folders the op that made it. */
  readonly version: OpId;
  /** Set on conflict copies: the node whose name they could not have. */
  readonly conflictOf: NodeId | null;
  /** Of a folder that is the place of another drive: which. What this drive has in it is hidden. */
  readonly mount: EntryId | null;
}

/** A folder of a drive that is the place of another one. */
export interface Mount {
  readonly node: NodeId;
  readonly drive: EntryId;
}

/** What a drive's history says of one file, folder or link, alive or not. */
export interface NodeHistory {
  /** Where it was put when it was made; null when that entry is not here. */
  readonly made: { readonly parent: NodeId; readonly name: string } | null;
  /** Its contents in the one order; `parents`: those it replaced. */
  readonly contents: readonly { readonly version: OpId; readonly parents: readonly OpId[] }[];
}

/** Read access to the merged tree; what the planner calls `remote`. */
export interface DriveTree {
  get(id: NodeId): TreeNode | null;
  child(parent: NodeId, name: string): TreeNode | null;
  /** Sorted by name (code units), at most `limit` after `after`. */
  children(parent: NodeId, page?: { after?: string; limit?: number }): readonly TreeNode[];
  /** As `children`, with no more than it takes to put a large folder in order; `size` in bytes, of folders as `within`. */
  listing(
    parent: NodeId,
    page?: { after?: string; limit?: number },
  ): readonly { readonly name: string; readonly kind: NodeKind; readonly size: number }[];
  /** `/`-separated path from the root without a leading slash; '' is the root. */
  resolve(path: string): TreeNode | null;
  path(id: NodeId): string | null;
  /**
   * What a node that does not show (deleted, or merged into another) was: at its last place, with each content it ever had, newest
   * first, at most `limit`. Empty when the drive never had it.
   */
  past(id: NodeId, limit: number): readonly TreeNode[];
  /** Monotone; grows with every change of the visible tree. */
  revision(): number;
  /** Ids whose visible node changed (or vanished) after that revision, oldest first; null when that is too long ago. */
  changedSince(
    revision: number,
    limit: number,
  ): { readonly ids: readonly NodeId[]; readonly revision: number } | null;
  count(): { readonly files: number; readonly dirs: number; readonly bytes: number };
  /** Files in a folder at any depth and their bytes, without what other drives have their place in it. */
  within(folder: NodeId): { readonly files: number; readonly bytes: number };
  /** Visible folders that are the place of another drive. */
  mounts(): readonly Mount[];
}

export interface Member {
  readonly userId: UserId;
  readonly role: Role;
  /** ms, of the entry that granted it. */
  readonly since: number;
}

/** Who may read a drive: members only; whoever has its link; everybody. */
export type Visibility = 'private' | 'unlisted' | 'public';

export interface InviteTerms {
  /** ms; null: never. */
  readonly expires: number | null;
  /** People it lets in; null: any number. */
  readonly uses: number | null;
}

/** One thing that was done to the rights of a drive. */
export interface RightsDeed {
  /** The entry, hex. */
  readonly id: string;
  readonly kind:
    'genesis' | 'grant' | 'lower' | 'remove' | 'revoke' | 'invite' | 'uninvite' | 'open' | 'close';
  /** ms, the author's clock. */
  readonly time: number;
  readonly author: UserId;
  readonly deviceId: DeviceId;
  readonly device: string;
  /** Whom it is about; null where it is about nobody named. */
  readonly user: UserId | null;
  /** The role given; of `invite` the one its link gives. */
  readonly role: Role | null;
  /** The role they had before, as its author knew it. */
  readonly was: Role | null;
  /** `open`: to whom. */
  readonly visibility: 'unlisted' | 'public' | null;
  /** `grant`: came in by an invitation's link. */
  readonly byLink: boolean;
}

/** An invitation by link. */
export interface DriveInvite extends InviteTerms {
  /** 32 hex characters, computed from the link's secret. */
  readonly id: string;
  readonly role: Role;
  readonly author: UserId;
  /** ms */
  readonly made: number;
  readonly used: readonly UserId[];
  readonly state: 'open' | 'expired' | 'used_up' | 'revoked';
  /** An entry ended it: it will never be open again. */
  readonly ended: boolean;
}

export interface Version {
  readonly version: OpId;
  readonly node: NodeId;
  readonly writer: string;
  readonly user: UserId | null;
  readonly device: string;
  readonly time: number;
  readonly size: number;
  readonly hash: Uint8Array | null;
  readonly op: 'create' | 'change' | 'delete' | 'move' | 'restore';
  readonly content: Content | null;
}

/** One thing that was done in a drive. */
export interface Deed {
  readonly version: OpId;
  readonly op: Version['op'];
  readonly kind: NodeKind;
  /** Where it was after that. */
  readonly path: string;
  /** Of a move: where it was before. */
  readonly from: string | null;
  /** Where it is now; null: it is gone. */
  readonly now: string | null;
  /** Bytes, of what was added or changed. */
  readonly size: number;
  readonly writer: string;
  readonly user: UserId | null;
  readonly deviceId: DeviceId | null;
  /** The name it had when it wrote here first. */
  readonly device: string;
  readonly time: number;
}

export interface TimelineQuery {
  /** `next` of the page before; null: begin with the newest. */
  readonly before: string | null;
  readonly limit: number;
  readonly user: UserId | null;
  readonly deviceId: DeviceId | null;
  readonly op: Version['op'] | null;
}

export interface TimelinePage {
  readonly items: readonly Deed[];
  readonly next: string | null;
}

/** Who signed an operation. */
export interface VersionAuthor {
  readonly device: DeviceId;
  /** This device, perhaps before it lost its data or had an older state of it put back. */
  readonly here: boolean;
  /** It stands in the feed this device goes on with, so whatever it signs next comes after it. */
  readonly ownFeed: boolean;
  /** The device still may write to the drive. */
  readonly active: boolean;
}

export interface DriveCheck extends HistoryCheck {
  /** Entries whose writer had no right to them. */
  readonly forbidden: readonly { readonly id: EntryId; readonly reason: string }[];
  readonly quarantined: readonly EntryId[];
}

export type DriveEvents = {
  /** The visible tree changed. */
  tree: { readonly revision: number };
  /** Keys of a collection changed. */
  registers: { readonly revision: number };
  /** Entries were added here (local or from a peer): announce them. */
  entries: { readonly entries: readonly Entry[]; readonly local: boolean };
  /** Members, roles or key epochs changed. */
  access: Record<string, never>;
  fork: Fork;
};

/** A drive = history + content + access. */
export interface Drive extends Events<DriveEvents> {
  readonly id: EntryId;
  name(): string;
  /** null: an ordinary drive, or one whose genesis can't be read (yet). */
  purpose(): DrivePurpose | null;
  /** Members of a collection who wrote twice as much as they may. */
  flooding(): readonly UserId[];
  /** Keys and values of a collection; empty in an ordinary drive. */
  readonly registers: Registers;
  readonly tree: DriveTree;
  /** The same with what lies hidden in mounted folders. */
  readonly wholeTree: DriveTree;
  /** null when the drive knows of no such node. */
  nodeHistory(node: NodeId): NodeHistory | null;
  /** Appends operations as one or more signed entries and applies them; returns the op id of each, in order. */
  commit(ops: readonly OpDraft[]): Promise<readonly OpId[]>;
  /**
   * Stores and applies entries from elsewhere. What its writer had no right to is stored too (others may link to it) and never
   * applied: it stands in `added` and, with `forbidden`, `unknown_writer`, `quarantined`, `too_many_invites` or `malformed`, in `rejected`.
   * @param source the peer, for the bounds on entries that wait for a parent
   */
  ingest(entries: readonly Uint8Array[], source?: string): Promise<IngestResult>;
  /** Content of any version ever, also superseded ones. */
  contentOf(version: OpId): Content | null;
  /** Who signed it; null when its entry is not here. */
  authorOf(version: OpId): VersionAuthor | null;
  /** Newest first; of a live or deleted path, following moves. */
  versions(path: string): readonly Version[];
  /** What was done in the whole drive, newest first, a page at a time. */
  timeline(query: TimelineQuery): TimelinePage;
  /** Every device that ever wrote here, as far as its entries can be read. */
  writers(): readonly { readonly user: UserId; readonly deviceId: DeviceId; readonly device: string }[];
  members(): readonly Member[];
  roleOf(user: UserId): Role | null;
  ownRole(): Role | null;
  /** A member's public encryption key (X25519); null: no member. */
  encKeyOf(user: UserId): Uint8Array | null;
  /** Whether this user is or once was a member. */
  everMember(user: UserId): boolean;
  /** Grants or changes a role; lowering below editor or removing lists last accepted entries and starts a new epoch. */
  share(user: UserId, encKey: Uint8Array, role: Exclude<Role, 'owner'>): Promise<void>;
  unshare(user: UserId): Promise<void>;
  /**
   * Cuts off one device's writers (a lost device), new epoch. `user`: whose it is, needed when it never wrote here.
   * @throws AppError `device_unknown`, `forbidden`
   */
  revokeDevice(device: DeviceId, user?: UserId): Promise<void>;
  isRevoked(device: DeviceId, user: UserId): boolean;
  visibility(): Visibility;
  /** The X25519 secret (32 bytes) that reads the drive without a role: what an unlisted link carries; null when private. */
  readSecret(): Uint8Array | null;
  /**
   * Opens or closes the drive for others than members. Managers only: `forbidden`. Closing starts a new epoch and ends all
   * links that read.
   */
  setVisibility(visibility: Visibility): Promise<void>;
  /** What was done to its rights, newest first, at most 1000. */
  rightsHistory(): readonly RightsDeed[];
  /** All invitations by link, oldest first. */
  invites(): readonly DriveInvite[];
  /**
   * Opens an invitation; the secret (16 bytes) is kept nowhere.
   * @throws AppError `forbidden`, `too_many_invites`
   */
  invite(role: Exclude<Role, 'owner'>, terms: InviteTerms): Promise<{ id: string; secret: Uint8Array }>;
  /** Ends an invitation; when it was used, with a new epoch. Throws `not_found`, `forbidden`. */
  endInvite(id: string): Promise<void>;
  /**
   * Lets somebody in who proves that he has an invitation's link.
   * @returns his role
   * @throws AppError `forbidden` (no such invitation, or no proof), `invite_expired`, `invite_used_up`, `invite_revoked`
   */
  admit(
    id: string,
    claim: {
      readonly user: UserId;
      readonly device: DeviceId;
      readonly verifier: DeviceId;
      readonly nonce: Uint8Array;
    },
    encKey: Uint8Array,
    signature: Uint8Array,
  ): Promise<Role>;
  /** Ends used invitations of this user that have run out; returns how many. */
  sweepInvites(): Promise<number>;
  /**
   * Writes what is needed so that every member can read: keys some lack (handed out before a concurrent removal) and this
   * user's own new encryption key. Done by itself after access entries came in; call it when the user's key was replaced.
   * @returns entries written
   */
  repairAccess(): Promise<number>;
  /** The epoch new blocks are sealed under. Throws `key_missing` when this device can't read the drive (yet). */
  currentEpoch(): EpochId;
  /** 32-byte content key of an epoch; throws `key_missing`. */
  contentKey(epoch: EpochId): Uint8Array;
  heads(): readonly EntryHash[];
  frontier(): readonly FeedTip[];
  /** This device's feed in the drive; null before its first entry here. */
  ownTip(): FeedTip | null;
  /** Where the entry of a version stands in its writer's feed; null when it is not here. */
  placeOf(version: OpId): Omit<FeedTip, 'hash'> | null;
  /** True when that entry is here. */
  has(entry: EntryHash): boolean;
  /**
   * Signed headers of the feed of a version, from after its entry up to `head`, a later entry of it: for anchored proofs.
   * @throws AppError `not_found` when `head` does not stand on it, `too_large`
   */
  headersUpTo(version: OpId, head: EntryHash): readonly Uint8Array[];
  /** This device's tip with its writer's signature over what `bytesOf` makes of it, for anchoring; null before its first entry. */
  signTip(bytesOf: (tip: FeedTip) => Uint8Array): { readonly tip: FeedTip; readonly sig: Uint8Array } | null;
  /** The next own entry starts a new feed: peers know more of the old one than this device (restored backup). */
  newIncarnation(): void;
  missingFor(frontier: readonly FeedTip[]): Iterable<Entry>;
  forks(): readonly Fork[];
  quarantined(): readonly EntryId[];
  verify(): Promise<DriveCheck>;
  /** Bytes of a proof of one version of the file at `path` (the current one by default). */
  proof(path: string, version?: OpId): Promise<Uint8Array>;
  close(): void;
}
