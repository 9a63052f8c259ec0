import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createChunkStore, type Chunk, type ChunkStore } from './chunks.ts';

let dir: string;
beforeEach(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'chunks-'));
});
afterEach(() => fs.rm(dir, { recursive: true, force: true }));

const chunk = (bytes: Uint8Array): Chunk => ({ id: createHash('sha256').update(bytes).digest(), bytes });
const filled = (value: number, length: number): Chunk => chunk(new Uint8Array(length).fill(value));
async function open(budget = 1e9, onDamaged?: (id: Uint8Array) => void): Promise<ChunkStore> {
  const store = createChunkStore({ dir, budget, ...(onDamaged ? { onDamaged } : {}) });
  await store.start();
  return store;
}
async function chunkFiles(): Promise<string[]> {
  const names = await fs.readdir(dir, { recursive: true, withFileTypes: true });
  return names.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

describe('chunk store', () => {
  it('gives back what was put, also after a restart, and counts bytes once', async () => {
    const first = await open();
    const chunks = [filled(1, 10), filled(2, 300_000), filled(1, 10)];
    await first.put(chunks, { durable: true });
    await first.put(chunks);
    expect(first.usage()).toMatchObject({ bytes: 300_010, count: 2 });
    await first.stop();
    const second = await open();
    expect(second.usage()).toMatchObject({ bytes: 300_010, count: 2 });
    for (const { id, bytes } of chunks) expect(Buffer.compare((await second.get(id))!, bytes)).toBe(0);
    expect(await second.get(filled(9, 9).id)).toBeNull();
  });

  it('finds torn and changed files, reports them and stores them anew', async () => {
    const damaged: string[] = [];
    const store = await open(1e9, (id) => damaged.push(Buffer.from(id).toString('hex')));
    const one = filled(3, 5000);
    for (const harm of [
      (file: string) => fs.truncate(file, 0),
      (file: string) => fs.truncate(file, 4999),
      async (file: string) => {
        const bytes = await fs.readFile(file);
        bytes[2500]! ^= 1;
        await fs.writeFile(file, bytes);
      },
    ]) {
      await store.put([one]);
      await harm((await chunkFiles())[0]!);
      expect(await store.get(one.id)).toBeNull();
      expect(store.has(one.id)).toBe(false);
      expect(store.usage()).toMatchObject({ bytes: 0, count: 0 });
    }
    expect(damaged).toHaveLength(3);
    await store.put([one]);
    expect(await store.get(one.id)).not.toBeNull();
  });

  it('replaces a torn file found at start when the chunk is put again', async () => {
    const one = filled(4, 100);
    await (await open()).put([one]);
    await fs.truncate((await chunkFiles())[0]!, 7);
    const store = await open();
    await store.put([one]);
    expect(await store.get(one.id)).not.toBeNull();
    expect(store.usage().bytes).toBe(100);
  });

  it('evicts the longest unused, never the pinned', async () => {
    const store = await open(1000);
    const [a, b, c, d] = [1, 2, 3, 4].map((value) => filled(value, 400)) as [Chunk, Chunk, Chunk, Chunk];
    await store.put([a]);
    await store.put([b]);
    await store.get(a.id);
    await store.put([c]);
    expect([a, b, c].map((one) => store.has(one.id))).toEqual([true, false, true]);
    store.pin('v1', [a.id, c.id]);
    await store.put([d]);
    expect([a, c, d].map((one) => store.has(one.id))).toEqual([true, true, false]);
    store.pin('v1', []);
    await store.setBudget(400);
    expect([a, c].map((one) => store.has(one.id))).toEqual([false, true]);
    expect(await chunkFiles()).toHaveLength(1);
  });

  it('ignores what is not a chunk and cleans up half-written files', async () => {
    await (await open()).put([filled(5, 50)]);
    const folder = path.dirname((await chunkFiles())[0]!);
    await fs.writeFile(path.join(dir, 'tmp', 'half'), 'x');
    await fc.assert(
      fc.asyncProperty(fc.stringMatching(/^[a-z0-9]{1,60}$/), async (name) => {
        await fs.writeFile(path.join(folder, name), 'junk');
        const store = await open();
        expect(store.usage()).toMatchObject({ bytes: 50, count: 1 });
      }),
      { numRuns: 20, seed: 1 },
    );
    expect(await fs.readdir(path.join(dir, 'tmp'))).toEqual([]);
  });

  it('says so when the folder cannot be written', async () => {
    const store = await open();
    await fs.rm(dir, { recursive: true });
    await fs.writeFile(dir, 'a file where the folder was');
    await expect(store.put([filled(6, 6)])).rejects.toMatchObject({ name: 'AppError', code: 'internal' });
    expect(store.usage().count).toBe(0);
  });

  it('holds thousands of small chunks', async () => {
    const store = await open();
    const many = Array.from({ length: 2000 }, (_, i) => chunk(Buffer.from(`chunk ${i}`)));
    await store.put(many);
    expect(store.usage().count).toBe(2000);
    const again = await open();
    expect(again.usage()).toEqual(store.usage());
    await again.delete(many.map((one) => one.id));
    expect(again.usage()).toMatchObject({ bytes: 0, count: 0 });
    expect(await chunkFiles()).toEqual([]);
  });
});
