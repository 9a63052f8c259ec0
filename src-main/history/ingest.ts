import { AppError, isAppError } from '../../src-shared/errors.ts';
import { verifySignatureAsync } from '../identity/index.ts';
import { decodeEntry, driveOf, headerBytesOf, signingBytes } from './codec.ts';
import type { EntryIndex } from './entry-index.ts';
import type { EntryStore } from './entry-store.ts';
import { hashKey, sameBytes } from './ids.ts';
import type { Exclusive } from './mutex.ts';
import { byteCost, createPace } from './pace.ts';
import type { Entry, EntryHash, IngestResult, Rejection } from './types.ts';
import type { LinkTarget } from './validate.ts';
import { validateEntry } from './validate.ts';
import { createWaitingRoom } from './waiting-room.ts';
import type { WaitingLimits } from './waiting-room.ts';

/** Signatures checked at once: enough to keep the thread pool busy, few enough not to hog it. */
const signatureBatch = 32;
/** Entries and bytes stored with one disk flush and one transaction. */
const storeEntries = 256;
const storeBytes = 4 * 1024 * 1024;

export interface IngestDeps {
  readonly drive: EntryHash;
  readonly index: EntryIndex;
  readonly store: EntryStore;
  readonly exclusive: Exclusive;
  readonly limits: WaitingLimits | undefined;
}

interface Outcome {
  readonly added: Entry[];
  known: number;
  waiting: number;
  readonly rejected: Rejection[];
}

/** Checks and stores entries from elsewhere. */
export function createIngester({ drive, index, store, exclusive, limits }: IngestDeps) {
  const room = createWaitingRoom(limits);

  async function ingest(entries: readonly Uint8Array[], source = ''): Promise<IngestResult> {
    const outcome: Outcome = { added: [], known: 0, waiting: 0, rejected: [] };
    const decoded = await decodeAll(entries, outcome);
    const signed = await withGoodSignatures(decoded, outcome);
    // Parents before children, so that within one call nothing has to wait.
    signed.sort((a, b) => a.header.lamport - b.header.lamport || Buffer.compare(a.hash, b.hash));
    for (let i = 0; i < signed.length; i += storeEntries) {
      const slice = signed.slice(i, i + storeEntries);
      await exclusive(() => admit(slice, source, outcome));
    }
    return outcome;
  }

  async function decodeAll(entries: readonly Uint8Array[], outcome: Outcome): Promise<Entry[]> {
    const pace = createPace();
    const decoded = new Map<string, Entry>();
    for (const bytes of entries) {
      await pace(1 + byteCost(bytes.length));
      try {
        const entry = decodeEntry(bytes);
        // The hash does not cover the signature: a copy with a bad one must not stand in for the good one.
        const key = hashKey(entry.hash) + hashKey(entry.sig);
        if (index.has(entry.hash) || decoded.has(key)) outcome.known += 1;
        else if (room.has(entry.hash)) outcome.waiting += 1;
        else if (sameBytes(driveOf(entry), drive)) decoded.set(key, entry);
        else outcome.rejected.push({ id: entry.id, error: foreign() });
      } catch (error) {
        if (!isAppError(error)) throw error;
        outcome.rejected.push({ id: null, error });
      }
    }
    return [...decoded.values()];
  }

  async function withGoodSignatures(entries: readonly Entry[], outcome: Outcome): Promise<Entry[]> {
    const good: Entry[] = [];
    for (let i = 0; i < entries.length; i += signatureBatch) {
      const slice = entries.slice(i, i + signatureBatch);
      const checks = await Promise.all(
        slice.map(({ header, sig, ...entry }) =>
          verifySignatureAsync(header.writer, signingBytes(headerBytesOf({ header, sig, ...entry })), sig),
        ),
      );
      slice.forEach((entry, n) => {
        if (checks[n] === true) good.push(entry);
        else outcome.rejected.push({ id: entry.id, error: badSignature() });
      });
    }
    return good;
  }

  /** Judges entries by their links and stores those that fit, with all that waited for them. */
  async function admit(entries: readonly Entry[], source: string, outcome: Outcome): Promise<void> {
    const pace = createPace();
    const batch = new Map<string, Entry>();
    let bytes = 0;
    const lookup = (hash: EntryHash): LinkTarget | null =>
      batch.get(hashKey(hash))?.header ?? index.get(hash);
    const flush = async (): Promise<void> => {
      const accepted = [...batch.values()];
      batch.clear();
      bytes = 0;
      try {
        await store(accepted);
        outcome.added.push(...accepted);
      } catch (error) {
        if (!isAppError(error) || error.code === 'shutting_down') throw error;
        for (const entry of accepted) {
          if (index.has(entry.hash)) outcome.added.push(entry);
          else outcome.rejected.push({ id: entry.id, error });
        }
      }
    };

    const queue = [...entries];
    for (let i = 0; i < queue.length; i++) {
      const entry = queue[i] as Entry;
      await pace(0.5);
      if (index.has(entry.hash) || batch.has(hashKey(entry.hash))) {
        outcome.known += 1;
        continue;
      }
      try {
        const missing = validateEntry(entry, drive, lookup);
        if (missing.length > 0) {
          room.add(entry, missing, source);
          outcome.waiting += 1;
          continue;
        }
      } catch (error) {
        if (!isAppError(error)) throw error;
        outcome.rejected.push({ id: entry.id, error });
        continue;
      }
      batch.set(hashKey(entry.hash), entry);
      bytes += entry.bytes.length;
      queue.push(...room.release(entry.hash));
      if (batch.size >= storeEntries || bytes >= storeBytes) await flush();
    }
    await flush();
  }

  return { ingest, close: (): void => room.clear() };
}

function foreign(): AppError {
  return new AppError('bad_link', 'A history entry was refused: it belongs to another drive.');
}

function badSignature(): AppError {
  return new AppError('bad_signature', 'A history entry was refused: its signature is wrong.');
}
