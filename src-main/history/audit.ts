import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Logger } from '../../src-shared/runtime.ts';
import { verifySignatureAsync } from '../identity/index.ts';
import { maxRecordBytes } from './chain-log.ts';
import type { ChainLog, RecordPlace } from './chain-log.ts';
import { decodeEntry, headerBytesOf, signingBytes } from './codec.ts';
import type { EntryIndex, IndexRow, LostRow } from './entry-index.ts';
import { identifyDamaged } from './identify.ts';
import { hashKey, sameBytes } from './ids.ts';
import { byteCost, createPace } from './pace.ts';
import type { DamagedRecord, Entry, EntryHash, Rejection } from './types.ts';
import type { LinkTarget } from './validate.ts';
import { validateEntry } from './validate.ts';

/** Entries put into the index in one transaction. */
const batchSize = 256;

export interface AuditOptions {
  readonly log: ChainLog;
  readonly index: EntryIndex;
  readonly drive: EntryHash;
  readonly logger: Logger;
  /** The part of the log to go over, bytes. */
  readonly from: number;
  readonly to: number;
  /**
   * What is checked of records the index knows: their checksums; or also that they are the entries the index says; or also
   * signatures and links. Records it does not know are always checked in full.
   */
  readonly depth: 'checksums' | 'entries' | 'signatures';
  /**
   * Cuts off a bad tail: nothing from this byte on was ever acknowledged. Null when that is not known: then only what looks
   * like a write cut short goes. Undefined: nothing is cut.
   */
  readonly acknowledged?: number | null;
  /** File that receives what is cut off. */
  readonly aside?: string;
}

export interface AuditResult {
  /** Damage in the part gone over, without entries that were fetched again since. */
  readonly damaged: readonly DamagedRecord[];
  readonly rejected: readonly Rejection[];
}

/**
 * Goes over the log and makes the index agree with it: adds what it lacks, takes out what can't be read, names what
 * stood there. This is the opening of a history, the rebuilding of a lost index and `verify`, at different depths.
 * @throws AppError when the log can't be read or the index can't be written
 */
export async function auditLog(options: AuditOptions): Promise<AuditResult> {
  const { log, index, drive, from, to, depth } = options;
  const pace = createPace();
  const lost: LostRow[] = [];
  const rejected: Rejection[] = [];
  /** Good records whose entry the index has elsewhere: they count if that other place turns out to be bad. */
  const duplicates: (RecordPlace & { readonly hash: EntryHash })[] = [];
  const unlinked: Entry[] = [];
  const hadDamage = index.damagedBetween(0, Infinity).length > 0;
  const batch = new Map<string, { readonly entry: Entry; readonly place: RecordPlace }>();

  const lose = (rows: readonly IndexRow[], reason: string): void => {
    for (const row of rows) lost.push({ row, reason });
  };
  const flush = (): void => {
    index.add([...batch.values()], null);
    batch.clear();
  };
  const lookup = (hash: EntryHash): LinkTarget | null =>
    batch.get(hashKey(hash))?.entry.header ?? index.get(hash);

  /** Checks what needs other entries or keys. Throws what is wrong. */
  async function check(entry: Entry): Promise<void> {
    const { writer } = entry.header;
    if (!(await verifySignatureAsync(writer, signingBytes(headerBytesOf(entry)), entry.sig))) {
      throw new AppError('bad_signature', 'The signature of a history entry is wrong.');
    }
    if (validateEntry(entry, drive, lookup).length > 0) unlinked.push(entry);
  }

  async function onRecord({ offset, length, payload }: RecordPlace & { payload: Uint8Array }): Promise<void> {
    lose(index.between(offset + 1, offset + length), 'Another record lies over its place.');
    const row = index.at(offset);
    if (row !== null && row.length === length && depth === 'checksums') {
      forgetHealed(offset, length, row.hash);
      return;
    }
    let entry: Entry | null = null;
    try {
      entry = decodeEntry(payload);
      forgetHealed(offset, length, entry.hash);
      if (row !== null && sameBytes(entry.hash, row.hash)) {
        if (depth === 'signatures') await check(entry);
        return;
      }
      if (row !== null) lose([row], 'Another entry stands in its place.');
      await check(entry);
      if (index.has(entry.hash) || batch.has(hashKey(entry.hash)))
        duplicates.push({ offset, length, hash: entry.hash });
      else batch.set(hashKey(entry.hash), { entry, place: { offset, length } });
      if (batch.size >= batchSize) flush();
    } catch (error) {
      if (!isAppError(error)) throw error;
      // An entry that does not hold is not served: what stood here is gone, however good the checksum.
      if (row !== null && (entry === null || sameBytes(entry.hash, row.hash))) lose([row], error.message);
      rejected.push({ id: entry?.id ?? null, error });
    }
  }

  /** A place once found bad that holds what it should (a disk that came back). */
  function forgetHealed(offset: number, length: number, hash: EntryHash): void {
    if (!hadDamage) return;
    for (const known of index.damagedBetween(offset, offset + length)) {
      if (known.hash === null || sameBytes(known.hash, hash)) index.forgetDamaged(known.offset);
    }
  }

  async function onDamage({ offset, length, reason }: RecordPlace & { reason: string }): Promise<void> {
    const end = offset + length;
    const rows = index.between(offset, end);
    lose(rows, reason);
    const known = index.damagedBetween(offset, end);
    for (const region of known) if (region.hash === null) index.forgetDamaged(region.offset);
    const named: RecordPlace[] = [...rows, ...known.filter((region) => region.hash !== null)];
    named.sort((a, b) => a.offset - b.offset);
    let at = offset;
    for (const place of [...named, { offset: end, length: 0 }]) {
      if (place.offset > at) {
        const size = place.offset - at;
        const identity = identifyDamaged(
          size <= maxRecordBytes ? await log.bytes(at, size) : new Uint8Array(0),
        );
        index.setDamaged({ offset: at, length: size, reason, ...(identity ?? unknownEntry) });
      }
      at = Math.max(at, place.offset + place.length);
    }
  }

  for await (const item of log.scan(from, to)) {
    await pace(byteCost(item.length));
    if (item.kind === 'record') {
      await onRecord(item);
      continue;
    }
    const { acknowledged } = options;
    const cut = acknowledged === null ? item.torn : item.offset >= (acknowledged ?? Infinity);
    if (item.tail && cut && index.between(item.offset, to).length === 0) {
      options.logger.warn(
        { offset: item.offset, length: item.length },
        'a history record cut short is put aside',
      );
      await log.truncate(item.offset, options.aside);
    } else {
      await onDamage(item);
    }
  }
  flush();
  lose(index.between(log.size(), Infinity), 'The file ends before it.');
  if (lost.length > 0) index.lose(lost);
  for (const { offset, length, hash } of duplicates) {
    if (index.has(hash)) continue;
    const place = { offset, length };
    index.add([{ entry: decodeEntry(log.read(place)), place }], null);
  }

  const damaged = index
    .damagedBetween(from, Infinity)
    .filter((region) => !region.hash || !index.has(region.hash));
  if (index.damagedBetween(0, Infinity).length === 0) {
    // With damage about, links that lead nowhere are its consequence, and named with it.
    const error = new AppError('bad_link', 'An entry that this one follows is not in the chain.');
    for (const entry of unlinked) rejected.push({ id: entry.id, error });
  }
  return { damaged: damaged.map(({ hash: _, ...region }) => region), rejected };
}

const unknownEntry = { hash: null, id: null, writer: null, seq: null } as const;
