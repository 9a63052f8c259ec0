import { byteList, concat, decodeCbor, encodeCbor, itemsOf, malformed } from './bytes.ts';
import { contentBytes, contentFromEncoded } from './content.ts';
import { isName } from './names.ts';
import type { Content, NodeKind } from '../types.ts';

/** Names an operation inside the tree: entry hash (32) and index in the body (u24). */
export type OpRef = Uint8Array;
export const opRefBytes = 35;
const nodeBytes = 16;
/** A body of 2 MiB holds at most this much of one operation. */
const maxOpBytes = 1_900_000;
const maxRefs = 4096;
export const maxKeyBytes = 512;
export const maxValueBytes = 1024 * 1024;
const kinds: readonly NodeKind[] = ['dir', 'file', 'link'];

/** Operations as they stand in entries. Node ids are 16 raw bytes. */
export type WireOp =
  /** Ties the writer of the feed to a device and a user; the first item of a feed's first `ops` entry. */
  | { readonly t: 'cert'; readonly cert: Uint8Array }
  | {
      readonly t: 'make';
      readonly node: Uint8Array;
      readonly kind: NodeKind;
      readonly parent: Uint8Array;
      readonly name: string;
      readonly content: Content | null;
    }
  | { readonly t: 'move'; readonly node: Uint8Array; readonly parent: Uint8Array; readonly name: string }
  | {
      readonly t: 'put';
      readonly node: Uint8Array;
      readonly parents: readonly OpRef[];
      readonly content: Content;
    }
  /** `loc`: the location op seen; null when the node came to be by adoption and never moved. */
  | {
      readonly t: 'del';
      readonly node: Uint8Array;
      readonly seen: readonly OpRef[];
      readonly loc: OpRef | null;
    }
  /** Makes the content ops `from` of `node` (the first names the copy) a node of its own, `id`. */
  | {
      readonly t: 'adopt';
      readonly node: Uint8Array;
      readonly from: readonly OpRef[];
      readonly id: Uint8Array;
      readonly parent: Uint8Array;
      readonly name: string;
    }
  /**
   * The folder `node` is the place of another drive from here on (`drive`: hash of its genesis entry), or an ordinary folder again
   * (null). `parents`: the mounts this one replaces.
   */
  | {
      readonly t: 'mount';
      readonly node: Uint8Array;
      readonly drive: Uint8Array | null;
      readonly parents: readonly OpRef[];
    }
  /** Of a collection: the value of a key from here on; null: it has none. `parents`: the operations on the key it replaces. */
  | {
      readonly t: 'set';
      readonly key: string;
      readonly value: Uint8Array | null;
      readonly parents: readonly OpRef[];
    };

/** Strict dag-cbor of one operation (arrays, no field names: tens of thousands of them stand in a chain). */
export function encodeOp(op: WireOp): Uint8Array {
  switch (op.t) {
    case 'cert':
      return encodeCbor(['cert', op.cert]);
    case 'make':
      return withContent(['make', op.node, kinds.indexOf(op.kind), op.parent, op.name], op.content);
    case 'move':
      return encodeCbor(['move', op.node, op.parent, op.name]);
    case 'put':
      return withContent(['put', op.node, op.parents], op.content);
    case 'del':
      return encodeCbor(['del', op.node, op.seen, op.loc]);
    case 'adopt':
      return encodeCbor(['adopt', op.node, op.from, op.id, op.parent, op.name]);
    case 'mount':
      return encodeCbor(['mount', op.node, op.drive, op.parents]);
    case 'set':
      return encodeCbor(['set', op.key, op.value, op.parents]);
  }
}

/** True for what a key of a collection may be: 1..512 bytes of UTF-8 in NFC, no NUL. */
export function isCollectionKey(key: string): boolean {
  const bytes = Buffer.byteLength(key);
  if (bytes === 0 || bytes > maxKeyBytes || key.includes('\0')) return false;
  return bytes === key.length || (key.isWellFormed() && key.normalize('NFC') === key);
}

