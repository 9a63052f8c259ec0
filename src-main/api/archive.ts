import { Zip, ZipPassThrough } from 'fflate';
import type { FileEntry } from '../../src-shared/contract/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import type { ByteSource, NodeServices } from './node-services.ts';

/** What the format can say without its 64-bit extension. */
const mostEntries = 65_534;
const mostBytes = 0xffff_ffff;
const page = 1000;

interface Packed {
  /** In the drive; null: a folder. */
  readonly path: string | null;
  /** In the archive; that of a folder ends in a slash. */
  readonly name: string;
  readonly size: number;
  readonly time: number;
}

export interface Archive {
  readonly size: number;
  open(start: number, end: number | null, signal: AbortSignal): Promise<ByteSource>;
}

/**
 * Files and folders of a drive as one ZIP file, written while it is fetched: nothing is compressed, so its size is known before.
 * @throws AppError `too_large`, `not_found`
 */
export async function archive(
  files: Pick<NodeServices['files'], 'list' | 'read'>,
  { drive, paths }: { readonly drive: string; readonly paths: readonly string[] },
  signal: AbortSignal,
): Promise<Archive> {
  const packed: Packed[] = [];
  let size = 22;
  function note(one: Packed): void {
    packed.push(one);
    // Two headers with the name, and what follows the bytes: their checksum and length.
    size += 30 + 16 + 46 + 2 * Buffer.byteLength(one.name) + one.size;
    if (packed.length > mostEntries || size > mostBytes) {
      throw new AppError(
        'too_large',
        'This is too much for one ZIP file (4 GB, 65,534 files). Download it in parts.',
      );
    }
  }
  function add({ path, name, kind, size: bytes, mtime }: FileEntry, above: string): void {
    // Links would point at something else wherever they are unpacked.
    if (kind !== 'file') return;
    note({ path, name: above + name, size: bytes, time: mtime === null ? 0 : Date.parse(mtime) });
  }
  function addFolder(path: string, above: string): string {
    const name = `${above}${path.split('/').at(-1)}/`;
    note({ path: null, name, size: 0, time: 0 });
    return name;
  }
  for (const top of paths) {
    const folders = [{ path: top, above: '' }];
    for (let at = folders.pop(); at; at = folders.pop()) {
      let above: string | null = null;
      for (let after: string | null = null; ;) {
        const { items, next } = await files.list({ drive, path: at.path, after, limit: page }, signal);
        // A file is listed as itself.
        if (items[0]?.path === at.path) {
          add(items[0], at.above);
          break;
        }
        above ??= addFolder(at.path, at.above);
        for (const entry of items) {
          if (entry.kind === 'dir') folders.push({ path: entry.path, above });
          else add(entry, above);
        }
        if (next === null) break;
        after = next;
      }
    }
  }
  return {
    size,
    open(start, end, reading) {
      const bytes = part(zipped(files, drive, packed, reading), start, Math.min(end ?? size, size));
      return Promise.resolve({ size, bytes });
    },
  };
}

async function* zipped(
  files: Pick<NodeServices['files'], 'read'>,
  drive: string,
  packed: readonly Packed[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const out: Uint8Array[] = [];
  const zip = new Zip((error, chunk) => {
    if (error) throw error;
    out.push(chunk);
  });
  for (const { path, name, size, time } of packed) {
    const file = new ZipPassThrough(name);
    // The format begins in 1980.
    file.mtime = new Date(Math.max(time, Date.UTC(1980, 0, 2)));
    zip.add(file);
    if (path !== null) {
      const source = await files.read({ drive, path, version: null, start: 0, end: null }, signal);
      if (source.size !== size) throw new AppError('changed_while_reading', `${path} changed meanwhile.`);
      for await (const bytes of source.bytes) {
        file.push(bytes);
        yield* out.splice(0);
      }
    }
    file.push(new Uint8Array(0), true);
    yield* out.splice(0);
  }
  zip.end();
  yield* out.splice(0);
}

/** From `start` to before `end` of what would come. */
async function* part(
  all: AsyncGenerator<Uint8Array>,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  let at = 0;
  if (start >= end) return;
  for await (const bytes of all) {
    const piece = bytes.subarray(Math.max(0, start - at), Math.max(0, end - at));
    at += bytes.length;
    if (piece.length > 0) yield piece;
    if (at >= end) return;
  }
}
