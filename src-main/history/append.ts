import { AppError } from '../../src-shared/errors.ts';
import type { AuthorDeps } from './author.ts';
import { newIncarnationNumber, signEntry } from './author.ts';
import { maxParents } from './codec.ts';
import type { EntryIndex, IndexRow } from './entry-index.ts';
import type { EntryStore } from './entry-store.ts';
import { hashKey } from './ids.ts';
import type { Exclusive } from './mutex.ts';
import { byteCost, createPace } from './pace.ts';
import type { Entry, EntryDraft, EntryHash, FeedTip } from './types.ts';
import type { LinkTarget } from './validate.ts';
import { validateEntry } from './validate.ts';

export interface AppendDeps extends AuthorDeps {
  readonly drive: EntryHash;
  readonly index: EntryIndex;
  readonly store: EntryStore;
  readonly exclusive: Exclusive;
}

interface Request {
  readonly drafts: readonly EntryDraft[];
  readonly resolve: (entries: readonly Entry[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Link {
  readonly hash: EntryHash;
  readonly lamport: number;
}

/** Where the next own entry goes. */
interface Place {
  readonly incarnation: number;
  readonly seq: number;
  readonly prev: Link | null;
  /** Heads of the DAG, highest first. */
  readonly heads: readonly Link[];
}

/** Signs and stores this device's entries. Calls that come while one is being written share the next disk flush. */
export function createAppender(deps: AppendDeps) {
  const { index } = deps;
  let queue: Request[] = [];

  function append(drafts: readonly EntryDraft[]): Promise<readonly Entry[]> {
    return new Promise((resolve, reject) => {
      queue.push({ drafts, resolve, reject });
      if (queue.length === 1) void deps.exclusive(flush);
    });
  }

  /** Stores everything asked for so far. Never throws: each request learns of its own failure. */
  async function flush(): Promise<void> {
    const requests = queue;
    queue = [];
    const done: { request: Request; entries: readonly Entry[] }[] = [];
    const fresh = new Map<string, Entry>();
    try {
      let place = currentPlace();
      for (const request of requests) {
        try {
          const made = await makeEntries(request.drafts, place, fresh);
          for (const entry of made.entries) fresh.set(hashKey(entry.hash), entry);
          place = made.place;
          done.push({ request, entries: made.entries });
        } catch (error) {
          request.reject(error);
        }
      }
      await deps.store([...fresh.values()]);
    } catch (error) {
      for (const request of requests) request.reject(error);
      return;
    }
    for (const { request, entries } of done) request.resolve(entries);
  }

  async function makeEntries(
    drafts: readonly EntryDraft[],
    start: Place,
    fresh: ReadonlyMap<string, Entry>,
  ): Promise<{ entries: readonly Entry[]; place: Place }> {
    const pace = createPace();
    const made = new Map(fresh);
    const lookup = (hash: EntryHash): LinkTarget | null => made.get(hashKey(hash))?.header ?? index.get(hash);
    const entries: Entry[] = [];
    let place = start;
    for (const draft of drafts) {
      const { incarnation, seq, prev, heads } = place;
      const parents = heads.slice(0, maxParents);
      const entry = signEntry(deps, draft, {
        drive: deps.drive,
        incarnation,
        seq,
        prev: prev?.hash ?? null,
        parents: parents.map((head) => head.hash),
        lamport: 1 + Math.max(...parents.map((head) => head.lamport), prev?.lamport ?? 0),
      });
      if (validateEntry(entry, deps.drive, lookup).length > 0) {
        throw new AppError('invalid_argument', 'An entry can only be made under access entries known here.');
      }
      const own = { hash: entry.hash, lamport: entry.header.lamport };
      place = { incarnation, seq: seq + 1, prev: own, heads: [own, ...heads.slice(maxParents)] };
      made.set(hashKey(entry.hash), entry);
      entries.push(entry);
      await pace(1 + byteCost(entry.bytes.length));
    }
    return { entries, place };
  }

  function currentPlace(): Place {
    const heads = index
      .heads()
      .flatMap((hash) => index.get(hash) ?? [])
      .sort((a, b) => b.lamport - a.lamport);
    if (heads.length === 0) throw new AppError('corrupt', 'The history of this drive has no readable entry.');
    const tip = ownRow();
    if (tip !== null) return { incarnation: tip.incarnation, seq: tip.seq + 1, prev: tip, heads };
    let incarnation = newIncarnationNumber(deps.random);
    while (index.feedOf(deps.signer.publicKey, incarnation) !== null)
      incarnation = (incarnation + 1) % 2 ** 48;
    index.setIncarnation(incarnation);
    return { incarnation, seq: 0, prev: null, heads };
  }

  /** The last entry of the feed in use; null when the next entry begins a new one, as after a fork of our own. */
  function ownRow(): IndexRow | null {
    const incarnation = index.incarnation();
    const feed = incarnation === null ? null : index.feedOf(deps.signer.publicKey, incarnation);
    if (feed === null || index.firstFork(feed.id) !== null) return null;
    const seq = index.lastSeq(feed.id);
    return index.inFeed(feed.id, seq, seq, 1)[0] ?? null;
  }

  return {
    append,
    ownTip(): FeedTip | null {
      const row = ownRow();
      return row && { writer: row.writer, incarnation: row.incarnation, seq: row.seq, hash: row.hash };
    },
  };
}
