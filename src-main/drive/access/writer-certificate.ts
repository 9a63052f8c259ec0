import {
  decodeDeviceCertificate,
  deviceIdOf,
  encodeDeviceCertificate,
  verifyDeviceCertificate,
  verifySignature,
} from '../../identity/index.ts';
import type { DeviceCertificate, DeviceId, Signer, UserId } from '../../identity/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { concat, decodeCbor, encodeCbor, itemsOf, sameBytes } from '../codec/bytes.ts';

const what = 'writer certificate';
const maxBytes = 2048;
const domain = Buffer.from('extrachain writer v1\0', 'latin1');

/** Who stands behind a writer of a drive. */
export interface WriterIdentity {
  /** The per-drive key, 32 bytes. */
  readonly writer: Uint8Array;
  readonly user: UserId;
  readonly deviceKey: Uint8Array;
  readonly device: DeviceId;
  readonly deviceName: string;
  /** ms, the device's clock. */
  readonly time: number;
}

/**
 * Lets a device vouch for its per-drive writer key.
 * @param drive hash of the genesis entry; 32 zeros in the genesis entry itself
 */
export function signWriterCertificate(
  device: Signer,
  certificate: DeviceCertificate,
  drive: Uint8Array,
  writer: Uint8Array,
  time: number,
): Uint8Array {
  const body = encodeCbor([1, drive, writer, encodeDeviceCertificate(certificate), time]);
  return encodeCbor([body, device.sign(concat(domain, body))]);
}

/**
 * Checks a writer certificate offline: the user id is the hash of the root key, the root key signed the device, the device
 * signed the writer.
 * @throws AppError `malformed`, `bad_signature`, `unknown_writer` (for another drive or writer)
 */
export function openWriterCertificate(
  bytes: Uint8Array,
  drive: Uint8Array,
  writer: Uint8Array,
): WriterIdentity {
  const pair = itemsOf(decodeCbor(bytes, maxBytes, what), 2, what);
  const body = pair.bytes(0);
  const sig = pair.bytes(1, 64);
  const items = itemsOf(decodeCbor(body, maxBytes, what), 5, what);
  if (items.any(0) !== 1) throw new AppError('malformed', 'The writer certificate has an unknown version.');
  const device = decodeDeviceCertificate(items.bytes(3));
  const time = items.whole(4, 253_402_300_799_999);
  if (!sameBytes(items.bytes(1, 32), drive) || !sameBytes(items.bytes(2, 32), writer)) {
    throw new AppError('unknown_writer', 'The writer certificate is for another drive or writer.');
  }
  if (!verifyDeviceCertificate(device) || !verifySignature(device.deviceKey, concat(domain, body), sig)) {
    throw new AppError('bad_signature', 'The writer certificate is not signed by the device it names.');
  }
  return {
    writer,
    user: device.user,
    deviceKey: device.deviceKey,
    device: deviceIdOf(device.deviceKey),
    deviceName: device.name,
    time,
  };
}
