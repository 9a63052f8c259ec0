import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packApp } from '../../apps/index.ts';
import { createReceivedBundles, filePicture, type ReceivedBundles } from './file-bundles.ts';

const hour = 3_600_000;
const never = new AbortController().signal;
let dir: string;
let kept: string;
let file: string;
let now: number;
let timers: { readonly at: number; readonly fn: () => void }[];
let bundles: ReceivedBundles;

/** Lets time pass, with what was to happen in it. */
function pass(ms: number): void {
  now += ms;
  const due = timers.filter(({ at }) => at <= now);
  timers = timers.filter(({ at }) => at > now);
  for (const { fn } of due) fn();
}
async function* inParts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
}
async function receive(bytes: Uint8Array): Promise<string> {
  const { received, take } = bundles.accept(bytes.length);
  await take(inParts(bytes), never);
  return received;
}
const left = (): Promise<number> => readdir(kept).then((names) => names.length);

beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'extrachain-bundles-'));
  kept = path.join(dir, 'kept');
  const source = path.join(dir, 'app');
  await Promise.all([kept, source].map((one) => mkdir(one)));
  await writeFile(path.join(source, 'index.html'), '<!doctype html><title>Tides</title>');
  await writeFile(path.join(source, 'icon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  const manifest = { manifestVersion: 1, slug: 'tides', name: 'Tides', version: '1.0.0', icon: 'icon.svg' };
  const rest = {
    description: 'Times.',
    categories: [],
    license: 'MIT',
    permissions: { required: [], optional: [] },
  };
  await writeFile(path.join(source, 'extrachain.json'), JSON.stringify({ ...manifest, ...rest }));
  file = path.join(dir, 'tides.exapp');
  await packApp(source, file);
  [now, timers] = [0, []];
  let names = 0;
  bundles = createReceivedBundles({
    temporary: () => Promise.resolve(path.join(kept, String((names += 1)))),
    clock: {
      now: () => now,
      after(ms, fn) {
        const timer = { at: now + ms, fn };
        timers.push(timer);
        return () => void (timers = timers.filter((one) => one !== timer));
      },
    },
  });
});
afterEach(async () => {
  await bundles.stop();
  await rm(dir, { recursive: true, force: true });
});

describe('bundles that a window sends', () => {
  it('are kept as they came until they are let go, and have their pictures', async () => {
    const bytes = await readFile(file);
    const received = await receive(bytes);
    expect(await readFile(bundles.file(received))).toEqual(bytes);
    const icon = await filePicture(bundles.file(received), 'icon', 0);
    expect([icon.path, Buffer.from(icon.bytes).toString()]).toEqual([
      'icon.svg',
      '<svg xmlns="http://www.w3.org/2000/svg"/>',
    ]);
    await expect(filePicture(file, 'screenshot', 0)).rejects.toMatchObject({ code: 'not_found' });
    await bundles.drop(received);
    expect(() => bundles.file(received)).toThrow(expect.objectContaining({ code: 'not_found' }));
    expect(await left()).toBe(0);
  });

  it('are refused when they are damaged, and leave nothing', async () => {
    const bytes = await readFile(file);
    const damaged = Buffer.from(bytes);
    damaged[bytes.indexOf('Tides</title>')]! ^= 1;
    await expect(receive(damaged)).rejects.toMatchObject({ code: 'bad_hash' });
    await expect(receive(bytes.subarray(0, -1))).rejects.toMatchObject({ code: 'malformed' });
    await expect(receive(Buffer.from('no app'))).rejects.toMatchObject({ code: 'malformed' });
    expect(await left()).toBe(0);
  });

  it('wait an hour at the most', async () => {
    const received = await receive(await readFile(file));
    pass(hour - 1);
    expect(bundles.file(received)).toBeTruthy();
    pass(1);
    expect(() => bundles.file(received)).toThrow(expect.objectContaining({ code: 'not_found' }));
    await expect.poll(left).toBe(0);
  });

  it('wait four at a time: the oldest gives way', async () => {
    const bytes = await readFile(file);
    const all: string[] = [];
    for (let n = 0; n < 5; n += 1) all.push(await receive(bytes));
    expect(() => bundles.file(all[0]!)).toThrow(expect.objectContaining({ code: 'not_found' }));
    for (const one of all.slice(1)) expect(bundles.file(one)).toBeTruthy();
    expect(await left()).toBe(4);
    await bundles.stop();
    expect(await left()).toBe(0);
  });
});
