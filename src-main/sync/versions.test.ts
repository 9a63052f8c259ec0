import { createHash, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Content } from '../drive/index.ts';
import type { Computer } from './test/computers.ts';
import { createLab } from './test/lab.ts';

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function contentHash(computer: Computer, content: Content): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of computer.sync.readContent(content)) hash.update(part);
  return hash.digest('hex');
}

test('what an editor overwrites can be read again: many small files and a large one', async () => {
  const made = await createLab('versions', ['alice']);
  const alice = await made.boot(0);
  await alice.sync.start();
  // More than one batch by number and by size.
  const sizes = [...Array.from({ length: 150 }, (_, i) => 5000 + i * 397), 6 << 20];
  const before = sizes.map((size) => randomBytes(size));
  const name = (i: number): string => `folder-${i % 3}/${i}.bin`;
  for (const [i, bytes] of before.entries()) await alice.write(name(i), bytes);
  await alice.sync.scan();
  await alice.sync.settled(AbortSignal.timeout(20_000));
  for (const [i, size] of sizes.entries()) await alice.write(name(i), randomBytes(size));
  await alice.sync.scan();
  await alice.sync.settled(AbortSignal.timeout(20_000));
  for (const [i, bytes] of before.entries()) {
    const old = alice.drive.versions(name(i)).at(-1)!.content!;
    expect(alice.sync.contentState(old)).toBe('here');
    expect(await contentHash(alice, old)).toBe(hashOf(bytes));
  }
});
