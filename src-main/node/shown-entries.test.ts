import { expect, test } from 'vitest';
import type { OpenDrive } from './drives.ts';
import { namesShown } from './shown-entries.ts';

const paths: Record<string, string> = {
  a: 'Raw/one.raf',
  b: 'Raw/deep/two.raf',
  c: 'note (conflict).md',
  d: 'Raw/x (conflict).md',
};
const flow = (node: string) => ({ node, done: 1, total: 2, active: true });
const one = {
  drive: { tree: { path: (id: string) => paths[id] ?? null } },
  sync: {
    status: () => ({
      problems: [
        { code: 'disk_full', path: '', message: '' },
        { code: 'name_unsupported', path: 'Raw/bad.txt', message: '' },
        { code: 'name_unsupported', path: 'Rawer/bad.txt', message: '' },
      ],
    }),
    incoming: () => [flow('a'), flow('gone')],
    outgoing: () => [flow('b')],
    conflictCopies: () => ['c', 'd'],
  },
} as unknown as Pick<OpenDrive, 'drive' | 'sync'>;

test('what is on its way, in its folder and in those above', async () => {
  expect(await namesShown(one, '', 'moving')).toEqual(new Set(['Raw']));
  expect(await namesShown(one, 'Raw', 'moving')).toEqual(new Set(['one.raf', 'deep']));
  expect(await namesShown(one, 'Other', 'moving')).toEqual(new Set());
});

test('what needs a person: conflict copies and problems', async () => {
  expect(await namesShown(one, '', 'attention')).toEqual(new Set(['Raw', 'Rawer', 'note (conflict).md']));
  expect(await namesShown(one, 'Raw', 'attention')).toEqual(new Set(['bad.txt', 'x (conflict).md']));
});
