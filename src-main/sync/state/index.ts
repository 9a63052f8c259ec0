import { migrate, type Database } from '../../store/index.ts';
import { createBlockRows, type BlockRows } from './block-rows.ts';
import { createLocalRows, type LocalRows } from './local-rows.ts';
import { createLostRows, type LostRows } from './lost-rows.ts';
import { createPolicyRows, type PolicyRows } from './policy-rows.ts';
import { syncMigrations } from './schema.ts';
import { createSyncedRows, type SyncedRows } from './synced-rows.ts';

export type { BlockPlace, BlockRows } from './block-rows.ts';
export { noStamp } from './local-rows.ts';
export type { LocalCount, LocalRow, LocalRows } from './local-rows.ts';
export type { PolicyRows } from './policy-rows.ts';
export type { SyncedRows } from './synced-rows.ts';

/** ms of work in one transaction, before it is committed and others have their turn. */
const sliceMs = 4;

/** Everything the engine remembers between runs. */
export interface SyncState {
  readonly db: Database;
  readonly local: LocalRows;
  readonly synced: SyncedRows;
  readonly blocks: BlockRows;
  readonly lost: LostRows;
  readonly policy: PolicyRows;
  /** Runs `work` in one transaction. */
  transaction<T>(work: () => T): T;
  /** Does something with each item, in transactions that end when the slice of time is used up. */
  inSlices<T>(items: Iterable<T>, work: (item: T) => void): Promise<void>;
  meta(key: string): string | null;
  setMeta(key: string, value: string): void;
}

/** Brings the tables of the sync engine up to date in `db` and prepares its statements. */
export function createSyncState(db: Database): SyncState {
  migrate(db, 'sync', syncMigrations);
  const read = db.prepare<[string], { value: string }>('SELECT value FROM sync_meta WHERE key = ?');
  const write = db.prepare('INSERT OR REPLACE INTO sync_meta VALUES (?, ?)');
  const transaction = <T>(work: () => T): T => db.transaction(work)();
  return {
    db,
    local: createLocalRows(db),
    synced: createSyncedRows(db),
    blocks: createBlockRows(db),
    lost: createLostRows(db),
    policy: createPolicyRows(db),
    transaction,
    async inSlices(items, work) {
      const rest = items[Symbol.iterator]();
      const slice = (): boolean => {
        const since = performance.now();
        while (performance.now() - since < sliceMs) {
          const next = rest.next();
          if (next.done) return false;
          work(next.value);
        }
        return true;
      };
      while (transaction(slice)) await new Promise<void>((done) => setImmediate(done));
    },
    meta: (key) => read.get(key)?.value ?? null,
    setMeta: (key, value) => void write.run(key, value),
  };
}

/**
 * Forgets what was in the folder, as if the drive had just been joined: what is lacking there is then fetched, never taken for deleted.
 * @param kept trash and old versions beside the files are still there
 */
export function forgetFolder(db: Database, kept: boolean): void {
  migrate(db, 'sync', syncMigrations);
  const gone = ['sync_local', 'sync_synced', 'sync_blocks', 'sync_staging', 'sync_lost', 'sync_meta'];
  db.transaction(() => {
    for (const table of kept ? gone : [...gone, 'sync_trash']) db.exec(`DELETE FROM ${table}`);
    if (!kept) db.exec("DELETE FROM sync_retained WHERE how = 'reflink'");
  })();
}
