import * as dagCbor from '@ipld/dag-cbor';
import { AppError } from '../../src-shared/errors.ts';
import { verifySignature } from '../identity/index.ts';
import { decodeHeader, decodeStrict, maxHeaderBytes, signatureLength, signingBytes } from './codec.ts';
import type { EntryIndex } from './entry-index.ts';
import { hashKey, sameBytes, sha256 } from './ids.ts';
import type { EntryHash, EntryHeader } from './types.ts';
import { linksOf } from './validate.ts';

/** Most links of a chain; one of honest make is far shorter, since the access chain leads down to genesis in big steps. */
export const maxChainLinks = 65_536;

/** A chain of headers that was checked: each names the hash of the one before. */
export interface HeaderChain {
  /** Hash of the genesis entry. */
  readonly drive: EntryHash;
  /** Hash of the last header: the entry the chain was made for. */
  readonly hash: EntryHash;
  /** From genesis to the entry. */
  readonly headers: readonly EntryHeader[];
}

/** One link: strict dag-cbor of `[headerBytes, sig]`. */
export function encodeHeaderLink(headerBytes: Uint8Array, sig: Uint8Array): Uint8Array {
  return dagCbor.encode([headerBytes, sig]);
}

/**
 * Hashes from genesis to `entry` along the shortest way through `prev`, `parents` and `access` links (breadth first).
 * @throws AppError `not_found` when the entry, or all ways down, are not readable here
 */
export function shortestChain(index: EntryIndex, entry: EntryHash): readonly EntryHash[] {
  const notFound = (): AppError =>
    new AppError(
      'not_found',
      'The chain from this entry down to the founding of the drive is not complete here.',
    );
  const start = index.get(entry);
  if (start === null) throw notFound();
  /** Each visited entry with the one above it: the way back up. */
  const above = new Map<string, EntryHash | null>([[hashKey(start.hash), null]]);
  let level = [start];
  while (level.length > 0) {
    const below: typeof level = [];
    for (const row of level) {
      if (row.lamport === 0) {
        const chain: EntryHash[] = [];
        for (let at: EntryHash | null = row.hash; at !== null; at = above.get(hashKey(at)) ?? null)
          chain.push(at);
        return chain;
      }
      // Access links first: they reach furthest down.
      for (const hash of [...row.access, ...row.parents, ...(row.prev === null ? [] : [row.prev])]) {
        if (above.has(hashKey(hash))) continue;
        const next = index.get(hash);
        if (next === null) continue;
        above.set(hashKey(hash), row.hash);
        below.push(next);
      }
    }
    level = below;
  }
  throw notFound();
}

/**
 * Checks a chain made by `History.headerChain`, with no history at hand: shape, signatures, and that each header names the one
 * before it, belongs to the drive the first one founds, and stands above it.
 * @throws AppError `too_large`, `malformed`, `bad_signature`, `bad_link`
 */
export function verifyHeaderChain(links: readonly Uint8Array[]): HeaderChain {
  if (links.length === 0) throw new AppError('malformed', 'The chain of headers is empty.');
  if (links.length > maxChainLinks) throw new AppError('too_large', 'The chain of headers is too long.');
  const headers: EntryHeader[] = [];
  let drive: EntryHash | null = null;
  let last: EntryHash | null = null;
  for (const link of links) {
    const { headerBytes, sig } = decodeHeaderLink(link);
    const header = decodeHeader(headerBytes);
    if (!verifySignature(header.writer, signingBytes(headerBytes), sig)) {
      throw new AppError('bad_signature', 'A signature in the chain of headers is wrong.');
    }
    const hash = sha256(headerBytes);
    if (last === null || drive === null) {
      if (header.drive !== null)
        throw new AppError('bad_link', 'The chain does not begin where the drive was founded.');
      drive = hash;
    } else if (!extendsChain(header, drive, last, headers.at(-1) as EntryHeader)) {
      throw new AppError('bad_link', 'A header in the chain does not follow the one before it.');
    }
    last = hash;
    headers.push(header);
  }
  return { drive: drive as EntryHash, hash: last as EntryHash, headers };
}

function extendsChain(header: EntryHeader, drive: EntryHash, below: EntryHash, lower: EntryHeader): boolean {
  return (
    header.drive !== null &&
    sameBytes(header.drive, drive) &&
    header.lamport > lower.lamport &&
    linksOf(header).some((link) => sameBytes(link, below))
  );
}

function decodeHeaderLink(bytes: Uint8Array): { headerBytes: Uint8Array; sig: Uint8Array } {
  if (bytes.length > maxHeaderBytes + 128)
    throw new AppError('too_large', 'A link of the chain is too large.');
  const value = decodeStrict(bytes);
  if (Array.isArray(value) && value.length === 2) {
    const [headerBytes, sig] = value as readonly unknown[];
    if (headerBytes instanceof Uint8Array && sig instanceof Uint8Array && sig.length === signatureLength) {
      return { headerBytes, sig };
    }
  }
  throw new AppError('malformed', 'A link of the chain does not hold a header and a signature.');
}
