import { decode, encode } from '@ipld/dag-cbor';
import { AppError } from '../../../src-shared/errors.ts';
import { deviceIdOf, deviceKeyOf, isSigningKey, verifySignature } from '../../identity/index.ts';
import type { DeviceId, Signer } from '../../identity/index.ts';

/** What a device that keeps a public drive says of it. A hint: whether the drive is public shows when it is opened. */
export interface Announcement {
  readonly driveId: string;
  readonly name: string;
  readonly files: number;
  readonly bytes: number;
  /** ms since the epoch, of the announcing device's clock. */
  readonly time: number;
  readonly device: DeviceId;
  /** Multiaddrs ending in /p2p/<device>. */
  readonly addresses: readonly string[];
  /** As it is passed on: body and signature. */
  readonly signed: Uint8Array;
}

/** One frame of `/extrachain/directory/1`: a question for what came after a place in the other's list, or the answer. */
export type DirectoryMessage =
  | { readonly t: 'ask'; readonly list: string; readonly after: number }
  | {
      readonly t: 'have';
      /** Names the list: another one after a restart. */
      readonly list: string;
      /** Place of the last one sent. */
      readonly upTo: number;
      readonly announcements: readonly Uint8Array[];
    };

export const mostAnnouncements = 128;
export const maxDirectoryFrame = 160 * 1024;
const mostAnnouncementBytes = 1024;
const mostAddresses = 4;
const mostAddressLength = 160;
const mostNameBytes = 255;
const context = Buffer.from('extrachain public drive v1\0');
// Control characters and what turns the reading direction: a name must not look like something else.
const unfit = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/** Signs what this device says of a drive. */
export function announce(
  signer: Signer,
  said: Omit<Announcement, 'device' | 'signed' | 'addresses'> & { readonly addresses: readonly string[] },
): Uint8Array {
  const addresses = said.addresses.filter((one) => one.length <= mostAddressLength).slice(0, mostAddresses);
  const { driveId, name, files, bytes, time } = said;
  const body = encode([driveId, name, files, bytes, time, signer.publicKey, addresses]);
  return encode([body, signer.sign(Buffer.concat([context, body]))]);
}

/** Reads an announcement; whether its device signed it, `isSigned` says. @throws AppError `malformed`, `too_large` */
export function readAnnouncement(signed: Uint8Array): Announcement {
  const outer = items(signed, mostAnnouncementBytes, 2);
  const [body, sig] = outer;
  if (!(body instanceof Uint8Array) || !(sig instanceof Uint8Array)) throw malformed();
  const [driveId, name, files, bytes, time, key, addresses] = items(body, mostAnnouncementBytes, 7);
  if (typeof driveId !== 'string' || !/^b[a-z2-7]{40,100}$/.test(driveId)) throw malformed();
  if (typeof name !== 'string' || unfit.test(name) || Buffer.byteLength(name) > mostNameBytes)
    throw malformed();
  if (!isCount(files) || !isCount(bytes) || !isCount(time)) throw malformed();
  if (!(key instanceof Uint8Array) || key.length !== 32 || !isSigningKey(key)) throw malformed();
  if (!Array.isArray(addresses) || addresses.length > mostAddresses) throw malformed();
  const device = deviceIdOf(key);
  const texts = (addresses as unknown[]).map((one) => {
    if (typeof one !== 'string' || one.length > mostAddressLength || !one.endsWith(`/p2p/${device}`))
      throw malformed();
    return one;
  });
  return { driveId, name, files, bytes, time, device, addresses: texts, signed };
}

/** Takes a tenth of a millisecond: for announcements that are news. */
export function isSigned({ signed, device }: Announcement): boolean {
  const [body, sig] = items(signed, mostAnnouncementBytes, 2) as [Uint8Array, Uint8Array];
  return verifySignature(deviceKeyOf(device), Buffer.concat([context, body]), sig);
}

export function encodeDirectory(message: DirectoryMessage): Uint8Array {
  return message.t === 'ask'
    ? encode(['ask', message.list, message.after])
    : encode(['have', message.list, message.upTo, message.announcements]);
}

/** The announcements in it are not opened here. @throws AppError `malformed`, `too_large` */
export function decodeDirectory(frame: Uint8Array): DirectoryMessage {
  const [t, list, place, announcements] = items(frame, maxDirectoryFrame, null);
  if (typeof list !== 'string' || !/^[0-9a-f]{0,32}$/.test(list) || !isCount(place)) throw malformed();
  if (t === 'ask' && announcements === undefined) return { t, list, after: place };
  if (t !== 'have' || !Array.isArray(announcements) || announcements.length > mostAnnouncements)
    throw malformed();
  const signed = (announcements as unknown[]).map((one) => {
    if (!(one instanceof Uint8Array) || one.length > mostAnnouncementBytes) throw malformed();
    return one;
  });
  return { t, list, upTo: place, announcements: signed };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** The items of a list in its one encoding. */
function items(bytes: Uint8Array, most: number, count: number | null): readonly unknown[] {
  if (bytes.length > most) throw new AppError('too_large', 'A message about public drives is too large.');
  let value: unknown;
  try {
    value = decode(bytes);
  } catch (cause) {
    throw malformed(cause);
  }
  if (!Array.isArray(value) || (count !== null && value.length !== count) || value.length > 8)
    throw malformed();
  if (Buffer.compare(encode(value), bytes) !== 0) throw malformed();
  return value as readonly unknown[];
}

function malformed(cause?: unknown): AppError {
  return new AppError('malformed', 'A message about public drives cannot be read.', { cause });
}
