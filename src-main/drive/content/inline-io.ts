import { AppError } from '../../../src-shared/errors.ts';
import { openBlock, sameBytes, sealBlock, sha256 } from './block.ts';
import { fileError } from './file-error.ts';
import type { VirtualFs } from './fs.ts';
import { indexSource } from './index-source.ts';
import { isExecutable, mtimeOf, sameStamp } from './stamp.ts';
import type { ContentIo, Indexed, IndexInput, SealedBlock } from './types.ts';

/** `ContentIo` without threads over a virtual file system: the same code on the same bytes, for simulations. */
export function createInlineContentIo(fs: VirtualFs): ContentIo {
  async function each<T, R>(
    items: readonly T[],
    pathOf: (item: T) => string,
    work: (item: T) => Promise<R>,
  ): Promise<(R | Error)[]> {
    const results: (R | Error)[] = [];
    for (const item of items) {
      try {
        results.push(await work(item));
      } catch (error) {
        results.push(fileError(error, pathOf(item)));
      }
    }
    return results;
  }

  async function indexOne(input: IndexInput, signal: AbortSignal | undefined): Promise<Indexed> {
    const stamp = await fs.stat(input.path);
    const bytes = await fs.readFile(input.path);
    const sealed: SealedBlock[] = [];
    const read = (target: Uint8Array, position: number): number => {
      const part = bytes.subarray(position, position + target.length);
      target.set(part);
      return part.length;
    };
    const indexed = await indexSource(
      { size: bytes.length, read },
      {
        seal: input.seal,
        previous: input.previous,
        onNew: {
          memory: (length) => new Uint8Array(length),
          found: (ref, offset, ciphertext) => void sealed.push({ ref, offset, ciphertext }),
        },
        aborted: () => signal?.aborted ?? false,
        memory: (length) => new Uint8Array(length),
      },
    );
    if (sealed.length > 0) await input.onSealed?.(sealed);
    if (stamp.size !== bytes.length || !sameStamp(stamp, await fs.stat(input.path))) {
      throw new AppError('changed_while_reading', 'The file was written to while it was being read.');
    }
    const content = { kind: 'file', ...indexed, mtime: mtimeOf(stamp), exec: isExecutable(stamp) } as const;
    return { content, stamp };
  }

  return {
    index: (inputs, signal) =>
      each(
        inputs,
        (input) => input.path,
        (input) => indexOne(input, signal),
      ),
    async seal(requests) {
      const results = await each(
        requests,
        (request) => request.path,
        async ({ path, offset, ref, key, stamp }) => {
          if (stamp !== null && !sameStamp(await fs.stat(path), stamp)) return null;
          return sealBlock(key, (await fs.readFile(path)).subarray(offset, offset + ref.len), ref);
        },
      );
      return results.map((result) => (result instanceof Error ? null : result));
    },
    place: (requests) =>
      each(
        requests,
        (request) => request.path,
        async ({ path, offsets, ref, key, ciphertext }) => {
          const plain = openBlock(key, ref, ciphertext);
          for (const offset of offsets) await fs.writeAt(path, offset, plain);
          return null;
        },
      ),
    copy: (requests) =>
      each(
        requests,
        (request) => request.from,
        async ({ from, fromOffset, to, toOffset, ref }) => {
          const plain = (await fs.readFile(from)).subarray(fromOffset, fromOffset + ref.len);
          if (plain.length < ref.len || !sameBytes(sha256(plain), ref.plainHash)) {
            throw new AppError('bad_hash', 'The file to copy from has changed.', { details: { path: from } });
          }
          await fs.writeAt(to, toOffset, plain);
          return null;
        },
      ),
    finish: (requests) =>
      each(
        requests,
        (request) => request.temp,
        async ({ temp, content, fsync }) => {
          if (content.inline) await fs.writeAt(temp, 0, content.inline);
          await fs.truncate(temp, content.size);
          await fs.setMeta(temp, { mode: content.exec ? 0o755 : 0o644, mtime: content.mtime });
          if (fsync) await fs.sync(temp);
          return fs.stat(temp);
        },
      ),
    syncFileSystem: () => fs.syncAll(),
    open: async (ref, key, ciphertext) => openBlock(key, ref, ciphertext),
    async stop() {},
  };
}
