import { createHash } from 'node:crypto';
import { AppError } from '../../src-shared/errors.ts';
import type { StreamId } from './types.ts';

/** What a link to a stream says: which one, where it may be found, and, of an unlisted one, the key that opens it. */
export interface StreamLink {
  readonly streamId: StreamId;
  /** Multiaddrs ending in /p2p/<id>. */
  readonly addresses: readonly string[];
  /** 32 bytes; null for public and private streams. */
  readonly key: Uint8Array | null;
}

const mostAddresses = 8;
const mostAddressLength = 256;
const checkChars = 8;

/** `extrachain://stream/<id>?at=<multiaddr>`; a key stands in the fragment with a checksum, which no program sends to a server. */
export function formatStreamLink(link: StreamLink): string {
  const query = new URLSearchParams();
  const addresses = link.addresses.slice(0, mostAddresses);
  for (const address of addresses) query.append('at', address);
  const tail = query.toString();
  const body = `extrachain://stream/${link.streamId}${tail === '' ? '' : `?${tail}`}`;
  if (!link.key) return body;
  const key = Buffer.from(link.key).toString('base64url');
  return `${body}#${key}.${checksum(link.streamId, addresses, key)}`;
}

function checksum(streamId: string, addresses: readonly string[], key: string): string {
  const text = ['extrachain stream link v1', streamId, key, ...addresses].join('\n');
  return createHash('sha256').update(text).digest('base64url').slice(0, checkChars);
}

/**
 * Reads a link, or a bare id (then there are no addresses).
 * @throws AppError `invalid_argument`, `link_cut_short`, `link_altered`
 */
export function parseStreamLink(text: string): StreamLink {
  const trimmed = text.trim();
  if (/^[0-9a-f]{64}$/.test(trimmed)) return { streamId: trimmed, addresses: [], key: null };
  if (!URL.canParse(trimmed)) throw noLink();
  const url = new URL(trimmed);
  const streamId = url.pathname.replace(/^\//, '');
  if (url.protocol !== 'extrachain:' || url.host !== 'stream' || !/^[0-9a-f]{64}$/.test(streamId))
    throw noLink();
  const addresses = url.searchParams.getAll('at').slice(0, mostAddresses);
  if (addresses.some((one) => one.length > mostAddressLength || !/^\/[^\s]+\/p2p\/[A-Za-z0-9]+$/.test(one)))
    throw noLink();
  if (url.hash === '') return { streamId, addresses, key: null };
  const [key = '', check = '', ...more] = url.hash.slice(1).split('.');
  if (check.length < checkChars)
    throw new AppError(
      'link_cut_short',
      'The end of this link is missing; ask for it again or copy all of it.',
    );
  const bytes = new Uint8Array(Buffer.from(key, 'base64url'));
  if (more.length > 0 || bytes.length !== 32 || check !== checksum(streamId, addresses, key))
    throw new AppError('link_altered', 'This link was changed on its way; ask for it again.');
  return { streamId, addresses, key: bytes };
}

const noLink = (): AppError =>
  new AppError('invalid_argument', 'This is neither the link of a stream nor the id of one.');

/** The peer that an address ends in. */
export const peerOfAddress = (address: string): string => address.slice(address.lastIndexOf('/p2p/') + 5);
