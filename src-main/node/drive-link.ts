import { createHash } from 'node:crypto';
import { CID } from 'multiformats/cid';
import { multiaddr } from '@multiformats/multiaddr';
import { AppError } from '../../src-shared/errors.ts';

/**
 * What a link lets its holder do. `invite`: come in once a manager's device has seen a proof of the secret (16 bytes).
 * `read`: read without a role; the secret (32 bytes) is null when the drive is public and publishes it itself.
 */
export type LinkPower =
  | { readonly t: 'invite'; readonly secret: Uint8Array }
  | { readonly t: 'read'; readonly secret: Uint8Array | null };

/** What a drive link says: which drive, where somebody who has it may be reached, and what it lets its holder do. */
export interface DriveLink {
  readonly driveId: string;
  /** Multiaddrs ending in /p2p/<id>; hints, possibly out of date. */
  readonly addresses: readonly string[];
  /** null: a link of a private drive, good for members only. */
  readonly power: LinkPower | null;
  /** The network its maker uses, where its history is anchored. */
  readonly chain?: string;
}

const scheme = 'extrachain:';
const maxAddresses = 16;
const checkChars = 8;
const published = 'public';

/**
 * Writes `extrachain://drive/<id>?at=<multiaddr>&at=...&chain=<id>`; with a power the host is `invite` or `open` and the fragment, which no
 * program sends to a server, holds secret and checksum: `#<secret>.<checksum>`.
 */
export function formatDriveLink(link: DriveLink): string {
  const query = new URLSearchParams();
  const addresses = link.addresses.slice(0, maxAddresses);
  for (const address of addresses) query.append('at', address);
  const { power, chain } = link;
  if (chain !== undefined) query.set('chain', chain);
  const tail = query.toString();
  const host = power === null ? 'drive' : power.t === 'invite' ? 'invite' : 'open';
  const body = `extrachain://${host}/${link.driveId}${tail === '' ? '' : `?${tail}`}`;
  if (power === null) return body;
  const secret = power.secret === null ? published : Buffer.from(power.secret).toString('base64url');
  return `${body}#${secret}.${checksum(host, link, secret)}`;
}

/** Over what the link says, not over how it is spelled: programs on its way may write it in another way. */
function checksum(
  host: string,
  { driveId, addresses, chain }: Omit<DriveLink, 'power'>,
  secret: string,
): string {
  const said = ['extrachain link v1', host, driveId, secret, ...addresses.slice(0, maxAddresses)];
  const text = [...said, ...(chain === undefined ? [] : [`chain ${chain}`])].join('\n');
  return createHash('sha256').update(text).digest('base64url').slice(0, checkChars);
}

/**
 * Reads a link, or a bare drive id (then there are no addresses).
 * @throws AppError `invalid_argument`; `link_cut_short`, `link_altered` for links with a secret
 */
export function parseDriveLink(text: string): DriveLink {
  const trimmed = text.trim();
  if (!trimmed.includes(':')) return { driveId: parseDriveId(trimmed), addresses: [], power: null };
  let url: URL;
  try {
    url = new URL(trimmed);
  } catch (cause) {
    throw new AppError('invalid_argument', 'This is not a drive link.', { cause });
  }
  if (url.protocol !== scheme || !['drive', 'invite', 'open'].includes(url.host)) {
    throw new AppError('invalid_argument', 'A drive link begins with extrachain://drive/, invite/ or open/.');
  }
  const id = url.pathname.replace(/^\//, '');
  const addresses = url.searchParams.getAll('at').slice(0, maxAddresses);
  const named = url.searchParams.get('chain');
  const chain = named === null ? {} : { chain: named };
  if (url.host === 'drive') {
    for (const address of addresses) parseAddress(address);
    return { driveId: parseDriveId(id), addresses, power: null, ...parsedChain(named) };
  }
  const [secret = '', check = '', ...more] = url.hash.slice(1).split('.');
  if (check.length < checkChars) {
    throw new AppError(
      'link_cut_short',
      'The end of this link is missing; ask for it again or copy all of it.',
    );
  }
  const whole =
    more.length === 0 && check === checksum(url.host, { driveId: id, addresses, ...chain }, secret);
  const power = whole ? powerOf(url.host, secret) : null;
  if (power === null) {
    throw new AppError('link_altered', 'This link was changed on its way; ask for it again.');
  }
  for (const address of addresses) parseAddress(address);
  return { driveId: parseDriveId(id), addresses, power, ...parsedChain(named) };
}

function parsedChain(named: string | null): Pick<DriveLink, 'chain'> {
  if (named === null) return {};
  if (named.length <= 80 && /^[a-z0-9-]+$/.test(named)) return { chain: named };
  throw new AppError('invalid_argument', 'The network in this link cannot be read.');
}

function powerOf(host: string, text: string): LinkPower | null {
  if (host === 'open' && text === published) return { t: 'read', secret: null };
  const secret = new Uint8Array(Buffer.from(text, 'base64url'));
  if (host === 'invite') return secret.length === 16 ? { t: 'invite', secret } : null;
  return secret.length === 32 ? { t: 'read', secret } : null;
}

/** True for text that is meant as a link rather than as the name of a drive. */
export const looksLikeLink = (text: string): boolean => text.trimStart().startsWith(scheme);

/** True for the id of a drive, which may be one that is not kept here. */
export function isDriveId(text: string): boolean {
  try {
    return parseDriveId(text) === text;
  } catch {
    return false;
  }
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
