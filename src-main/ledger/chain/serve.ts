import { AppError, isAppError } from '../../../src-shared/errors.ts';
import { decodeHistoryProof } from '../codec/index.ts';
import type { FrameStream } from '../../network/index.ts';
import type { Application, Block, BlockSource, Hash, SnapshotSource } from '../types.ts';
import { blocksAnswerBytes, decodeSyncRequest, encodeBlock, encodeSyncAnswer } from './wire.ts';
import type { SyncAnswer, SyncRequest } from './wire.ts';

export interface ServeDeps {
  readonly application: Application & BlockSource & SnapshotSource;
  /** A block of the current height that is not decided yet. */
  readonly body: (blockId: Hash) => Block | null;
  /** A transaction of the mempool or of such a block. */
  readonly tx: (hash: Hash) => Uint8Array | null;
  readonly submit: (tx: Uint8Array) => Promise<unknown>;
}

/** Answers questions of peers about the chain, one a stream. */
export function createSyncServer(deps: ServeDeps): (stream: FrameStream) => Promise<void> {
  return async (stream) => {
    const frame = await stream.read();
    if (frame === null) return;
    await stream.send(encodeSyncAnswer(await answer(decodeSyncRequest(frame), deps)));
  };
}

async function answer(request: SyncRequest, deps: ServeDeps): Promise<SyncAnswer> {
  const { application } = deps;
  switch (request.type) {
    case 'blocks':
      return blocksFrom(application, request.from, request.count);
    case 'body': {
      const block = deps.body(request.blockId);
      return { type: 'body', block: block && encodeBlock(block) };
    }
    case 'txs':
      return {
        type: 'txs',
        txs: request.hashes.flatMap((hash) => {
          const tx = deps.tx(hash);
          return tx ? [tx] : [];
        }),
      };
    case 'light': {
      const height = request.height === 0 ? application.last().height : request.height;
      const signed = height > 0 ? application.signedHeaderAt(height) : null;
      const validators = signed && application.validatorsAt(height);
      return { type: 'light', block: signed && validators ? { signed, validators } : null };
    }
    case 'old': {
      const signed = application.signedHeaderAt(request.height);
      try {
        const proof = signed && decodeHistoryProof(application.proveHistory(request.height, request.under));
        return { type: 'old', signed, proof };
      } catch (error) {
        if (isAppError(error, 'not_found')) return { type: 'old', signed: null, proof: null };
        throw error;
      }
    }
    case 'snapshots':
      return { type: 'snapshots', snapshots: application.snapshots().slice(0, 3) };
    case 'chunk':
      return { type: 'chunk', chunk: application.snapshotChunk(request.height, request.index) };
    case 'submit':
      try {
        await deps.submit(request.tx);
        return { type: 'submitted', ok: true, code: '', message: '' };
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        return { type: 'submitted', ok: false, code: error.code, message: error.message.slice(0, 400) };
      }
  }
}

function blocksFrom(source: BlockSource, from: number, count: number): SyncAnswer {
  const blocks: { block: Uint8Array; commit: NonNullable<ReturnType<BlockSource['blockAt']>>['commit'] }[] =
    [];
  let bytes = 0;
  for (let height = from; height < from + count; height++) {
    const found = source.blockAt(height);
    if (!found) break;
    const block = encodeBlock(found.block);
    bytes += block.length;
    if (blocks.length > 0 && bytes > blocksAnswerBytes) break;
    blocks.push({ block, commit: found.commit });
  }
  return { type: 'blocks', blocks };
}
