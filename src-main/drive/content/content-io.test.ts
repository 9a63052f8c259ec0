import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cloneFile } from './clone-file.ts';
import { createContentIo } from './content-io.ts';
import { createInlineContentIo } from './inline-io.ts';
import type { VirtualFs } from './fs.ts';
import { stampOf, utimesSeconds } from './stamp.ts';
import type { ContentIo, Indexed, SealedBlock } from './types.ts';

const seal = { epoch: 'e'.repeat(64), key: new Uint8Array(32).fill(3) };
let dir: string;
let threads: ContentIo;

beforeAll(() => {
  threads = createContentIo({ threads: 2 });
});
afterAll(() => threads.stop());
beforeEach(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'content-'));
});
afterEach(() => fs.rm(dir, { recursive: true, force: true }));

/** The real file system behind the small interface that simulators implement. */
const realFs: VirtualFs = {
  readFile: (file) => fs.readFile(file),
  stat: async (file) => stampOf(await fs.lstat(file, { bigint: true })),
  async writeAt(file, position, bytes) {
    const handle = await fs.open(file, (await fs.stat(file).catch(() => null)) ? 'r+' : 'w+');
    await handle.write(bytes, 0, bytes.length, position);
    await handle.close();
  },
  async truncate(file, size) {
    await fs.appendFile(file, '');
    await fs.truncate(file, size);
  },
  async setMeta(file, { mode, mtime }) {
    await fs.chmod(file, mode);
    await fs.utimes(file, utimesSeconds(mtime), utimesSeconds(mtime));
  },
  sync: async () => {},
  syncAll: async () => {},
};

function ok<T>(result: T | Error | undefined): T {
  if (result instanceof Error || result === undefined) throw result ?? new Error('no result');
  return result;
}
async function write(name: string, bytes: Uint8Array | string, mode = 0o644): Promise<string> {
  const file = path.join(dir, name);
  await fs.writeFile(file, bytes);
  await fs.chmod(file, mode);
  return file;
}
const refused = (code: string) => expect.objectContaining({ name: 'AppError', code });

async function indexWith(io: ContentIo, file: string): Promise<{ indexed: Indexed; blocks: SealedBlock[] }> {
  const blocks: SealedBlock[] = [];
  const onSealed = (some: readonly SealedBlock[]): void => void blocks.push(...some);
  const [result] = await io.index([{ path: file, seal, previous: null, onSealed }]);
  return { indexed: ok(result), blocks };
}

