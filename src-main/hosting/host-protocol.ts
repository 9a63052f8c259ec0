import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Logger } from '../../src-shared/runtime.ts';
import type { DeviceId } from '../identity/index.ts';
import type { FrameStream, Network, ProtocolOptions } from '../network/index.ts';
import { limits } from './limits.ts';
import {
  decodeHostAnswer,
  decodeHostRequest,
  encodeHostAnswer,
  encodeHostRequest,
  refusal,
} from './messages.ts';
import type { HostAnswer, HostRequest } from './messages.ts';

const protocol = 'host/1';
const options: ProtocolOptions = {
  maxFrame: limits.frame,
  maxStreams: limits.streams,
  idleTimeout: limits.requestMs,
  maxRate: limits.rate,
};

/** What kind of answer each request gets. */
interface AnswerKinds {
  readonly offer: 'offered';
  readonly others: 'offers';
  readonly contract: 'ok';
  readonly keep: 'ok';
  readonly drop: 'ok';
  readonly stripes: 'ok';
  readonly search: 'found';
  readonly status: 'state';
  readonly check: 'state';
  readonly audit: 'proofs';
  readonly release: 'ok';
  readonly paid: 'ok';
  readonly contracts: 'known';
}
const answerKinds: AnswerKinds = {
  offer: 'offered',
  others: 'offers',
  contract: 'ok',
  keep: 'ok',
  drop: 'ok',
  stripes: 'ok',
  search: 'found',
  status: 'state',
  check: 'state',
  audit: 'proofs',
  release: 'ok',
  paid: 'ok',
  contracts: 'known',
};

export type AnswerTo<R extends HostRequest> = Extract<HostAnswer, { readonly t: AnswerKinds[R['t']] }>;

/**
 * Asks a peer over an open conversation, one request after another.
 * Throws what the peer refuses with, `protocol_violation`, `timeout`, or what the transport says.
 */
export type Ask = <R extends HostRequest>(request: R) => Promise<AnswerTo<R>>;

/** Opens a conversation with a connected peer, and ends it after `talk`. */
export async function talkTo<T>(
  network: Network,
  peer: DeviceId,
  signal: AbortSignal,
  talk: (ask: Ask) => Promise<T>,
): Promise<T> {
  const stream = await network.open(peer, protocol, options, signal);
  try {
    return await talk(async <R extends HostRequest>(request: R) => {
      await stream.send(encodeHostRequest(request));
      const frame = await stream.read(signal);
      if (frame === null) throw new AppError('unreachable', 'The other device closed the conversation.');
      const answer = decodeHostAnswer(frame);
      if (answer.t === 'refused') throw refusal(answer);
      if (answer.t !== answerKinds[request.t]) {
        throw new AppError('protocol_violation', `A host answered "${answer.t}" to "${request.t}".`);
      }
      return answer as AnswerTo<R>;
    });
  } finally {
    await stream.close().catch(() => {});
  }
}

/**
 * Serves the protocol. What `answer` throws as an AppError is told to the peer; anything else too, without the details.
 */
export function serveHostProtocol(
  network: Network,
  logger: Logger,
  answer: (peer: DeviceId, request: HostRequest) => Promise<HostAnswer>,
): void {
  network.handle(protocol, options, async (stream: FrameStream) => {
    for (;;) {
      const frame = await stream.read();
      if (frame === null) break;
      let request: HostRequest;
      try {
        request = decodeHostRequest(frame);
      } catch (error) {
        network.penalise(stream.peer, error instanceof Error ? error.message : 'an unreadable host message');
        throw error;
      }
      const reply = await answer(stream.peer, request).catch((error: unknown): HostAnswer => {
        if (isAppError(error)) return { t: 'refused', code: error.code, message: error.message };
        logger.error({ error, request: request.t }, 'a request about hosting failed');
        return { t: 'refused', code: 'internal', message: 'The host could not do that.' };
      });
      await stream.send(encodeHostAnswer(reply));
    }
    await stream.close();
  });
}
