import { multiaddr } from '@multiformats/multiaddr';
import { AppError } from '../../../src-shared/errors.ts';

/** What a link to a network says: which, and where somebody who follows it may be reached. */
export interface ChainLink {
  readonly chainId: string;
  /** Multiaddrs ending in /p2p/<id>; hints, possibly out of date. */
  readonly addresses: readonly string[];
}

const maxAddresses = 16;

/** `<name>-<16 hex digits of the genesis hash>`: whoever has the id can check the genesis that a stranger hands out. */
const chainIdPattern = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?-[0-9a-f]{16}$/;

/** Writes `extrachain://chain/<id>?at=<multiaddr>&at=...`. */
export function formatChainLink({ chainId, addresses }: ChainLink): string {
  const query = new URLSearchParams();
  for (const address of addresses.slice(0, maxAddresses)) query.append('at', address);
  const tail = query.toString();
  return `extrachain://chain/${chainId}${tail === '' ? '' : `?${tail}`}`;
}

/**
 * Reads a link, or a bare chain id (then there are no addresses). A link or invitation to a drive does, too, when it names a
 * network.
 * @throws AppError `invalid_argument`, `link_cut_short`
 */
export function parseChainLink(text: string): ChainLink {
  const trimmed = text.trim();
  if (!trimmed.includes(':')) return { chainId: checkedId(trimmed), addresses: [] };
  let url: URL;
  try {
    url = new URL(trimmed);
  } catch (cause) {
    throw new AppError('invalid_argument', 'This is not a link to a network.', { cause });
  }
  const named = ['drive', 'invite', 'open'].includes(url.host) ? url.searchParams.get('chain') : null;
  if (url.protocol !== 'extrachain:' || (url.host !== 'chain' && named === null)) {
    throw new AppError(
      'invalid_argument',
      'A link to a network begins with extrachain://chain/, or is one to a drive that names a network.',
    );
  }
  const addresses = url.searchParams.getAll('at').slice(0, maxAddresses);
  for (const address of addresses) {
    try {
      multiaddr(address);
    } catch (cause) {
      throw new AppError('invalid_argument', 'An address in this link cannot be read.', { cause });
    }
  }
  return { chainId: checkedId(named ?? url.pathname.replace(/^\//, '')), addresses };
}

function checkedId(text: string): string {
  if (chainIdPattern.test(text)) return text;
  throw new AppError('link_cut_short', 'The name of the network in this link is not whole; copy all of it.');
}
