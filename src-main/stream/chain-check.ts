import { AppError } from '../../src-shared/errors.ts';
import { isHeaderSigned, readHeader } from './codec/header.ts';
import type { Genesis } from './codec/records.ts';
import type { SignedHeader } from './types.ts';

/** Two headers of one place, both signed by the source: it told different people different things. */
export interface Equivocation {
  readonly one: Uint8Array;
  readonly other: Uint8Array;
}

/** Checks headers against the stream's key and against each other. */
export interface ChainCheck {
  /**
   * Reads a header and proves that it belongs here.
   * @throws AppError `malformed`, `too_large`; `bad_hash` (of another stream), `bad_signature`, `bad_link` (does not follow the header
   * before it, or in no order of segments); `fork` with `details.proof` when the source signed two headers of one place
   */
  check(bytes: Uint8Array): SignedHeader;
}

/** Headers remembered of each rendition: those that others may still send, and their neighbours. */
const remembered = 512;
/** Segments that one part may lie after the one before it: as many as the packager lets an encoder leave out. */
const longestJump = 10_000;

/** What the chain needs of a header; the hashes of its pieces are most of one, and the window has them. */
interface Place {
  readonly hash: string;
  readonly prevHash: string;
  readonly segment: number;
  readonly bytes: Uint8Array;
}

/**
 * Every header is signed by itself, so any part can be checked alone. The chain adds that nobody, the source included, can show
 * different parts at one place, or leave one out between two that follow each other.
 * @param options.without negative control of tests: takes any signature
 */
export function createChainCheck(
  genesis: Genesis,
  options: { readonly without?: 'signatures' | undefined } = {},
): ChainCheck {
  const known = new Map<number, Map<number, Place>>();

  return {
    check(bytes) {
      const header = readHeader(bytes);
      if (header.stream !== genesis.streamId)
        throw new AppError('bad_hash', 'A part of another stream was sent.');
      let places = known.get(header.rendition);
      const before = places?.get(header.seq);
      // The same signed bytes were checked already; another signature over them changes nothing.
      if (before && before.hash === header.hash)
        return same(before.bytes, header.bytes) ? header : readHeader(before.bytes);
      if (options.without !== 'signatures' && !isHeaderSigned(genesis.streamKey, header))
        throw new AppError('bad_signature', 'A part was not signed by the source of the stream.');
      if (before) {
        const proof: Equivocation = { one: before.bytes, other: header.bytes };
        throw new AppError('fork', 'The source signed two different parts for one place.', {
          details: { proof },
        });
      }
      const prevHash = Buffer.from(header.prevHash).toString('hex');
      const place: Place = { hash: header.hash, prevHash, segment: header.segment, bytes: header.bytes };
      const previous = places?.get(header.seq - 1);
      const next = places?.get(header.seq + 1);
      const isLinked = (!previous || follows(previous, place)) && (!next || follows(place, next));
      if (options.without !== 'signatures' && !isLinked)
        throw new AppError('bad_link', 'A part does not follow the one before it.');
      if (!places) known.set(header.rendition, (places = new Map()));
      places.set(header.seq, place);
      if (places.size > remembered) places.delete(places.keys().next().value as number);
      return header;
    },
  };
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** May these two stand next to each other? */
const follows = (one: Place, next: Place): boolean =>
  next.prevHash === one.hash && next.segment >= one.segment && next.segment - one.segment <= longestJump;

/** True when two headers prove that the source of a stream signed two different parts for one place; anybody can check it. */
export function isEquivocation(genesis: Genesis, proof: Equivocation): boolean {
  const one = readHeader(proof.one);
  const other = readHeader(proof.other);
  return (
    one.stream === genesis.streamId &&
    other.stream === genesis.streamId &&
    one.rendition === other.rendition &&
    one.seq === other.seq &&
    one.hash !== other.hash &&
    isHeaderSigned(genesis.streamKey, one) &&
    isHeaderSigned(genesis.streamKey, other)
  );
}
