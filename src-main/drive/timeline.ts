import { AppError } from '../../src-shared/errors.ts';
import type { Database } from '../store/index.ts';
import { byteKey, compareBytes, hex, sameBytes, unhex } from './codec/bytes.ts';
import { kindName, rootId } from './tree/operations.ts';
import { entryPlaceBytes, refOf } from './tree/place.ts';
import type { TreeReader } from './tree/reader.ts';
import type { Deed, TimelinePage, TimelineQuery } from './types.ts';

/** Indexes by place in the order; `tree_loc` has one already. Only edits and deletes pay for them, imports do not. */
export const timelineMigrations: readonly string[] = [
  `CREATE INDEX tree_put_ord ON tree_put (ord);
   CREATE INDEX tree_del_ord ON tree_del (ord);`,
];

/** Operations looked at in one call: about 5 ms. What a filter leaves out counts as well. */
const mostLookedAt = 500;
const deepest = 256;
const ordBytes = entryPlaceBytes + 3;
/** Above every place there can be. */
const top = new Uint8Array(ordBytes).fill(255);

type What = 'make' | 'move' | 'put' | 'del';
interface Found {
  readonly ord: Uint8Array;
  readonly node: Uint8Array;
  readonly what: What;
}
interface Place {
  readonly parent: Uint8Array;
  readonly name: string;
}
interface Author {
  readonly time: number;
  readonly writer: Uint8Array;
  readonly user: string | null;
  readonly deviceId: string | null;
  readonly device: string;
}

/**
 * The life of a whole drive, newest first: what was done to which file, by whom, on which computer, when. In the one order
 * of operations and by its place in it, so that a page costs the same wherever in a long history it lies.
 */
