import { migrate } from '../store/index.ts';
import type { Database } from '../store/index.ts';
import type { EntryId } from '../history/index.ts';
import type { DeviceId } from '../identity/index.ts';
import { newcomer } from './reputation.ts';
import type { Reputation } from './reputation.ts';
import type { HostRole } from './types.ts';

/** What a keeper remembers of one host of a drive. Times in ms since the epoch. */
export interface HostRow extends HostRole {
  readonly host: DeviceId;
  readonly addresses: readonly string[];
  readonly lastSeen: number;
  readonly missSince: number | null;
  /** Why it does not count any more: an error code; null while it does. */
  readonly broken: string | null;
  readonly complete: boolean;
  readonly bytes: number;
  readonly auditTime: number | null;
  readonly auditOk: boolean | null;
  /** Number of the contract it took last. */
  readonly contract: number;
  /**
   * It was told of all changes of the block list up to this one; negative: it is to be told of all, and to forget whatever is
   * not its own, as every copy is complete.
   */
  readonly sentSeq: number;
  /** It was told of all changes of stripes up to this one. */
  readonly sentStripe: number;
}

/** A block the drive's hosts are to keep, or (gone) to forget. */
export interface BlockRow {
  readonly id: Uint8Array;
  readonly size: number;
  readonly seq: number;
  readonly gone: boolean;
  /** Kept by hosts of whole files. */
  readonly whole: boolean;
  /** Kept, as a shard, by the host of that slot; null: it is none. */
  readonly slot: number | null;
  /** All shards of its stripe were placed: who need not keep it may forget it. */
  readonly settled: boolean;
}

/** Whether a host of that role is to keep a block. */
export function keeps(role: HostRole, block: Pick<BlockRow, 'whole' | 'slot' | 'gone'>): boolean {
  return !block.gone && ((role.whole && block.whole) || (block.slot !== null && block.slot === role.slot));
}

/** The member's side: what is wanted, where copies are, which blocks they hold and with which audit roots. */
export interface ReplicaRecords {
  /** Drives this device keeps copies of, with how many. */
  wanted(drive: EntryId): number | null;
  want(drive: EntryId, copies: number | null): void;
  /** The newest contract known of a drive, as others made it or this device. */
  knownContract(drive: EntryId): Uint8Array | null;
  learn(drive: EntryId, bytes: Uint8Array): void;
  hosts(drive: EntryId): readonly HostRow[];
  putHost(drive: EntryId, row: HostRow): void;
  removeHost(drive: EntryId, host: DeviceId): void;
  reputation(host: DeviceId): Reputation;
  setReputation(host: DeviceId, reputation: Reputation): void;

  /** The revision of the tree that the block list stands for; null: never looked. */
  revision(drive: EntryId): number | null;
  setRevision(drive: EntryId, revision: number): void;
  /**
   * Names blocks that are to be kept; known ones that were gone come back. True when that changed anything.
   * @param whole false: they wait for their stripe and are told to nobody before
   */
  addBlocks(
    drive: EntryId,
    blocks: readonly { readonly id: Uint8Array; readonly size: number }[],
    whole?: boolean,
  ): boolean;
  /**
   * Blocks that are not among `used` (hex ids) are gone from now on; returns how many. A stripe goes as one: not before none of
   * its blocks is used.
   */
  retire(drive: EntryId, used: ReadonlySet<string>): number;
  /** Blocks that are not gone. */
  living(drive: EntryId): readonly Uint8Array[];
  /** Changes of the list after `seq`, in order. */
  changesSince(drive: EntryId, seq: number, limit: number): readonly BlockRow[];
  seq(drive: EntryId): number;
  totals(drive: EntryId): {
    readonly blocks: number;
    readonly bytes: number;
    readonly rootless: number;
    /** Bytes of what is kept whole. */
    readonly whole: number;
    /** Blocks that wait for their stripe. */
    readonly waiting: number;
  };
  /** Bytes of the fullest slot. */
  slotBytes(drive: EntryId): number;
  /** Blocks whose audit root was not computed yet; those that wait for their stripe get it there. */
  rootless(drive: EntryId, limit: number): readonly { readonly id: Uint8Array; readonly size: number }[];
  setRoot(drive: EntryId, id: Uint8Array, size: number, root: Uint8Array): void;
  /** The first block that such a host keeps, with a root, at or after a point of the space of ids; null: there is none at all. */
  blockNear(
    drive: EntryId,
    point: Uint8Array,
    role: HostRole,
  ): { readonly id: Uint8Array; readonly size: number; readonly root: Uint8Array } | null;
  /** Blocks with a root that such a host keeps, in the order they were named. */
  rooted(
    drive: EntryId,
    role: HostRole,
    limit: number,
  ): readonly { readonly id: Uint8Array; readonly size: number; readonly root: Uint8Array }[];
  forget(drive: EntryId): void;
}

