import type { AppError } from '../../src-shared/errors.ts';

/** SHA-256 of an entry's signed bytes as a CIDv1 string (dag-cbor, base32). Also the form of drive ids. */
export type EntryId = string;
/** 32 raw bytes of the same hash: the form on the wire and in SQLite. */
export type EntryHash = Uint8Array;

/** `ops` changes the tree; `access` changes rights and key epochs (the access chain). */
export type EntryKind = 'ops' | 'access';

/**
 * The readable part of an entry; the signature covers its strict dag-cbor encoding. Anyone who holds a chain can check
 * links, signatures and revocations with it and can read nothing else.
 */
export interface EntryHeader {
  readonly v: 1;
  readonly kind: EntryKind;
  /** Hash of the genesis entry; null in the genesis entry itself. */
  readonly drive: EntryHash | null;
  /** The per-drive Ed25519 key that signs, 32 bytes. */
  readonly writer: Uint8Array;
  /** Random 48-bit number, new after a lost or restored database; a feed is one (writer, incarnation). */
  readonly incarnation: number;
  /** Position in the feed, from 0, without gaps. */
  readonly seq: number;
  /** The feed's entry before this one; null at seq 0. */
  readonly prev: EntryHash | null;
  /** Heads of the whole DAG the writer had seen (its own last entry among them or below them), sorted, 0..64. */
  readonly parents: readonly EntryHash[];
  /** Heads of the access chain it was made under, sorted, 0..16; empty only in the genesis entry. */
  readonly access: readonly EntryHash[];
  /** 1 + the largest lamport of prev and parents; 0 for genesis. Checked, so it is a function of the links. */
  readonly lamport: number;
  /** Writer's clock, ms; for people only, never for order. */
  readonly time: number;
  /** The key epoch the body is sealed under (see drive/keys): 32 bytes. */
  readonly keyEpoch: Uint8Array;
  /** Merkle root over the salted operations of the body; 32 zero bytes for `access`. */
  readonly opsRoot: Uint8Array;
  /** SHA-256 of `body`. */
  readonly bodyHash: Uint8Array;
}

export interface Entry {
  readonly id: EntryId;
  readonly hash: EntryHash;
  readonly header: EntryHeader;
  /** `ops`: ciphertext. `access`: dag-cbor with a readable and a sealed part (see drive/access). At most 2 MiB. */
  readonly body: Uint8Array;
  readonly sig: Uint8Array;
  /** The stored and transmitted form: strict dag-cbor of `[headerBytes, body, sig]`. */
  readonly bytes: Uint8Array;
}

/** Where a feed ends, as a holder knows it. */
export interface FeedTip {
  readonly writer: Uint8Array;
  readonly incarnation: number;
  readonly seq: number;
  readonly hash: EntryHash;
}

/** Two entries of one writer at one position: both are kept, the writer is flagged. */
export interface Fork {
  readonly writer: Uint8Array;
  readonly incarnation: number;
  readonly seq: number;
  readonly entries: readonly EntryId[];
}

export interface Rejection {
  readonly id: EntryId | null;
  readonly error: AppError;
}

export interface IngestResult {
  /** New entries now part of the chain, parents before children. */
  readonly added: readonly Entry[];
  /** Already known. */
  readonly known: number;
  /** Valid so far, but a parent is missing; kept aside (bounded) until it comes. */
  readonly waiting: number;
  readonly rejected: readonly Rejection[];
}

/** One damaged stored record, found by `verify` or while reading. */
export interface DamagedRecord {
  /** Byte offset in the chain file. */
  readonly offset: number;
  readonly length: number;
  /** What the index says stood there, if it knows. */
  readonly id: EntryId | null;
  readonly writer: Uint8Array | null;
  readonly seq: number | null;
  readonly reason: string;
}

export interface HistoryCheck {
  readonly ok: boolean;
  readonly entries: number;
  readonly writers: number;
  readonly forks: readonly Fork[];
  readonly damaged: readonly DamagedRecord[];
  /** Entries whose links or signatures do not hold. */
  readonly rejected: readonly Rejection[];
}

/** What a writer hands in; the history adds links, order, time and the signature. */
export interface EntryDraft {
  readonly kind: EntryKind;
  readonly access: readonly EntryHash[];
  readonly keyEpoch: Uint8Array;
  readonly opsRoot: Uint8Array;
  readonly body: Uint8Array;
}

/** The chain of one drive: storage, links, signatures, order. It knows nothing of rights or of what bodies say. */
export interface History {
  readonly driveId: EntryId;
  /** Signs and stores entries with this device's writer, one after another, durable (fsync) on return. */
  append(drafts: readonly EntryDraft[]): Promise<readonly Entry[]>;
  /**
   * Checks and stores entries from elsewhere. Malformed or lying ones are rejected one by one, the rest is kept. `source` (a
   * device id) is who sent them: each source has its own bounded room for entries that must wait. The bytes must not be changed
   * afterwards. A rejection with `disk_full` or another code of the disk is not the sender's fault.
   */
  ingest(entries: readonly Uint8Array[], source?: string): Promise<IngestResult>;
  has(hash: EntryHash): boolean;
  /** Throws `not_found`, or `corrupt` when the stored record is damaged. */
  get(hash: EntryHash): Entry;
  /** Entries no other entry names as parent or prev, sorted by hash. */
  heads(): readonly EntryHash[];
  /** The tips of every feed (several per feed after a fork). */
  frontier(): readonly FeedTip[];
  /** Entries a peer with that frontier lacks, parents before children, in order; stops early when told to. */
  missingFor(frontier: readonly FeedTip[]): Iterable<Entry>;
  /** Every entry by (lamport, hash): the one deterministic order. Reads lazily from disk. */
  inOrder(): Iterable<Entry>;
  /**
   * Entries in the order they came to be stored here, from a `position()` taken earlier on: how a reader that keeps state of its
   * own (the tree) catches up after a crash. One that was damaged and fetched again comes a second time. After the index was
   * rebuilt positions still hold; the file only grows, except for what was never acknowledged.
   */
  storedFrom(position: number): Iterable<Entry>;
  /** The position after everything stored so far. */
  position(): number;
  /**
   * The shortest chain of signed headers from genesis to that entry, through prev, parents and access links: for proofs, checked
   * by `verifyHeaderChain`. Throws `not_found`, `corrupt`.
   */
  headerChain(hash: EntryHash): readonly Uint8Array[];
  /**
   * The signed headers of one feed after `lower` up to `upper`: they show that `upper` stands on `lower`. None when they are one.
   * Throws `not_found` when `upper` is not a later entry of that feed, `too_large`, `corrupt`.
   */
  feedChain(lower: EntryHash, upper: EntryHash): readonly Uint8Array[];
  /** True when `ancestor` is `entry` or in its causal past. */
  includes(entry: EntryHash, ancestor: EntryHash): boolean;
  forks(): readonly Fork[];
  count(): number;
  /** This device's feed; null before the first append. */
  ownTip(): FeedTip | null;
  /** Starts a new incarnation at the next append (restored backup, lost database). */
  newIncarnation(): void;
  /** Re-reads everything from disk and checks every byte. */
  verify(): Promise<HistoryCheck>;
  close(): void;
}
