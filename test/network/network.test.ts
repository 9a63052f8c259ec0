import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { startNode, stopAll } from './harness.ts';

afterEach(stopAll);
const options = { maxFrame: 2 * 1024 * 1024, maxStreams: 4, idleTimeout: 0, maxRate: 0 };

describe('streams', () => {
  it('carry frames of many sizes both ways, in order', async () => {
    const a = await startNode();
    const b = await startNode();
    b.network.handle('echo/1', options, async (stream) => {
      for (let frame = await stream.read(); frame; frame = await stream.read()) await stream.send(frame);
    });
    await a.network.connect(b.network.addresses()[0]!);
    const stream = await a.network.open(b.network.peerId, 'echo/1', options);
    const frames = [0, 1, 127, 128, 16_384, 70_000, 1_048_576, 3].map((n) => randomBytes(n));
    const sent = Promise.all(frames.map((frame) => stream.send([frame.subarray(0, 1), frame.subarray(1)])));
    for (const frame of frames) expect(Buffer.compare((await stream.read())!, frame)).toBe(0);
    await sent;
    await stream.close();
    expect(await stream.read()).toBeNull();
  });
});