/** CBOR's head of an array of `n` items, n < 24 (RFC 8949, 3): the items follow, each in its own encoding. */
const arrayHead = (n: number): number => 0x80 | n;
const encodedNull = Uint8Array.of(0xf6);

/** The encoding of `[...fields, content]`, with the content's encoding made once. */
function withContent(fields: readonly unknown[], content: Content | null): Uint8Array {
  const bytes = concat(encodeCbor(fields), content ? contentBytes(content) : encodedNull);
  bytes[0] = arrayHead(fields.length + 1);
  return bytes;
}

/**
 * Decodes one operation strictly.
 * @throws AppError `too_large`, `malformed`
 */
export function decodeOp(bytes: Uint8Array): WireOp {
  const what = 'tree operation';
  const value = decodeCbor(bytes, maxOpBytes, what);
  const t: unknown = Array.isArray(value) ? value[0] : null;
  const name = (text: string): string => {
    if (!isName(text)) throw malformed(what, 'a name cannot be used');
    return text;
  };
  const refs = (list: readonly unknown[]): readonly OpRef[] => byteList(list, opRefBytes, what);
  // The content stands last, so its encoding is the tail of the operation's.
  const contentAtEnd = (item: unknown): Content => {
    const head = encodeCbor((value as unknown[]).slice(0, -1));
    return contentFromEncoded(item, bytes.subarray(head.length));
  };
  switch (t) {
    case 'cert':
      return { t, cert: itemsOf(value, 2, what).bytes(1) };
    case 'make': {
      const items = itemsOf(value, 6, what);
      const kind = kinds[items.whole(2, 2)] as NodeKind;
      const content = items.any(5) === null ? null : contentAtEnd(items.any(5));
      if ((kind === 'dir') !== (content === null) || (content && content.kind !== kind)) {
        throw malformed(what, 'kind and content do not fit together');
      }
      const node = items.bytes(1, nodeBytes);
      return { t, node, kind, parent: items.bytes(3, nodeBytes), name: name(items.text(4)), content };
    }
    case 'move': {
      const items = itemsOf(value, 4, what);
      const parent = items.bytes(2, nodeBytes);
      return { t, node: items.bytes(1, nodeBytes), parent, name: name(items.text(3)) };
    }
    case 'put': {
      const items = itemsOf(value, 4, what);
      const parents = refs(items.list(2, maxRefs));
      return { t, node: items.bytes(1, nodeBytes), parents, content: contentAtEnd(items.any(3)) };
    }
    case 'del': {
      const items = itemsOf(value, 4, what);
      const loc = items.any(3) === null ? null : items.bytes(3, opRefBytes);
      return { t, node: items.bytes(1, nodeBytes), seen: refs(items.list(2, maxRefs)), loc };
    }
    case 'adopt': {
      const items = itemsOf(value, 6, what);
      const from = refs(items.list(2, maxRefs));
      if (from.length === 0) throw malformed(what, 'it adopts nothing');
      const id = items.bytes(3, nodeBytes);
      const parent = items.bytes(4, nodeBytes);
      return { t, node: items.bytes(1, nodeBytes), from, id, parent, name: name(items.text(5)) };
    }
    case 'mount': {
      const items = itemsOf(value, 4, what);
      const drive = items.any(2) === null ? null : items.bytes(2, 32);
      return { t, node: items.bytes(1, nodeBytes), drive, parents: refs(items.list(3, maxRefs)) };
    }
    case 'set': {
      const items = itemsOf(value, 4, what);
      const key = items.text(1);
      if (!isCollectionKey(key)) throw malformed(what, 'a key cannot be used');
      const content = items.any(2) === null ? null : items.bytes(2);
      if (content !== null && content.length > maxValueBytes) throw malformed(what, 'a value is too large');
      return { t, key, value: content, parents: refs(items.list(3, maxRefs)) };
    }
    default:
      throw malformed(what, 'its kind is unknown');
  }
}
