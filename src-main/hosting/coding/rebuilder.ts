import { hash } from 'node:crypto';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { PlainFetch, Rebuild } from '../../exchange/index.ts';
import type { EntryId } from '../../history/index.ts';
import type { CodingPool } from './coding-pool.ts';
import { shardsOf, stripeOrNull } from './stripe.ts';
import type { Shard, Stripe } from './stripe.ts';

export interface RebuilderDeps {
  readonly driveId: EntryId;
  readonly coding: CodingPool;
  /** What this node has itself. */
  readonly local: { block(id: Uint8Array): Promise<Uint8Array | null> };
  /** Encoded stripes that hold the blocks, as known here or asked of hosts; never trusted. */
  readonly stripes: (ids: readonly Uint8Array[], signal: AbortSignal) => Promise<readonly Uint8Array[]>;
}

/**
 * Computes blocks of erasure-coded files from any `data` other shards of their stripe. Whatever a lying host tells of a stripe, what
 * comes out is compared with the block's id by whoever asked for it.
 */
export function createRebuilder(deps: RebuilderDeps): Rebuild {
  async function find(id: Uint8Array, signal: AbortSignal): Promise<[Stripe, number] | null> {
    for (const bytes of await deps.stripes([id], signal)) {
      const stripe = stripeOrNull(bytes);
      const at = stripe ? shardsOf(stripe).findIndex((shard) => shard && isSame(shard.id, id)) : -1;
      if (stripe && at >= 0) return [stripe, at];
    }
    return null;
  }

  return async (id, fetch, signal) => {
    const found = await find(id, signal);
    if (!found) return null;
    const [stripe, wanted] = found;
    const shards = shardsOf(stripe);
    const have: (Uint8Array | null)[] = shards.map(() => null);
    const untried = shards.flatMap((shard, i) => (shard && i !== wanted ? [i] : []));
    let lacking = stripe.blocks.length;
    for (const i of [...untried]) {
      const bytes = lacking > 0 ? await deps.local.block(shards[i]!.id) : null;
      if (bytes === null) continue;
      have[i] = bytes;
      lacking--;
      untried.splice(untried.indexOf(i), 1);
    }
    // As many at once as are still needed; others in place of those that nobody has.
    while (lacking > 0 && untried.length >= lacking) {
      const round = untried.splice(0, lacking);
      await Promise.all(
        round.map(async (i) => {
          have[i] = await fetchShard(fetch, shards[i]!, signal);
          if (have[i] !== null) lacking--;
        }),
      );
      signal.throwIfAborted();
    }
    return lacking > 0 ? null : deps.coding.rebuild(stripe, have, wanted);
  };
}

/** Fetches one shard and checks it; null when nobody reachable has it. */
export async function fetchShard(
  fetch: PlainFetch,
  { id, size }: Shard,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  let got: Uint8Array | null = null;
  const accept = async (bytes: Uint8Array): Promise<void> => {
    if (!isSame(hash('sha256', bytes, 'buffer'), id)) {
      throw new AppError('bad_hash', 'A block does not match its id.');
    }
    // The memory it came in is used again.
    got = new Uint8Array(bytes);
  };
  try {
    await fetch([{ ref: { id, epoch: '', plainHash: id, len: size, weak: 0 }, accept }], signal);
  } catch (error) {
    if (!isAppError(error, 'gone')) throw error;
  }
  return got;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
