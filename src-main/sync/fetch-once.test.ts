import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { createContentIo } from '../drive/index.ts';
import { createLab } from './test/lab.ts';

test('what comes while the history grows is fetched once', async () => {
  const made = await createLab('once', ['alice', 'bob']);
  const content = createContentIo({ threads: 1 });
  onTestFinished(() => content.stop());
  const served = new Map<string, number>();
  const counting: typeof content = {
    ...content,
    seal(requests) {
      for (const { ref } of requests) {
        const id = Buffer.from(ref.id).toString('hex');
        served.set(id, (served.get(id) ?? 0) + 1);
      }
      return content.seal(requests);
    },
  };
  // What is retained is sealed as well: not here.
  const options = { options: { versionsShare: 0, versionsBytes: 0 } };
  const alice = await made.boot(0, { ...options, content: counting });
  const bob = await made.boot(1, options);
  await alice.sync.start();
  await bob.sync.start();
  const files = 600;
  for (let n = 0; n < files; n++) {
    await alice.write(`folder-${n % 7}/${n}.bin`, randomBytes(5000 + (n % 50) * 100));
    // So that entries keep coming while the other side plans.
    if (n % 25 === 0) await Promise.all([alice.sync.scan(), made.network.gossip()]);
  }
  await made.settle();
  expect(served.size).toBe(files);
  expect([...served.values()].filter((times) => times > 1)).toEqual([]);
});
