import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Logger } from '../../src-shared/runtime.ts';
import { verifySignatureAsync } from '../identity/index.ts';
import { maxRecordBytes } from './chain-log.ts';
import type { ChainLog, RecordPlace } from './chain-log.ts';
import { decodeEntry, headerBytesOf, signingBytes } from './codec.ts';
import type { DamagedRegion, EntryIndex, IndexRow, LostRow } from './entry-index.ts';
import { identifyDamaged } from './identify.ts';
import { hashKey, sameBytes } from './ids.ts';
import { byteCost, createPace } from './pace.ts';
import type { DamagedRecord, Entry, EntryHash, EntryId, Rejection } from './types.ts';
import type { LinkTarget } from './validate.ts';
import { validateEntry } from './validate.ts';

/** Entries put into the index in one transaction. */
const batchSize = 32;
/** Signatures checked side by side. */
const preparedRecords = 32;

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

/** A good record on its way through the checks. */
interface Prepared extends RecordPlace {
  /** What the index has at this place. */
  readonly row: IndexRow | null;
  /** Null when it was not looked at (its checksum says enough) or has a `problem`. */
  readonly entry: Entry | null;
  readonly problem: AppError | null;
  /** Null when the signature need not be checked. */
  readonly signed: Promise<boolean> | null;
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
  const unlinked: EntryId[] = [];
  /** Records whose signatures are being checked side by side. */
  const prepared: Prepared[] = [];
  let preparedBytes = 0;
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

  /** Decodes a record and begins to check its signature, where that is asked for. */
  function prepare({ offset, length, payload }: RecordPlace & { readonly payload: Uint8Array }): Prepared {
    const row = index.at(offset);
    if (row !== null && row.length === length && depth === 'checksums') {
      return { offset, length, row, entry: null, problem: null, signed: null };
    }
    try {
      const entry = decodeEntry(payload);
      const isExpected = row !== null && sameBytes(entry.hash, row.hash);
      const { header, sig } = entry;
      const signed =
        isExpected && depth !== 'signatures'
          ? null
          : verifySignatureAsync(header.writer, signingBytes(headerBytesOf(entry)), sig);
      return { offset, length, row, entry, problem: null, signed };
    } catch (error) {
      if (!isAppError(error)) throw error;
      return { offset, length, row, entry: null, problem: error, signed: null };
    }
  }

  async function onRecord({ offset, length, row, entry, problem, signed }: Prepared): Promise<void> {
    lose(index.between(offset + 1, offset + length), 'Another record lies over its place.');
    if (entry === null) {
      if (problem === null) return forgetHealed(offset, length, (row as IndexRow).hash);
      // What does not decode is not served, however good its checksum.
      if (row !== null) lose([row], problem.message);
      rejected.push({ id: null, error: problem });
      return;
    }
    const isExpected = row !== null && sameBytes(entry.hash, row.hash);
    forgetHealed(offset, length, entry.hash);
    if (row !== null && !isExpected) lose([row], 'Another entry stands in its place.');
    if (signed === null) return;
    try {
      if (!(await signed)) throw new AppError('bad_signature', 'The signature of a history entry is wrong.');
      if (validateEntry(entry, drive, lookup).length > 0) unlinked.push(entry.id);
    } catch (error) {
      if (!isAppError(error)) throw error;
      if (isExpected) lose([row], error.message);
      rejected.push({ id: entry.id, error });
      return;
    }
    if (isExpected) return;
    const key = hashKey(entry.hash);
    if (index.has(entry.hash) || batch.has(key)) duplicates.push({ offset, length, hash: entry.hash });
    else batch.set(key, { entry, place: { offset, length } });
    if (batch.size >= batchSize) flush();
  }

  async function settle(): Promise<void> {
    for (const record of prepared) await onRecord(record);
    prepared.length = 0;
    preparedBytes = 0;
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
      prepared.push(prepare(item));
      preparedBytes += item.length;
      if (prepared.length >= preparedRecords || preparedBytes >= maxRecordBytes) await settle();
      continue;
    }
    await settle();
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
  await settle();
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
    for (const id of unlinked) rejected.push({ id, error });
  }
  return { damaged: damaged.map(withoutHash), rejected };
}

function withoutHash({ offset, length, id, writer, seq, reason }: DamagedRegion): DamagedRecord {
  return { offset, length, id, writer, seq, reason };
}

const unknownEntry = { hash: null, id: null, writer: null, seq: null } as const;
