import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { ErrorCode } from '../../../src-shared/errors.ts';
import type { Clock, RandomBytes } from '../../../src-shared/runtime.ts';
import type { FrameStream, ProtocolOptions } from '../../network/index.ts';
import { decodeSharing, encodeSharing, maxSharingFrame } from './messages.ts';
import type { SharingMessage } from './messages.ts';

/** Rates and sizes of both protocols. */
export const sharingOptions: ProtocolOptions = {
  maxFrame: maxSharingFrame,
  maxStreams: 8,
  idleTimeout: 10_000,
  maxRate: 40,
};

/** What somebody asks for, with the proof made for this conversation. */
export interface Request {
  readonly drive: string;
  readonly ref: string;
  readonly nonce: Uint8Array;
  readonly proof: Uint8Array;
  readonly card: Uint8Array;
}

const windowMs = 60_000;
const refusedAllowed = 20;
const peersRemembered = 1024;

/**
 * Serves one conversation at a time per stream; who was refused often within a minute gets `rate_limited` unseen.
 * @param decide returns when the request is granted; its AppError is the answer otherwise
 */
export function createSharingServer(deps: {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly decide: (peer: string, request: Request) => Promise<void>;
}): (stream: FrameStream) => Promise<void> {
  const refused = new Map<string, { since: number; count: number }>();

  function mayAsk(peer: string): boolean {
    const entry = refused.get(peer);
    return !entry || deps.clock.now() - entry.since > windowMs || entry.count < refusedAllowed;
  }

  function countRefusal(peer: string): void {
    const now = deps.clock.now();
    let entry = refused.get(peer);
    if (!entry || now - entry.since > windowMs) {
      refused.delete(peer);
      refused.set(peer, (entry = { since: now, count: 0 }));
      if (refused.size > peersRemembered) refused.delete(refused.keys().next().value!);
    }
    entry.count++;
  }

  async function answer(peer: string, request: Request): Promise<SharingMessage> {
    if (!mayAsk(peer)) return { t: 'no', code: 'rate_limited' };
    try {
      await deps.decide(peer, request);
      return { t: 'yes' };
    } catch (error) {
      if (!isAppError(error)) throw error;
      countRefusal(peer);
      return { t: 'no', code: error.code };
    }
  }

  return async (stream) => {
    const hello = await expect(stream, 'hello');
    if (hello === null) return;
    const nonce = deps.random(32);
    await stream.send(encodeSharing({ t: 'nonce', nonce }));
    const given = await expect(stream, 'proof');
    if (given === null) return;
    const { drive, ref } = hello;
    const { proof, card } = given;
    await stream.send(encodeSharing(await answer(stream.peer, { drive, ref, nonce, proof, card })));
    await stream.close();
  };
}

/**
 * The asking side.
 * @param prove makes the proof for the other's random number
 * @throws AppError with the code the other side answers; `unreachable` when it hangs up
 */
export async function askToShare(
  stream: FrameStream,
  hello: { readonly drive: string; readonly ref: string },
  prove: (nonce: Uint8Array) => { readonly proof: Uint8Array; readonly card: Uint8Array },
  signal: AbortSignal,
): Promise<void> {
  try {
    await stream.send(encodeSharing({ t: 'hello', ...hello }));
    const challenge = await expect(stream, 'nonce', signal);
    if (challenge === null) throw hungUp();
    await stream.send(encodeSharing({ t: 'proof', ...prove(challenge.nonce) }));
    const frame = await stream.read(signal);
    if (frame === null) throw hungUp();
    const verdict = decodeSharing(frame);
    if (verdict.t === 'yes') return;
    if (verdict.t === 'no') throw new AppError(verdict.code, sentences[verdict.code] ?? refusedSentence);
    throw breach();
  } finally {
    await stream.close().catch(() => {});
  }
}

const refusedSentence = 'The other computer does not open this with that link.';
const sentences: Partial<Record<ErrorCode, string>> = {
  invite_expired: 'This invitation has expired; ask for a new link.',
  invite_used_up: 'This invitation has let in as many people as it may; ask for a new link.',
  invite_revoked: 'This invitation was taken back; ask for a new link.',
  rate_limited: 'The other computer was asked too often; try again in a minute.',
};

async function expect<T extends SharingMessage['t']>(
  stream: FrameStream,
  kind: T,
  signal?: AbortSignal,
): Promise<Extract<SharingMessage, { t: T }> | null> {
  const frame = await stream.read(signal);
  if (frame === null) return null;
  const message = decodeSharing(frame);
  if (message.t !== kind) throw breach();
  return message as Extract<SharingMessage, { t: T }>;
}

const breach = (): AppError =>
  new AppError('protocol_violation', 'A conversation about a link does not keep to its order.');
const hungUp = (): AppError => new AppError('unreachable', 'The other computer closed the connection.');
