import { AppError } from '../../src-shared/errors.ts';
import type { EntryId, LeafProof } from '../history/index.ts';
import { migrate } from '../store/index.ts';
import type { Database } from '../store/index.ts';
import { limits } from './limits.ts';

/**
 * Copies that a contract on a ledger pays for, on the side that keeps them. Hosting knows nothing of ledgers: it remembers which blocks a contract
 * is over, gives their roots and proofs to who proves them, and holds on to them until the contract has ended.
 */

/** One block under a contract. */
export interface PaidBlock {
  readonly id: Uint8Array;
  readonly size: number;
  /** As audits have it. */
  readonly root: Uint8Array;
}

/** A contract that the keeper of a drive named. */
export interface PaidCopy {
  /** Number of the contract on its ledger. */
  readonly contract: number;
  readonly drive: EntryId;
  /** It was taken: its blocks stay until `ended`. */
  readonly taken: boolean;
  /** When it was named, ms since the epoch. */
  readonly named: number;
}

/** Which blocks a contract pays for, in the order its root is made of. */
export interface PaidNotice {
  readonly drive: EntryId;
  /** The ledger's id. */
  readonly chain: string;
  readonly contract: number;
  /** Place of the first of `ids` among `count`. */
  readonly at: number;
  readonly count: number;
  readonly ids: readonly Uint8Array[];
}

export interface PaidCopies {
  /**
   * Takes down a page of a contract's blocks.
   * @throws AppError `gone` when one is not here, `too_many`, `contract_running` when the contract was taken
   */
  note(notice: PaidNotice, now: number): void;
  /** Those named in whole. */
  list(chain: string): readonly PaidCopy[];
  /** Blocks with their roots, computed once; null when some are not here any more. */
  blocks(chain: string, contract: number): Promise<readonly PaidBlock[] | null>;
  /** Proof of one leaf of one of its blocks; null: it is lost. */
  prove(chain: string, contract: number, block: number, leaf: number): Promise<LeafProof | null>;
  /** From now on its blocks stay. */
  taken(chain: string, contract: number): void;
  /** It is over, or will not be taken. Returns blocks of the drive that were dropped meanwhile and are held by nothing else. */
  ended(
    chain: string,
    contract: number,
  ): { readonly drive: EntryId; readonly ids: readonly Uint8Array[] } | null;
  /** Whether contracts that were taken are over blocks of the drive. */
  holds(drive: EntryId): boolean;
  /** Of these blocks those that a contract holds; they go when it has ended. */
  held(drive: EntryId, ids: readonly Uint8Array[]): readonly Uint8Array[];
  /** These are to be kept again, whatever was dropped before. */
  keptAgain(drive: EntryId, ids: readonly Uint8Array[]): void;
}

const migrations = [
  `CREATE TABLE paid_copies (
     chain TEXT NOT NULL,
     contract INTEGER NOT NULL,
     drive TEXT NOT NULL,
     blocks INTEGER NOT NULL,
     taken INTEGER NOT NULL DEFAULT 0,
     named INTEGER NOT NULL,
     PRIMARY KEY (chain, contract)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE paid_blocks (
     chain TEXT NOT NULL,
     contract INTEGER NOT NULL,
     place INTEGER NOT NULL,
     id BLOB NOT NULL,
     size INTEGER,
     root BLOB,
     PRIMARY KEY (chain, contract, place)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX paid_block_ids ON paid_blocks (id);
   CREATE TABLE paid_dropped (drive TEXT NOT NULL, id BLOB NOT NULL, PRIMARY KEY (drive, id)) STRICT, WITHOUT ROWID;`,
];

export interface PaidCopiesDeps {
  readonly db: Database;
  /** A block kept of that drive; null: it is not here. */
  readonly read: (drive: EntryId, id: Uint8Array) => Promise<Uint8Array | null>;
  readonly isKept: (drive: EntryId, id: Uint8Array) => boolean;
  readonly rootOf: (block: Uint8Array) => Promise<Uint8Array>;
  readonly prove: (block: Uint8Array, leaf: number) => Promise<LeafProof | null>;
}

