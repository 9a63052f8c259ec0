import { decode, encode } from '@ipld/dag-cbor';
import { AppError } from '../../src-shared/errors.ts';
import type { FeedTip } from '../history/index.ts';
import { limits } from './limits.ts';

/** One block of a file that is still being indexed, as announced on the wire. */
export interface WireEarlyBlock {
  readonly id: Uint8Array;
  readonly epoch: string;
  readonly plainHash: Uint8Array;
  readonly len: number;
  readonly weak: number;
  readonly offset: number;
}

/**
 * How a member's folder stands to its tree. `rest`: nothing is left to do there but to wait for what nobody reachable has;
 * `whole`: and it holds the bytes of everything, nothing online only, nothing lost, nothing kept apart.
 */
export type Rest = 'busy' | 'rest' | 'whole';
const rests: readonly Rest[] = ['busy', 'rest', 'whole'];

/**
 * `/extrachain/history/1`. The side that opens a stream subscribes with `hello` and may repeat its frontier with `have`;
 * everything else is said by the side that serves. All messages are strict dag-cbor arrays that start with their name.
 */
export type HistoryMessage =
  | { readonly t: 'hello'; readonly drive: string; readonly frontier: readonly FeedTip[] }
  | { readonly t: 'have'; readonly frontier: readonly FeedTip[] }
  | { readonly t: 'entries'; readonly entries: readonly Uint8Array[] }
  /** Where the server's feeds end and how its folder stands; the first one also ends the backlog. */
  | { readonly t: 'tips'; readonly frontier: readonly FeedTip[]; readonly rest: Rest }
  | { readonly t: 'settled'; readonly rest: Rest }
  | {
      readonly t: 'early';
      readonly token: string;
      readonly node: string;
      readonly blocks: readonly WireEarlyBlock[];
    }
  /** Not a member, or no such drive here: the two are told apart on purpose by nobody outside. */
  | { readonly t: 'forbidden' };

/** Encodes one message. */
export function encodeHistoryMessage(message: HistoryMessage): Uint8Array {
  switch (message.t) {
    case 'hello':
      return encode(['hello', message.drive, message.frontier.map(tipToWire)]);
    case 'have':
      return encode(['have', message.frontier.map(tipToWire)]);
    case 'entries':
      return encode(['entries', message.entries]);
    case 'tips':
      return encode(['tips', message.frontier.map(tipToWire), rests.indexOf(message.rest)]);
    case 'settled':
      return encode(['settled', rests.indexOf(message.rest)]);
    case 'early':
      return encode([
        'early',
        message.token,
        message.node,
        message.blocks.map((b) => [b.id, Buffer.from(b.epoch, 'hex'), b.plainHash, b.len, b.weak, b.offset]),
      ]);
    case 'forbidden':
      return encode(['forbidden']);
  }
}

/**
 * Decodes one message.
 * @throws AppError `malformed` for anything that is not exactly one of the messages above, within the limits
 */
export function decodeHistoryMessage(frame: Uint8Array): HistoryMessage {
  if (frame.length > limits.historyFrame) throw malformed('it is too long');
  let value: unknown;
  try {
    value = decode(frame);
  } catch (error) {
    throw malformed('it is not dag-cbor', error);
  }
  const fields = array(value, 8);
  switch (fields[0]) {
    case 'hello':
      count(fields, 3);
      return { t: 'hello', drive: driveId(fields[1]), frontier: frontier(fields[2]) };
    case 'have':
      count(fields, 2);
      return { t: 'have', frontier: frontier(fields[1]) };
    case 'entries': {
      count(fields, 2);
      const entries = array(fields[1], limits.entriesBatchCount);
      return { t: 'entries', entries: entries.map((entry) => bytes(entry)) };
    }
    case 'tips':
      count(fields, 3);
      return { t: 'tips', frontier: frontier(fields[1]), rest: rest(fields[2]) };
    case 'settled':
      count(fields, 2);
      return { t: 'settled', rest: rest(fields[1]) };
    case 'early':
      count(fields, 4);
      return {
        t: 'early',
        token: text(fields[1], /^[\x21-\x7e]{1,128}$/),
        node: text(fields[2], /^[0-9a-f]{32}$/),
        blocks: array(fields[3], limits.earlyBlocks).map(earlyBlock),
      };
    case 'forbidden':
      count(fields, 1);
      return { t: 'forbidden' };
    default:
      throw malformed('its kind is unknown');
  }
}

/** True for the text form of a drive id (a CIDv1 in base32). */
export function isDriveId(value: string): boolean {
  return /^b[a-z2-7]{40,100}$/.test(value);
}

function tipToWire(tip: FeedTip): unknown[] {
  return [tip.writer, tip.incarnation, tip.seq, tip.hash];
}

function frontier(value: unknown): FeedTip[] {
  return array(value, limits.frontierTips).map((item) => {
    const fields = array(item, 4);
    count(fields, 4);
    return {
      writer: bytes(fields[0], 32),
      incarnation: integer(fields[1], 2 ** 48 - 1),
      seq: integer(fields[2], Number.MAX_SAFE_INTEGER),
      hash: bytes(fields[3], 32),
    };
  });
}

function earlyBlock(value: unknown): WireEarlyBlock {
  const fields = array(value, 6);
  count(fields, 6);
  return {
    id: bytes(fields[0], 32),
    epoch: Buffer.from(bytes(fields[1], 32)).toString('hex'),
    plainHash: bytes(fields[2], 32),
    len: integer(fields[3], limits.blockBytes),
    weak: integer(fields[4], 0xffffffff),
    offset: integer(fields[5], Number.MAX_SAFE_INTEGER),
  };
}

function driveId(value: unknown): string {
  if (typeof value !== 'string' || !isDriveId(value)) throw malformed('a drive id is wrong');
  return value;
}

function array(value: unknown, max: number): unknown[] {
  if (!Array.isArray(value) || value.length > max) throw malformed('a list is missing or too long');
  return value;
}

function count(fields: readonly unknown[], n: number): void {
  if (fields.length !== n) throw malformed('the number of fields is wrong');
}

function bytes(value: unknown, length?: number): Uint8Array {
  if (!(value instanceof Uint8Array) || (length !== undefined && value.length !== length)) {
    throw malformed('a byte string is missing or of the wrong length');
  }
  return value;
}

function integer(value: unknown, max: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
    throw malformed('a number is missing or out of range');
  }
  return value;
}

function rest(value: unknown): Rest {
  return rests[integer(value, rests.length - 1)] ?? 'busy';
}

function text(value: unknown, pattern: RegExp): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw malformed('a text field is wrong');
  return value;
}

function malformed(why: string, cause?: unknown): AppError {
  return new AppError('malformed', `A history message can't be read: ${why}.`, { cause });
}
