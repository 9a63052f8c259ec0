import { isAppError } from '../../../src-shared/errors.ts';
import type { Logger } from '../../../src-shared/runtime.ts';
import { decodeBlock } from '../codec/index.ts';
import type { Application, Block, Commit } from '../types.ts';
import { checkFinal } from './block-checks.ts';
import type { PeerHeights } from './peer-heights.ts';
import type { SyncClient } from './sync-client.ts';
import { maxBlocksPerAnswer } from './wire.ts';
import type { SyncAnswer } from './wire.ts';

export interface BlockSyncDeps {
  readonly application: Application;
  readonly client: SyncClient;
  readonly heights: PeerHeights;
  readonly penalise: (peer: string, reason: string) => void;
  readonly logger: Logger;
  /** Executes and commits. @throws AppError `chain_halted` */
  readonly apply: (block: Block, commit: Commit) => void;
  readonly onProgress: (height: number, target: number) => void;
}

type Blocks = Extract<SyncAnswer, { readonly type: 'blocks' }>;

/**
 * Fetches and applies blocks until this node is where its peers are. Each is checked by the certificate that made it final; the next
 * batch is on its way while one is executed. A peer that gives wrong or no blocks is penalised and not asked again for a while.
 * @returns false when nobody could give the next block
 */
export async function syncBlocks(deps: BlockSyncDeps, signal: AbortSignal): Promise<boolean> {
  const { application, heights, client } = deps;

  async function fetch(from: number): Promise<{ peer: string; answer: Blocks } | null> {
    for (const peer of heights.having(from)) {
      if (signal.aborted) return null;
      heights.asked(peer);
      try {
        const answer = await client.ask(peer, { type: 'blocks', from, count: maxBlocksPerAnswer }, signal);
        if (answer.blocks.length > 0) return { peer, answer };
        // It may have pruned them meanwhile; but it may as well have lied about its height.
        heights.distrust(peer);
      } catch (error) {
        if (signal.aborted) return null;
        heights.distrust(peer);
        deps.logger.debug({ peer, error: String(error) }, 'a peer gave no blocks');
      }
    }
    return null;
  }

  let ahead: Promise<{ peer: string; answer: Blocks } | null> | null = null;
  while (!signal.aborted) {
    const next = application.last().height + 1;
    if (next > heights.highest()) return true;
    const got = await (ahead ?? fetch(next));
    ahead = null;
    if (signal.aborted) return true;
    if (!got) return application.last().height >= heights.highest();
    const { peer, answer } = got;
    if (next + answer.blocks.length <= heights.highest()) ahead = fetch(next + answer.blocks.length);
    // It fails only when nobody has them, which the next turn sees.
    void ahead?.catch(() => {});
    for (const { block: bytes, commit } of answer.blocks) {
      try {
        const block = decodeBlock(bytes);
        // Consensus may have got there first.
        if (block.header.height <= application.last().height) continue;
        checkFinal(application, block, commit);
        await application.verifyTxs(block.txs);
        if (signal.aborted) return true;
        // Consensus may have got there meanwhile.
        if (block.header.height <= application.last().height) continue;
        deps.apply(block, commit);
      } catch (error) {
        if (!isAppError(error) || error.code === 'chain_halted') throw error;
        deps.penalise(peer, `blocks: ${error.code}: ${error.message}`);
        heights.distrust(peer);
        ahead = null;
        break;
      }
      deps.onProgress(application.last().height, heights.highest());
      // Execution is synchronous: let the rest of the node have its turn.
      await new Promise((resolve) => setImmediate(resolve));
      if (signal.aborted) return true;
    }
  }
  return true;
}
