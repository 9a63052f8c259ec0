import { CID } from 'multiformats/cid';
import { multiaddr } from '@multiformats/multiaddr';
import { AppError } from '../../src-shared/errors.ts';

/** What a drive link says: which drive, and where somebody who has it may be reached. It holds no key. */
export interface DriveLink {
  readonly driveId: string;
  /** Multiaddrs ending in /p2p/<id>; hints, possibly out of date. */
  readonly addresses: readonly string[];
}

const scheme = 'extrachain:';
const maxAddresses = 16;

/** Writes `extrachain://drive/<id>?at=<multiaddr>&at=...`. */
export function formatDriveLink(link: DriveLink): string {
  const query = new URLSearchParams();
  for (const address of link.addresses.slice(0, maxAddresses)) query.append('at', address);
  const tail = query.toString();
  return `extrachain://drive/${link.driveId}${tail === '' ? '' : `?${tail}`}`;
}

/**
 * Reads a link, or a bare drive id (then there are no addresses).
 * @throws AppError `invalid_argument`
 */
export function parseDriveLink(text: string): DriveLink {
  const trimmed = text.trim();
  if (!trimmed.includes(':')) return { driveId: parseDriveId(trimmed), addresses: [] };
  let url: URL;
  try {
    url = new URL(trimmed);
  } catch (cause) {
    throw new AppError('invalid_argument', 'This is not a drive link.', { cause });
  }
  if (url.protocol !== scheme || url.host !== 'drive') {
    throw new AppError('invalid_argument', 'A drive link begins with extrachain://drive/.');
  }
  const addresses = url.searchParams.getAll('at').slice(0, maxAddresses);
  for (const address of addresses) parseAddress(address);
  return { driveId: parseDriveId(url.pathname.replace(/^\//, '')), addresses };
}

function parseDriveId(text: string): string {
  try {
    const cid = CID.parse(text);
    if (cid.version !== 1 || cid.code !== 0x71 || cid.multihash.code !== 0x12)
      throw new Error('another kind of CID');
    return cid.toString();
  } catch (cause) {
    throw new AppError('invalid_argument', 'This is neither a drive link nor the id of a drive.', { cause });
  }
}

function parseAddress(text: string): void {
  try {
    multiaddr(text);
  } catch (cause) {
    throw new AppError('invalid_argument', 'An address in this link cannot be read.', { cause });
  }
}
