import { lstatSync, readdirSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

/**
 * Lists folders off the main thread: synchronous calls cost a tenth of asynchronous ones here, and a slow disk stops nobody.
 * Answers in columns, which cross threads far faster than objects.
 */
export interface ListRequest {
  readonly id: number;
  readonly path: string;
}
export type ListAnswer =
  | {
      readonly id: number;
      readonly ok: true;
      readonly names: readonly string[];
      /** 0 file, 1 dir, 2 link, 3 other, 4 invalid name, 5 unreadable. */
      readonly types: Uint8Array;
      /** Per entry: size, mtimeNs, ctimeNs, birthNs, ino, dev, mode. */
      readonly stats: BigInt64Array;
      readonly errors: Readonly<Record<number, string>>;
    }
  | { readonly id: number; readonly ok: false; readonly code: string; readonly message: string };

export const columns = 7;

function list(id: number, path: string): ListAnswer {
  try {
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
          const stat = lstatSync(`${path}/${name}`, { bigint: true });
          types[count] = stat.isFile() ? 0 : stat.isDirectory() ? 1 : stat.isSymbolicLink() ? 2 : 3;
          stats.set(
            [stat.size, stat.mtimeNs, stat.ctimeNs, stat.birthtimeNs, stat.ino, stat.dev, stat.mode].map(
              (n) => BigInt.asIntN(64, n),
            ),
            count * columns,
          );
        } catch (error) {
          const code = (error as NodeJS.ErrnoException).code ?? '';
          if (code === 'ENOENT') continue;
          types[count] = 5;
          errors[count] = code;
        }
      }
      names.push(name);
      count += 1;
    }
    return {
      id,
      ok: true,
      names,
      types: types.slice(0, count),
      stats: stats.slice(0, count * columns),
      errors,
    };
  } catch (error) {
    return {
      id,
      ok: false,
      code: (error as NodeJS.ErrnoException).code ?? '',
      message: error instanceof Error ? error.message : String(error),
    };
  }
}

parentPort?.on('message', (request: ListRequest) => {
  const answer = list(request.id, request.path);
  parentPort?.postMessage(answer, answer.ok ? [answer.stats.buffer as ArrayBuffer] : []);
});
