import { createHash } from 'node:crypto';
import { AppError } from '../../../src-shared/errors.ts';
import { verifySignature } from '../../identity/index.ts';
import type { Signer } from '../../identity/index.ts';
import { limits } from '../types.ts';
import type { PartHeader, SignedHeader } from '../types.ts';

/*
 * The signed header of a part, big-endian:
 *   0 version (1) | 1 flags | 2 rendition | 3 zero | 4 stream (32) | 36 run u32 | 40 epoch u32 | 44 seq u64 | 52 segment u64 |
 *   60 first u64 | 68 pts u64 | 76 duration u32 | 80 captured u64 | 88 length u32 | 92 prevHash (32) | 124 chunk hashes (32 each) |
 *   signature (64)
 */
const version = 1;
const fixed = 124;
const signatureBytes = 64;
const context = Buffer.from('extrachain live part v1\0');
/** What encryption authenticates besides the payload ends before the hashes of the ciphertext. */
const associatedBytes = fixed;

/** Chunks of a payload. */
const chunkCount = (length: number): number => Math.ceil(length / limits.chunkBytes);
/** Longest header that is accepted, bytes. */
export const maxHeaderBytes = fixed + 32 * chunkCount(limits.partBytes) + signatureBytes;

export const sha256 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(bytes).digest());

/** The hash of each 16 KiB of a payload. */
export function hashChunks(payload: Uint8Array): Uint8Array[] {
  const hashes: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += limits.chunkBytes)
    hashes.push(sha256(payload.subarray(at, at + limits.chunkBytes)));
  return hashes;
}

/** The part of a header that is known before the payload is encrypted: the associated data of AES-GCM. */
export function associatedData(header: Omit<PartHeader, 'chunks'>): Uint8Array {
  const out = Buffer.alloc(associatedBytes);
  out[0] = version;
  out[1] = header.independent ? 1 : 0;
  out[2] = header.rendition;
  out.write(header.stream, 4, 'hex');
  out.writeUInt32BE(header.run, 36);
  out.writeUInt32BE(header.epoch, 40);
  out.writeBigUInt64BE(BigInt(header.seq), 44);
  out.writeBigUInt64BE(BigInt(header.segment), 52);
  out.writeBigUInt64BE(BigInt(header.first), 60);
  out.writeBigUInt64BE(BigInt(header.pts), 68);
  out.writeUInt32BE(header.duration, 76);
  out.writeBigUInt64BE(BigInt(header.captured), 80);
  out.writeUInt32BE(header.length, 88);
  out.set(header.prevHash, 92);
  return new Uint8Array(out);
}

/** Signs a header with the stream's key. */
export function signHeader(signer: Signer, header: PartHeader): SignedHeader {
  const signed = Buffer.concat([associatedData(header), ...header.chunks]);
  const signature = signer.sign(Buffer.concat([context, signed]));
  return {
    ...header,
    bytes: new Uint8Array(Buffer.concat([signed, signature])),
    hash: createHash('sha256').update(signed).digest('hex'),
  };
}

/**
 * Reads a header; whether the stream's key signed it, `isHeaderSigned` says.
 * @throws AppError `malformed`, `too_large`
 */
export function readHeader(bytes: Uint8Array): SignedHeader {
  if (bytes.length > maxHeaderBytes) throw new AppError('too_large', 'The header of a part is too large.');
  if (bytes.length < fixed + 32 + signatureBytes) throw malformed('it is too short');
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view[0] !== version || view[1]! > 1 || view[3] !== 0)
    throw malformed('its version or flags are unknown');
  const length = view.readUInt32BE(88);
  if (length < 1 || length > limits.partBytes) throw malformed('its length is out of bounds');
  const count = chunkCount(length);
  if (bytes.length !== fixed + 32 * count + signatureBytes)
    throw malformed('its hashes do not fit its length');
  const rendition = view[2]!;
  if (rendition >= limits.renditions) throw malformed('there is no such rendition');
  const big = (at: number): number => {
    const value = view.readBigUInt64BE(at);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('a number is too large');
    return Number(value);
  };
  const seq = big(44);
  const first = big(60);
  const duration = view.readUInt32BE(76);
  if (first > seq || seq - first > 10_000) throw malformed('its segment begins elsewhere');
  if (duration > limits.partTicks) throw malformed('it is too long');
  const copy = new Uint8Array(bytes);
  const signed = copy.subarray(0, copy.length - signatureBytes);
  return {
    stream: view.toString('hex', 4, 36),
    run: view.readUInt32BE(36),
    epoch: view.readUInt32BE(40),
    rendition,
    seq,
    segment: big(52),
    first,
    pts: big(68),
    duration,
    captured: big(80),
    independent: view[1] === 1,
    length,
    prevHash: copy.subarray(92, 124),
    chunks: Array.from({ length: count }, (_, n) => copy.subarray(fixed + 32 * n, fixed + 32 * (n + 1))),
    bytes: copy,
    hash: createHash('sha256').update(signed).digest('hex'),
  };
}

/** Takes 0.15 ms. */
export function isHeaderSigned(streamKey: Uint8Array, header: SignedHeader): boolean {
  const end = header.bytes.length - signatureBytes;
  return verifySignature(
    streamKey,
    Buffer.concat([context, header.bytes.subarray(0, end)]),
    header.bytes.subarray(end),
  );
}

const malformed = (why: string): AppError =>
  new AppError('malformed', `The header of a part cannot be read: ${why}.`);
