import { expect, test } from 'vitest';
import { createFrameParser, encodeFrameLength } from './frame-parser.ts';
import { createSharedMemory, holdShared, releaseShared } from './shared-memory.ts';

const kib = 1024;

test('memory is used again once all of its bytes were released, in any order', () => {
  const memory = createSharedMemory(1024 * kib);
  const first = memory.take(300_000);
  expect(first.length).toBe(300_000);
  expect(first.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(memory.take(300_000).buffer).not.toBe(first.buffer);
  releaseShared(first.subarray(100_000));
  expect(memory.take(200_000).buffer).not.toBe(first.buffer);
  releaseShared(first.subarray(0, 100_000));
  expect(memory.take(400_000).buffer).toBe(first.buffer);
});

test('who holds it as well must release it as well; releasing too often does no harm', () => {
  const memory = createSharedMemory(1024 * kib);
  const bytes = memory.take(1000);
  holdShared(bytes);
  releaseShared(bytes);
  expect(memory.take(1000).buffer).not.toBe(bytes.buffer);
  for (let i = 0; i < 3; i++) releaseShared(bytes);
  expect(memory.take(1000).buffer).toBe(bytes.buffer);
  expect(memory.take(1000).buffer).not.toBe(bytes.buffer);
});

test('no more is kept than the limit, and nothing after trimming', () => {
  const memory = createSharedMemory(512 * kib);
  const [one, two, three] = [memory.take(1000), memory.take(1000), memory.take(1000)];
  for (const bytes of [one, two, three]) releaseShared(bytes);
  const again = [memory.take(1000), memory.take(1000), memory.take(1000)].map(({ buffer }) => buffer);
  expect(again.slice(0, 2)).toEqual([one.buffer, two.buffer]);
  expect(again[2]).not.toBe(three.buffer);
  releaseShared(one);
  memory.trim();
  expect(memory.take(1000).buffer).not.toBe(one.buffer);
});

test('small free pieces give way to a large one', () => {
  const memory = createSharedMemory(512 * kib);
  for (const bytes of [memory.take(1000), memory.take(1000)]) releaseShared(bytes);
  const large = memory.take(500_000);
  releaseShared(large);
  expect(memory.take(400_000).buffer).toBe(large.buffer);
});

test('memory that is not of this kind is left alone', () => {
  const stranger = new Uint8Array(new SharedArrayBuffer(1000)).fill(7);
  releaseShared(stranger);
  holdShared(stranger);
  releaseShared(new Uint8Array(new SharedArrayBuffer(8)));
  releaseShared(new Uint8Array(1000));
  expect(stranger.every((byte) => byte === 7)).toBe(true);
});

test('a parser takes large frames out of it and small ones as they lie', () => {
  const memory = createSharedMemory(1024 * kib);
  const parser = createFrameParser(1024 * kib, memory);
  const feed = (length: number, fill: number): Uint8Array => {
    const bytes = Buffer.concat([encodeFrameLength(length), Buffer.alloc(length, fill)]);
    for (let at = 0; at < bytes.length; at += 50_000) parser.push(bytes.subarray(at, at + 50_000));
    return parser.next()!;
  };
  const large = feed(200_000, 1);
  expect(large.every((byte) => byte === 1)).toBe(true);
  const again = feed(150_000, 2);
  expect(again.buffer).not.toBe(large.buffer);
  releaseShared(large);
  const third = feed(250_000, 3);
  expect(third.buffer).toBe(large.buffer);
  expect(third.length).toBe(250_000);
  expect(third.every((byte) => byte === 3)).toBe(true);
  expect(feed(60_000, 4).buffer).not.toBeInstanceOf(SharedArrayBuffer);
});
