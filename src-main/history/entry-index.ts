import type { Database } from '../store/index.ts';
import { migrate } from '../store/index.ts';
import type { RecordPlace } from './chain-log.ts';
import { entryId, hashLength } from './ids.ts';
import { historySchema } from './schema.ts';
import type { DamagedRecord, Entry, EntryHash, EntryKind, FeedTip, Fork } from './types.ts';
import type { LinkTarget } from './validate.ts';

/** What the index knows of a readable entry. */
export interface IndexRow extends RecordPlace, LinkTarget {
  readonly hash: EntryHash;
  readonly feed: number;
  readonly kind: EntryKind;
  readonly prev: EntryHash | null;
  readonly parents: readonly EntryHash[];
  readonly access: readonly EntryHash[];
}

export interface Feed {
  readonly id: number;
  readonly writer: Uint8Array;
  readonly incarnation: number;
}

/** A place in the total order: after the entry with this lamport and hash. */
export interface OrderCursor {
  readonly lamport: number;
  readonly hash: Uint8Array;
}

export type EntryIndex = ReturnType<typeof createEntryIndex>;

/** A damaged region with the hash behind its id. */
export type DamagedRegion = DamagedRecord & { readonly hash: EntryHash | null };

/** An entry that can't be read any more, and why. */
export interface LostRow {
  readonly row: IndexRow;
  readonly reason: string;
}

interface RawRow {
  readonly offset: number;
  readonly length: number;
  readonly hash: Buffer;
  readonly feed: number;
  readonly seq: number;
  readonly lamport: number;
  readonly kind: EntryKind;
  readonly prev: Buffer | null;
  readonly parents: Buffer;
  readonly access: Buffer;
}
interface RawDamaged {
  readonly offset: number;
  readonly length: number;
  readonly hash: Buffer | null;
  readonly writer: Buffer | null;
  readonly seq: number | null;
  readonly reason: string;
}

/** Keys of `history_meta`. */
type MetaKey = 'end' | 'incarnation';

/**
 * The SQLite index of a chain log. Every change is one short transaction; nothing of the DAG is kept in memory.
 * @param ownWriter this device's writer key: when one of its entries is lost its incarnation ends, for going on from an
 * older entry would be a fork
 * @throws AppError as `migrate` does
 */
