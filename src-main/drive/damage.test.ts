import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { createTestBench, nodeId, person, text } from './test-support/people.ts';
import { rootNode } from './types.ts';

const bench = createTestBench('damage');
afterAll(() => bench.clean());

test(
  'a flipped byte at every position of a stored chain is found by verify, which names the entry',
  {
    timeout: 120_000,
  },
  async () => {
    const alice = bench.node(person('alice'));
    const drive = await alice.create('x');
    for (const name of ['a', 'b']) {
      await drive.commit([
        { t: 'make', node: nodeId(name), kind: 'file', parent: rootNode, name, content: text(name) },
      ]);
    }
    const entries = [...drive.missingFor([])];
    let end = 0;
    const ends = entries.map((entry) => (end += 12 + entry.bytes.length));
    const path = alice.chain(drive);
    const good = readFileSync(path);
    expect(good.length).toBe(end);
    for (let at = 0; at < good.length; at++) {
      const bytes = Buffer.from(good);
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
      writeFileSync(path, bytes);
      const { ok, damaged } = await drive.verify();
      const entry = entries[ends.findIndex((bound) => at < bound)];
      expect(ok, `byte ${at}`).toBe(false);
      expect(
        damaged.map(({ id, seq }) => ({ id, seq })),
        `byte ${at}`,
      ).toEqual([{ id: entry?.id, seq: entry?.header.seq }]);
      // What was read before stays readable.
      expect(drive.tree.resolve('a')).not.toBeNull();
    }
    writeFileSync(path, good);
    expect(await drive.verify()).toMatchObject({ ok: true, damaged: [], entries: entries.length });
  },
);