describe.each([
  ['worker threads', () => threads],
  ['inline', () => createInlineContentIo(realFs)],
])('content over %s', (_, make) => {
  let io: ContentIo;
  beforeEach(() => {
    io = make();
  });

  it('carries files of all sizes from one place to another', async () => {
    const sizes = [0, 1, 4096, 4097, 131_072, 131_073, 3_000_000];
    const files = await Promise.all(
      sizes.map((size, i) => write(`f${i}`, randomBytes(size), i % 2 ? 0o755 : 0o644)),
    );
    for (const [i, file] of files.entries()) {
      const { indexed, blocks } = await indexWith(io, file);
      expect(indexed.content.blocks.map((ref) => ref.len).reduce((a, b) => a + b, 0)).toBe(
        sizes[i]! > 4096 ? sizes[i]! : 0,
      );
      const temp = path.join(dir, `temp${i}`);
      const requests = blocks.map(({ ref, offset, ciphertext }) => {
        return { ref, key: seal.key, path: temp, offsets: [offset], ciphertext };
      });
      expect(await io.place(requests.reverse())).toEqual(requests.map(() => null));
      const stamp = ok((await io.finish([{ temp, content: indexed.content, fsync: i % 2 === 0 }]))[0]);
      const [was, is] = await Promise.all([fs.readFile(file), fs.readFile(temp)]);
      expect(Buffer.compare(was, is)).toBe(0);
      expect(Buffer.from(indexed.content.hash).toString('hex')).toBe(
        createHash('sha256').update(is).digest('hex'),
      );
      const stats = await fs.stat(temp, { bigint: true });
      expect(stamp).toEqual(stampOf(stats));
      expect(Number(stats.mtimeMs)).toBe(indexed.content.mtime);
      expect(Number(stats.mode & 0o777n)).toBe((i % 2 ? 0o777 : 0o666) & ~process.umask());
    }
  });

  it('seals again what is unchanged, and nothing else', async () => {
    const file = await write('a', randomBytes(400_000));
    const { indexed, blocks } = await indexWith(io, file);
    const ask = (stamp = indexed.stamp) =>
      io.seal(blocks.map(({ ref, offset }) => ({ path: file, offset, ref, key: seal.key, stamp })));
    const again = await ask();
    for (const [i, bytes] of again.entries()) expect(Buffer.compare(bytes!, blocks[i]!.ciphertext)).toBe(0);
    const handle = await fs.open(file, 'r+');
    await handle.write(Buffer.from([1, 2, 3]), 0, 3, 200_000);
    await handle.close();
    expect(await ask()).toEqual(blocks.map(() => null));
    // Were a stamp to lie, the plaintext hash still tells.
    const now = stampOf(await fs.lstat(file, { bigint: true }));
    expect((await ask(now)).map((bytes) => bytes === null)).toEqual([false, true, false, false]);
    await fs.rm(file);
    expect(await ask()).toEqual(blocks.map(() => null));
  });

  it('answers each item for itself', async () => {
    const good = await write('good', 'hello');
    await fs.symlink(good, path.join(dir, 'link'));
    await fs.mkdir(path.join(dir, 'folder'));
    const names = ['missing', 'good', 'link', 'folder', 'good/inside'];
    const inputs = names.map((name) => ({ path: path.join(dir, name), seal, previous: null }));
    const results = await io.index(inputs);
    expect(
      results.map((result) => (result instanceof Error ? (result as Error & { code: string }).code : 'ok')),
    ).toEqual(['not_found', 'ok', 'unsupported', 'unsupported', 'not_found']);
  });

  it('refuses lying blocks and wrong keys, and copies only what is as it should be', async () => {
    const file = await write('a', randomBytes(300_000));
    const { indexed, blocks } = await indexWith(io, file);
    const [first, second] = blocks as [SealedBlock, SealedBlock];
    const temp = path.join(dir, 'temp');
    const request = { ref: first.ref, key: seal.key, path: temp, offsets: [0], ciphertext: first.ciphertext };
    const results = await io.place([
      { ...request, ref: second.ref },
      { ...request, key: new Uint8Array(32) },
      { ...request, ciphertext: first.ciphertext.map((byte) => byte ^ 1) },
      request,
    ]);
    expect(results).toEqual([refused('bad_hash'), refused('bad_hash'), refused('bad_hash'), null]);
    const copy = { from: file, fromOffset: 0, to: temp, toOffset: 131_072, ref: first.ref };
    const copied = await io.copy([
      copy,
      { ...copy, fromOffset: 1 },
      { ...copy, from: path.join(dir, 'none') },
    ]);
    expect(copied).toEqual([null, refused('bad_hash'), refused('not_found')]);
    expect(
      Buffer.compare(
        (await fs.readFile(temp)).subarray(131_072),
        (await fs.readFile(file)).subarray(0, 131_072),
      ),
    ).toBe(0);
    const sealed = await io.seal([
      { path: file, offset: 0, ref: first.ref, key: seal.key, stamp: indexed.stamp },
    ]);
    expect(await io.open(first.ref, seal.key, sealed[0]!)).toHaveLength(131_072);
    await expect(io.open(first.ref, new Uint8Array(32), sealed[0]!)).rejects.toEqual(refused('bad_hash'));
  });

  it('notices a file that changes while it is read', async () => {
    const file = await write('a', randomBytes(3_000_000));
    const onSealed = () => fs.appendFile(file, 'more');
    const results = await io.index([{ path: file, seal, previous: null, onSealed }]);
    expect(results).toEqual([refused('changed_while_reading')]);
  });

  it('makes a failing onSealed the failure of its file only', async () => {
    const [a, b] = [await write('a', randomBytes(10_000)), await write('b', randomBytes(10_000))];
    const onSealed = () => Promise.reject(new Error('no room'));
    const results = await io.index([
      { path: a, seal, previous: null, onSealed },
      { path: b, seal, previous: null },
    ]);
    expect(results[0]).toEqual(refused('internal'));
    expect(ok(results[1]).content.size).toBe(10_000);
  });

  it('stops reading when told to', async () => {
    const file = await write('a', randomBytes(20_000_000));
    const controller = new AbortController();
    const onSealed = (): void => controller.abort();
    const results = await io.index([{ path: file, seal, previous: null, onSealed }], controller.signal);
    if (io === threads) expect(results).toEqual([refused('cancelled')]);
    controller.abort();
    expect(await io.index([{ path: file, seal, previous: null }], controller.signal)).toEqual([
      refused('cancelled'),
    ]);
  });
});

