import { migrate } from '../store/index.ts';
import type { Database } from '../store/index.ts';
import type { EntryId } from '../history/index.ts';
import type { DeviceId } from '../identity/index.ts';
import { newcomer } from './reputation.ts';
import type { Reputation } from './reputation.ts';

/** What a keeper remembers of one host of a drive. Times in ms since the epoch. */
export interface HostRow {
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
  /** It was told of all changes of the block list up to this one. */
  readonly sentSeq: number;
}

/** A block the drive's hosts are to keep, or (gone) to forget. */
export interface BlockRow {
  readonly id: Uint8Array;
  readonly size: number;
  readonly seq: number;
  readonly gone: boolean;
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
  /** Names blocks that are to be kept; known ones that were gone come back. True when that changed anything. */
  addBlocks(drive: EntryId, blocks: readonly { readonly id: Uint8Array; readonly size: number }[]): boolean;
  /** Blocks that are not among `used` (hex ids) are gone from now on; returns how many. */
  retire(drive: EntryId, used: ReadonlySet<string>): number;
  /** Changes of the list after `seq`, in order. */
  changesSince(drive: EntryId, seq: number, limit: number): readonly BlockRow[];
  seq(drive: EntryId): number;
  totals(drive: EntryId): { readonly blocks: number; readonly bytes: number; readonly rootless: number };
  /** Blocks whose audit root was not computed yet. */
  rootless(drive: EntryId, limit: number): readonly { readonly id: Uint8Array; readonly size: number }[];
  setRoot(drive: EntryId, id: Uint8Array, size: number, root: Uint8Array): void;
  /** The first block with a root at or after a point of the space of ids; null when there is none at all. */
  blockNear(
    drive: EntryId,
    point: Uint8Array,
  ): { readonly id: Uint8Array; readonly size: number; readonly root: Uint8Array } | null;
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
  };
  const hosts = db.prepare<[string], HostDbRow>('SELECT * FROM replica_hosts WHERE drive = ? ORDER BY host');
  const putHost = db.prepare(
    `INSERT OR REPLACE INTO replica_hosts
       (drive, host, addresses, last_seen, miss_since, broken, complete, bytes, audit_time, audit_ok, contract, sent_seq)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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
  const insert = db.prepare('INSERT INTO replica_blocks (drive, id, size, seq) VALUES (?, ?, ?, ?)');
  const mark = db.prepare('UPDATE replica_blocks SET gone = ?, seq = ? WHERE drive = ? AND id = ?');
  const living = db.prepare<[string], { id: Uint8Array }>(
    'SELECT id FROM replica_blocks WHERE drive = ? AND gone = 0',
  );
  type ChangeRow = { id: Uint8Array; size: number; seq: number; gone: number };
  const changes = db.prepare<[string, number, number], ChangeRow>(
    'SELECT id, size, seq, gone FROM replica_blocks WHERE drive = ? AND seq > ? ORDER BY seq LIMIT ?',
  );
  const totals = db.prepare<[string], { blocks: number; bytes: number; rootless: number }>(
    `SELECT count(*) AS blocks, coalesce(sum(size), 0) AS bytes, coalesce(sum(root IS NULL), 0) AS rootless
       FROM replica_blocks WHERE drive = ? AND gone = 0`,
  );
  const rootless = db.prepare<[string, number], { id: Uint8Array; size: number }>(
    'SELECT id, size FROM replica_blocks WHERE drive = ? AND root IS NULL AND gone = 0 LIMIT ?',
  );
  const setRoot = db.prepare('UPDATE replica_blocks SET root = ?, size = ? WHERE drive = ? AND id = ?');
  const near = db.prepare<[string, Uint8Array], { id: Uint8Array; size: number; root: Uint8Array }>(
    `SELECT id, size, root FROM replica_blocks
      WHERE drive = ? AND id >= ? AND gone = 0 AND root IS NOT NULL ORDER BY id LIMIT 1`,
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
      })),
    putHost(drive, row) {
      const auditOk = row.auditOk === null ? null : Number(row.auditOk);
      putHost.run(
        ...[drive, row.host, JSON.stringify(row.addresses), row.lastSeen, row.missSince, row.broken],
        ...[Number(row.complete), row.bytes, row.auditTime, auditOk, row.contract, row.sentSeq],
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
    addBlocks: db.transaction((drive: EntryId, blocks: readonly { id: Uint8Array; size: number }[]) => {
      const { revision, seq: before } = listOf(drive);
      let seq = before;
      for (const { id, size } of blocks) {
        const known = block.get(drive, id);
        if (!known) insert.run(drive, id, size, ++seq);
        else if (known.gone === 1) mark.run(0, ++seq, drive, id);
      }
      if (seq !== before) putList.run(drive, revision, seq);
      return seq !== before;
    }),
    retire: db.transaction((drive: EntryId, used: ReadonlySet<string>) => {
      const { revision, seq: before } = listOf(drive);
      let seq = before;
      for (const { id } of living.all(drive)) {
        if (!used.has(Buffer.from(id).toString('hex'))) mark.run(1, ++seq, drive, id);
      }
      if (seq !== before) putList.run(drive, revision, seq);
      return seq - before;
    }),
    changesSince: (drive, seq, limit) =>
      changes.all(drive, seq, limit).map((row) => ({ ...row, gone: row.gone === 1 })),
    seq: (drive) => listOf(drive).seq,
    totals: (drive) => totals.get(drive)!,
    rootless: (drive, limit) => rootless.all(drive, limit),
    setRoot: (drive, id, size, root) => void setRoot.run(root, size, drive, id),
    blockNear: (drive, point) => near.get(drive, point) ?? near.get(drive, start) ?? null,
    forget: db.transaction((drive: EntryId) => {
      for (const table of ['wanted', 'contracts', 'hosts', 'lists', 'blocks']) {
        db.prepare(`DELETE FROM replica_${table} WHERE drive = ?`).run(drive);
      }
    }),
  };
}
