import type { BlockRef, Drive } from '../drive/index.ts';
import type { SealedBlock } from '../drive/index.ts';
import type { DeviceId, UserId } from '../identity/index.ts';
import type { EntryId } from '../history/index.ts';
import type { Events, Service } from '../../src-shared/runtime.ts';

/** What the exchange needs of a drive: that of a member, or the chain of one that is only kept here for others (see hosting). */
export type ExchangedDrive = Pick<
  Drive,
  'id' | 'on' | 'frontier' | 'missingFor' | 'ingest' | 'ownTip' | 'roleOf'
>;

/** Where this node's own copies of blocks come from (plaintext files re-sealed on demand, or retained ciphertext). */
export interface BlockSource {
  /** Ciphertext of each block, null when it is not (or no longer) here; the caller's own. Called with at most 16 MiB at once. */
  read(ids: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]>;
  /** Whether the bytes of each version are in this folder now, and are not about to leave it. Absent: none are. */
  holds?(items: readonly HeldVersion[]): Promise<readonly boolean[]>;
}

/** One version of one file. */
export interface HeldVersion {
  /** Id of the tree's node, 32 hex digits. */
  readonly node: string;
  /** `<entry id>/<index>`. */
  readonly version: string;
}

/** Blocks of a version that does not exist yet: a member is still indexing the file. */
export interface EarlyBlocks {
  readonly from: DeviceId;
  /** Names the file being indexed; the same in all announcements of one file. */
  readonly token: string;
  readonly node: string;
  readonly blocks: readonly { readonly ref: BlockRef; readonly offset: number }[];
}

export interface MemberSync {
  readonly peerId: DeviceId;
  readonly userId: UserId;
  /** It has every entry we have and we have every entry it has. */
  readonly sameHistory: boolean;
  /** It says that nothing is left to do there. */
  readonly settled: boolean;
  /** It does not serve us the drive, as a rule because its user has a role in it and has not joined it there. */
  readonly refused: boolean;
  /** And that it holds the bytes of everything in the drive. */
  readonly whole: boolean;
}

/** A device that keeps the drive's ciphertext and is no member. */
export interface HostSync {
  readonly peerId: DeviceId;
  /** It has every entry we have and we have every entry it has. */
  readonly sameHistory: boolean;
}

export type ExchangeEvents = {
  /** Coalesced to 4 Hz. Bytes of ciphertext, running totals. */
  progress: { readonly driveId: EntryId; readonly received: number; readonly sent: number };
  members: { readonly driveId: EntryId };
  early: { readonly driveId: EntryId; readonly early: EarlyBlocks };
  /** A peer claims entries we have never made under our own writer: our database is older than what we once sent. */
  ownFeedBehind: { readonly driveId: EntryId };
};

export interface FetchRequest {
  readonly ref: BlockRef;
  /**
   * Given the ciphertext as it came; checks it against `ref.id` (in a worker) and keeps it. Awaited: back-pressure. Throwing
   * `bad_hash` says that the peer lied: it is penalised and the block asked elsewhere; any other error fails this
   * request. The bytes are a view of memory that others share: not to be changed or transferred, and not to be
   * read after the promise settled.
   */
  readonly accept: (ciphertext: Uint8Array) => Promise<void>;
}

/** Fetches as `Exchange.fetch` does, and computes nothing. */
export type PlainFetch = (requests: readonly FetchRequest[], signal: AbortSignal) => Promise<void>;

/**
 * Computes a block that nobody reachable has from others that somebody has (see hosting: erasure-coded files).
 * @param id the block's id; what comes back is checked by whoever asked for it
 * @returns null when it cannot be computed
 */
export type Rebuild = (id: Uint8Array, fetch: PlainFetch, signal: AbortSignal) => Promise<Uint8Array | null>;

/** Takes part in drives that are open to others than members: unlisted and public ones. */
export interface OpenDrives {
  /** Whether a peer that is no member may read the drive: it is public, or the peer showed that it knows the link. */
  mayRead(driveId: EntryId, peer: DeviceId): boolean;
  /** Devices beside members and hosts that may have the drive, for who has no role in it. */
  sources(driveId: EntryId): ReadonlySet<DeviceId>;
  /** Shows a peer that we know the drive's link, if that is why we may read it. Before each history stream. Throws `forbidden`. */
  introduce(driveId: EntryId, peer: DeviceId, signal: AbortSignal): Promise<void>;
  /** Whether blocks may be asked of the peer: it knows why we may read, or need not. */
  introduced(driveId: EntryId, peer: DeviceId): boolean;
}

/** Moves entries and blocks between the members of drives. */
export interface Exchange extends Service, Events<ExchangeEvents> {
  /**
   * @param isLookedAt only parts of it are read, as somebody asks for them: blocks come over the stream that is there at once, as making a
   *   bulk channel takes longer than they do
   */
  addDrive(drive: ExchangedDrive, source: BlockSource, isLookedAt?: boolean): void;
  /**
   * Names the devices that keep a drive's ciphertext without being members: they are served, asked and subscribed to as
   * members are, but stand in `hosts`, not in `members`. May be called before the drive is added; an empty set takes all away.
   */
  setHosts(driveId: EntryId, hosts: ReadonlySet<DeviceId>): void;
  /** Who may read an open drive, or from whom it may be read, changed (see `OpenDrives`). */
  sourcesChanged(): void;
  /** How blocks of the drive that are `gone` may be computed; null: not at all. May be called before the drive is added. */
  setRebuilder(driveId: EntryId, rebuild: Rebuild | null): void;
  removeDrive(driveId: EntryId): Promise<void>;
  /** Fetches the genesis and all entries of a drive not yet known here; used by join. Throws `forbidden`, `unreachable`, `timeout`. */
  fetchHistory(
    driveId: EntryId,
    from: readonly DeviceId[],
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[]>;
  /**
   * Fetches blocks from whoever has them, several sources at once, in about the given order. Resolves when each was
   * accepted; rejects, after the others were accepted, with what an `accept` threw or `gone` (details.ids, hex: nobody
   * reachable has them); or at once with `cancelled`, `shutting_down`, `drive_unknown`.
   */
  fetch(driveId: EntryId, requests: readonly FetchRequest[], signal: AbortSignal): Promise<void>;
  /** Offers blocks while their file is still being indexed, and takes them over; resolves when there is room for more. */
  announceEarly(driveId: EntryId, token: string, node: string, blocks: readonly SealedBlock[]): Promise<void>;
  /** Whether members are here that will ask for new blocks soon, so that it is worth keeping their ciphertext. */
  wantsSealed(driveId: EntryId): boolean;
  /** Keeps blocks that nobody has heard of yet for those who will ask, within bounds, and takes them over. */
  keepSealed(driveId: EntryId, blocks: readonly SealedBlock[]): void;
  /** Resolves when there is room for more of them again, or a moment later. */
  sealedRoom(): Promise<void>;
  /** Tells the members whether anything is left to do here, and whether this node holds the bytes of everything. */
  setSettled(driveId: EntryId, settled: boolean, whole: boolean): void;
  /**
   * Asks the connected members which of them hold these versions. @returns for each the devices that said so; who does not
   * answer in 10 s counts as not holding anything
   */
  holders(
    driveId: EntryId,
    items: readonly HeldVersion[],
    signal: AbortSignal,
  ): Promise<readonly (readonly DeviceId[])[]>;
  members(driveId: EntryId): readonly MemberSync[];
  /** The connected ones of those named by `setHosts`. */
  hosts(driveId: EntryId): readonly HostSync[];
}
