import * as dagCbor from '@ipld/dag-cbor';
import { verifySignature } from '../identity/index.ts';
import { headBytes } from './chain-log.ts';
import { decodeHeader, signingBytes } from './codec.ts';
import { entryId, sha256 } from './ids.ts';
import type { EntryHash, EntryId } from './types.ts';

/** What a damaged record held. */
export interface DamagedIdentity {
  readonly hash: EntryHash;
  readonly id: EntryId;
  readonly writer: Uint8Array;
  readonly seq: number;
}

/**
 * Names the entry of a damaged record without an index, when the damage spared its header and signature. Null when not.
 * @param record all bytes of the damaged region
 */
export function identifyDamaged(record: Uint8Array): DamagedIdentity | null {
  try {
    const parts: unknown = dagCbor.decode(record.subarray(headBytes));
    if (!Array.isArray(parts) || !parts.every((part) => part instanceof Uint8Array)) return null;
    const [headerBytes, , sig] = parts as readonly (Uint8Array | undefined)[];
    if (headerBytes === undefined || sig === undefined) return null;
    const header = decodeHeader(headerBytes);
    if (!verifySignature(header.writer, signingBytes(headerBytes), sig)) return null;
    const hash = sha256(headerBytes);
    return { hash, id: entryId(hash), writer: header.writer, seq: header.seq };
  } catch {
    return null;
  }
}
