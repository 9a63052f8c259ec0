import { lstatSync, readdirSync, renameSync, type BigIntStats } from 'node:fs';
import { parentPort } from 'node:worker_threads';

/**
 * Lists folders and puts files into place off the main thread: synchronous calls cost a tenth of asynchronous ones here, and a
 * slow disk stops nobody. Answers in columns, which cross threads far faster than objects.
 */
export type FsRequest = { readonly id: number } & (
  { readonly list: string } | { readonly place: readonly { readonly from: string; readonly to: string }[] }
);
export interface Listing {
  readonly names: readonly string[];
  /** 0 file, 1 dir, 2 link, 3 other, 4 invalid name, 5 unreadable. */
  readonly types: Uint8Array;
  /** Per entry: size, mtimeNs, ctimeNs, birthNs, ino, dev, mode. */
  readonly stats: BigInt64Array;
  /** System error codes by index. */
  readonly errors: Readonly<Record<number, string>>;
}
export type FsAnswer =
  | { readonly id: number; readonly ok: true; readonly listing: Listing }
  | { readonly id: number; readonly ok: false; readonly code: string; readonly message: string };

export const columns = 7;

function note(listing: { types: Uint8Array; stats: BigInt64Array }, at: number, stat: BigIntStats): void {
  listing.types[at] = stat.isFile() ? 0 : stat.isDirectory() ? 1 : stat.isSymbolicLink() ? 2 : 3;
  const { size, mtimeNs, ctimeNs, birthtimeNs, ino, dev, mode } = stat;
  const values = [size, mtimeNs, ctimeNs, birthtimeNs, ino, dev, mode];
  listing.stats.set(
    values.map((n) => BigInt.asIntN(64, n)),
    at * columns,
  );
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';

function list(path: string): Listing {
  const found = readdirSync(path, { encoding: 'buffer' });
  const names: string[] = [];
  const types = new Uint8Array(found.length);
  const stats = new BigInt64Array(found.length * columns);
  const errors: Record<number, string> = {};
  let count = 0;
  for (const bytes of found) {
    const name = bytes.toString('utf8');
    if (!Buffer.from(name, 'utf8').equals(bytes)) {
      types[count] = 4;
    } else {
      try {
        note({ types, stats }, count, lstatSync(`${path}/${name}`, { bigint: true }));
      } catch (error) {
        if (codeOf(error) === 'ENOENT') continue;
        types[count] = 5;
        errors[count] = codeOf(error);
      }
    }
    names.push(name);
    count += 1;
  }
  return { names, types: types.slice(0, count), stats: stats.slice(0, count * columns), errors };
}

function place(items: readonly { readonly from: string; readonly to: string }[]): Listing {
  const types = new Uint8Array(items.length);
  const stats = new BigInt64Array(items.length * columns);
  const errors: Record<number, string> = {};
  items.forEach(({ from, to }, index) => {
    try {
      if (lstatSync(to, { throwIfNoEntry: false }) !== undefined) errors[index] = 'EEXIST';
      else {
        renameSync(from, to);
        note({ types, stats }, index, lstatSync(to, { bigint: true }));
      }
    } catch (error) {
      errors[index] = codeOf(error);
    }
  });
  return { names: items.map(({ to }) => to), types, stats, errors };
}

parentPort?.on('message', (request: FsRequest) => {
  let answer: FsAnswer;
  try {
    const listing = 'list' in request ? list(request.list) : place(request.place);
    answer = { id: request.id, ok: true, listing };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    answer = { id: request.id, ok: false, code: codeOf(error), message };
  }
  parentPort?.postMessage(answer, answer.ok ? [answer.listing.stats.buffer as ArrayBuffer] : []);
});
