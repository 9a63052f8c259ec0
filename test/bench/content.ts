/** Prints how fast content is indexed, sealed, placed and copied: `node test/bench/content.ts [MiB]`. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import {
  createContentIo,
  type BlockRef,
  type FileContent,
  type Indexed,
  type IndexInput,
} from '../../src-main/drive/index.ts';

const mib = 1024 * 1024;
const size = Number(process.argv[2] ?? 256) * mib;
const seal = { epoch: '0'.repeat(64), key: randomBytes(32) };
const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'extrachain-bench-'));
const io = createContentIo();

async function timed<T>(name: string, bytes: number, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const before = process.cpuUsage();
  const result = await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  const cpu = `cpu ${(user / 1e6).toFixed(2)} + ${(system / 1e6).toFixed(2)} s`;
  console.log(
    `${name.padEnd(44)} ${seconds.toFixed(2)} s  ${(bytes / mib / seconds).toFixed(0)} MiB/s  ${cpu}`,
  );
  return result;
}
function ok<T>(result: T | Error | undefined): T {
  if (result instanceof Error || result === undefined) throw result ?? new Error('no result');
  return result;
}
const offsetsOf = (content: FileContent): number[] => {
  let at = 0;
  return content.blocks.map((block) => (at += block.len) - block.len);
};
async function indexChanged(name: string, file: string, previous: FileContent): Promise<void> {
  let fresh = 0;
  const onSealed = (blocks: readonly { ref: BlockRef }[]): void => void (fresh += blocks.length);
  await timed(name, size, () => io.index([{ path: file, seal, previous, onSealed }]).then((r) => ok(r[0])));
  console.log(`  new blocks: ${fresh}`);
}

try {
  const big = path.join(folder, 'big');
  const handle = await fs.open(big, 'w');
  for (let at = 0; at < size; at += 16 * mib) await handle.write(randomBytes(Math.min(16 * mib, size - at)));
  await handle.close();

  let seen = 0;
  const first: Indexed = await timed('index, ciphertext handed out', size, async () => {
    const onSealed = (blocks: readonly { ciphertext: Uint8Array }[]): void => {
      for (const block of blocks) seen += block.ciphertext.length;
    };
    return ok((await io.index([{ path: big, seal, previous: null, onSealed }]))[0]);
  });
  if (seen < size) throw new Error('blocks are missing');
  const { content, stamp } = first;
  const offsets = offsetsOf(content);

  await timed('index, unchanged', size, () => io.index([{ path: big, seal, previous: content }]));

  const requests = content.blocks.map((ref, i) => ({
    path: big,
    offset: offsets[i]!,
    ref,
    key: seal.key,
    stamp,
  }));
  const step = Math.max(1, Math.floor((4 * mib) / content.blockSize));
  const temp = path.join(folder, 'temp');
  await timed('seal again and place, 4 MiB at once', size, async () => {
    for (let i = 0; i < requests.length; i += step) {
      const some = requests.slice(i, i + step);
      const sealed = await io.seal(some);
      const results = await io.place(
        some.map(({ ref, key, offset }, k) => ({
          ref,
          key,
          path: temp,
          offsets: [offset],
          ciphertext: sealed[k]!,
        })),
      );
      for (const result of results) if (result) throw result;
    }
  });
  await timed('finish with fsync', size, async () =>
    ok((await io.finish([{ temp, content, fsync: true }]))[0]),
  );
  const copied = path.join(folder, 'copied');
  await timed('copy, verified', size, async () => {
    const results = await io.copy(
      content.blocks.map((ref, i) => ({
        from: big,
        fromOffset: offsets[i]!,
        to: copied,
        toOffset: offsets[i]!,
        ref,
      })),
    );
    for (const result of results) if (result) throw result;
  });

  const patch = await fs.open(copied, 'r+');
  await patch.write(Buffer.from([1]), 0, 1, Math.floor(size / 3));
  await patch.close();
  await indexChanged('index, 1 byte changed', copied, content);
  const inserted = path.join(folder, 'inserted');
  await fs.writeFile(inserted, 'x');
  const sink = await fs.open(inserted, 'a');
  for await (const part of (await fs.open(big)).createReadStream({ highWaterMark: mib }))
    await sink.write(part as Buffer);
  await sink.close();
  await indexChanged('index, 1 byte inserted at the front', inserted, content);
  await fs.rm(inserted);
  const other = path.join(folder, 'other');
  const noise = await fs.open(other, 'w');
  for (let at = 0; at < size; at += 16 * mib) await noise.write(randomBytes(Math.min(16 * mib, size - at)));
  await noise.close();
  await indexChanged('index, everything replaced', other, content);

  const count = 3000;
  const inputs: IndexInput[] = [];
  let bytes = 0;
  for (let i = 0; i < count; i++) {
    const length = 1024 + ((i * 7919) % (63 * 1024));
    bytes += length;
    const file = path.join(folder, `small-${i}`);
    await fs.writeFile(file, randomBytes(length));
    inputs.push({ path: file, seal, previous: null, onSealed: () => {} });
  }
  const start = performance.now();
  await timed(`index ${count} files of 1-64 KiB`, bytes, async () => (await io.index(inputs)).map(ok));
  console.log(`  files/s: ${Math.round((count * 1000) / (performance.now() - start))}`);
} finally {
  await io.stop();
  await fs.rm(folder, { recursive: true, force: true });
}
