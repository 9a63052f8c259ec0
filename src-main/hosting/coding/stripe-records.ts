import type { EntryId } from '../../history/index.ts';
import type { Database } from '../../store/index.ts';
import type { CodedShard } from './coding-worker.ts';
import { decodeStripe, encodeStripe, shardsOf, slotOf, stripeId } from './stripe.ts';
import type { ErasureCode, Shard, Stripe } from './stripe.ts';

/**
 * What happens to a stripe: its shards are being put on their hosts; all are there, so that whole copies of its blocks may go; whole
 * copies are made again, after which it goes; it is gone, which hosts are still to be told.
 */
export type StripeState = 'placing' | 'placed' | 'dissolving' | 'removed';

export interface StripeChange {
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
  /** Grows with each change. */
  readonly number: number;
  readonly removed: boolean;
}

/** The keeper's stripes; they lie beside its block list, whose rows say which shards they are (see replica-records). */
export interface StripeRecords {
  /**
   * Adds a stripe with its parity, whose hosts are to be found. Blocks of it that are not in the list come in: nothing but the stripe
   * needs them. `roots`: audit roots of the blocks.
   */
  add(
    drive: EntryId,
    stripe: Stripe,
    roots: readonly Uint8Array[],
    parity: readonly Pick<CodedShard, 'id' | 'bytes' | 'root'>[],
  ): void;
  /** The encoded stripe that a block is a shard of; null: none. */
  of(drive: EntryId, block: Uint8Array): Uint8Array | null;
  /** Whether a block may become part of a stripe: it is in the list, not gone, and in none. */
  isFree(drive: EntryId, block: Uint8Array): boolean;
  /** Whether a stripe that others tell of may be added: it was never one here, no shard of it is one of another, some block is free. */
  fits(drive: EntryId, stripe: Stripe): boolean;
  changesSince(drive: EntryId, number: number, limit: number): readonly StripeChange[];
  /** Codes in use with the ciphertext of their files, those with the most parity first. */
  codes(drive: EntryId): readonly (ErasureCode & { readonly bytes: number })[];
  /** Stripes that are not removed, by state. */
  count(drive: EntryId): Readonly<Record<Exclude<StripeState, 'removed'>, number>>;
  /** True when blocks of some stripe have no whole copies: only its shards keep them. */
  isExposed(drive: EntryId): boolean;
  /** What is being placed is placed: whole copies of their blocks may go. A part at a time; returns how many. */
  settle(drive: EntryId): number;
  /** Stripes with less parity than that are to give way to whole copies. A part at a time; returns how many. */
  dissolve(drive: EntryId, parity: number): number;
  /**
   * Stripes of which so little is in use (`used`: hex ids) that `copies` whole copies of that take less than all shards are to give way to
   * them. A part at a time; returns how many.
   */
  dissolveWasteful(drive: EntryId, used: ReadonlySet<string>, copies: number): number;
  /** Whole copies of what is dissolving are there: those stripes go. A part at a time; returns how many. */
  finishDissolving(drive: EntryId): number;
  /** Blocks that wait for a stripe do so no longer: they are kept whole. Returns how many. */
  endWaiting(drive: EntryId): number;
}

/** Stripes changed in one transaction: more would hold up others. */
const atOnce = 500;

