import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readFile, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import path from 'node:path';
import { differences, readTree, seeded, seededBytes, until, writeManyFiles } from '../support/trees.ts';
import type { Pair } from './contenders.ts';
import { cpuSeconds } from './process-cpu.ts';
import { median } from './records.ts';

/** What one run of one job gave. */
export interface Measure {
  /** Milliseconds (of several events: their median). */
  readonly ms: number;
  /** Bytes on the wire, where counted. */
  readonly wire: number | null;
  /** Processor seconds of both processes and what they started, until the clock stopped; where counted. */
  readonly cpu: number | null;
}

/** One line of the table. `prepare` is not timed. Each job goes on from where the one before left the pair. */
export interface Job {
  readonly name: string;
  readonly needs?: string;
  run(pair: Pair, scale: Scale): Promise<Measure>;
}

/** How large the work is: 1 is what the issue names. */
export interface Scale {
  readonly bigBytes: number;
  readonly files: number;
  readonly small: number;
}

const sample = 1 << 20;

/** Size and the hash of head, middle and tail: enough to stop a clock; everything is verified afterwards. */
async function sampledHash(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const hash = createHash('sha256').update(String(size));
    const buffer = Buffer.alloc(sample);
    for (const at of [0, Math.floor(size / 2), Math.max(0, size - sample)]) {
      const { bytesRead } = await handle.read(buffer, 0, sample, at);
      hash.update(buffer.subarray(0, bytesRead));
    }
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}

async function sameSample(from: string, to: string): Promise<boolean> {
  try {
    const [a, b] = await Promise.all([stat(from), stat(to)]);
    return a.size === b.size && (await sampledHash(from)) === (await sampledHash(to));
  } catch {
    return false;
  }
}

async function verifyAll(pair: Pair): Promise<void> {
  const hide = (tree: Map<string, string>): Map<string, string> =>
    new Map([...tree].filter(([name]) => !name.startsWith('.stfolder') && !name.startsWith('.stversions')));
  const found = differences([hide(await readTree(pair.a)), hide(await readTree(pair.b))]);
  if (found.length > 0) throw new Error(`not identical: ${found.slice(0, 5).join('; ')}`);
}

async function timed(
  pair: Pair,
  change: () => Promise<void>,
  done: () => Promise<boolean>,
  step = 10,
): Promise<Measure> {
  pair.resetWire();
  const cpuBefore = await cpuOf(pair);
  const start = performance.now();
  await change();
  await pair.nudge();
  await until('b equals a', 600_000, done, step);
  const ms = performance.now() - start;
  const wire = pair.wire();
  const cpuAfter = await cpuOf(pair);
  const cpu = cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore;
  await verifyAll(pair);
  return { ms, wire, cpu };
}

/** Programs that run only when they are called are not there to be asked. */
async function cpuOf(pair: Pair): Promise<number | null> {
  return pair.pids.length === 0 ? null : cpuSeconds(pair.pids);
}

async function writeRandom(file: string, bytes: number): Promise<void> {
  const random = seeded(bytes ^ Date.now());
  const handle = await open(file, 'w');
  for (let at = 0; at < bytes; at += 8 << 20)
    await handle.write(seededBytes(random, Math.min(8 << 20, bytes - at)));
  await handle.sync();
  await handle.close();
}

function outside(pair: Pair, name: string): string {
  return path.join(path.dirname(pair.a), name);
}

export const jobs: readonly Job[] = [
  {
    name: '1 GiB random file',
    async run(pair, scale) {
      const staged = outside(pair, 'big.staged');
      await writeRandom(staged, scale.bigBytes);
      const [from, to] = [path.join(pair.a, 'big.bin'), path.join(pair.b, 'big.bin')];
      return timed(
        pair,
        () => rename(staged, from),
        () => sameSample(from, to),
      );
    },
  },
  {
    name: '1 byte changed in it',
    needs: '1 GiB random file',
    async run(pair) {
      const [from, to] = [path.join(pair.a, 'big.bin'), path.join(pair.b, 'big.bin')];
      // In the sampled middle, so that the clock stops only when the byte itself has arrived.
      return timed(
        pair,
        async () => {
          const handle = await open(from, 'r+');
          const { size } = await handle.stat();
          const at = Math.floor(size / 2) + 17;
          const byte = Buffer.alloc(1);
          await handle.read(byte, 0, 1, at);
          byte[0]! ^= 0xff;
          await handle.write(byte, 0, 1, at);
          await handle.close();
        },
        () => sameSample(from, to),
      );
    },
  },
  {
    name: '1 byte inserted at its front',
    needs: '1 GiB random file',
    async run(pair) {
      const [from, to] = [path.join(pair.a, 'big.bin'), path.join(pair.b, 'big.bin')];
      const staged = outside(pair, 'big.inserted');
      await writeFile(staged, Buffer.from([42]));
      await pipeline(
        createReadStream(from, { highWaterMark: 4 << 20 }),
        createWriteStream(staged, { flags: 'a' }),
      );
      return timed(
        pair,
        () => rename(staged, from),
        () => sameSample(from, to),
      );
    },
  },
  {
    name: '10,000 files of 1-64 KiB',
    async run(pair, scale) {
      const staged = outside(pair, 'many.staged');
      await mkdir(staged);
      await writeManyFiles(staged, scale.files, { min: 1024, max: 65_536 }, seeded(Date.now()));
      const target = path.join(pair.a, 'many');
      const expected = [...(await readTree(staged)).keys()].filter((name) => name.endsWith('.bin'));
      let next = 0;
      return timed(
        pair,
        () => rename(staged, target),
        async () => {
          // Files may come in any order; those seen are not asked for again.
          while (next < expected.length) {
            const name = expected[next]!;
            const ok = await sameSize(path.join(target, name), path.join(pair.b, 'many', name));
            if (!ok) return false;
            next++;
          }
          return true;
        },
      );
    },
  },
  {
    name: 'rename of their folder',
    needs: '10,000 files of 1-64 KiB',
    async run(pair) {
      const to = path.join(pair.b, 'renamed');
      return timed(
        pair,
        () => rename(path.join(pair.a, 'many'), path.join(pair.a, 'renamed')),
        async () => {
          const [here, there] = await Promise.all([countFiles(path.join(pair.a, 'renamed')), countFiles(to)]);
          return here === there && !(await exists(path.join(pair.b, 'many')));
        },
      );
    },
  },
  {
    name: 'a new small file',
    async run(pair, scale) {
      const times: number[] = [];
      for (let i = 0; i < scale.small; i++) {
        await new Promise((resolve) => setTimeout(resolve, 300));
        const from = path.join(pair.a, `note-${Date.now()}.txt`);
        const target = path.join(pair.b, path.basename(from));
        const start = performance.now();
        await writeFile(from, `hello ${Math.random()}`);
        // Syncthing is left to its watcher here; rsync has none and is run.
        if (pair.pids.length === 0) await pair.nudge();
        const text = await readFile(from, 'utf8');
        await until(
          'the small file',
          60_000,
          async () => (await readFile(target, 'utf8').catch(() => '')) === text,
          4,
        );
        times.push(performance.now() - start);
      }
      await verifyAll(pair);
      return { ms: median(times), wire: null, cpu: null };
    },
  },
];

async function sameSize(a: string, b: string): Promise<boolean> {
  try {
    return (await stat(a)).size === (await stat(b)).size;
  } catch {
    return false;
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

async function countFiles(folder: string): Promise<number> {
  let count = 0;
  try {
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
      if (entry.isFile()) count++;
  } catch {
    return -1;
  }
  return count;
}