const migrations = [
  `CREATE TABLE replica_wanted (drive TEXT PRIMARY KEY, copies INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE replica_contracts (drive TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE replica_hosts (
     drive TEXT NOT NULL,
     host TEXT NOT NULL,
     addresses TEXT NOT NULL,
     last_seen INTEGER NOT NULL,
     miss_since INTEGER,
     broken TEXT,
     complete INTEGER NOT NULL,
     bytes INTEGER NOT NULL,
     audit_time INTEGER,
     audit_ok INTEGER,
     contract INTEGER NOT NULL,
     sent_seq INTEGER NOT NULL,
     PRIMARY KEY (drive, host)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE replica_reputation (
     host TEXT PRIMARY KEY,
     alpha REAL NOT NULL,
     beta REAL NOT NULL,
     audits INTEGER NOT NULL,
     disqualified INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE replica_lists (drive TEXT PRIMARY KEY, revision INTEGER, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE replica_blocks (
     drive TEXT NOT NULL,
     id BLOB NOT NULL,
     size INTEGER NOT NULL,
     root BLOB,
     seq INTEGER NOT NULL,
     gone INTEGER NOT NULL DEFAULT 0,
     PRIMARY KEY (drive, id)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX replica_changes ON replica_blocks (drive, seq);
   CREATE INDEX replica_rootless ON replica_blocks (drive) WHERE root IS NULL AND gone = 0;`,
  `ALTER TABLE replica_blocks ADD COLUMN whole INTEGER NOT NULL DEFAULT 1;
   ALTER TABLE replica_blocks ADD COLUMN slot INTEGER;
   ALTER TABLE replica_blocks ADD COLUMN stripe BLOB;
   ALTER TABLE replica_blocks ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
   CREATE INDEX replica_shards ON replica_blocks (drive, stripe) WHERE stripe IS NOT NULL;
   CREATE INDEX replica_waiting ON replica_blocks (drive) WHERE whole = 0 AND stripe IS NULL AND gone = 0;
   ALTER TABLE replica_hosts ADD COLUMN whole INTEGER NOT NULL DEFAULT 1;
   ALTER TABLE replica_hosts ADD COLUMN slot INTEGER;
   ALTER TABLE replica_hosts ADD COLUMN sent_stripe INTEGER NOT NULL DEFAULT 0;
   CREATE TABLE replica_stripes (
     drive TEXT NOT NULL,
     id BLOB NOT NULL,
     number INTEGER NOT NULL,
     bytes BLOB NOT NULL,
     data INTEGER NOT NULL,
     parity INTEGER NOT NULL,
     content INTEGER NOT NULL,
     state TEXT NOT NULL,
     PRIMARY KEY (drive, id)
   ) STRICT, WITHOUT ROWID;
   CREATE UNIQUE INDEX replica_stripe_numbers ON replica_stripes (drive, number);
   CREATE INDEX replica_stripe_states ON replica_stripes (drive, state);`,
];

