import { Piscina } from 'piscina';
import { leafRoot, proveLeaf } from '../history/index.ts';
import type { LeafProof } from '../history/index.ts';
import type { LeafAnswer, LeafTask } from './leaf-worker.ts';

/** Merkle trees over blocks, computed where they do not hold up anything else. The blocks are copied there. */
export interface LeafPool {
  root(block: Uint8Array): Promise<Uint8Array>;
  prove(block: Uint8Array, leaves: readonly number[]): Promise<readonly (LeafProof | null)[]>;
  stop(): Promise<void>;
}

/** Up to here a tree takes less than handing the block over. Bytes. */
const smallBlock = 128 * 1024;
/** The thread ends after this time without work, ms. */
const idleMs = 10_000;

export function createLeafPool(): LeafPool {
  let pool: Piscina | null = null;
  const run = (task: LeafTask): Promise<LeafAnswer> => {
    pool ??= new Piscina({
      filename: new URL('./leaf-worker.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: idleMs,
      execArgv: [],
    });
    return pool.run(task) as Promise<LeafAnswer>;
  };
  return {
    async root(block) {
      if (block.length <= smallBlock) return leafRoot(block);
      return (await run({ block, leaves: null })) as Uint8Array;
    },
    async prove(block, leaves) {
      if (block.length <= smallBlock) return leaves.map((leaf) => proveLeaf(block, leaf));
      return (await run({ block, leaves })) as readonly (LeafProof | null)[];
    },
    async stop() {
      await pool?.destroy();
      pool = null;
    },
  };
}
