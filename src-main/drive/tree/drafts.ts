import { decode } from '@ipld/dag-cbor';
import { entryHash } from '../../history/index.ts';
import type { Database } from '../../store/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { byteKey, compareBytes, encodeCbor, sameBytes } from '../codec/bytes.ts';
import { contentFromEncoded, contentFromWire, contentToWire } from '../codec/content.ts';
import { checkName } from '../codec/names.ts';
import type { OpRef, WireOp } from '../codec/ops.ts';
import type { NodeId, OpDraft, OpId } from '../types.ts';
import type { ItemRow } from './items.ts';
import { rootId } from './operations.ts';
import { conflictNode, refOf } from './place.ts';
import { nodeBytesOf, parseOpId } from './reader.ts';
import type { TreeStore } from './store.ts';

/** What is asked for in a tree. */
export type TreeDraft = Exclude<OpDraft, { t: 'set' }>;

/** The operations one draft becomes; `main` is the position of the one that stands for it. */
export interface Translated {
  readonly ops: readonly WireOp[];
  readonly main: number;
}

export interface Drafts {
  /** Every node a draft would act on: a batch holds each at most once, since an operation can't name one beside it. */
  touches(draft: TreeDraft): readonly Uint8Array[];
  /**
   * @param made nodes made earlier in the same batch
   * @throws AppError `invalid_argument`, `not_found`, `already_exists`
   */
  translate(draft: TreeDraft, made: ReadonlySet<string>): Translated;
}

/**
 * Turns what the sync engine and the API ask for into operations: acts on merged nodes as one, makes conflict copies nodes of
 * their own before anything is done to them or to their original, and names what is replaced or deleted.
 */
