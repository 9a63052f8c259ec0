import { isIP } from 'node:net';
import { decode, encode } from '@ipld/dag-cbor';
import { AppError } from '../../../src-shared/errors.ts';

/** Where a bulk listener waits: `ip` is '' when it listens on every address. */
export interface BulkAddress {
  readonly ip: string;
  readonly port: number;
}

/** What a listener tells the one peer that may connect. */
export interface BulkOffer {
  readonly t: 'offer';
  readonly addresses: readonly BulkAddress[];
  /** SHA-256 of the certificate it will show, 32 bytes. */
  readonly fingerprint: Uint8Array;
  /** Good for one connection, for a few seconds, 32 bytes. */
  readonly token: Uint8Array;
}

/**
 * `/extrachain/bulk/1`, strict dag-cbor arrays. The peer that wants blocks opens the stream. Where it dialled the provider it
 * sends `ask` and gets `offer` or `no`; where the provider dialled it, it sends its own `offer` and gets `ok` or `no`: so the
 * TLS connection always takes the way the libp2p connection took.
 */
export type BulkMessage = { readonly t: 'ask' } | BulkOffer | { readonly t: 'ok' } | { readonly t: 'no' };

export const bulkFrame = 2048;
const maxAddresses = 16;

export function encodeBulkMessage(message: BulkMessage): Uint8Array {
  if (message.t !== 'offer') return encode([message.t]);
  const addresses = message.addresses.slice(0, maxAddresses).map(({ ip, port }) => [ip, port]);
  return encode(['offer', addresses, message.fingerprint, message.token]);
}

/** @throws AppError `malformed` */
export function decodeBulkMessage(frame: Uint8Array): BulkMessage {
  let value: unknown;
  try {
    value = frame.length <= bulkFrame ? decode(frame) : null;
  } catch (error) {
    throw malformed(error);
  }
  if (!Array.isArray(value)) throw malformed();
  const [t, addresses, fingerprint, token] = value as unknown[];
  if ((t === 'ask' || t === 'ok' || t === 'no') && value.length === 1) return { t };
  if (t !== 'offer' || value.length !== 4) throw malformed();
  if (!Array.isArray(addresses) || addresses.length > maxAddresses) throw malformed();
  return {
    t,
    addresses: addresses.map(address),
    fingerprint: bytes32(fingerprint),
    token: bytes32(token),
  };
}

function address(value: unknown): BulkAddress {
  if (!Array.isArray(value) || value.length !== 2) throw malformed();
  const [ip, port] = value as unknown[];
  if (typeof ip !== 'string' || (ip !== '' && isIP(ip) === 0)) throw malformed();
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65535) throw malformed();
  return { ip, port };
}

function bytes32(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== 32) throw malformed();
  return value;
}

function malformed(cause?: unknown): AppError {
  return new AppError('malformed', 'A message about the bulk channel cannot be read.', { cause });
}
