import { expect, test } from 'vitest';
import type { FrameStream } from '../network/index.ts';
import { decodeBlockFrame, encodeBlockFrame } from './block-frames.ts';
import { createBlockLink } from './block-link.ts';
import { driveId, makeBlocks, realClock, until } from './testing/world.ts';

/** A provider that answers when the test says so. */
function answeringStream(): {
  stream: FrameStream;
  answer: (frame: Uint8Array) => void;
  wants: () => number;
} {
  const queue: Uint8Array[] = [];
  let wake: () => void = () => {};
  let ended = false;
  let wants = 0;
  const stream: FrameStream = {
    peer: 'provider',
    closed: new Promise(() => {}),
    async send(frame) {
      const bytes = frame instanceof Uint8Array ? frame : new Uint8Array(Buffer.concat([...frame]));
      if (decodeBlockFrame(bytes).t === 'want') wants += 1;
    },
    async read() {
      while (queue.length === 0 && !ended) await new Promise<void>((resolve) => (wake = resolve));
      return queue.shift() ?? null;
    },
    async close() {},
    abort() {
      ended = true;
      wake();
    },
  };
  return {
    stream,
    wants: () => wants,
    answer(frame) {
      queue.push(frame);
      wake();
    },
  };
}

test('a block asked for and cancelled again and again may be answered as often, and no more', async () => {
  const { stream, answer, wants } = answeringStream();
  const got: string[] = [];
  const downs: unknown[] = [];
  const link = createBlockLink({
    peer: 'provider',
    clock: realClock,
    open: async () => stream,
    room: async () => {},
    async onBlocks(blocks) {
      got.push(...blocks.map(({ key }) => key));
    },
    onGone() {},
    onForbidden() {},
    onBusy() {},
    onDown: (_keys, error) => void downs.push(error),
  });
  const [{ ref, bytes }] = makeBlocks(1, 100) as [ReturnType<typeof makeBlocks>[number]];
  const key = Buffer.from(ref.id).toString('latin1');
  const rounds = 3;
  for (let i = 0; i < rounds; i++) {
    link.ask(driveId, [{ key, size: 1000 }]);
    await until(() => wants() === i + 1);
    link.cancel(driveId, [key]);
  }
  // All answers were on their way before the first cancel was read.
  const frame = new Uint8Array(
    Buffer.concat([...encodeBlockFrame({ t: 'blocks', blocks: [{ id: ref.id, bytes }] })]),
  );
  for (let i = 0; i < rounds; i++) answer(frame.slice());
  await until(() => got.length === rounds || downs.length > 0);
  expect(downs).toEqual([]);
  answer(frame.slice());
  await until(() => downs.length > 0);
  expect(downs).toMatchObject([{ code: 'protocol_violation' }]);
  await link.stop();
});