export function createPaidCopies(deps: PaidCopiesDeps): PaidCopies {
  const { db } = deps;
  migrate(db, 'hosting.paid', migrations);
  type CopyRow = { drive: string; blocks: number; taken: number; named: number };
  const copy = db.prepare<[string, number], CopyRow>(
    'SELECT * FROM paid_copies WHERE chain = ? AND contract = ?',
  );
  const addCopy = db.prepare(
    'INSERT OR IGNORE INTO paid_copies (chain, contract, drive, blocks, named) VALUES (?, ?, ?, ?, ?)',
  );
  const open = db
    .prepare<[string], number>('SELECT count(*) FROM paid_copies WHERE drive = ? AND taken = 0')
    .pluck();
  const all = db.prepare<[string], CopyRow & { contract: number }>(
    `SELECT * FROM paid_copies c WHERE chain = ?
       AND blocks = (SELECT count(*) FROM paid_blocks b WHERE b.chain = c.chain AND b.contract = c.contract) ORDER BY contract`,
  );
  const take = db.prepare('UPDATE paid_copies SET taken = 1 WHERE chain = ? AND contract = ?');
  const addBlock = db.prepare(
    'INSERT OR REPLACE INTO paid_blocks (chain, contract, place, id) VALUES (?, ?, ?, ?)',
  );
  const blocks = db.prepare<
    [string, number],
    { place: number; id: Uint8Array; size: number | null; root: Uint8Array | null }
  >('SELECT place, id, size, root FROM paid_blocks WHERE chain = ? AND contract = ? ORDER BY place');
  const blockAt = db
    .prepare<[string, number, number], Uint8Array>(
      'SELECT id FROM paid_blocks WHERE chain = ? AND contract = ? AND place = ?',
    )
    .pluck();
  const setRoot = db.prepare(
    'UPDATE paid_blocks SET root = ?, size = ? WHERE chain = ? AND contract = ? AND place = ?',
  );
  const removeBlocks = db.prepare('DELETE FROM paid_blocks WHERE chain = ? AND contract = ?');
  const removeCopy = db.prepare('DELETE FROM paid_copies WHERE chain = ? AND contract = ?');
  const holdsAny = db.prepare<[string], { n: number }>(
    'SELECT 1 AS n FROM paid_copies WHERE drive = ? AND taken = 1 LIMIT 1',
  );
  const isHeld = db.prepare<[Uint8Array, string], { n: number }>(
    `SELECT 1 AS n FROM paid_blocks b JOIN paid_copies c ON c.chain = b.chain AND c.contract = b.contract
      WHERE b.id = ? AND c.drive = ? AND c.taken = 1 LIMIT 1`,
  );
  const addDropped = db.prepare('INSERT OR IGNORE INTO paid_dropped (drive, id) VALUES (?, ?)');
  const dropped = db.prepare<[string], { id: Uint8Array }>('SELECT id FROM paid_dropped WHERE drive = ?');
  const removeDropped = db.prepare('DELETE FROM paid_dropped WHERE drive = ? AND id = ?');

  return {
    note: db.transaction((notice: PaidNotice, now: number) => {
      const { drive, chain, contract, at, count, ids } = notice;
      const known = copy.get(chain, contract);
      if (known?.taken === 1) throw new AppError('contract_running', 'This contract was taken already.');
      if (known && (known.drive !== drive || known.blocks !== count)) {
        throw new AppError('contract_invalid', 'This contract was named with other blocks.');
      }
      if (count > limits.blocksPerPaidCopy || at + ids.length > count) {
        throw new AppError('too_many', `A contract is over ${limits.blocksPerPaidCopy} blocks at most.`);
      }
      if (!known && open.get(drive)! >= limits.paidCopiesNamed) {
        throw new AppError('too_many', 'So many contracts of this drive wait to be taken already.');
      }
      if (ids.some((id) => !deps.isKept(drive, id))) {
        throw new AppError('gone', 'A block of the contract is not here.');
      }
      addCopy.run(chain, contract, drive, count, now);
      ids.forEach((id, i) => addBlock.run(chain, contract, at + i, id));
    }),
    list: (chain) =>
      all
        .all(chain)
        .map(({ contract, drive, taken, named }) => ({ contract, drive, taken: taken === 1, named })),
    async blocks(chain, contract) {
      const drive = copy.get(chain, contract)?.drive;
      if (drive === undefined) return null;
      const found: PaidBlock[] = [];
      for (const { place, id, size, root } of blocks.all(chain, contract)) {
        if (root !== null && size !== null) {
          found.push({ id, size, root });
          continue;
        }
        const bytes = await deps.read(drive, id);
        if (bytes === null) return null;
        const made = await deps.rootOf(bytes);
        setRoot.run(made, bytes.length, chain, contract, place);
        found.push({ id, size: bytes.length, root: made });
      }
      return found;
    },
    async prove(chain, contract, block, leaf) {
      const drive = copy.get(chain, contract)?.drive;
      const id = blockAt.get(chain, contract, block);
      const bytes = drive !== undefined && id ? await deps.read(drive, id) : null;
      return bytes && deps.prove(bytes, leaf);
    },
    taken: (chain, contract) => void take.run(chain, contract),
    ended: db.transaction((chain: string, contract: number) => {
      const known = copy.get(chain, contract);
      if (!known) return null;
      removeBlocks.run(chain, contract);
      removeCopy.run(chain, contract);
      const ids = dropped.all(known.drive).flatMap(({ id }) => (isHeld.get(id, known.drive) ? [] : [id]));
      for (const id of ids) removeDropped.run(known.drive, id);
      return { drive: known.drive, ids };
    }),
    holds: (drive) => holdsAny.get(drive) !== undefined,
    held: db.transaction((drive: EntryId, ids: readonly Uint8Array[]) => {
      const some = ids.filter((id) => isHeld.get(id, drive) !== undefined);
      for (const id of some) addDropped.run(drive, id);
      return some;
    }),
    keptAgain: db.transaction((drive: EntryId, ids: readonly Uint8Array[]) => {
      for (const id of ids) removeDropped.run(drive, id);
    }),
  };
}
