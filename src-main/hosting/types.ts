import type { EntryId } from '../history/index.ts';
import type { DeviceId, UserId } from '../identity/index.ts';

/** How to reach a host: multiaddrs ending in /p2p/<id>, hints. */
export interface HostAddress {
  readonly peerId: DeviceId;
  readonly addresses: readonly string[];
}

/** What a host keeps of a drive. */
export interface HostRole {
  /** Every file that is kept whole. */
  readonly whole: boolean;
  /** Its place among those that keep one shard of each erasure-coded file; null: none. */
  readonly slot: number | null;
}

/**
 * What a drive's keeper asks of one host, signed by the keeper's device. The host reads whom it may serve from it and
 * nothing else of the drive; members who are shown it learn where the drive's hosts are.
 */
export interface ReplicaContract {
  /** Whom the host serves beside them: an open drive is read while its members sleep. */
  readonly open: Openness;
  readonly v: 1;
  readonly drive: EntryId;
  readonly host: DeviceId;
  /** The device that signs. */
  readonly keeper: DeviceId;
  /** Grows with each change; the highest counts. */
  readonly number: number;
  /** Hosts the drive is to have. */
  readonly copies: number;
  /** Reserved for the drive: ciphertext and history. */
  readonly bytes: number;
  /** `memberTag` of everyone who may be served, sorted. */
  readonly members: readonly Uint8Array[];
  /** Those of them who may change or end the contract, sorted. */
  readonly managers: readonly Uint8Array[];
  /** All hosts of the drive: they get blocks from each other when no member is there. Sorted by peer id. */
  readonly hosts: readonly (HostAddress & HostRole)[];
  /** ms since the epoch. */
  readonly from: number;
  /** After this the host owes nothing. */
  readonly until: number;
}

/** Who may read an open drive: everybody, or who proves that he knows its link, by this key of 32 bytes; null: it is private. */
export type Openness = 'public' | Uint8Array | null;

/** What a host wants to be paid by contracts on a ledger. */
export interface Asks {
  /** Id of the ledger. */
  readonly chain: string;
  /** Units of its base coin for a GiB and period. */
  readonly price: bigint;
}

/** What a node lends, as it says itself. */
export interface Offer {
  readonly quota: number;
  /** Not reserved by contracts and really there on its disk. */
  readonly free: number;
  /** Takes nothing new and wants to be rid of what it has. */
  readonly leaving: boolean;
  /** null: it keeps drives for nothing. */
  readonly asks: Asks | null;
  /** Where it listens: full multiaddrs. */
  readonly addresses: readonly string[];
}

/** What a node knows of another that lends disk, from asking it. */
export interface HeardOffer extends HostAddress {
  readonly quota: number;
  readonly free: number;
}

/** What a host says of one drive it keeps. */
export interface ReplicaStatus {
  /** Ciphertext and history on its disk. */
  readonly bytes: number;
  readonly blocks: number;
  /** Blocks it was told to keep and does not have (yet, or any more). */
  readonly missing: number;
}

/** A block a host is to keep. */
export interface KeptBlock {
  readonly id: Uint8Array;
  /** Upper bound of the ciphertext's size. */
  readonly size: number;
}

/** One question of an audit: prove leaf `leaf` of that block. */
export interface Challenge {
  readonly id: Uint8Array;
  readonly leaf: number;
}

export interface HostedDriveInfo {
  readonly driveId: EntryId;
  readonly bytes: number;
  readonly reserved: number;
  readonly missing: number;
  /** Of the device that signed the contract, when its card is known. */
  readonly userId: UserId | null;
  readonly until: number;
  /** When it goes if nothing pays for it until then; null: something does, or nothing is asked for it. */
  readonly goes: number | null;
}
