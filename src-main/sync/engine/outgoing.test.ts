import { expect, test } from 'vitest';
import { createOutgoing } from './outgoing.ts';

function setUp() {
  let now = 0;
  const outgoing = createOutgoing({
    clock: { now: () => now, after: () => () => {} },
    size: (node) => (node === 'file0' ? null : 250),
  });
  return { outgoing, pass: (ms: number) => (now += ms) };
}

test('counts what members read of each file, and forgets it when nothing is read any more', () => {
  const { outgoing, pass } = setUp();
  for (const node of ['file1', 'file1', 'file2']) outgoing.sent(node, 100);
  expect(outgoing.list()).toEqual([
    { node: 'file1', done: 200, total: 250, active: true },
    { node: 'file2', done: 100, total: 250, active: true },
  ]);
  pass(2000);
  outgoing.sent('file2', 100);
  pass(2000);
  expect(outgoing.list()).toEqual([{ node: 'file2', done: 200, total: 250, active: true }]);
  pass(4000);
  outgoing.sent('file2', 100);
  expect(outgoing.list()[0]?.done).toBe(100);
});

test('is bounded, says nothing of files that are gone, and begins anew for the next reader', () => {
  const { outgoing } = setUp();
  for (let n = 0; n < 1000; n += 1) outgoing.sent(`node${n}`, 1);
  expect(outgoing.list()).toHaveLength(200);
  outgoing.sent('file0', 10);
  expect(outgoing.list().some(({ node }) => node === 'file0')).toBe(false);
  outgoing.sent('file5', 250);
  outgoing.sent('file5', 50);
  expect(outgoing.list().find(({ node }) => node === 'file5')?.done).toBe(50);
});