export function createDrafts(db: Database, store: TreeStore): Drafts {
  const aliasesOf = db.prepare<[Uint8Array], ItemRow>(
    'SELECT * FROM tree_item WHERE alias = ? ORDER BY made, id',
  );
  const copiesOf = db.prepare<[Uint8Array], ItemRow>(
    'SELECT * FROM tree_item WHERE node = ? AND derived = 1 ORDER BY id',
  );

  const contentAt = db
    .prepare<[Uint8Array], Uint8Array>('SELECT content FROM tree_content WHERE op = ?')
    .pluck();

  function bytesOf(id: NodeId): Uint8Array {
    const bytes = nodeBytesOf(id);
    if (bytes) return bytes;
    throw new AppError('invalid_argument', 'This is not the id of a file or folder.', {
      details: { node: id },
    });
  }

  /** The node to act on, the nodes merged into it, and the copies to be adopted first. */
  function target(id: Uint8Array): {
    node: Uint8Array;
    row: ItemRow | null;
    aliases: ItemRow[];
    copies: ItemRow[];
  } {
    if (sameBytes(id, rootId))
      throw new AppError('invalid_argument', 'The top folder of a drive cannot be changed.');
    let row = store.items.get(id);
    if (row?.alias) row = store.items.get(row.alias) ?? row;
    const node = row?.id ?? id;
    if (!row && store.operations.locations(node).length === 0) {
      throw new AppError('not_found', 'This file or folder is not in the drive.');
    }
    const aliases = aliasesOf.all(node);
    const copies = [node, ...aliases.map((alias) => alias.id)].flatMap((one) => copiesOf.all(one));
    if (row?.derived === 1) copies.push(row);
    return { node, row, aliases, copies };
  }

  function adopt(copy: ItemRow): WireOp {
    const same = store.operations
      .heads(copy.node)
      .filter(({ put }) => copy.ckey !== null && sameBytes(put.ckey, copy.ckey))
      .map(({ put }) => refOf(put.ord));
    // The head the copy's id comes from goes first.
    const first = same.findIndex((ref) => sameBytes(conflictNode(copy.node, ref), copy.id));
    same.unshift(...same.splice(first, 1));
    return {
      t: 'adopt',
      node: copy.node,
      from: same,
      id: copy.id,
      parent: copy.sparent,
      name: shownName(copy),
    };
  }

  const shownName = (row: ItemRow): string => row.name ?? row.want;

  /** The versions named and all heads with the same content as one of them. */
  function withEqual(node: Uint8Array, refs: readonly OpRef[]): readonly OpRef[] {
    const named = new Map(refs.map((ref) => [byteKey(ref), ref]));
    const heads = store.operations.heads(node);
    const contents = heads
      .filter(({ put }) => named.has(byteKey(refOf(put.ord))))
      .map(({ put }) => byteKey(put.ckey));
    for (const { put } of heads) {
      if (contents.includes(byteKey(put.ckey))) named.set(byteKey(refOf(put.ord)), refOf(put.ord));
    }
    return [...named.values()].sort(compareBytes);
  }

  /** What the node shows now: its own content op and those equal to it. */
  function shown(row: ItemRow | null): readonly OpRef[] {
    return row && row.kind !== 0 ? withEqual(row.id, [refOf(row.ver)]) : [];
  }

  function placeSeen(node: Uint8Array): OpRef | null {
    const at = store.operations.locations(node).findLast((row) => row.skipped === 0);
    return at === undefined || at.t === 2 ? null : refOf(at.ord);
  }

  function del(node: Uint8Array, seen: readonly OpRef[]): WireOp {
    return { t: 'del', node, seen, loc: placeSeen(node) };
  }

  let lastFolder: { id: NodeId; revision: number; bytes: Uint8Array } | null = null;

  /** The folder something goes into: a merged one by its first. */
  function folder(id: NodeId, made: ReadonlySet<string>): Uint8Array {
    // An import goes folder by folder; until something is applied the answer stays.
    if (lastFolder?.id === id && lastFolder.revision === store.revision()) return lastFolder.bytes;
    const bytes = bytesOf(id);
    if (sameBytes(bytes, rootId) || made.has(byteKey(bytes))) return bytes;
    const row = store.items.get(bytes);
    const kind =
      row?.kind ?? store.operations.locations(bytes).find((at) => at.t !== 1 && at.skipped === 0)?.kind;
    if (kind !== 0) throw new AppError('not_found', 'The folder for this is not in the drive.');
    lastFolder = { id, revision: store.revision(), bytes: row?.alias ?? bytes };
    return lastFolder.bytes;
  }

  /** Names both contents as replaced by one of them; further copies of the file stay what they are. */
  function settle(copy: Uint8Array, keep: 'copy' | 'original'): WireOp {
    const row = store.items.get(copy);
    const original = row?.derived === 1 ? store.items.get(row.node) : null;
    if (!row || !original)
      throw new AppError('not_found', 'This is no untouched copy of a file two people changed at one time.');
    const kept = keep === 'copy' ? row : original;
    const content = contentAt.get(refOf(kept.ver));
    if (!content) throw new AppError('not_found', 'What is to be kept is not known here.');
    const parents = withEqual(row.node, [refOf(row.ver), refOf(original.ver)]);
    return { t: 'put', node: row.node, parents, content: contentFromWire(decode(content)) };
  }

  function refsOf(base: readonly OpId[]): readonly OpRef[] {
    return base.map(parseOpId);
  }

  return {
    touches(draft) {
      const id = bytesOf(draft.node);
      if (draft.t === 'make' || !store.items.get(id)) return [id];
      const { node, row, aliases, copies } = target(id);
      const all = [id, node, ...aliases.map((one) => one.id), ...copies.flatMap((one) => [one.id, one.node])];
      return row?.derived === 1 ? [...all, row.node] : all;
    },

    translate(draft, made) {
      if (draft.t === 'make' || draft.t === 'move') checkName(draft.name);
      if (draft.t === 'make') {
        const node = bytesOf(draft.node);
        if (
          sameBytes(node, rootId) ||
          made.has(byteKey(node)) ||
          store.operations.locations(node).length > 0
        ) {
          throw new AppError('already_exists', 'A file or folder with this id exists.');
        }
        const { kind, name, content } = draft;
        if ((kind === 'dir') !== (content === null) || (content !== null && content.kind !== kind)) {
          throw new AppError('invalid_argument', 'A file needs its content, a folder has none.');
        }
        const parent = folder(draft.parent, made);
        return {
          ops: [{ t: 'make', node, kind, parent, name, content: content && checked(content) }],
          main: 0,
        };
      }
      if (draft.t === 'settle') return { ops: [settle(bytesOf(draft.node), draft.keep)], main: 0 };
      const { node, row, aliases, copies } = target(bytesOf(draft.node));
      const ops: WireOp[] = copies.map(adopt);
      const main = ops.length;
      switch (draft.t) {
        case 'move': {
          const parent = folder(draft.parent, made);
          // One that would make a cycle at its place in the order is skipped there: a folder moved here while the drive moved
          // its new parent into it must still be told, and then follows the drive.
          for (const one of [node, ...aliases.map((alias) => alias.id)]) {
            ops.push({ t: 'move', node: one, parent, name: draft.name });
          }
          break;
        }
        case 'put': {
          if (row?.kind === 0) throw new AppError('invalid_argument', 'A folder has no content.');
          const parents = withEqual(node, refsOf(draft.base));
          ops.push({ t: 'put', node, parents, content: checked(draft.content) });
          // Merged files had the content now replaced; left alone they would come back under a conflict name.
          for (const alias of aliases) ops.push(del(alias.id, shown(alias)));
          break;
        }
        case 'mount': {
          if (row?.kind !== 0)
            throw new AppError('not_found', 'Only a folder can become a drive of its own.');
          const parents = store.operations.mountHeads(node).map((one) => refOf(one.ord));
          ops.push({
            t: 'mount',
            node,
            drive: draft.drive === null ? null : entryHash(draft.drive),
            parents,
          });
          break;
        }
        case 'del': {
          const seen = draft.base.length > 0 ? withEqual(node, refsOf(draft.base)) : shown(row);
          ops.push(del(node, row?.kind === 0 ? [] : seen));
          for (const alias of aliases) ops.push(del(alias.id, shown(alias)));
          break;
        }
      }
      return { ops, main };
    },
  };
}

/** The content as every replica will decode it. @throws AppError `invalid_argument` for what they would refuse */
function checked<T extends Parameters<typeof contentToWire>[0]>(content: T): T {
  try {
    const wire = contentToWire(content);
    return contentFromEncoded(wire, encodeCbor(wire)) as T;
  } catch (cause) {
    throw new AppError('invalid_argument', 'This content is not complete.', { cause });
  }
}
