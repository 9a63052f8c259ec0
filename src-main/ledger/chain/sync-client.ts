import { AppError } from '../../../src-shared/errors.ts';
import type { ProtocolOptions } from '../../network/index.ts';
import { decodeSyncAnswer, encodeSyncRequest, maxAnswerBytes } from './wire.ts';
import type { SyncAnswer, SyncRequest } from './wire.ts';
import type { ChainNetwork } from './types.ts';

export const syncOptions: ProtocolOptions = {
  maxFrame: maxAnswerBytes,
  maxStreams: 32,
  idleTimeout: 15_000,
  maxRate: 400,
};

/** Asks one peer one question. */
export interface SyncClient {
  /** @throws AppError `unreachable`, `timeout`, `malformed`, `protocol_violation` (another kind of answer), `cancelled` */
  ask<T extends SyncRequest['type']>(
    peer: string,
    request: Extract<SyncRequest, { readonly type: T }>,
    signal?: AbortSignal,
  ): Promise<Extract<SyncAnswer, { readonly type: AnswerType<T> }>>;
}

type AnswerType<T> = T extends 'submit' ? 'submitted' : T;

export function createSyncClient(network: ChainNetwork, protocol: string): SyncClient {
  return {
    async ask(peer, request, signal) {
      const stream = await network.open(peer, protocol, syncOptions, signal);
      try {
        await stream.send(encodeSyncRequest(request));
        const frame = await stream.read(signal);
        if (frame === null) throw new AppError('unreachable', 'The other computer gave no answer.');
        let answer: SyncAnswer;
        try {
          answer = decodeSyncAnswer(frame);
          const wanted = request.type === 'submit' ? 'submitted' : request.type;
          if (answer.type !== wanted)
            throw new AppError('protocol_violation', 'The other computer answered another question.');
        } catch (error) {
          network.penalise(peer, `${protocol}: ${String(error)}`);
          throw error;
        }
        void stream.close();
        return answer as never;
      } catch (error) {
        stream.abort(error as Error);
        throw error;
      }
    },
  };
}
