import { concat, sha256 } from '../codec/bytes.ts';
import type { OpRef } from '../codec/ops.ts';

/** Bytes of an entry's part of an `ord`: lamport and hash. */
export const entryPlaceBytes = 38;

/** The first 38 bytes of the `ord` of every operation of an entry: lamport (u48) and hash. */
export function entryPlace(lamport: number, hash: Uint8Array): Uint8Array {
  const place = Buffer.alloc(entryPlaceBytes);
  place.writeUIntBE(lamport, 0, 6);
  place.set(hash, 6);
  return new Uint8Array(place);
}

/** The place of operation `index` of an entry in the one order. */
export function ordOf(place: Uint8Array, index: number): Uint8Array {
  return concat(place, Uint8Array.of(index >> 16, (index >> 8) & 255, index & 255));
}

/** The name of the operation at a place. */
export const refOf = (ord: Uint8Array): OpRef => ord.subarray(6);
/** The hash of the entry an operation stands in. */
export const entryOfRef = (ref: OpRef): Uint8Array => ref.subarray(0, 32);
export const indexOfRef = (ref: OpRef): number =>
  ((ref[32] as number) << 16) | ((ref[33] as number) << 8) | (ref[34] as number);

/** The node id a losing content op gets as a conflict copy: the same on every replica. */
export function conflictNode(node: Uint8Array, ref: OpRef): Uint8Array {
  return sha256('extrachain conflict v1\0', node, ref).slice(0, 16);
}
