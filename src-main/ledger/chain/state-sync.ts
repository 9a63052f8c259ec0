import pLimit from 'p-limit';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Logger } from '../../../src-shared/runtime.ts';
import { sameBytes } from '../codec/index.ts';
import { trustedFrom, verifyTo } from '../light/index.ts';
import type { LightBlock, LightRules, Trusted } from '../light/index.ts';
import type { Application, SnapshotRestore, SnapshotSource } from '../types.ts';
import type { PeerHeights } from './peer-heights.ts';
import type { SyncClient } from './sync-client.ts';
import type { ChainNetwork, ChainGenesis, Checkpoint } from './types.ts';

export interface StateSyncDeps {
  readonly application: Application & SnapshotSource;
  readonly client: SyncClient;
  readonly heights: PeerHeights;
  readonly genesis: ChainGenesis;
  readonly network: ChainNetwork;
  readonly logger: Logger;
  readonly now: () => number;
}

/** Chunks asked for at once. */
const parallel = 4;
const maxDrift = 10_000;

export const rulesOf = (genesis: ChainGenesis, now: number): LightRules => ({
  chainId: genesis.chainId,
  trustingPeriod: Math.floor(genesis.unbondingMs / 2),
  now,
  maxDrift,
});

export const trustedGenesis = (genesis: ChainGenesis): Trusted => ({
  height: 0,
  blockId: genesis.hash,
  time: genesis.time,
  validators: genesis.validators,
  nextValidatorsHash: null,
});

/** @throws AppError `not_found` when the peer does not have it, and those of asking */
export async function askLight(
  client: SyncClient,
  peer: string,
  height: number,
  signal?: AbortSignal,
): Promise<LightBlock> {
  const { block } = await client.ask(peer, { type: 'light', height }, signal);
  if (!block) throw new AppError('not_found', `The other computer does not have header ${height}.`);
  return block;
}

/** A checkpoint names a block; the rest of what is trusted comes from a peer and must fit its hash. */
export async function trustedCheckpoint(
  client: SyncClient,
  peer: string,
  checkpoint: Checkpoint,
  signal?: AbortSignal,
): Promise<Trusted> {
  const block = await askLight(client, peer, checkpoint.height, signal);
  const trusted = trustedFrom(block);
  if (trusted.height !== checkpoint.height || !sameBytes(trusted.blockId, checkpoint.blockId)) {
    throw new AppError('header_invalid', 'The other computer has another block at the checkpoint.');
  }
  return trusted;
}

/**
 * Joins by a snapshot: the newest one a peer offers whose header the light client verifies. Its chunks come from all who have it.
 * @returns whether it worked; if not, the chain is fetched block by block
 */
export async function joinBySnapshot(
  deps: StateSyncDeps,
  checkpoint: Checkpoint | null,
  signal: AbortSignal,
): Promise<boolean> {
  const { client, heights, genesis, network, logger } = deps;
  const tried = new Set<string>();
  // Who comes while another is asked is asked, too.
  const next = (): string | undefined =>
    heights
      .having(1)
      .concat(heights.having(heights.highest()))
      .find((peer) => !tried.has(peer));
  for (let peer = next(); peer !== undefined; peer = next()) {
    tried.add(peer);
    if (signal.aborted) return false;
    try {
      const { snapshots } = await client.ask(peer, { type: 'snapshots' }, signal);
      const newest = snapshots.toSorted((a, b) => b.height - a.height)[0];
      if (!newest) continue;
      const trusted = checkpoint
        ? await trustedCheckpoint(client, peer, checkpoint, signal)
        : trustedGenesis(genesis);
      const target = await askLight(client, peer, newest.height, signal);
      await verifyTo(
        trusted,
        target,
        (height) => askLight(client, peer, height, signal),
        rulesOf(genesis, deps.now()),
      );
      const restore = deps.application.restore(newest.manifest, target.signed);
      try {
        await fetchChunks(deps, restore, newest.height, peer, signal);
        restore.finish();
      } catch (error) {
        restore.abort();
        throw error;
      }
      logger.info({ height: newest.height }, 'joined by a snapshot');
      return true;
    } catch (error) {
      if (signal.aborted || isAppError(error, 'trust_expired')) return false;
      if (isAppError(error) && isLie(error)) {
        network.penalise(peer, `snapshot: ${error.code}: ${error.message}`);
        heights.distrust(peer);
      }
      logger.info({ peer, error: String(error) }, 'no snapshot from a peer');
    }
  }
  return false;
}

const isLie = ({ code }: AppError): boolean =>
  [
    'malformed',
    'too_large',
    'bad_hash',
    'bad_signature',
    'snapshot_invalid',
    'header_invalid',
    'commit_invalid',
  ].includes(code);

async function fetchChunks(
  deps: StateSyncDeps,
  restore: SnapshotRestore,
  height: number,
  first: string,
  signal: AbortSignal,
): Promise<void> {
  const { client, heights } = deps;
  const limit = pLimit(parallel);
  const sources = [first, ...heights.having(height).filter((peer) => peer !== first)];
  await Promise.all(
    restore.chunks.map((_chunk, index) =>
      limit(async () => {
        let last: unknown = new AppError('unreachable', 'Nobody gave a part of the snapshot.');
        for (let i = 0; i < sources.length; i++) {
          signal.throwIfAborted();
          const peer = sources[(index + i) % sources.length] as string;
          try {
            const { chunk } = await client.ask(peer, { type: 'chunk', height, index }, signal);
            if (!chunk) continue;
            return restore.put(index, chunk);
          } catch (error) {
            if (isAppError(error, 'bad_hash'))
              deps.network.penalise(peer, 'a part of a snapshot that is another one');
            last = error;
          }
        }
        throw last;
      }),
    ),
  );
}
