import type { Database } from '../store/index.ts';
import { byteKey, hex, sameBytes } from './codec/bytes.ts';
import { isName } from './codec/names.ts';
import { rootId } from './tree/operations.ts';
import type { LocRow } from './tree/operations.ts';
import { refOf } from './tree/place.ts';
import { nodeBytesOf } from './tree/reader.ts';
import type { TreeReader } from './tree/reader.ts';
import type { TreeStore } from './tree/store.ts';
import type { Version } from './types.ts';

interface EntryFacts {
  readonly time: number;
  readonly writer: Uint8Array;
  readonly user: string | null;
  readonly device: string;
}

/** Who made the entry of an operation, and when. */
export type FactsOf = (ord: Uint8Array) => EntryFacts;

/** The history of single files and folders. */
export function createVersions(db: Database, store: TreeStore, reader: TreeReader, factsOf: FactsOf) {
  const placed = db.prepare<[Uint8Array, string], LocRow>(
    'SELECT * FROM tree_loc WHERE parent = ? AND name = ? ORDER BY ord DESC',
  );
  const puts = db.prepare<[Uint8Array], { ord: Uint8Array; ckey: Uint8Array }>(
    'SELECT DISTINCT ord, ckey FROM tree_puts WHERE node = ?',
  );
  const dels = db.prepare<[Uint8Array], { ord: Uint8Array }>('SELECT ord FROM tree_del WHERE node = ?');

  /** The node at a path: what shows there now, else what was there last. */
  function nodeAt(path: string): Uint8Array | null {
    const live = reader.tree.resolve(path);
    if (live) return nodeBytesOf(live.id);
    let at: Uint8Array | null = rootId;
    for (const name of path.split('/')) {
      if (at === null || !isName(name)) return null;
      const parent: Uint8Array = at;
      const shown = reader.tree.child(hex(parent), name);
      at = shown ? nodeBytesOf(shown.id) : (placed.all(parent, name)[0]?.node ?? null);
    }
    return at;
  }

  /** Newest first; empty when nothing was ever at that path. */
  function versions(path: string): readonly Version[] {
    const node = nodeAt(path);
    if (!node || sameBytes(node, rootId)) return [];
    const contents = new Map(puts.all(node).map((put) => [byteKey(put.ord), put.ckey]));
    const places = store.operations.locations(node).filter((row) => row.skipped === 0);
    const deletes = dels.all(node);
    const all = [
      ...[...puts.all(node)].map((put) => put.ord),
      ...places.filter((row) => row.t === 1).map((row) => row.ord),
      ...(contents.size === 0 ? places.filter((row) => row.t !== 1).map((row) => row.ord) : []),
      ...deletes.map((row) => row.ord),
    ].sort(Buffer.compare);
    const isDelete = new Set(deletes.map((row) => byteKey(row.ord)));
    const isMove = new Set(places.filter((row) => row.t === 1).map((row) => byteKey(row.ord)));
    const seen = new Set<string>();
    let deleted = false;
    let current: string | null = null;
    const found = all.map((ord): Version => {
      const key = byteKey(ord);
      const facts = factsOf(ord);
      const base = {
        version: reader.opName(refOf(ord)),
        node: hex(node),
        writer: hex(facts.writer),
        user: facts.user,
        device: facts.device,
        time: facts.time,
      };
      if (isDelete.has(key)) {
        deleted = true;
        return { ...base, size: 0, hash: null, op: 'delete', content: null };
      }
      const content = contents.has(key) ? reader.content(refOf(ord)) : null;
      const size = content?.kind === 'file' ? content.size : 0;
      const hash = content?.kind === 'file' ? content.hash : null;
      if (isMove.has(key)) return { ...base, size: 0, hash: null, op: 'move', content: null };
      const ckey = byteKey(contents.get(key) ?? new Uint8Array());
      const back = seen.size > 0 && (deleted || (seen.has(ckey) && ckey !== current));
      const op = back ? 'restore' : seen.size === 0 ? 'create' : 'change';
      seen.add(ckey);
      current = ckey;
      deleted = false;
      return { ...base, size, hash, op, content };
    });
    return found.reverse();
  }

  return { versions, nodeAt };
}
