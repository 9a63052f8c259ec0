import { Piscina } from 'piscina';
import type { CodingAnswer, EncodedStripe, EncodeTask, RebuildTask } from './coding-worker.ts';
import { shardSize } from './stripe.ts';
import type { ErasureCode, Stripe } from './stripe.ts';

/** Erasure coding in a thread of its own; the blocks are copied there. */
export interface CodingPool {
  encode(blocks: readonly Uint8Array[], code: ErasureCode): Promise<EncodedStripe>;
  /**
   * Computes shard `wanted` of a stripe from others.
   * @param shards in the order of the code; null: not there. Shards of zeros need not be given.
   * @returns exactly its bytes, unchecked: whoever needs it compares the hash
   * @throws AppError `gone` when too few are there
   */
  rebuild(stripe: Stripe, shards: readonly (Uint8Array | null)[], wanted: number): Promise<Uint8Array>;
  stop(): Promise<void>;
}

/** The thread ends after this time without work, ms. */
const idleMs = 10_000;

export function createCodingPool(): CodingPool {
  let pool: Piscina | null = null;
  const run = (task: EncodeTask | RebuildTask): Promise<CodingAnswer> => {
    pool ??= new Piscina({
      filename: new URL('./coding-worker.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: idleMs,
      execArgv: [],
    });
    return pool.run(task) as Promise<CodingAnswer>;
  };
  return {
    async encode(blocks, { data, parity }) {
      return (await run({ t: 'encode', blocks, data, parity })) as EncodedStripe;
    },
    async rebuild(stripe, shards, wanted) {
      const { data, blocks } = stripe;
      const size = shardSize(stripe);
      const all = shards.map((shard, i) => (i >= blocks.length && i < data ? new Uint8Array(0) : shard));
      const bytes = (await run({ t: 'rebuild', shards: all, data, size, wanted })) as Uint8Array;
      return wanted < data ? bytes.subarray(0, blocks[wanted]?.size ?? 0) : bytes;
    },
    async stop() {
      await pool?.destroy();
      pool = null;
    },
  };
}