/** Opens the member's tables in a database of the data folder. */
export function createReplicaRecords(db: Database): ReplicaRecords {
  migrate(db, 'hosting.replicas', migrations);
  const wanted = db.prepare<[string], { copies: number }>(
    'SELECT copies FROM replica_wanted WHERE drive = ?',
  );
  const want = db.prepare('INSERT OR REPLACE INTO replica_wanted (drive, copies) VALUES (?, ?)');
  const unwant = db.prepare('DELETE FROM replica_wanted WHERE drive = ?');
  const contract = db.prepare<[string], { bytes: Uint8Array }>(
    'SELECT bytes FROM replica_contracts WHERE drive = ?',
  );
  const putContract = db.prepare('INSERT OR REPLACE INTO replica_contracts (drive, bytes) VALUES (?, ?)');
  type HostDbRow = {
    host: string;
    addresses: string;
    last_seen: number;
    miss_since: number | null;
    broken: string | null;
    complete: number;
    bytes: number;
    audit_time: number | null;
    audit_ok: number | null;
    contract: number;
    sent_seq: number;
    sent_stripe: number;
    whole: number;
    slot: number | null;
  };
  const hosts = db.prepare<[string], HostDbRow>('SELECT * FROM replica_hosts WHERE drive = ? ORDER BY host');
  const putHost = db.prepare(
    `INSERT OR REPLACE INTO replica_hosts
       (drive, host, addresses, last_seen, miss_since, broken, complete, bytes, audit_time, audit_ok, contract, sent_seq,
        sent_stripe, whole, slot)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const removeHost = db.prepare('DELETE FROM replica_hosts WHERE drive = ? AND host = ?');
  const reputation = db.prepare<
    [string],
    { alpha: number; beta: number; audits: number; disqualified: number }
  >('SELECT * FROM replica_reputation WHERE host = ?');
  const putReputation = db.prepare(
    'INSERT OR REPLACE INTO replica_reputation (host, alpha, beta, audits, disqualified) VALUES (?, ?, ?, ?, ?)',
  );
  const list = db.prepare<[string], { revision: number | null; seq: number }>(
    'SELECT revision, seq FROM replica_lists WHERE drive = ?',
  );
  const putList = db.prepare('INSERT OR REPLACE INTO replica_lists (drive, revision, seq) VALUES (?, ?, ?)');
  const block = db.prepare<[string, Uint8Array], { gone: number }>(
    'SELECT gone FROM replica_blocks WHERE drive = ? AND id = ?',
  );
  const insert = db.prepare(
    'INSERT INTO replica_blocks (drive, id, size, seq, whole) VALUES (?, ?, ?, ?, ?)',
  );
  const mark = db.prepare('UPDATE replica_blocks SET gone = ?, seq = ? WHERE drive = ? AND id = ?');
  const living = db.prepare<[string], { id: Uint8Array; stripe: Uint8Array | null }>(
    'SELECT id, stripe FROM replica_blocks WHERE drive = ? AND gone = 0',
  );
  const removeStripe = db.prepare(
    "UPDATE replica_stripes SET state = 'removed', number = ? WHERE drive = ? AND id = ?",
  );
  const lastStripe = db
    .prepare<[string], number>('SELECT coalesce(max(number), 0) FROM replica_stripes WHERE drive = ?')
    .pluck();
  /** What comes back is kept whole until it is coded anew: its stripe ended. */
  const comeBack = db.prepare(
    `UPDATE replica_blocks SET gone = 0, whole = 1, slot = NULL, stripe = NULL, settled = 0, seq = ?
      WHERE drive = ? AND id = ?`,
  );
  type ChangeRow = {
    id: Uint8Array;
    size: number;
    seq: number;
    gone: number;
    whole: number;
    slot: number | null;
    settled: number;
  };
  const changes = db.prepare<[string, number, number], ChangeRow>(
    `SELECT id, size, seq, gone, whole, slot, settled FROM replica_blocks
      WHERE drive = ? AND seq > ? ORDER BY seq LIMIT ?`,
  );
  const totals = db.prepare<[string], ReturnType<ReplicaRecords['totals']>>(
    `SELECT count(*) AS blocks, coalesce(sum(size), 0) AS bytes, coalesce(sum(root IS NULL AND (whole = 1 OR stripe IS NOT NULL)), 0) AS rootless,
            coalesce(sum(size * whole), 0) AS whole, coalesce(sum(whole = 0 AND stripe IS NULL), 0) AS waiting
       FROM replica_blocks WHERE drive = ? AND gone = 0`,
  );
  const slotBytes = db
    .prepare<[string], number>(
      `SELECT coalesce(max(bytes), 0) FROM (
         SELECT sum(size) AS bytes FROM replica_blocks WHERE drive = ? AND slot IS NOT NULL AND gone = 0 GROUP BY slot)`,
    )
    .pluck();
  const rootless = db.prepare<[string, number], { id: Uint8Array; size: number }>(
    `SELECT id, size FROM replica_blocks
      WHERE drive = ? AND root IS NULL AND gone = 0 AND (whole = 1 OR stripe IS NOT NULL) LIMIT ?`,
  );
  const setRoot = db.prepare('UPDATE replica_blocks SET root = ?, size = ? WHERE drive = ? AND id = ?');
  const near = db.prepare<
    [string, Uint8Array, number, number | null],
    { id: Uint8Array; size: number; root: Uint8Array }
  >(
    `SELECT id, size, root FROM replica_blocks
      WHERE drive = ? AND id >= ? AND gone = 0 AND root IS NOT NULL AND ((? AND whole) OR slot = ?) ORDER BY id LIMIT 1`,
  );

  const rooted = db.prepare<
    [string, number, number | null, number],
    { id: Uint8Array; size: number; root: Uint8Array }
  >(
    `SELECT id, size, root FROM replica_blocks
      WHERE drive = ? AND gone = 0 AND root IS NOT NULL AND ((? AND whole) OR slot = ?) ORDER BY seq LIMIT ?`,
  );

  const listOf = (drive: EntryId) => list.get(drive) ?? { revision: null, seq: 0 };
  const start = new Uint8Array(32);

  return {
    wanted: (drive) => wanted.get(drive)?.copies ?? null,
    want: (drive, copies) => void (copies === null ? unwant.run(drive) : want.run(drive, copies)),
    knownContract: (drive) => contract.get(drive)?.bytes ?? null,
    learn: (drive, bytes) => void putContract.run(drive, bytes),
    hosts: (drive) =>
      hosts.all(drive).map((row) => ({
        host: row.host,
        addresses: JSON.parse(row.addresses) as string[],
        lastSeen: row.last_seen,
        missSince: row.miss_since,
        broken: row.broken,
        complete: row.complete === 1,
        bytes: row.bytes,
        auditTime: row.audit_time,
        auditOk: row.audit_ok === null ? null : row.audit_ok === 1,
        contract: row.contract,
        sentSeq: row.sent_seq,
        sentStripe: row.sent_stripe,
        whole: row.whole === 1,
        slot: row.slot,
      })),
    putHost(drive, row) {
      const auditOk = row.auditOk === null ? null : Number(row.auditOk);
      putHost.run(
        ...[drive, row.host, JSON.stringify(row.addresses), row.lastSeen, row.missSince, row.broken],
        ...[Number(row.complete), row.bytes, row.auditTime, auditOk, row.contract, row.sentSeq],
        ...[row.sentStripe, Number(row.whole), row.slot],
      );
    },
    removeHost: (drive, host) => void removeHost.run(drive, host),
    reputation(host) {
      const row = reputation.get(host);
      return row ? { ...row, disqualified: row.disqualified === 1 } : newcomer;
    },
    setReputation: (host, { alpha, beta, audits, disqualified }) =>
      void putReputation.run(host, alpha, beta, audits, Number(disqualified)),
    revision: (drive) => listOf(drive).revision,
    setRevision: (drive, revision) => void putList.run(drive, revision, listOf(drive).seq),
    addBlocks: db.transaction(
      (drive: EntryId, blocks: readonly { id: Uint8Array; size: number }[], whole = true) => {
        const { revision, seq: before } = listOf(drive);
        let seq = before;
        for (const { id, size } of blocks) {
          const known = block.get(drive, id);
          if (!known) insert.run(drive, id, size, ++seq, Number(whole));
          else if (known.gone === 1) comeBack.run(++seq, drive, id);
        }
        if (seq !== before) putList.run(drive, revision, seq);
        return seq !== before;
      },
    ),
    retire: db.transaction((drive: EntryId, used: ReadonlySet<string>) => {
      const { revision, seq: before } = listOf(drive);
      let seq = before;
      const all = living.all(drive);
      const isUsed = (id: Uint8Array): boolean => used.has(hex(id));
      const usedStripes = new Set(
        all.flatMap(({ id, stripe }) => (stripe !== null && isUsed(id) ? [hex(stripe)] : [])),
      );
      const ended = new Map<string, Uint8Array>();
      for (const { id, stripe } of all) {
        if (stripe === null ? isUsed(id) : usedStripes.has(hex(stripe))) continue;
        if (stripe !== null) ended.set(hex(stripe), stripe);
        mark.run(1, ++seq, drive, id);
      }
      for (const stripe of ended.values()) removeStripe.run(lastStripe.get(drive)! + 1, drive, stripe);
      if (seq !== before) putList.run(drive, revision, seq);
      return seq - before;
    }),
    living: (drive) => living.all(drive).map(({ id }) => id),
    changesSince: (drive, seq, limit) =>
      changes.all(drive, seq, limit).map((row) => ({
        ...row,
        gone: row.gone === 1,
        whole: row.whole === 1,
        settled: row.settled === 1,
      })),
    seq: (drive) => listOf(drive).seq,
    totals: (drive) => totals.get(drive)!,
    slotBytes: (drive) => slotBytes.get(drive)!,
    rootless: (drive, limit) => rootless.all(drive, limit),
    setRoot: (drive, id, size, root) => void setRoot.run(root, size, drive, id),
    blockNear: (drive, point, { whole, slot }) =>
      near.get(drive, point, Number(whole), slot) ?? near.get(drive, start, Number(whole), slot) ?? null,
    rooted: (drive, { whole, slot }, limit) => rooted.all(drive, Number(whole), slot, limit),
    forget: db.transaction((drive: EntryId) => {
      for (const table of ['wanted', 'contracts', 'hosts', 'lists', 'blocks', 'stripes']) {
        db.prepare(`DELETE FROM replica_${table} WHERE drive = ?`).run(drive);
      }
    }),
  };
}

function hex(id: Uint8Array): string {
  return Buffer.from(id).toString('hex');
}
