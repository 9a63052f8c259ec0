import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, readdir, readlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** A small seeded generator (mulberry32), so that a failing run can be replayed. */
export function seeded(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** `length` bytes that do not compress, a function of the generator. */
export function seededBytes(random: () => number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i + 4 <= length; i += 4) bytes.writeUInt32LE((random() * 4294967296) >>> 0, i);
  for (let i = length & ~3; i < length; i++) bytes[i] = (random() * 256) | 0;
  return bytes;
}

export async function sha256File(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/**
 * What a folder holds, read from the disk: relative path to `sha256:<hex>`, `link:<target>` or `dir`. The node's own
 * `.extrachain` folder is left out. A folder that a running daemon changes meanwhile is read again from the start: a
 * name may go between listing and reading it. Throws when that happens ten times in a row.
 */
export async function readTree(folder: string): Promise<Map<string, string>> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await walkTree(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === 10) throw error;
    }
  }
}

async function walkTree(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const walk = async (relative: string): Promise<void> => {
    for (const name of (await readdir(path.join(folder, relative))).sort()) {
      if (relative === '' && name === '.extrachain') continue;
      const child = relative === '' ? name : `${relative}/${name}`;
      const full = path.join(folder, child);
      const stat = await lstat(full);
      if (stat.isDirectory()) {
        found.set(child, 'dir');
        await walk(child);
      } else if (stat.isSymbolicLink()) found.set(child, `link:${await readlink(full)}`);
      else found.set(child, `sha256:${await sha256File(full)}`);
    }
  };
  await walk('');
  return found;
}

/** Differences of several folders against the union of all of them (a missing item is a difference, never agreement). */
export function differences(trees: readonly ReadonlyMap<string, string>[]): string[] {
  const found: string[] = [];
  const names = new Set(trees.flatMap((tree) => [...tree.keys()]));
  for (const name of [...names].sort()) {
    const values = trees.map((tree) => tree.get(name) ?? 'missing');
    if (new Set(values).size > 1) found.push(`${name}: ${values.join(' | ')}`);
  }
  return found;
}

/** Writes `count` files of `min` to `max` bytes, 100 to a folder. Returns the bytes written. */
export async function writeManyFiles(
  folder: string,
  count: number,
  size: { min: number; max: number },
  random: () => number,
): Promise<number> {
  let total = 0;
  for (let i = 0; i < count; i++) {
    const dir = path.join(folder, `d${String(Math.floor(i / 100)).padStart(4, '0')}`);
    if (i % 100 === 0) await mkdir(dir, { recursive: true });
    const length = size.min + Math.floor(random() * (size.max - size.min + 1));
    total += length;
    await writeFile(path.join(dir, `f${String(i).padStart(6, '0')}.bin`), seededBytes(random, length));
  }
  return total;
}

/** Polls until `check` is true; throws with `what` when it takes longer than `ms`. */
export async function until(
  what: string,
  ms: number,
  check: () => Promise<boolean> | boolean,
  step = 20,
): Promise<number> {
  const start = performance.now();
  for (;;) {
    if (await check()) return performance.now() - start;
    if (performance.now() - start > ms) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, step));
  }
}
