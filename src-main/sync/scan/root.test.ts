import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { createRealFs } from '../fs/real.ts';
import { parseIgnoreRules } from './ignore-rules.ts';
import { checkRoot, markRoot } from './root.ts';

const fs = createRealFs();
const root = mkdtempSync(join(tmpdir(), 'extrachain-root-'));
afterAll(async () => {
  await fs.stop();
  rmSync(root, { recursive: true });
});
const code = (name: string) => expect.objectContaining({ code: name });

test('a folder is marked once, is known again, and refuses another drive', async () => {
  const folder = join(root, 'mine');
  await markRoot(fs, folder, 'drive-a');
  await markRoot(fs, folder, 'drive-a');
  await checkRoot(fs, folder, 'drive-a');
  await expect(markRoot(fs, folder, 'drive-b')).rejects.toEqual(code('folder_in_use'));
  await expect(checkRoot(fs, join(root, 'away'), 'drive-a')).rejects.toEqual(code('root_missing'));
  rmSync(join(folder, '.extrachain/marker.json'));
  await expect(checkRoot(fs, folder, 'drive-a')).rejects.toEqual(code('root_unmarked'));
});

test('no marker that is not exactly ours counts as ours, whatever its bytes', async () => {
  const folder = join(root, 'fuzzed');
  mkdirSync(join(folder, '.extrachain'), { recursive: true });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 6000 }),
    fc.json().map((text) => Buffer.from(text)),
    fc.jsonValue().map((driveId) => Buffer.from(JSON.stringify({ v: 1, driveId }))),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (marker) => {
      writeFileSync(join(folder, '.extrachain/marker.json'), marker);
      await expect(checkRoot(fs, folder, 'drive-a')).rejects.toEqual(code('root_unmarked'));
      await expect(markRoot(fs, folder, 'drive-a')).rejects.toEqual(code('folder_in_use'));
    }),
    { numRuns: 100, seed: 20261122 },
  );
});

test('ignore rules of any text answer for any path, and never let go of the engine’s own folder', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.array(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter((part) => !/[/\0]/.test(part)),
        {
          minLength: 1,
          maxLength: 4,
        },
      ),
      fc.boolean(),
      (text, parts, dir) => {
        const rules = parseIgnoreRules(text);
        expect(typeof rules.ignored(parts.join('/'), dir)).toBe('boolean');
        expect(rules.ignored('.extrachain/tmp', true)).toBe(true);
        expect(rules.ignored('.exignore', false)).toBe(false);
      },
    ),
    { seed: 20261122 },
  );
});
