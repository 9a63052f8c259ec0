import type { Clock } from '../../../src-shared/runtime.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { Topic } from '../../network/index.ts';
import { txHash } from '../codec/index.ts';
import { keyOf } from '../consensus/validator-index.ts';
import type { Hash } from '../types.ts';
import { decodeTxBatch, encodeTxBatch, maxGossipBytes } from './wire.ts';
import type { ChainNetwork } from './types.ts';

/** Transactions go round in batches: gossip bears few messages a second, of whatever size. */
export interface TxGossip {
  start(): void;
  stop(): void;
  /** Sends a transaction of this node, and again while it waits. */
  announce(tx: Uint8Array, hash: Hash): void;
}

export interface TxGossipDeps {
  readonly network: ChainNetwork;
  readonly chainId: string;
  readonly clock: Clock;
  /** Checks signatures in slices, so that `take` finds them done. */
  readonly verify: (txs: readonly Uint8Array[]) => Promise<unknown>;
  /** Puts it into the mempool. @throws AppError */
  readonly take: (tx: Uint8Array) => void;
  readonly waits: (hash: Hash) => boolean;
}

/** ms */
const batchEvery = 100;
const againEvery = 4000;
const batchBytes = 256 * 1024;
/** Refusals that say the sender is wrong, whatever the state: others depend on what block who has seen. */
const faults = new Set(['malformed', 'too_large', 'bad_signature']);
/** Longest slice of checking before the rest of the node has its turn, ms. */
const slice = 10;

export function createTxGossip(deps: TxGossipDeps): TxGossip {
  const { clock } = deps;
  let topic: Topic | null = null;
  let batch: Uint8Array[] = [];
  let bytes = 0;
  let cancelBatch: (() => void) | null = null;
  let cancelAgain: (() => void) | null = null;
  const own = new Map<string, { tx: Uint8Array; hash: Hash }>();

  function flush(): void {
    cancelBatch = null;
    if (batch.length === 0 || !topic) return;
    const data = encodeTxBatch(batch);
    batch = [];
    bytes = 0;
    void topic.publish(data);
  }

  function add(tx: Uint8Array): void {
    batch.push(tx);
    bytes += tx.length;
    if (bytes >= batchBytes || batch.length >= 2000) {
      cancelBatch?.();
      flush();
    } else cancelBatch ??= clock.after(batchEvery, flush);
  }

  /** Gossip may lose a batch. Another order makes another message, so it is not taken for the old one. */
  function again(): void {
    for (const [key, { tx, hash }] of own) {
      if (deps.waits(hash)) add(tx);
      else own.delete(key);
    }
    cancelAgain = clock.after(againEvery, again);
  }

  return {
    start() {
      topic = deps.network.topic(`${deps.chainId}/tx/1`, {
        maxBytes: maxGossipBytes,
        async validate(_from, data) {
          let txs: readonly Uint8Array[];
          try {
            txs = decodeTxBatch(data);
          } catch {
            return 'reject';
          }
          const fresh = txs.filter((tx) => !deps.waits(txHash(tx)));
          await deps.verify(fresh);
          let useful = false;
          let began = performance.now();
          for (const tx of fresh) {
            if (deps.waits(txHash(tx))) continue;
            try {
              deps.take(tx);
              useful = true;
            } catch (error) {
              if (!(error instanceof AppError)) throw error;
              if (faults.has(error.code)) return 'reject';
            }
            if (performance.now() - began > slice) {
              await new Promise((resolve) => setImmediate(resolve));
              began = performance.now();
            }
          }
          return useful ? 'accept' : 'ignore';
        },
      });
      cancelAgain = clock.after(againEvery, again);
    },
    stop() {
      cancelBatch?.();
      cancelAgain?.();
      topic?.leave();
      topic = null;
    },
    announce(tx, hash) {
      if (own.size < 20_000) own.set(keyOf(hash), { tx, hash });
      add(tx);
    },
  };
}