export function createEntryIndex(db: Database, ownWriter: Uint8Array) {
  migrate(db, 'history', historySchema);
  const sql = {
    byHash: db.prepare<[Uint8Array], RawRow>('SELECT * FROM history_entries WHERE hash = ?'),
    has: db.prepare<[Uint8Array]>('SELECT 1 FROM history_entries WHERE hash = ?').pluck(),
    byOffset: db.prepare<[number], RawRow>('SELECT * FROM history_entries WHERE offset = ?'),
    inRange: db.prepare<[number, number, number], RawRow>(
      'SELECT * FROM history_entries WHERE offset >= ? AND offset < ? ORDER BY offset LIMIT ?',
    ),
    last: db.prepare<[], RawRow>('SELECT * FROM history_entries ORDER BY offset DESC LIMIT 1'),
    inOrder: db.prepare<[number, number, Uint8Array, number], RawRow>(
      `SELECT * FROM history_entries WHERE lamport >= ? AND (lamport, hash) > (?, ?)
       ORDER BY lamport, hash LIMIT ?`,
    ),
    inFeed: db.prepare<[number, number, number, number], RawRow>(
      'SELECT * FROM history_entries WHERE feed = ? AND seq >= ? AND seq <= ? ORDER BY seq, hash LIMIT ?',
    ),
    lastSeq: db
      .prepare<[number], number | null>('SELECT MAX(seq) FROM history_entries WHERE feed = ?')
      .pluck(),
    firstFork: db
      .prepare<[number], number | null>('SELECT MIN(seq) FROM history_forks WHERE feed = ?')
      .pluck(),
    forks: db.prepare<[], { feed: number; seq: number }>('SELECT * FROM history_forks ORDER BY feed, seq'),
    feeds: db.prepare<[], { id: number; writer: Buffer; incarnation: number }>('SELECT * FROM history_feeds'),
    addFeed: db.prepare('INSERT INTO history_feeds (writer, incarnation) VALUES (?, ?)'),
    add: db.prepare('INSERT INTO history_entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    heads: db.prepare<[], Buffer>('SELECT hash FROM history_heads ORDER BY hash').pluck(),
    addHead: db.prepare<[Uint8Array]>('INSERT OR IGNORE INTO history_heads VALUES (?)'),
    dropHead: db.prepare<[Uint8Array]>('DELETE FROM history_heads WHERE hash = ?'),
    tips: db.prepare<[], RawRow>('SELECT e.* FROM history_tips JOIN history_entries e USING (hash)'),
    addTip: db.prepare<[Uint8Array]>('INSERT OR IGNORE INTO history_tips VALUES (?)'),
    dropTip: db.prepare<[Uint8Array]>('DELETE FROM history_tips WHERE hash = ?'),
    hole: db.prepare<[Uint8Array], { feed: number | null }>('SELECT feed FROM history_holes WHERE hash = ?'),
    holes: db.prepare<[], Buffer>('SELECT hash FROM history_holes ORDER BY hash').pluck(),
    addHole: db.prepare<[Uint8Array, number | null, number | null]>(
      `INSERT INTO history_holes VALUES (?, ?, ?)
       ON CONFLICT (hash) DO UPDATE SET feed = coalesce(feed, excluded.feed), seq = coalesce(seq, excluded.seq)`,
    ),
    dropHole: db.prepare<[Uint8Array]>('DELETE FROM history_holes WHERE hash = ?'),
    cuts: db.prepare<[], { feed: number; seq: number }>(
      'SELECT feed, MIN(seq) AS seq FROM history_holes WHERE feed IS NOT NULL GROUP BY feed',
    ),
    addFork: db.prepare<[number, number]>('INSERT OR IGNORE INTO history_forks VALUES (?, ?)'),
    count: db.prepare<[], number>('SELECT COUNT(*) FROM history_entries').pluck(),
    writers: db
      .prepare<[], number>(
        'SELECT COUNT(DISTINCT writer) FROM history_feeds WHERE id IN (SELECT feed FROM history_entries)',
      )
      .pluck(),
    drop: db.prepare<[number]>('DELETE FROM history_entries WHERE offset = ?'),
    damaged: db.prepare<[number, number], RawDamaged>(
      'SELECT * FROM history_damaged WHERE offset >= ? AND offset < ? ORDER BY offset',
    ),
    isDamaged: db.prepare<[Uint8Array]>('SELECT 1 FROM history_damaged WHERE hash = ?').pluck(),
    addDamaged: db.prepare('INSERT OR REPLACE INTO history_damaged VALUES (?, ?, ?, ?, ?, ?)'),
    dropDamaged: db.prepare<[number]>('DELETE FROM history_damaged WHERE offset = ?'),
    meta: db.prepare<[MetaKey], number>('SELECT value FROM history_meta WHERE key = ?').pluck(),
    setMeta: db.prepare<[MetaKey, number]>('INSERT OR REPLACE INTO history_meta VALUES (?, ?)'),
    dropMeta: db.prepare<[MetaKey]>('DELETE FROM history_meta WHERE key = ?'),
  };

  const feeds = new Map<number, Feed>();
  const feedIds = new Map<string, number>();
  const feedKey = (writer: Uint8Array, incarnation: number): string =>
    `${Buffer.from(writer).toString('latin1')}${incarnation}`;
  const rememberFeed = (id: number, writer: Uint8Array, incarnation: number): number => {
    feeds.set(id, { id, writer: new Uint8Array(writer), incarnation });
    feedIds.set(feedKey(writer, incarnation), id);
    return id;
  };
  for (const feed of sql.feeds.all()) rememberFeed(feed.id, feed.writer, feed.incarnation);

  const toRow = (raw: RawRow): IndexRow => {
    const feed = feeds.get(raw.feed) as Feed;
    return {
      offset: raw.offset,
      length: raw.length,
      hash: new Uint8Array(raw.hash),
      feed: raw.feed,
      writer: feed.writer,
      incarnation: feed.incarnation,
      seq: raw.seq,
      lamport: raw.lamport,
      kind: raw.kind,
      prev: raw.prev === null ? null : new Uint8Array(raw.prev),
      parents: splitHashes(raw.parents),
      access: splitHashes(raw.access),
    };
  };
  const rows = (raw: readonly RawRow[]): IndexRow[] => raw.map(toRow);
  const row = (raw: RawRow | undefined): IndexRow | null => (raw === undefined ? null : toRow(raw));
  const toTip = ({ writer, incarnation, seq, hash }: IndexRow): FeedTip => ({
    writer,
    incarnation,
    seq,
    hash,
  });

  function feedOf(writer: Uint8Array, incarnation: number): Feed | null {
    const id = feedIds.get(feedKey(writer, incarnation));
    return id === undefined ? null : (feeds.get(id) as Feed);
  }

  function addOne(entry: Entry, place: RecordPlace): void {
    const { header, hash } = entry;
    const feed =
      feedIds.get(feedKey(header.writer, header.incarnation)) ??
      Number(sql.addFeed.run(header.writer, header.incarnation).lastInsertRowid);
    if (!feeds.has(feed)) rememberFeed(feed, header.writer, header.incarnation);
    sql.add.run(
      place.offset,
      place.length,
      hash,
      feed,
      header.seq,
      header.lamport,
      header.kind,
      header.prev,
      Buffer.concat(header.parents),
      Buffer.concat(header.access),
    );
    const hole = sql.hole.get(hash);
    if (hole === undefined) sql.addHead.run(hash);
    else sql.dropHole.run(hash);
    if (hole === undefined || hole.feed === null) sql.addTip.run(hash);
    if (header.prev !== null) {
      sql.dropTip.run(header.prev);
      linkTo(header.prev, feed, header.seq - 1);
    }
    for (const parent of header.parents) linkTo(parent, null, null);
    if (sql.inFeed.all(feed, header.seq, header.seq, 2).length > 1) sql.addFork.run(feed, header.seq);
  }

  function linkTo(hash: Uint8Array, feed: number | null, seq: number | null): void {
    if (sql.has.get(hash) === undefined) sql.addHole.run(hash, feed, seq);
    else sql.dropHead.run(hash);
  }

  const add = db.transaction((items: readonly { entry: Entry; place: RecordPlace }[], end: number | null) => {
    for (const { entry, place } of items) addOne(entry, place);
    if (end !== null) sql.setMeta.run('end', end);
  });

  /** Feeds learnt in a transaction that was rolled back do not exist. */
  function reloadFeeds(): void {
    feeds.clear();
    feedIds.clear();
    for (const feed of sql.feeds.all()) rememberFeed(feed.id, feed.writer, feed.incarnation);
  }

  const lose = db.transaction((lost: readonly LostRow[]) => {
    for (const { row, reason } of lost) {
      const { offset, length, hash, writer, seq } = row;
      sql.drop.run(offset);
      sql.addDamaged.run(offset, length, hash, writer, seq, reason);
      if (Buffer.compare(writer, ownWriter) === 0) sql.dropMeta.run('incarnation');
    }
    relink(db);
  });

  const toDamaged = (raw: RawDamaged): DamagedRegion => ({
    offset: raw.offset,
    length: raw.length,
    hash: raw.hash === null ? null : new Uint8Array(raw.hash),
    id: raw.hash === null ? null : entryId(raw.hash),
    writer: raw.writer === null ? null : new Uint8Array(raw.writer),
    seq: raw.seq,
    reason: raw.reason,
  });

  return {
    /** The log is indexed up to this byte; null for an index never used. */
    end: (): number | null => sql.meta.get('end') ?? null,
    setEnd: (end: number): void => void sql.setMeta.run('end', end),
    incarnation: (): number | null => sql.meta.get('incarnation') ?? null,
    setIncarnation(value: number | null): void {
      if (value === null) sql.dropMeta.run('incarnation');
      else sql.setMeta.run('incarnation', value);
    },
    /** Adds entries whose records are on disk; `end` null leaves the indexed end where it is. */
    add(items: readonly { entry: Entry; place: RecordPlace }[], end: number | null): void {
      try {
        add(items, end);
      } catch (error) {
        if (db.open) reloadFeeds();
        throw error;
      }
    },
    /** Takes entries out whose records turned out unreadable and remembers what stood there. Costs a pass over the index. */
    lose: (lost: readonly LostRow[]): void => void lose(lost),
    has: (hash: EntryHash): boolean => sql.has.get(hash) !== undefined,
    get: (hash: EntryHash): IndexRow | null => row(sql.byHash.get(hash)),
    at: (offset: number): IndexRow | null => row(sql.byOffset.get(offset)),
    last: (): IndexRow | null => row(sql.last.get()),
    /** Entries whose records begin in [from, to), by offset. */
    between: (from: number, to: number, limit = -1): IndexRow[] => rows(sql.inRange.all(from, to, limit)),
    /** The next entries in the total order; from the beginning with null. */
    after: (cursor: OrderCursor | null, limit: number): IndexRow[] =>
      rows(
        sql.inOrder.all(
          cursor?.lamport ?? 0,
          cursor?.lamport ?? -1,
          cursor?.hash ?? new Uint8Array(0),
          limit,
        ),
      ),
    /** Entries of a feed with seq in [from, to], by seq and hash. */
    inFeed: (feed: number, from: number, to: number, limit = -1): IndexRow[] =>
      rows(sql.inFeed.all(feed, from, to, limit)),
    feedOf,
    feeds: (): Iterable<Feed> => feeds.values(),
    lastSeq: (feed: number): number => sql.lastSeq.get(feed) ?? -1,
    firstFork: (feed: number): number | null => sql.firstFork.get(feed) ?? null,
    heads: (): EntryHash[] => sql.heads.all().map((hash) => new Uint8Array(hash)),
    holes: (): EntryHash[] => sql.holes.all().map((hash) => new Uint8Array(hash)),
    count: (): number => sql.count.get() as number,
    writers: (): number => sql.writers.get() as number,
    /**
     * Ends of feeds. A feed with an unreadable entry ends before it, so that whoever compares sends what is missing.
     */
    frontier(): FeedTip[] {
      const cuts = new Map(sql.cuts.all().map(({ feed, seq }) => [feed, seq]));
      const tips: FeedTip[] = [];
      for (const tip of rows(sql.tips.all())) {
        const cut = cuts.get(tip.feed);
        if (cut === undefined || tip.seq < cut) tips.push(toTip(tip));
      }
      for (const [feed, cut] of cuts) {
        // On a forked feed these may stand on several branches; a tip too many only says what is true anyway.
        if (cut > 0) tips.push(...rows(sql.inFeed.all(feed, cut - 1, cut - 1, -1)).map(toTip));
      }
      const unique = new Map(tips.map((tip) => [Buffer.from(tip.hash).toString('latin1'), tip]));
      return [...unique.values()].sort(
        (a, b) =>
          Buffer.compare(a.writer, b.writer) ||
          a.incarnation - b.incarnation ||
          a.seq - b.seq ||
          Buffer.compare(a.hash, b.hash),
      );
    },
    forks(): Fork[] {
      return sql.forks.all().flatMap(({ feed, seq }) => {
        const entries = rows(sql.inFeed.all(feed, seq, seq, -1));
        const { writer, incarnation } = feeds.get(feed) as Feed;
        return entries.length > 1
          ? [{ writer, incarnation, seq, entries: entries.map((e) => entryId(e.hash)) }]
          : [];
      });
    },
    isDamaged: (hash: EntryHash): boolean => sql.isDamaged.get(hash) !== undefined,
    /** What is known of damage in [from, to); also of entries that were fetched again since. */
    damagedBetween: (from: number, to: number) => sql.damaged.all(from, to).map(toDamaged),
    setDamaged(record: DamagedRegion): void {
      const { offset, length, hash, writer, seq, reason } = record;
      sql.addDamaged.run(offset, length, hash, writer, seq, reason);
    },
    forgetDamaged: (offset: number): void => void sql.dropDamaged.run(offset),
  };
}

/** Works out heads, tips, holes and forks anew, in bounded memory. Only after damage: additions keep them up to date. */
function relink(db: Database): void {
  db.exec(`
    CREATE TEMP TABLE IF NOT EXISTS history_refs (hash BLOB PRIMARY KEY, feed INTEGER, seq INTEGER) WITHOUT ROWID;
    DELETE FROM history_refs;
    INSERT INTO history_refs SELECT prev, feed, seq - 1 FROM history_entries WHERE prev IS NOT NULL
      ON CONFLICT DO NOTHING;
  `);
  const page = db.prepare<[number], { offset: number; parents: Buffer }>(
    'SELECT offset, parents FROM history_entries WHERE offset > ? ORDER BY offset LIMIT 1000',
  );
  const refer = db.prepare('INSERT OR IGNORE INTO history_refs VALUES (?, NULL, NULL)');
  for (
    let rows = page.all(-1);
    rows.length > 0;
    rows = page.all((rows.at(-1) as { offset: number }).offset)
  ) {
    for (const { parents } of rows) for (const parent of splitHashes(parents)) refer.run(parent);
  }
  db.exec(`
    DELETE FROM history_heads;
    INSERT INTO history_heads SELECT hash FROM history_entries WHERE hash NOT IN (SELECT hash FROM history_refs);
    DELETE FROM history_tips;
    INSERT INTO history_tips SELECT hash FROM history_entries
      WHERE hash NOT IN (SELECT hash FROM history_refs WHERE feed IS NOT NULL);
    DELETE FROM history_holes;
    INSERT INTO history_holes SELECT * FROM history_refs WHERE hash NOT IN (SELECT hash FROM history_entries);
    DELETE FROM history_forks;
    INSERT INTO history_forks SELECT feed, seq FROM history_entries GROUP BY feed, seq HAVING COUNT(*) > 1;
    DELETE FROM history_refs;
  `);
}

function splitHashes(bytes: Buffer): Uint8Array[] {
  const hashes: Uint8Array[] = [];
  for (let i = 0; i < bytes.length; i += hashLength)
    hashes.push(new Uint8Array(bytes.subarray(i, i + hashLength)));
  return hashes;
}
