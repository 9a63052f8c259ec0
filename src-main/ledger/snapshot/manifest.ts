import { decode } from '@ipld/dag-cbor';
import { AppError } from '../../../src-shared/errors.ts';
import { encodeStrict } from '../../identity/index.ts';
import { chainIdShape } from '../codec/blocks.ts';
import { bytesOf, codecOf, listOf, oneOf, record, whole } from '../codec/shape.ts';
import type { ValueOf } from '../codec/shape.ts';
import { maxKeyBytes, maxValueBytes } from '../state/proof.ts';

/*
 * A snapshot is the rows of the state in the order of their keys, cut into chunks, with a manifest that names the chunks. Every
 * node makes the same one of the same block, so chunks may come from several. Nothing in it is believed: chunks are checked
 * against the manifest, and the state they make against the root in a header that was verified before.
 */

/** A chunk is closed before it would grow beyond this. */
export const chunkBytes = 512 * 1024;
export const maxChunkBytes = chunkBytes + maxKeyBytes + maxValueBytes + 64;
/** Two gigabytes of state. */
const maxChunks = 4096;
export const maxManifestBytes = 512 * 1024;

const manifestShape = record({
  v: oneOf(1),
  chainId: chainIdShape,
  height: whole(undefined, 1),
  rows: whole(),
  chunks: listOf(record({ hash: bytesOf(32), bytes: whole(maxChunkBytes, 1) }), maxChunks, 1),
  /** Of the mountain range over the blocks before this one. */
  peaks: listOf(bytesOf(32), 48),
});
export type Manifest = ValueOf<typeof manifestShape>;

const codec = codecOf(manifestShape, 'manifest of a snapshot', maxManifestBytes);
export const encodeManifest = codec.encode;
export const decodeManifest = codec.decode;

export type Row = readonly [key: Uint8Array, value: Uint8Array];

export const encodeChunk = (rows: readonly Row[]): Uint8Array => encodeStrict(rows);

/** The rows of a chunk that has the hash its manifest names. @throws AppError `malformed` */
export function decodeChunk(bytes: Uint8Array): readonly Row[] {
  const wrong = new AppError('malformed', 'A chunk of the snapshot is malformed.');
  let rows: unknown;
  try {
    rows = decode(bytes);
  } catch {
    throw wrong;
  }
  if (!Array.isArray(rows)) throw wrong;
  return rows.map((row: unknown): Row => {
    if (!Array.isArray(row) || row.length !== 2) throw wrong;
    const [key, value] = row as readonly unknown[];
    if (!(key instanceof Uint8Array) || key.length === 0 || key.length > maxKeyBytes) throw wrong;
    if (!(value instanceof Uint8Array) || value.length > maxValueBytes) throw wrong;
    return [key, value];
  });
}
