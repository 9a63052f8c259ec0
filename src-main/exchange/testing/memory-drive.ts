import { createHash } from 'node:crypto';
import { decode, encode } from '@ipld/dag-cbor';
import { createEmitter } from '../../../src-shared/emitter.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { Drive, DriveEvents, Role } from '../../drive/index.ts';
import type { Entry, EntryHeader, FeedTip, Rejection } from '../../history/index.ts';
import type { UserId } from '../../identity/index.ts';
import { sameFrontier } from '../frontier.ts';

/** A drive in memory for tests of the exchange: a history without signatures or rights, and roles as one sets them. */
export interface MemoryDrive extends Drive {
  readonly roles: Map<UserId, Role>;
  setRole(user: UserId, role: Role | null): void;
  /** Appends entries by this replica's writer. */
  append(count: number, bodyBytes?: number): readonly Entry[];
  entries(): readonly Entry[];
  /** Forgets everything but the first `n` entries, as a restored backup would. */
  restore(n: number): void;
  readonly ingests: { calls: number; known: number };
}

const zero = new Uint8Array(32);

/** @param writers names of the writers whose entries are taken; others are refused as `unknown_writer` */
export function createMemoryDrive(id: string, own: string, writers: readonly string[]): MemoryDrive {
  const events = createEmitter<DriveEvents>();
  const allowed = new Set(writers.map((name) => hex(writerKey(name))));
  const writer = writerKey(own);
  let byHash = new Map<string, Entry>();
  let waiting = new Map<string, Entry>();
  const roles = new Map<UserId, Role>();
  const ingests = { calls: 0, known: 0 };

  /** Hashes that are the `prev` of some entry here. */
  let continued = new Set<string>();
  let tips = new Map<string, Entry>();

  function store(entry: Entry): void {
    const key = hex(entry.hash);
    byHash.set(key, entry);
    if (entry.header.prev) {
      continued.add(hex(entry.header.prev));
      tips.delete(hex(entry.header.prev));
    }
    if (!continued.has(key)) tips.set(key, entry);
  }

  function frontier(): FeedTip[] {
    return [...tips.values()].map(({ hash, header: { writer, incarnation, seq } }) => ({
      writer,
      incarnation,
      seq,
      hash,
    }));
  }

  function ready(entry: Entry): boolean {
    return entry.header.prev === null || byHash.has(hex(entry.header.prev));
  }

  const used = {
    id,
    roles,
    ingests,
    on: events.on,
    entries: () => [...byHash.values()],
    setRole(user: UserId, role: Role | null) {
      if (role) roles.set(user, role);
      else roles.delete(user);
      events.emit('access', {});
    },
    roleOf: (user: UserId) => roles.get(user) ?? null,
    members: () => [...roles].map(([userId, role]) => ({ userId, role, since: 0 })),
    frontier,
    ownTip: () => frontier().find((tip) => hex(tip.writer) === hex(writer)) ?? null,
    append(count: number, bodyBytes = 100) {
      const made: Entry[] = [];
      for (let i = 0; i < count; i++) {
        const tip = frontier().find((each) => hex(each.writer) === hex(writer));
        const entry = makeEntry(own, tip ? tip.seq + 1 : 0, tip?.hash ?? null, bodyBytes);
        store(entry);
        made.push(entry);
      }
      events.emit('entries', { entries: made, local: true });
      return made;
    },
    restore(n: number) {
      const kept = [...byHash.values()].slice(0, n);
      byHash = new Map();
      continued = new Set();
      tips = new Map();
      for (const entry of kept) store(entry);
      waiting = new Map();
    },
    *missingFor(known: readonly FeedTip[]): Iterable<Entry> {
      const has = new Set<string>();
      for (const tip of known) {
        for (let at = byHash.get(hex(tip.hash)); at;) {
          has.add(hex(at.hash));
          at = at.header.prev ? byHash.get(hex(at.header.prev)) : undefined;
        }
      }
      for (const entry of [...byHash.values()].sort((a, b) => a.header.seq - b.header.seq)) {
        if (!has.has(hex(entry.hash))) yield entry;
      }
    },
    async ingest(list: readonly Uint8Array[]) {
      ingests.calls++;
      const added: Entry[] = [];
      const rejected: Rejection[] = [];
      let known = 0;
      for (const bytes of list) {
        try {
          const entry = readEntry(bytes);
          if (!allowed.has(hex(entry.header.writer))) {
            throw new AppError('unknown_writer', 'Nobody knows this writer.');
          }
          if (byHash.has(hex(entry.hash))) known++;
          else waiting.set(hex(entry.hash), entry);
        } catch (error) {
          rejected.push({ id: null, error: error as AppError });
        }
      }
      for (let moved = true; moved;) {
        moved = false;
        for (const [key, entry] of waiting) {
          if (!ready(entry)) continue;
          waiting.delete(key);
          store(entry);
          added.push(entry);
          moved = true;
        }
      }
      ingests.known += known;
      if (added.length > 0) events.emit('entries', { entries: added, local: false });
      return { added, known, waiting: waiting.size, rejected };
    },
  };
  return used as unknown as MemoryDrive;
}

export function sameHistory(a: Drive, b: Drive): boolean {
  return sameFrontier(a.frontier(), b.frontier());
}

function writerKey(name: string): Uint8Array {
  return createHash('sha256').update(`writer ${name}`).digest();
}

/** An entry as bytes and parsed; `incarnation` 1. */
export function makeEntry(name: string, seq: number, prev: Uint8Array | null, bodyBytes: number): Entry {
  const body = new Uint8Array(Math.max(bodyBytes, 32));
  // Entries end with a signature, which differs in each; so do these.
  body.set(createHash('sha256').update(`${name}/${seq}/${bodyBytes}`).digest(), body.length - 32);
  return readEntry(encode([writerKey(name), 1, seq, prev, body]));
}

function readEntry(bytes: Uint8Array): Entry {
  let fields: unknown;
  try {
    fields = decode(bytes);
  } catch (error) {
    throw new AppError('malformed', 'Not an entry.', { cause: error });
  }
  if (!Array.isArray(fields) || fields.length !== 5) throw new AppError('malformed', 'Not an entry.');
  const [writer, incarnation, seq, prev, body] = fields as [
    Uint8Array,
    number,
    number,
    Uint8Array | null,
    Uint8Array,
  ];
  const hash = createHash('sha256').update(bytes).digest();
  const header: EntryHeader = {
    v: 1,
    kind: 'ops',
    drive: zero,
    writer,
    incarnation,
    seq,
    prev,
    parents: prev ? [prev] : [],
    access: [],
    lamport: seq,
    time: 0,
    keyEpoch: zero,
    opsRoot: zero,
    bodyHash: zero,
  };
  return { id: hex(hash), hash, header, body, sig: zero, bytes: new Uint8Array(bytes) };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
