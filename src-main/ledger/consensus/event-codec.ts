import { malformed } from '../../identity/index.ts';
import { decodeBlock, encodeBlock } from '../codec/index.ts';
import { proposalShape, voteShape } from '../codec/blocks.ts';
import { bytesOf, codecOf, flag, oneOf, record, union, whole } from '../codec/shape.ts';
import { maxBlockBytes } from '../codec/limits.ts';
import type { Block } from '../types.ts';
import type { ConsensusEvent } from './types.ts';

/** What the write-ahead log holds: the reducer's inputs of one height, and the bodies of the blocks they speak of. */
export type LogEntry =
  | { readonly kind: 'height'; readonly height: number }
  | { readonly kind: 'event'; readonly event: ConsensusEvent }
  | { readonly kind: 'body'; readonly block: Block };

const hash = bytesOf(32);
const time = whole(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER);
const round = whole(2 ** 31 - 1);

type Loggable = Exclude<ConsensusEvent, { readonly type: 'height' }>;

const events = codecOf<Loggable>(
  union<Loggable>({
    proposal: record({ proposal: proposalShape, receivedAt: time }),
    validated: record({ blockId: hash, valid: flag, time }),
    made: record({ height: whole(), round, blockId: hash, time }),
    vote: record({ vote: voteShape }),
    timeout: record({
      kind: oneOf('wait', 'idle', 'propose', 'prevote', 'precommit'),
      height: whole(),
      round,
    }),
    txsAvailable: record({}),
  }),
  'log entry',
  4096,
);
const heights = codecOf(record({ height: whole() }), 'log entry', 64);

/** A tag byte and the encoding. A `height` event is not logged: the state machine knows it. */
export function encodeLogEntry(entry: LogEntry): Uint8Array {
  if (entry.kind === 'body') return tagged(2, encodeBlock(entry.block));
  if (entry.kind === 'height') return tagged(0, heights.encode({ height: entry.height }));
  return tagged(1, events.encode(entry.event as Loggable));
}

/** @throws AppError `malformed`, `too_large` */
export function decodeLogEntry(bytes: Uint8Array): LogEntry {
  const rest = bytes.subarray(1);
  if (bytes[0] === 2) return { kind: 'body', block: decodeBlock(rest) };
  if (bytes[0] === 0) return { kind: 'height', height: heights.decode(rest).height };
  if (bytes[0] === 1) return { kind: 'event', event: events.decode(rest) };
  throw malformed('log entry', 'its kind is unknown');
}

export const maxLogEntryBytes = maxBlockBytes + 1;

const tagged = (tag: number, bytes: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of(tag), bytes]);
