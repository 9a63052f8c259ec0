import { AppError } from '../../src-shared/errors.ts';
import type { Clock, RandomBytes } from '../../src-shared/runtime.ts';
import type { Signer } from '../identity/index.ts';
import { decodeEntry, encodeEntry, encodeHeader, maxBodyBytes, maxTime, signingBytes } from './codec.ts';
import { compareBytes, hashKey, sha256 } from './ids.ts';
import type { Entry, EntryDraft, EntryHash, EntryHeader } from './types.ts';

export interface AuthorDeps {
  readonly signer: Signer;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** Where an entry stands; the rest comes from its draft. */
export type EntryPosition = Pick<
  EntryHeader,
  'drive' | 'incarnation' | 'seq' | 'prev' | 'parents' | 'lamport'
>;

/**
 * Makes and signs the entry that founds a drive; its id is the drive's.
 * @param draft of kind `access` with no access links
 * @throws AppError `invalid_argument`, `too_large`
 */
export function createGenesis(deps: AuthorDeps, draft: EntryDraft): Entry {
  const incarnation = newIncarnationNumber(deps.random);
  return signEntry(deps, draft, { drive: null, incarnation, seq: 0, prev: null, parents: [], lamport: 0 });
}

/**
 * Signs a draft at its place in the chain. Link lists are sorted here.
 * @throws AppError `invalid_argument`, `too_large`
 */
export function signEntry({ signer, clock }: AuthorDeps, draft: EntryDraft, position: EntryPosition): Entry {
  if (draft.body.length > maxBodyBytes) {
    throw new AppError('too_large', 'The body of a history entry is too large.', {
      details: { bytes: draft.body.length, maxBytes: maxBodyBytes },
    });
  }
  const headerBytes = encodeHeader({
    v: 1,
    kind: draft.kind,
    ...position,
    writer: signer.publicKey,
    parents: sortedUnique(position.parents),
    access: sortedUnique(draft.access),
    time: Math.min(Math.max(0, Math.floor(clock.now())), maxTime),
    keyEpoch: draft.keyEpoch,
    opsRoot: draft.opsRoot,
    bodyHash: sha256(draft.body),
  });
  return decodeEntry(encodeEntry(headerBytes, draft.body, signer.sign(signingBytes(headerBytes))));
}

/** A random 48-bit number. */
export function newIncarnationNumber(random: RandomBytes): number {
  return Buffer.from(random(6)).readUIntBE(0, 6);
}

function sortedUnique(hashes: readonly EntryHash[]): readonly EntryHash[] {
  return [...new Map(hashes.map((hash) => [hashKey(hash), hash])).values()].sort(compareBytes);
}
