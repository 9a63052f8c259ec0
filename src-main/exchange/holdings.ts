import { decode, encode } from '@ipld/dag-cbor';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { EntryId } from '../history/index.ts';
import type { DeviceId } from '../identity/index.ts';
import type { FrameStream, ProtocolOptions } from '../network/index.ts';
import { isDriveId } from './history-messages.ts';
import type { BlockSource, HeldVersion } from './types.ts';

/**
 * `/extrachain/holds/1`: which versions a member has in its folder. One question a frame, one answer to each. All messages are
 * strict dag-cbor arrays that start with their name.
 */
export type HoldsMessage =
  | { readonly t: 'ask'; readonly drive: string; readonly items: readonly HeldVersion[] }
  | { readonly t: 'have'; readonly held: readonly boolean[] }
  /** Not a member, or no such drive here. */
  | { readonly t: 'forbidden' };

export const holdsProtocol = 'holds/1';
/** Versions in one question. */
const itemsPerAsk = 500;
const maxFrame = 128 * 1024;
export const holdsOptions: ProtocolOptions = { maxFrame, maxStreams: 8, idleTimeout: 30_000, maxRate: 50 };
/** A member answers within this time, ms. */
const answerMs = 10_000;

export function encodeHolds(message: HoldsMessage): Uint8Array {
  switch (message.t) {
    case 'ask':
      return encode([
        'ask',
        message.drive,
        message.items.map(({ node, version }) => [Buffer.from(node, 'hex'), version]),
      ]);
    case 'have':
      return encode(['have', Uint8Array.from(message.held, Number)]);
    case 'forbidden':
      return encode(['forbidden']);
  }
}

/** @throws AppError `malformed` for anything that is not exactly one of the messages above, within the limits */
export function decodeHolds(frame: Uint8Array): HoldsMessage {
  if (frame.length > maxFrame) throw malformed('it is too long');
  let fields: unknown;
  try {
    fields = decode(frame);
  } catch (error) {
    throw malformed('it is not dag-cbor', error);
  }
  if (!Array.isArray(fields)) throw malformed('it is no list');
  const [t, first, second] = fields as unknown[];
  if (t === 'forbidden' && fields.length === 1) return { t };
  if (t === 'have' && fields.length === 2 && first instanceof Uint8Array && first.length <= itemsPerAsk) {
    if (first.some((bit) => bit > 1)) throw malformed('an answer is neither yes nor no');
    return { t, held: [...first].map((bit) => bit === 1) };
  }
  if (t === 'ask' && fields.length === 3 && typeof first === 'string' && isDriveId(first)) {
    if (Array.isArray(second) && second.length > 0 && second.length <= itemsPerAsk) {
      return { t, drive: first, items: second.map(item) };
    }
  }
  throw malformed('its form is wrong');
}

function item(value: unknown): HeldVersion {
  if (!Array.isArray(value) || value.length !== 2) throw malformed('a version is wrong');
  const [node, version] = value as unknown[];
  if (!(node instanceof Uint8Array) || node.length !== 16) throw malformed('a node is wrong');
  if (typeof version !== 'string' || !/^b[a-z2-7]{40,100}\/[0-9]{1,7}$/.test(version)) {
    throw malformed('a version is wrong');
  }
  return { node: Buffer.from(node).toString('hex'), version };
}

function malformed(why: string, cause?: unknown): AppError {
  return new AppError('malformed', `A message about what is held can't be read: ${why}.`, { cause });
}

export interface Holdings {
  /** Answers one peer's questions until its stream ends. */
  serve(stream: FrameStream): Promise<void>;
  /** @returns for each item the peers that hold it */
  ask(
    drive: EntryId,
    peers: readonly DeviceId[],
    items: readonly HeldVersion[],
    signal: AbortSignal,
  ): Promise<readonly (readonly DeviceId[])[]>;
}

export function createHoldings(deps: {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly open: (peer: DeviceId, signal: AbortSignal) => Promise<FrameStream>;
  /** The folder's side of the drive, when the peer is a member of it. */
  readonly source: (drive: EntryId, peer: DeviceId) => BlockSource | null;
  readonly onRefused: (peer: DeviceId) => void;
  readonly penalise: (peer: DeviceId, reason: string) => void;
}): Holdings {
  async function askOne(
    drive: EntryId,
    peer: DeviceId,
    items: readonly HeldVersion[],
    signal: AbortSignal,
  ): Promise<readonly boolean[]> {
    const late = new AbortController();
    const cancel = deps.clock.after(answerMs, () => late.abort());
    let stream: FrameStream | null = null;
    try {
      const limit = AbortSignal.any([signal, late.signal]);
      stream = await deps.open(peer, limit);
      await stream.send(encodeHolds({ t: 'ask', drive, items }));
      const frame = await stream.read(limit);
      const answer = frame === null ? null : decodeHolds(frame);
      if (answer?.t !== 'have') return [];
      if (answer.held.length !== items.length)
        throw malformed('an answer has not as many parts as its question');
      return answer.held;
    } catch (error) {
      signal.throwIfAborted();
      if (isAppError(error, 'malformed')) deps.penalise(peer, error.message);
      deps.logger.debug({ peer, error }, 'a member did not say what it holds');
      return [];
    } finally {
      cancel();
      await stream?.close().catch(() => {});
    }
  }

  return {
    async serve(stream) {
      for (let frame = await stream.read(); frame !== null; frame = await stream.read()) {
        const message = decodeHolds(frame);
        if (message.t !== 'ask') {
          throw new AppError('protocol_violation', 'Somebody answered who was not asked what he holds.');
        }
        const source = deps.source(message.drive, stream.peer);
        if (source === null) deps.onRefused(stream.peer);
        const held = (await source?.holds?.(message.items)) ?? message.items.map(() => false);
        await stream.send(encodeHolds(source === null ? { t: 'forbidden' } : { t: 'have', held }));
      }
    },
    async ask(drive, peers, items, signal) {
      const found = items.map((): DeviceId[] => []);
      for (let from = 0; from < items.length; from += itemsPerAsk) {
        const part = items.slice(from, from + itemsPerAsk);
        const answers = await Promise.all(
          peers.map(async (peer) => ({ peer, held: await askOne(drive, peer, part, signal) })),
        );
        for (const { peer, held } of answers) {
          held.forEach((yes, index) => {
            if (yes) found[from + index]?.push(peer);
          });
        }
      }
      return found;
    },
  };
}
