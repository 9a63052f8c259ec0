/** Files up to this many bytes ride inside their history entry. */
export const inlineLimit = 4096;
export const minBlockSize = 128 * 1024;
/** Also the longest block a reference may name. Bytes. */
export const maxBlockSize = 16 * 1024 * 1024;
const targetBlocks = 2000;

/**
 * The block size for a file of `size` bytes: 128 KiB doubling to 16 MiB, the smallest that gives at most 2,000 blocks
 * (Syncthing's ladder). Files above 31 GiB keep 16 MiB.
 */
export function blockSizeFor(size: number): number {
  let blockSize = minBlockSize;
  while (blockSize < maxBlockSize && size > blockSize * targetBlocks) blockSize *= 2;
  return blockSize;
}

/**
 * A file whose edits left it in more blocks than this is cut anew. Twice the count of a fresh cut; files of few blocks may
 * have 32, since there a manifest is small anyway and re-cutting would move more than the edit.
 */
export function maxBlocksFor(size: number): number {
  return 2 * Math.max(16, Math.ceil(size / blockSizeFor(size)));
}