/** Opens the keeper's stripes; the tables are made by `createReplicaRecords`. */
export function createStripeRecords(db: Database): StripeRecords {
  type Row = { id: Uint8Array; bytes: Uint8Array; number: number; state: StripeState };
  const insert = db.prepare(
    `INSERT OR REPLACE INTO replica_stripes (drive, id, number, bytes, data, parity, content, state)
     VALUES (?, ?, ?, ?, ?, ?, ?, 'placing')`,
  );
  const setState = db.prepare('UPDATE replica_stripes SET state = ?, number = ? WHERE drive = ? AND id = ?');
  const inState = db.prepare<[string, string], Row>(
    `SELECT * FROM replica_stripes WHERE drive = ? AND state = ? LIMIT ${atOnce}`,
  );
  const changes = db.prepare<[string, number, number], Row>(
    'SELECT * FROM replica_stripes WHERE drive = ? AND number > ? ORDER BY number LIMIT ?',
  );
  const last = db
    .prepare<[string], number>('SELECT coalesce(max(number), 0) FROM replica_stripes WHERE drive = ?')
    .pluck();
  const counts = db.prepare<[string], { state: StripeState; n: number }>(
    'SELECT state, count(*) AS n FROM replica_stripes WHERE drive = ? GROUP BY state',
  );
  const codes = db.prepare<[string], ErasureCode & { bytes: number }>(
    `SELECT data, parity, sum(content) AS bytes FROM replica_stripes
      WHERE drive = ? AND state <> 'removed' GROUP BY data, parity ORDER BY parity DESC`,
  );
  const weaker = db.prepare<[string, number], Row>(
    `SELECT * FROM replica_stripes
      WHERE drive = ? AND state IN ('placing', 'placed') AND parity < ? LIMIT ${atOnce}`,
  );
  const ofBlock = db.prepare<[string, Uint8Array], { bytes: Uint8Array }>(
    `SELECT s.bytes FROM replica_blocks b JOIN replica_stripes s ON s.drive = b.drive AND s.id = b.stripe
      WHERE b.drive = ? AND b.id = ? AND b.gone = 0 AND s.state <> 'removed'`,
  );
  const free = db.prepare<[string, Uint8Array], { one: number }>(
    'SELECT 1 AS one FROM replica_blocks WHERE drive = ? AND id = ? AND gone = 0 AND stripe IS NULL',
  );
  const one = db.prepare<[string, Uint8Array], { one: number }>(
    'SELECT 1 AS one FROM replica_stripes WHERE drive = ? AND id = ?',
  );
  const blockNow = db.prepare<[string, Uint8Array], { gone: number; stripe: Uint8Array | null }>(
    'SELECT gone, stripe FROM replica_blocks WHERE drive = ? AND id = ?',
  );
  const placed = db.prepare<[string], Row>(
    "SELECT * FROM replica_stripes WHERE drive = ? AND state = 'placed'",
  );
  const exposed = db.prepare<[string], { one: number }>(
    'SELECT 1 AS one FROM replica_blocks WHERE drive = ? AND stripe IS NOT NULL AND whole = 0 AND gone = 0 LIMIT 1',
  );
  const seqOf = db
    .prepare<[string], number>('SELECT coalesce(max(seq), 0) FROM replica_lists WHERE drive = ?')
    .pluck();
  const setSeq = db.prepare(
    `INSERT INTO replica_lists (drive, revision, seq) VALUES (?, NULL, ?)
     ON CONFLICT (drive) DO UPDATE SET seq = excluded.seq`,
  );
  const bringIn = db.prepare(
    `INSERT INTO replica_blocks (drive, id, size, seq, gone, whole) VALUES (?, ?, ?, ?, 0, 0)
     ON CONFLICT (drive, id) DO UPDATE SET whole = CASE gone WHEN 1 THEN 0 ELSE whole END, gone = 0`,
  );
  const place = db.prepare(
    'UPDATE replica_blocks SET stripe = ?, slot = ?, settled = 0, size = ?, root = ?, seq = ? WHERE drive = ? AND id = ?',
  );
  const addParity = db.prepare(
    `INSERT OR REPLACE INTO replica_blocks (drive, id, size, root, seq, gone, whole, slot, stripe, settled)
     VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?, 0)`,
  );
  const blocksOf = db.prepare<[string, Uint8Array], { id: Uint8Array }>(
    'SELECT id FROM replica_blocks WHERE drive = ? AND stripe = ? AND gone = 0',
  );
  const settleBlock = db.prepare(
    'UPDATE replica_blocks SET whole = 0, settled = 1, seq = ? WHERE drive = ? AND id = ?',
  );
  const wholeAgain = db.prepare(
    'UPDATE replica_blocks SET whole = 1, settled = 0, seq = ? WHERE drive = ? AND id = ?',
  );
  const leaveStripe = db.prepare(
    'UPDATE replica_blocks SET whole = 1, slot = NULL, stripe = NULL, settled = 1, seq = ? WHERE drive = ? AND id = ?',
  );
  const end = db.prepare('UPDATE replica_blocks SET gone = 1, seq = ? WHERE drive = ? AND id = ?');
  const waiting = db.prepare<[string], { id: Uint8Array }>(
    'SELECT id FROM replica_blocks WHERE drive = ? AND whole = 0 AND stripe IS NULL AND gone = 0',
  );

  /** Runs `work` in a transaction; each call of `next` gives the following number of the block list. */
  function numbered<T>(drive: EntryId, work: (next: () => number) => T): T {
    return db.transaction(() => {
      const before = seqOf.get(drive)!;
      let seq = before;
      const result = work(() => ++seq);
      if (seq !== before) setSeq.run(drive, seq);
      return result;
    })();
  }

  return {
    add: (drive, stripe, roots, parity) =>
      numbered(drive, (next) => {
        const bytes = encodeStripe(stripe);
        const id = stripeId(bytes);
        const content = stripe.blocks.reduce((sum, { size }) => sum + size, 0);
        insert.run(drive, id, last.get(drive)! + 1, bytes, stripe.data, stripe.parity.length, content);
        shardsOf(stripe).forEach((shard, i) => {
          if (shard === null) return;
          const slot = slotOf(stripe, i);
          const root = i < stripe.data ? roots[i] : parity[i - stripe.data]!.root;
          if (i < stripe.data) {
            const seq = next();
            bringIn.run(drive, shard.id, shard.size, seq);
            place.run(id, slot, shard.size, root, seq, drive, shard.id);
          } else addParity.run(drive, shard.id, shard.size, root, next(), slot, id);
        });
      }),
    of: (drive, block) => ofBlock.get(drive, block)?.bytes ?? null,
    isFree: (drive, block) => free.get(drive, block) !== undefined,
    fits(drive, stripe) {
      const { blocks, parity } = stripe;
      // One that was given up here may still be known to hosts.
      if (one.get(drive, stripeId(encodeStripe(stripe))) !== undefined) return false;
      const isTaken = ({ id }: { readonly id: Uint8Array }): boolean => {
        const row = blockNow.get(drive, id);
        return row?.gone === 0 && row.stripe !== null;
      };
      return (
        ![...blocks, ...parity].some(isTaken) && blocks.some(({ id }) => free.get(drive, id) !== undefined)
      );
    },
    changesSince: (drive, number, limit) =>
      changes
        .all(drive, number, limit)
        .map(({ state, ...row }) => ({ ...row, removed: state === 'removed' })),
    codes: (drive) => codes.all(drive),
    count(drive) {
      const found = { placing: 0, placed: 0, dissolving: 0 };
      for (const { state, n } of counts.all(drive)) if (state !== 'removed') found[state] = n;
      return found;
    },
    isExposed: (drive) => exposed.get(drive) !== undefined,
    settle: (drive) =>
      numbered(drive, (next) => {
        const rows = inState.all(drive, 'placing');
        for (const { id, number } of rows) {
          setState.run('placed', number, drive, id);
          for (const block of blocksOf.all(drive, id)) settleBlock.run(next(), drive, block.id);
        }
        return rows.length;
      }),
    dissolve: (drive, parity) =>
      numbered(drive, (next) => {
        const rows = weaker.all(drive, parity);
        for (const { id, number, bytes } of rows) {
          setState.run('dissolving', number, drive, id);
          for (const block of decodeStripe(bytes).blocks) wholeAgain.run(next(), drive, block.id);
        }
        return rows.length;
      }),
    dissolveWasteful: (drive, used, copies) =>
      numbered(drive, (next) => {
        const found: { id: Uint8Array; number: number; inUse: readonly Shard[] }[] = [];
        for (const { id, number, bytes } of placed.iterate(drive)) {
          const { blocks, parity } = decodeStripe(bytes);
          const inUse = blocks.filter((block) => used.has(Buffer.from(block.id).toString('hex')));
          const sum = (shards: readonly Shard[]): number => shards.reduce((all, { size }) => all + size, 0);
          if (inUse.length === 0 || sum(blocks) + sum(parity) <= copies * sum(inUse)) continue;
          found.push({ id, number, inUse });
          if (found.length === atOnce) break;
        }
        for (const { id, number, inUse } of found) {
          setState.run('dissolving', number, drive, id);
          // What is in no use is not copied anew: it goes with the stripe.
          for (const block of inUse) wholeAgain.run(next(), drive, block.id);
        }
        return found.length;
      }),
    finishDissolving: (drive) =>
      numbered(drive, (next) => {
        const rows = inState.all(drive, 'dissolving');
        for (const { id, bytes } of rows) {
          setState.run('removed', last.get(drive)! + 1, drive, id);
          const { blocks, parity } = decodeStripe(bytes);
          for (const block of blocks) leaveStripe.run(next(), drive, block.id);
          for (const shard of parity) end.run(next(), drive, shard.id);
        }
        return rows.length;
      }),
    endWaiting: (drive) =>
      numbered(drive, (next) => {
        const rows = waiting.all(drive);
        for (const { id } of rows) wholeAgain.run(next(), drive, id);
        return rows.length;
      }),
  };
}