export function createTimeline(db: Database, reader: TreeReader) {
  const placed = db.prepare<[Uint8Array, number], { ord: Uint8Array; node: Uint8Array; t: number }>(
    'SELECT ord, node, t FROM tree_loc WHERE ord < ? AND skipped = 0 AND t <> 2 ORDER BY ord DESC LIMIT ?',
  );
  const put = db.prepare<[Uint8Array, number], { ord: Uint8Array; node: Uint8Array }>(
    'SELECT ord, node FROM tree_put WHERE ord < ? AND adopted = 0 ORDER BY ord DESC LIMIT ?',
  );
  const deleted = db.prepare<[Uint8Array, number], { ord: Uint8Array; node: Uint8Array }>(
    'SELECT ord, node FROM tree_del WHERE ord < ? ORDER BY ord DESC LIMIT ?',
  );
  const placeAt = db.prepare<[Uint8Array, Uint8Array], Place>(
    'SELECT parent, name FROM tree_loc WHERE node = ? AND ord <= ? AND skipped = 0 ORDER BY ord DESC LIMIT 1',
  );
  const placeBefore = db.prepare<[Uint8Array, Uint8Array], Place>(
    'SELECT parent, name FROM tree_loc WHERE node = ? AND ord < ? AND skipped = 0 ORDER BY ord DESC LIMIT 1',
  );
  const kindOf = db.prepare<[Uint8Array], { kind: number | null }>(
    'SELECT kind FROM tree_loc WHERE node = ? AND kind IS NOT NULL LIMIT 1',
  );
  const contentAt = db.prepare<[Uint8Array], { ckey: Uint8Array; size: number }>(
    'SELECT ckey, size FROM tree_content WHERE op = ?',
  );
  const lastDelete = db
    .prepare<[Uint8Array, Uint8Array], Uint8Array>(
      'SELECT ord FROM tree_del WHERE node = ? AND ord < ? ORDER BY ord DESC LIMIT 1',
    )
    .pluck();
  const earlierContents = db.prepare<[Uint8Array, Uint8Array], { ord: Uint8Array; ckey: Uint8Array }>(
    'SELECT ord, ckey FROM tree_puts WHERE node = ? AND ord < ? ORDER BY ord DESC LIMIT 200',
  );
  const authorOf = db.prepare<[Uint8Array], Author>(
    `SELECT e.time, e.writer, w.user, w.device AS deviceId, coalesce(w.name, '') AS device FROM drive_entry e
     LEFT JOIN drive_writer w ON w.root = e.root WHERE e.hash = ?`,
  );
  const writers = db.prepare<[], { user: string; deviceId: string; device: string }>(
    'SELECT DISTINCT user, device AS deviceId, name AS device FROM drive_writer ORDER BY user, name',
  );
  const nobody: Author = { time: 0, writer: new Uint8Array(32), user: null, deviceId: null, device: '' };

  /** Operations before a place, newest first, of all three sets. */
  function before(ord: Uint8Array, limit: number): Found[] {
    const all: Found[] = [
      ...placed.all(ord, limit).map(({ t, ...row }): Found => ({ ...row, what: t === 0 ? 'make' : 'move' })),
      ...put.all(ord, limit).map((row): Found => ({ ...row, what: 'put' })),
      ...deleted.all(ord, limit).map((row): Found => ({ ...row, what: 'del' })),
    ];
    return all.sort((a, b) => compareBytes(b.ord, a.ord)).slice(0, limit);
  }

  /** Where something was right after an operation (or right before it). */
  function pathAt(node: Uint8Array, ord: Uint8Array, first = placeAt): string {
    const names: string[] = [];
    let at = first.get(node, ord);
    for (let depth = 0; at && depth < deepest; depth += 1) {
      names.push(at.name);
      if (sameBytes(at.parent, rootId)) break;
      at = placeAt.get(at.parent, ord);
    }
    return names.reverse().join('/');
  }

  /** Whether a content is one that the file had before, or comes after its deletion: as `versions` says it. */
  function isRestored(node: Uint8Array, ord: Uint8Array, ckey: Uint8Array): boolean {
    const earlier = earlierContents.all(node, ord);
    const last = earlier[0];
    if (!last) return false;
    const gone = lastDelete.get(node, ord);
    if (gone && compareBytes(gone, last.ord) > 0) return true;
    return !sameBytes(last.ckey, ckey) && earlier.some((one) => sameBytes(one.ckey, ckey));
  }

  function describe({ ord, node, what }: Found, author: Author): Deed {
    const content = what === 'make' || what === 'put' ? contentAt.get(refOf(ord)) : undefined;
    const kind = kindName[kindOf.get(node)?.kind ?? 1] ?? 'file';
    const op =
      what === 'make'
        ? 'create'
        : what === 'move'
          ? 'move'
          : what === 'del'
            ? 'delete'
            : content && isRestored(node, ord, content.ckey)
              ? 'restore'
              : 'change';
    return {
      version: reader.opName(refOf(ord)),
      op,
      kind,
      path: pathAt(node, ord),
      from: what === 'move' ? pathAt(node, ord, placeBefore) : null,
      now: reader.tree.path(hex(node)),
      size: content?.size ?? 0,
      writer: hex(author.writer),
      user: author.user,
      deviceId: author.deviceId,
      device: author.device,
      time: author.time,
    };
  }

  /**
   * At most `limit` deeds older than `before`. With a filter a page may be short, even empty, and still not be the last:
   * go on with `next` until it is null.
   * @throws AppError `invalid_argument` for a `before` that is no `next` of an earlier page
   */
  function page({ before: from, limit, user, deviceId, op }: TimelineQuery): TimelinePage {
    const start = from === null ? top : placeOf(from);
    const authors = new Map<string, Author>();
    const items: Deed[] = [];
    const look = user === null && deviceId === null && op === null ? limit : mostLookedAt;
    const found = before(start, look);
    let last: Uint8Array | null = null;
    for (const one of found) {
      if (items.length === limit) break;
      last = one.ord;
      const hash = one.ord.subarray(6, entryPlaceBytes);
      let author = authors.get(byteKey(hash));
      if (!author) authors.set(byteKey(hash), (author = authorOf.get(hash) ?? nobody));
      if (user !== null && author.user !== user) continue;
      if (deviceId !== null && author.deviceId !== deviceId) continue;
      const deed = describe(one, author);
      if (op === null || deed.op === op) items.push(deed);
    }
    const more = found.length === look || (last !== null && found.at(-1)?.ord !== last);
    return { items, next: more && last ? hex(last) : null };
  }

  return { page, writers: () => writers.all() };
}

function placeOf(text: string): Uint8Array {
  if (!/^[0-9a-f]+$/.test(text) || text.length !== 2 * ordBytes)
    throw new AppError('invalid_argument', 'This is not a place in the history of a drive.');
  return unhex(text);
}
