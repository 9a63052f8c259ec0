import { expect, test } from 'vitest';
import { createFrameParser, encodeFrameLength } from './frame-parser.ts';
import { createFramePool } from './frame-pool.ts';

test('memory that came back is used again, once, and only up to the limit', () => {
  const pool = createFramePool(512 * 1024);
  const first = pool.take(300_000);
  const second = pool.take(200_000);
  expect(first.length).toBe(300_000);
  expect(first.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(first.buffer).not.toBe(second.buffer);
  pool.give(first);
  pool.give(first);
  pool.give(second);
  // 512 KiB are kept: the second one, of 256 KiB, found no room.
  const third = pool.take(400_000);
  const fourth = pool.take(100_000);
  expect(third.buffer).toBe(first.buffer);
  expect(fourth.buffer).not.toBe(first.buffer);
  expect(fourth.buffer).not.toBe(second.buffer);
});

test('memory that is not out of the pool is left alone', () => {
  const pool = createFramePool(1024 * 1024);
  const stranger = Buffer.from(new SharedArrayBuffer(300_000));
  pool.give(stranger);
  pool.give(new Uint8Array(300_000));
  expect(pool.take(300_000).buffer).not.toBe(stranger.buffer);
});

test('a parser takes large frames out of the pool and small ones as they lie', () => {
  const pool = createFramePool(1024 * 1024);
  const parser = createFrameParser(1024 * 1024, pool);
  const feed = (length: number, fill: number): Uint8Array => {
    const bytes = Buffer.concat([encodeFrameLength(length), Buffer.alloc(length, fill)]);
    for (let at = 0; at < bytes.length; at += 50_000) parser.push(bytes.subarray(at, at + 50_000));
    return parser.next()!;
  };
  const large = feed(200_000, 1);
  expect(large.every((byte) => byte === 1)).toBe(true);
  const again = feed(150_000, 2);
  expect(again.buffer).not.toBe(large.buffer);
  pool.give(large);
  const third = feed(250_000, 3);
  expect(third.buffer).toBe(large.buffer);
  expect(third.length).toBe(250_000);
  expect(third.every((byte) => byte === 3)).toBe(true);
  expect(feed(60_000, 4).buffer).not.toBeInstanceOf(SharedArrayBuffer);
});
