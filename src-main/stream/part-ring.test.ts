import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src-shared/runtime.ts';
import { createSigner } from '../identity/index.ts';
import { hashChunks, isHeaderSigned, readHeader, signHeader } from './codec/header.ts';
import { openPartRing } from './part-ring.ts';
import type { PartRing, RingPlace } from './part-ring.ts';
import { createPartWindow, payloadOf } from './part-window.ts';
import type { SignedHeader } from './types.ts';

const signer = createSigner(createHash('sha256').update('ring').digest());
const stream = 'ab'.repeat(32);
const size = 40_000;

const payloadAt = (seq: number): Uint8Array => new Uint8Array(Buffer.alloc(size, seq % 251));

function headerAt(seq: number): SignedHeader {
  return signHeader(signer, {
    stream,
    run: 0,
    epoch: 0,
    rendition: 0,
    seq,
    segment: Math.floor(seq / 5),
    first: seq - (seq % 5),
    pts: seq * 18_000,
    duration: 18_000,
    captured: seq * 200,
    independent: seq % 5 === 0,
    length: size,
    prevHash: new Uint8Array(32),
    chunks: hashChunks(payloadAt(seq)),
  });
}

let folder = '';
const open: PartRing[] = [];
beforeEach(async () => {
  folder = path.join(await mkdtemp(path.join(tmpdir(), 'ring-')), 'stream');
});
afterEach(async () => {
  for (const ring of open.splice(0)) await ring.close();
  await rm(path.dirname(folder), { recursive: true, force: true });
});

async function ring(options: Partial<Parameters<typeof openPartRing>[0]> = {}): Promise<PartRing> {
  const one = await openPartRing({ folder, logger: silentLogger, leastFree: 0, ...options });
  open.push(one);
  return one;
}

const write = (to: PartRing, seq: number): Promise<RingPlace | null> =>
  to.write(seq, headerAt(seq).bytes, [payloadAt(seq).subarray(0, 16_384), payloadAt(seq).subarray(16_384)]);

describe('the ring on disk', () => {
  it('gives back what was written, keeps within its bytes by letting the oldest go, and leaves nothing', async () => {
    const one = await ring({ maxBytes: 20 * 1024 * 1024 });
    const places: RingPlace[] = [];
    for (let seq = 0; seq < 900; seq++) places.push((await write(one, seq))!);
    expect(one.bytes()).toBeLessThanOrEqual(20 * 1024 * 1024);
    expect(one.bytes()).toBeGreaterThan(8 * 1024 * 1024);
    expect(await one.read(places[0]!)).toBeNull();
    expect(one.holds(places[0]!)).toBe(false);
    const newest = (await one.read(places[899]!))!;
    expect(readHeader(newest.header).seq).toBe(899);
    expect(Buffer.compare(newest.payload, payloadAt(899))).toBe(0);
    one.forgetBelow(10_000);
    // The file that is written to stays.
    expect(one.holds(places[899]!)).toBe(true);
    await one.remove();
    expect(existsSync(folder)).toBe(false);
    expect(await write(one, 900)).toBeNull();
  });

  it('writes nothing where the disk has no room for it, and says so', async () => {
    const one = await ring({ leastFree: Number.MAX_SAFE_INTEGER });
    expect(await write(one, 0)).toBeNull();
    expect(await write(one, 1)).toBeNull();
    expect(one.bytes()).toBe(0);
  });

  it('finds what an earlier start left, up to the record that was not finished', async () => {
    const before = await ring();
    for (let seq = 0; seq < 10; seq++) await write(before, seq);
    await before.close();
    const file = path.join(folder, (await readdir(folder))[0]!);
    const bytes = await readFile(file);
    await writeFile(file, bytes.subarray(0, bytes.length - 100));
    const found: number[] = [];
    const places: RingPlace[] = [];
    const after = await ring({
      found(header, place) {
        found.push(readHeader(header).seq);
        places.push(place);
        return found.at(-1)!;
      },
    });
    expect(found).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(Buffer.compare((await after.read(places[8]!))!.payload, payloadAt(8))).toBe(0);
    // What is written now goes beside it.
    const place = (await write(after, 20))!;
    expect(readHeader((await after.read(place))!.header).seq).toBe(20);
    // Without being asked for what is there, a ring begins empty.
    const fresh = await ring();
    expect(fresh.bytes()).toBe(0);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('the window of parts with a ring', () => {
  const read = (bytes: Uint8Array): SignedHeader | null => {
    const header = readHeader(bytes);
    return isHeaderSigned(signer.publicKey, header) ? header : null;
  };

  async function filled(count: number, maxBytes?: number) {
    const disk = await ring(maxBytes === undefined ? {} : { maxBytes });
    const window = createPartWindow({ parts: 100, hotBytes: 10 * size });
    window.useRing(disk, 100_000, read);
    for (let seq = 0; seq < count; seq++) {
      const entry = window.begin(headerAt(seq))!;
      for (let at = 0; at < size; at += 16_384)
        window.append(entry, payloadAt(seq).subarray(at, at + 16_384));
      // As in a stream, one after another.
      if (seq % 50 === 49)
        await expect.poll(() => window.bytes(), { timeout: 60_000 }).toBeLessThan(12 * size);
    }
    await expect.poll(() => window.bytes(), { timeout: 60_000 }).toBeLessThanOrEqual(10 * size);
    return { disk, window };
  }

  it('keeps memory flat and reads old parts back, each as its source signed it', async () => {
    const { window } = await filled(1_000);
    expect(window.count()).toBe(1_000);
    expect(window.floor()).toBe(0);
    for (const seq of [0, 1, 500, 988, 999]) {
      expect(window.has(0, seq)).toBe(true);
      const entry = (await window.load(0, seq))!;
      expect(entry.header.seq).toBe(seq);
      expect(Buffer.compare(payloadOf(entry), payloadAt(seq))).toBe(0);
    }
    expect(window.get(0, 0)).toBeUndefined();
    expect(window.begin(headerAt(3))).toBeNull();
  });

  it('forgets with the ring what the ring had to let go', async () => {
    const { window } = await filled(1_000, 20 * 1024 * 1024);
    expect(window.floor()).toBeGreaterThan(300);
    expect(window.has(0, 0)).toBe(false);
    expect(await window.load(0, 0)).toBeNull();
    expect(window.has(0, window.floor())).toBe(true);
  });

  it('gives nothing out that the disk has changed', async () => {
    const { window } = await filled(60);
    for (const name of await readdir(folder)) {
      const file = path.join(folder, name);
      const bytes = await readFile(file);
      // In the payload of the first part, and in the header of the second.
      bytes[8 + headerAt(0).bytes.length + 20_000]! ^= 1;
      bytes[8 + headerAt(0).bytes.length + size + 8 + 60]! ^= 1;
      await writeFile(file, bytes);
    }
    expect(await window.load(0, 0)).toBeNull();
    expect(await window.load(0, 1)).toBeNull();
    expect(Buffer.compare(payloadOf((await window.load(0, 2))!), payloadAt(2))).toBe(0);
  });
});
