import { AppError } from '../../src-shared/errors.ts';
import { entryId, hashKey, sameBytes } from './ids.ts';
import type { Entry, EntryHash, EntryKind } from './types.ts';

/** What must be known of an entry to check those that link to it. */
export interface LinkTarget {
  readonly kind: EntryKind;
  readonly writer: Uint8Array;
  readonly incarnation: number;
  readonly seq: number;
  readonly lamport: number;
}

/** The known entry with that hash, or null. */
export type LinkLookup = (hash: EntryHash) => LinkTarget | null;

/**
 * Checks the links of a decoded entry: its drive, `prev` and `seq`, `lamport` as a function of `prev` and `parents`, and that
 * `access` names access entries below it. Signatures and rights are checked elsewhere.
 * @param drive hash of the genesis entry
 * @returns links the lookup does not know; the entry is valid when there are none, and undecided otherwise
 * @throws AppError `bad_link` when the entry can't be valid whatever else may arrive
 */
export function validateEntry(entry: Entry, drive: EntryHash, lookup: LinkLookup): readonly EntryHash[] {
  const { header } = entry;
  if (!sameBytes(header.drive ?? entry.hash, drive)) throw badLink(entry, 'it belongs to another drive');
  if (header.drive === null) return [];

  const missing = new Map<string, EntryHash>();
  const find = (hash: EntryHash): LinkTarget | null => {
    const target = lookup(hash);
    if (target === null) missing.set(hashKey(hash), hash);
    return target;
  };

  let lamport = 0;
  if (header.prev !== null) {
    const prev = find(header.prev);
    if (prev !== null) {
      const follows =
        sameBytes(prev.writer, header.writer) &&
        prev.incarnation === header.incarnation &&
        prev.seq === header.seq - 1;
      if (!follows) throw badLink(entry, 'it does not follow the entry it names as the one before it');
      lamport = prev.lamport;
    }
  }
  for (const parent of header.parents) lamport = Math.max(lamport, find(parent)?.lamport ?? 0);
  for (const access of header.access) {
    const target = find(access);
    if (target === null) continue;
    if (target.kind !== 'access') throw badLink(entry, 'what it names as an access entry is none');
    if (target.lamport >= header.lamport)
      throw badLink(entry, 'it names an access entry that is not before it');
  }
  const fits = missing.size === 0 ? header.lamport === lamport + 1 : header.lamport > lamport;
  if (!fits) throw badLink(entry, 'its place in the order does not follow from its links');
  return [...missing.values()];
}

/** Every hash an entry links to, once each: `prev`, `parents`, `access`. */
export function linksOf(header: Entry['header']): readonly EntryHash[] {
  const links = new Map<string, EntryHash>();
  if (header.prev !== null) links.set(hashKey(header.prev), header.prev);
  for (const hash of [...header.parents, ...header.access]) links.set(hashKey(hash), hash);
  return [...links.values()];
}

function badLink(entry: Entry, why: string): AppError {
  return new AppError('bad_link', `A history entry was refused: ${why}.`, {
    details: { id: entryId(entry.hash) },
  });
}