describe('worker threads', () => {
  it('give the same blocks as inline work', async () => {
    const file = await write('a', randomBytes(1_000_000));
    const [one, two] = [await indexWith(threads, file), await indexWith(createInlineContentIo(realFs), file)];
    const ids = (indexed: Indexed) =>
      indexed.content.blocks.map((ref) => Buffer.from(ref.id).toString('hex'));
    expect(ids(one.indexed)).toEqual(ids(two.indexed));
  });

  it('index and place many small files, and hold back while nobody takes the blocks', async () => {
    const inputs = [];
    let running = 0;
    let most = 0;
    const sealed = new Map<string, SealedBlock>();
    for (let i = 0; i < 600; i++) {
      const file = await write(`f${i}`, randomBytes(4097 + 10 * i));
      const onSealed = async (blocks: readonly SealedBlock[]): Promise<void> => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        sealed.set(file, blocks[0]!);
        running--;
      };
      inputs.push({ path: file, seal, previous: null, onSealed });
    }
    const results = (await threads.index(inputs)).map(ok);
    expect(sealed.size).toBe(600);
    expect(most).toBeLessThanOrEqual(4 * 2);
    const requests = inputs.map(({ path: file }) => {
      const { ref, ciphertext } = sealed.get(file)!;
      return { ref, ciphertext, key: seal.key, path: `${file}.tmp`, offsets: [0] };
    });
    expect((await threads.place(requests)).filter(Boolean)).toEqual([]);
    const finished = await threads.finish(
      inputs.map(({ path: file }, i) => ({
        temp: `${file}.tmp`,
        content: results[i]!.content,
        fsync: false,
      })),
    );
    expect(finished.filter((stamp) => stamp instanceof Error)).toEqual([]);
    await threads.syncFileSystem(dir);
    for (const { path: file } of inputs.slice(0, 50)) {
      expect(Buffer.compare(await fs.readFile(file), await fs.readFile(`${file}.tmp`))).toBe(0);
    }
  });

  it('reuse blocks of the version before', async () => {
    const bytes = randomBytes(2_000_000);
    const { indexed } = await indexWith(threads, await write('a', bytes));
    const moved = await write('b', Buffer.concat([Buffer.from('x'), bytes]));
    const blocks: SealedBlock[] = [];
    const onSealed = (some: readonly SealedBlock[]): void => void blocks.push(...some);
    const [again] = await threads.index([
      { path: moved, seal: { ...seal, epoch: 'f'.repeat(64) }, previous: indexed.content, onSealed },
    ]);
    expect(blocks).toHaveLength(1);
    expect(ok(again).content.blocks[0]!.epoch).toBe('f'.repeat(64));
    expect(ok(again).content.blocks.slice(1)).toEqual(indexed.content.blocks);
  });

  it('place one ciphertext in several files', async () => {
    const { blocks } = await indexWith(threads, await write('a', randomBytes(131_072)));
    const { ref, ciphertext } = blocks[0]!;
    const requests = [1, 2, 3].map((n) => ({
      ref,
      ciphertext,
      key: seal.key,
      path: path.join(dir, `t${n}`),
      offsets: [0, 131_072],
    }));
    expect(await threads.place(requests)).toEqual([null, null, null]);
    for (const { path: file } of requests) expect((await fs.stat(file)).size).toBe(262_144);
  });

  it('write into the file that stands there now, not into one deleted meanwhile', async () => {
    const { indexed, blocks } = await indexWith(threads, await write('a', randomBytes(10_000)));
    const temp = path.join(dir, 'temp');
    const request = { ref: blocks[0]!.ref, key: seal.key, path: temp, offsets: [0] };
    expect(await threads.place([{ ...request, ciphertext: blocks[0]!.ciphertext.slice() }])).toEqual([null]);
    await fs.rm(temp);
    expect(await threads.place([{ ...request, ciphertext: blocks[0]!.ciphertext.slice() }])).toEqual([null]);
    ok((await threads.finish([{ temp, content: indexed.content, fsync: true }]))[0]);
    expect((await fs.stat(temp)).size).toBe(10_000);
  });

  it.skipIf(process.platform === 'win32')(
    'never wait for a pipe, never write through a symlink',
    async () => {
      const pipe = path.join(dir, 'pipe');
      execFileSync('mkfifo', [pipe]);
      expect(await threads.index([{ path: pipe, seal, previous: null }])).toEqual([refused('unsupported')]);
      const victim = await write('victim', 'untouched');
      await fs.symlink(victim, path.join(dir, 'link'));
      const { indexed, blocks } = await indexWith(threads, await write('a', randomBytes(10_000)));
      const temp = path.join(dir, 'link');
      const place = {
        ref: blocks[0]!.ref,
        key: seal.key,
        path: temp,
        offsets: [0],
        ciphertext: blocks[0]!.ciphertext,
      };
      expect(await threads.place([place])).toEqual([refused('unsupported')]);
      expect(await threads.finish([{ temp, content: indexed.content, fsync: false }])).toEqual([
        refused('unsupported'),
      ]);
      expect(await fs.readFile(victim, 'utf8')).toBe('untouched');
    },
  );

  it('are replaced when one dies; its work fails, the next succeeds', async () => {
    const io = createContentIo({
      threads: 1,
      workerUrl: new URL('./crashing-worker.fixture.ts', import.meta.url),
    });
    try {
      const good = await write('good', randomBytes(10_000));
      const crash = await write('crash', 'x');
      expect(await io.index([{ path: crash, seal, previous: null }])).toEqual([refused('internal')]);
      expect(ok((await io.index([{ path: good, seal, previous: null }]))[0]).content.size).toBe(10_000);
    } finally {
      await io.stop();
    }
    expect(await io.index([{ path: dir, seal, previous: null }])).toEqual([refused('shutting_down')]);
    expect(
      await io.copy([
        {
          from: dir,
          fromOffset: 0,
          to: dir,
          toOffset: 0,
          ref: { id: new Uint8Array(32), epoch: 'e', plainHash: new Uint8Array(32), len: 1, weak: 0 },
        },
      ]),
    ).toEqual([refused('shutting_down')]);
  });

  it('say so when the disk cannot be flushed', async () => {
    await expect(threads.syncFileSystem(path.join(dir, 'nowhere'))).rejects.toEqual(refused('internal'));
  });
});

describe('clone', () => {
  it('shares the bytes or makes nothing', async () => {
    const from = await write('a', 'bytes');
    const to = path.join(dir, 'b');
    const cloned = await cloneFile(from, to);
    expect(await fs.readFile(to, 'utf8').catch(() => null)).toBe(cloned ? 'bytes' : null);
    await expect(cloneFile(path.join(dir, 'none'), path.join(dir, 'c'))).rejects.toEqual(
      refused('not_found'),
    );
  });
});
