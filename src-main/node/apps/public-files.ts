import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { NodeServices } from '../../api/index.ts';
import { parseDriveLink } from '../drive-link.ts';
import type { Views } from '../sharing/views.ts';

/** Files of public drives of others, by link. */
export interface PublicFiles {
  /** All bytes of a small one. @throws AppError `too_large`, and of the link */
  bytes(link: string, path: string, most: number, signal: AbortSignal): Promise<Uint8Array>;
  /** Into a file of this computer, which must not be there. @throws AppError `bad_hash` when it has another size */
  fetch(link: string, path: string, size: number, file: string, signal: AbortSignal): Promise<void>;
}

export function createPublicFiles(files: () => NodeServices['files'], views: () => Views): PublicFiles {
  /** A view that is open already may not have heard of the newest files: then it is opened anew. */
  async function open(link: string, path: string, signal: AbortSignal) {
    const read = () => files().read({ drive: link, path, version: null, start: 0, end: null }, signal);
    try {
      return await read();
    } catch (error) {
      const { driveId } = parseDriveLink(link);
      if (!isAppError(error, 'not_found') || !views().has(driveId)) throw error;
      await views().close(driveId);
      return read();
    }
  }
  async function* bounded(bytes: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<Uint8Array> {
    let left = most;
    for await (const chunk of bytes) {
      left -= chunk.length;
      if (left < 0) throw new AppError('too_large', 'The file is larger than it was said to be.');
      yield chunk;
    }
  }
  return {
    async bytes(link, path, most, signal) {
      const { bytes } = await open(link, path, signal);
      const chunks: Uint8Array[] = [];
      for await (const chunk of bounded(bytes, most)) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
    async fetch(link, path, size, file, signal) {
      const found = await open(link, path, signal);
      if (found.size !== size)
        throw new AppError('bad_hash', `${path} has ${found.size} bytes, not the ${size} of the release.`);
      await pipeline(Readable.from(bounded(found.bytes, size)), createWriteStream(file, { flags: 'wx' }), {
        signal,
      });
    },
  };
}
