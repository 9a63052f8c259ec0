import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { subscribe, type SubscribeCallback } from '@parcel/watcher';
import { expect, onTestFinished, test } from 'vitest';
import { silentLogger } from '../../../src-shared/runtime.ts';
import { wallClock as clock } from '../../../src-shared/wall-clock.ts';
import { createLargeWatcher } from './large-watcher.ts';
import { createWatcherFactory, manyEntries, watcherKind } from './watcher.ts';

async function watched(prepare: (root: string) => void = () => {}) {
  const root = mkdtempSync(join(tmpdir(), 'extrachain-watch-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  prepare(root);
  const hints = new Set<string>();
  let lost = 0;
  const watcher = await createLargeWatcher({
    folder: root,
    own: join(root, '.extrachain'),
    clock,
    relative: (path) => (path.startsWith(`${root}/`) ? path.slice(root.length + 1) : null),
    subscribe,
    events: {
      hint: (dir) => hints.add(dir),
      lost: () => void (lost += 1),
      failed: (error) => {
        throw error;
      },
    },
  });
  onTestFinished(() => watcher.stop());
  const hinted = (dir: string) => expect.poll(() => hints.has(dir), { timeout: 8000 }).toBe(true);
  return { root, watcher, hints, hinted, lost: () => lost };
}

test('tells of changes in folders that were there', async () => {
  const { root, hinted } = await watched((at) => mkdirSync(join(at, 'a/b'), { recursive: true }));
  writeFileSync(join(root, 'a/b/file'), 'x');
  await hinted('a/b');
});

test('watches what lies deep in a new folder, once it is told of the folder', async () => {
  const { root, watcher, hints, hinted } = await watched();
  mkdirSync(join(root, 'new/deep/deeper'), { recursive: true });
  watcher.newFolder('new');
  watcher.newFolder('new/deep');
  watcher.newFolder('new/deep/deeper');
  // Looked at again when it is watched: what was made before that was not told.
  await hinted('new/deep/deeper');
  await new Promise((done) => setTimeout(done, 300));
  hints.clear();
  writeFileSync(join(root, 'new/deep/deeper/file'), 'x');
  await hinted('new/deep/deeper');
});

test('knows a moved folder by its new path, down to its depth', async () => {
  const { root, watcher, hints, hinted } = await watched((at) =>
    mkdirSync(join(at, 'old/x/y'), { recursive: true }),
  );
  renameSync(join(root, 'old'), join(root, 'moved'));
  await hinted('');
  watcher.newFolder('moved');
  await hinted('moved');
  await new Promise((done) => setTimeout(done, 300));
  hints.clear();
  writeFileSync(join(root, 'moved/x/y/file'), 'x');
  await hinted('moved/x/y');
});

test('many new folders at once are watched by watching everything anew, after which everything is scanned', async () => {
  const { root, watcher, hints, hinted, lost } = await watched();
  for (let i = 0; i < 40; i++) {
    mkdirSync(join(root, `d${i}/in/side`), { recursive: true });
    watcher.newFolder(`d${i}`);
  }
  await expect.poll(lost, { timeout: 8000 }).toBe(1);
  hints.clear();
  writeFileSync(join(root, 'd39/in/side/file'), 'x');
  await hinted('d39/in/side');
});

test('a storm of events has everything scanned: the kernel may have dropped some', async () => {
  let send: SubscribeCallback = () => {};
  let lost = 0;
  const watcher = await createLargeWatcher({
    folder: '/nowhere',
    own: '/nowhere/.extrachain',
    clock: { now: () => 0, after: () => () => {} },
    relative: (path) => path.slice('/nowhere/'.length),
    subscribe: async (_dir, callback) => {
      send = callback;
      return { unsubscribe: async () => {} };
    },
    events: { hint() {}, failed() {}, lost: () => void (lost += 1) },
  });
  const events = Array.from({ length: 4000 }, (_, i) => ({
    type: 'create' as const,
    path: `/nowhere/f${i}`,
  }));
  send(null, events);
  send(null, events);
  expect(lost).toBe(0);
  send(null, events);
  expect(lost).toBeGreaterThan(0);
  await watcher.stop();
});

test('when watching is impossible it says so, and the engine scans instead', async () => {
  const failures: Error[] = [];
  const watcher = await createWatcherFactory({ logger: silentLogger, clock })('/nowhere/at/all', 'large', {
    hint() {},
    lost() {},
    failed: (error) => failures.push(error),
  });
  expect(failures).toHaveLength(1);
  watcher.newFolder('x');
  await watcher.stop();
});

test('a tree keeps its watcher around the limit', () => {
  expect(watcherKind(manyEntries, null)).toBe('small');
  expect(watcherKind(manyEntries + 1, 'small')).toBe('large');
  expect(watcherKind(manyEntries - 1, 'large')).toBe('large');
  expect(watcherKind(manyEntries / 2, 'large')).toBe('small');
});
