import { open, stat } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { AppError } from '../../../src-shared/errors.ts';
import { leafRoot, proveLeaf } from '../../history/index.ts';
import { contentOf } from '../../ledger/index.ts';
import type { ContentBlock, ContentOpening } from '../../ledger/index.ts';
import { storeError } from '../../store/index.ts';

/** A file as the content of a contract: blocks of 256 KiB, one after another. */

/** Larger files are not kept from here yet: all of one is read while a leaf of it is proven. */
const maxFileBytes = 16 * 1024 * 1024;
const blockBytes = 256 * 1024;

async function blocksOf(
  file: string,
  bytes: number,
): Promise<readonly (ContentBlock & { readonly data: Buffer })[]> {
  const handle = await open(file);
  try {
    const blocks: (ContentBlock & { readonly data: Buffer })[] = [];
    for (let at = 0; at < bytes; at += blockBytes) {
      const data = Buffer.alloc(Math.min(blockBytes, bytes - at));
      const { bytesRead } = await handle.read(data, 0, data.length, at);
      blocks.push({ root: leafRoot(data), bytes: data.length, data: data.subarray(0, bytesRead) });
      await setImmediate();
    }
    return blocks;
  } finally {
    await handle.close();
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    const found = await stat(file);
    if (!found.isFile() || found.size === 0)
      throw new AppError('invalid_argument', 'This is no file with bytes in it.');
    if (found.size > maxFileBytes) {
      throw new AppError('too_large', `A file of a contract may have ${maxFileBytes} bytes here.`, {
        details: { bytes: found.size, limit: maxFileBytes },
      });
    }
    return found.size;
  } catch (error) {
    if (error instanceof AppError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new AppError('not_found', `There is no file ${file}.`, { cause: error });
    throw storeError(error, file);
  }
}

/** Root and size of a file. @throws AppError `not_found`, `invalid_argument`, `too_large`, `permission_denied` */
export async function measureFile(
  file: string,
): Promise<{ readonly root: Uint8Array; readonly bytes: number }> {
  const bytes = await sizeOf(file);
  return { root: contentOf(await blocksOf(file, bytes)).root, bytes };
}

/** Shows one leaf of a file under its root. @throws AppError as `measureFile`, `gone` when it is another file now */
export async function leafOfFile(file: string, root: Uint8Array, leaf: number): Promise<ContentOpening> {
  const blocks = await blocksOf(file, await sizeOf(file));
  const content = contentOf(blocks);
  if (leaf >= content.leaves || Buffer.compare(content.root, root) !== 0) {
    throw new AppError('gone', 'The file is not the one of the contract any more.');
  }
  const at = content.find(leaf);
  return content.open(leaf, proveLeaf(blocks[at.block]!.data, at.leaf)!);
}
