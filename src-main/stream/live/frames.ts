import { AppError } from '../../../src-shared/errors.ts';
import {
  maxAudienceBytes,
  maxDescriptionBytes,
  maxGenesisBytes,
  maxKeyBytes,
  maxReceiptBytes,
} from '../codec/records.ts';
import { maxHeaderBytes } from '../codec/header.ts';
import { bounds } from '../overlay/index.ts';
import { limits } from '../types.ts';
import type { StreamId } from '../types.ts';

/** One frame of `/extrachain/live/1`: a byte that names its kind, then its content. */
export type LiveFrame =
  /** The first frame of who opens a link: which stream it is about. */
  | { readonly t: 'hello'; readonly stream: StreamId }
  /** What the overlays say to each other, encoded. */
  | { readonly t: 'message'; readonly bytes: Uint8Array }
  /** A signed header; the chunks that follow are its payload, in order. */
  | { readonly t: 'part'; readonly header: Uint8Array }
  | { readonly t: 'chunk'; readonly bytes: Uint8Array }
  /** The part under way will not be completed. */
  | { readonly t: 'cut' }
  /** So many parts of this link (modulo 2^32) were read or cut. */
  | { readonly t: 'acknowledge'; readonly parts: number }
  | { readonly t: 'genesis'; readonly bytes: Uint8Array }
  | { readonly t: 'description'; readonly bytes: Uint8Array }
  | { readonly t: 'audience'; readonly bytes: Uint8Array }
  | { readonly t: 'key'; readonly bytes: Uint8Array }
  | { readonly t: 'receipt'; readonly bytes: Uint8Array }
  /** No such stream here. Answers `hello`. */
  | { readonly t: 'unknown' }
  /** How many players there are on the sender's side, itself included; from child to parent. */
  | { readonly t: 'viewers'; readonly count: number }
  /** Bytes that mean nothing, to measure an uplink with. */
  | { readonly t: 'probe'; readonly bytes: Uint8Array }
  /** So many bytes of probes were read. */
  | { readonly t: 'probed'; readonly bytes: number };

const kinds = [
  'hello',
  'message',
  'part',
  'chunk',
  'cut',
  'acknowledge',
  'genesis',
  'description',
  'audience',
  'key',
  'receipt',
  'unknown',
  'viewers',
  'probe',
  'probed',
] as const satisfies readonly LiveFrame['t'][];

/** Longest content of each kind with bytes of its own. */
const longest = {
  message: bounds.message,
  header: maxHeaderBytes,
  chunk: limits.chunkBytes,
  genesis: maxGenesisBytes,
  description: maxDescriptionBytes,
  audience: maxAudienceBytes,
  key: maxKeyBytes,
  receipt: maxReceiptBytes,
  probe: limits.chunkBytes,
} as const;

export const maxLiveFrame = 1 + maxDescriptionBytes;

/** A frame as pieces that are sent one after another, so that chunks are not copied. */
export function encodeLive(frame: LiveFrame): readonly Uint8Array[] {
  const kind = Uint8Array.of(kinds.indexOf(frame.t));
  switch (frame.t) {
    case 'hello':
      return [kind, Buffer.from(frame.stream, 'hex')];
    case 'part':
      return [kind, frame.header];
    case 'acknowledge':
      return [kind, u32(frame.parts)];
    case 'viewers':
      return [kind, u32(frame.count)];
    case 'probed':
      return [kind, u32(frame.bytes)];
    case 'cut':
    case 'unknown':
      return [kind];
    default:
      return [kind, frame.bytes];
  }
}

/** What is inside is checked by whoever opens it. @throws AppError `malformed`, `too_large` */
export function decodeLive(frame: Uint8Array): LiveFrame {
  const t = kinds[frame[0] ?? 255];
  const bytes = frame.subarray(1);
  switch (t) {
    case undefined:
      throw new AppError('malformed', 'A frame of a stream is of no known kind.');
    case 'hello':
      if (bytes.length !== 32) throw malformed();
      return { t, stream: Buffer.from(bytes).toString('hex') };
    case 'part':
      return { t, header: bounded(bytes, longest.header) };
    case 'acknowledge':
      return { t, parts: readU32(bytes) };
    case 'viewers':
      return { t, count: readU32(bytes) };
    case 'probed':
      return { t, bytes: readU32(bytes) };
    case 'cut':
    case 'unknown':
      if (bytes.length !== 0) throw malformed();
      return { t };
    default:
      return { t, bytes: bounded(bytes, longest[t]) };
  }
}

function bounded(bytes: Uint8Array, most: number): Uint8Array {
  if (bytes.length === 0) throw malformed();
  if (bytes.length > most) throw new AppError('too_large', 'A frame of a stream is too large.');
  return bytes;
}

function u32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value >>> 0);
  return out;
}

function readU32(bytes: Uint8Array): number {
  if (bytes.length !== 4) throw malformed();
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}

const malformed = (): AppError => new AppError('malformed', 'A frame of a stream cannot be read.');
