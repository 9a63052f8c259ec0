import { byteKey, encodeCbor, hex, itemsOf, malformed, sha256, unhex } from './bytes.ts';
import type { BlockRef, Content } from '../types.ts';

/** Files up to this size ride inside the operation. */
const maxInline = 4096;
/** epoch index (u16), id, plain hash, len (u32), weak sum (u32). */
const blockBytes = 2 + 32 + 32 + 4 + 4;
const maxEpochs = 65_535;
const maxTarget = 4096;
const what = 'description of a file';

/**
 * The compact form of a content as a value for dag-cbor: `['f', size, mtime, exec, hash, inline|null, blockSize, epochs,
 * blocks]` with the blocks packed into one byte string (74 bytes each), or `['l', target]`.
 */
export function contentToWire(content: Content): unknown {
  if (content.kind === 'link') return ['l', content.target];
  const epochs: Uint8Array[] = [];
  const indexOf = new Map<string, number>();
  const packed = Buffer.allocUnsafe(content.blocks.length * blockBytes);
  let at = 0;
  for (const block of content.blocks) {
    let index = indexOf.get(block.epoch);
    if (index === undefined) {
      indexOf.set(block.epoch, (index = epochs.length));
      epochs.push(unhex(block.epoch));
    }
    packed.writeUInt16BE(index, at);
    packed.set(block.id, at + 2);
    packed.set(block.plainHash, at + 34);
    packed.writeUInt32BE(block.len, at + 66);
    packed.writeUInt32BE(block.weak >>> 0, at + 70);
    at += blockBytes;
  }
  return [
    'f',
    content.size,
    Math.round(content.mtime),
    content.exec,
    content.hash,
    content.inline,
    content.blockSize,
    epochs,
    new Uint8Array(packed),
  ];
}

/** An import encodes each content for its operation and stores the same bytes in the tree. */
const encodings = new WeakMap<Content, Uint8Array>();

/** Strict dag-cbor of `contentToWire`; remembered while the content object lives. Not to be changed by the caller. */
export function contentBytes(content: Content): Uint8Array {
  let bytes = encodings.get(content);
  if (bytes === undefined) encodings.set(content, (bytes = encodeCbor(contentToWire(content))));
  return bytes;
}

/** As `contentFromWire`, for a value whose one encoding is known to be `bytes`. */
export function contentFromEncoded(value: unknown, bytes: Uint8Array): Content {
  const content = contentFromWire(value);
  encodings.set(content, bytes);
  return content;
}

/**
 * Reads what `contentToWire` made and checks that sizes add up and that it is the one encoding.
 * @throws AppError `malformed`
 */
export function contentFromWire(value: unknown): Content {
  if (Array.isArray(value) && value[0] === 'l') {
    const target = itemsOf(value, 2, what).text(1);
    if (target.length === 0 || Buffer.byteLength(target) > maxTarget || target.includes('\0')) {
      throw malformed(what, 'the target of a link is not usable');
    }
    return { kind: 'link', target };
  }
  const items = itemsOf(value, 9, what);
  if (items.any(0) !== 'f') throw malformed(what, 'its kind is unknown');
  const size = items.whole(1);
  const mtime = items.any(2);
  if (typeof mtime !== 'number' || !Number.isSafeInteger(mtime))
    throw malformed(what, 'its time is no number');
  const exec = items.any(3);
  if (typeof exec !== 'boolean') throw malformed(what, 'its mode is unknown');
  const hash = items.bytes(4, 32);
  const inline = items.any(5) === null ? null : items.bytes(5);
  const blockSize = items.whole(6);
  const blocks = unpackBlocks(items.list(7, maxEpochs), items.bytes(8));
  if (inline) {
    if (blocks.length > 0 || inline.length > maxInline || inline.length !== size) {
      throw malformed(what, 'its size is wrong');
    }
  } else {
    let total = 0;
    for (const block of blocks) total += block.len;
    if (total !== size) throw malformed(what, 'its blocks do not add up to its size');
  }
  return { kind: 'file', size, mtime, exec, hash, inline, blockSize, blocks };
}

function unpackBlocks(epochList: readonly unknown[], bytes: Uint8Array): BlockRef[] {
  if (bytes.length % blockBytes !== 0) throw malformed(what, 'its blocks are cut short');
  const epochs = epochList.map((epoch) => {
    if (!(epoch instanceof Uint8Array) || epoch.length !== 32)
      throw malformed(what, 'a key epoch has no 32 bytes');
    return hex(epoch);
  });
  const packed = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocks: BlockRef[] = [];
  // Epochs are numbered in the order of their first block, so that there is one encoding.
  let seen = 0;
  for (let at = 0; at < packed.length; at += blockBytes) {
    const index = packed.readUInt16BE(at);
    if (index > seen || index >= epochs.length) throw malformed(what, 'its key epochs are out of order');
    if (index === seen) seen += 1;
    const len = packed.readUInt32BE(at + 66);
    if (len === 0) throw malformed(what, 'it has an empty block');
    blocks.push({
      id: bytes.slice(at + 2, at + 34),
      epoch: epochs[index] as string,
      plainHash: bytes.slice(at + 34, at + 66),
      len,
      weak: packed.readUInt32BE(at + 70),
    });
  }
  if (seen !== epochs.length || new Set(epochs).size !== epochs.length) {
    throw malformed(what, 'its key epochs are not those of its blocks');
  }
  return blocks;
}

/** Equal for contents that are the same to people: kind, and bytes or target. 33 bytes. */
export function contentKey(content: Content): Uint8Array {
  const key = new Uint8Array(33);
  key[0] = content.kind === 'file' ? 1 : 2;
  key.set(content.kind === 'file' ? content.hash : sha256('link\0', content.target), 1);
  return key;
}

/** True when both contents are the same to people. */
export function sameContent(a: Content, b: Content): boolean {
  return byteKey(contentKey(a)) === byteKey(contentKey(b));
}
