import { spawn, spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../../src-shared/runtime.ts';
import { wallClock as clock } from '../../../../src-shared/wall-clock.ts';
import { startStreamNode, testStart, until } from '../../../stream/testing/index.ts';
import { createEncoderService } from './encoder-door.ts';
import type { Begun } from './encoder-door.ts';

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
const running: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop();
});

async function setUp() {
  const node = await startStreamNode('door', '127.0.7.60');
  running.push(node);
  let changes = 0;
  const encoder = createEncoderService({ clock, logger: silentLogger, changed: () => (changes += 1) });
  running.push({ stop: () => encoder.close() });
  const begin = async (rendition: {
    id: string;
    kind: 'av' | 'audio' | 'data';
    codecs: string;
    bandwidth: number;
  }) => {
    const begun = await node.streams.begin(
      testStart({ renditions: [rendition], partMs: 200 }),
      AbortSignal.timeout(5_000),
    );
    return { ...begun, ingest: node.streams.ingest(begun.streamId) } satisfies Begun;
  };
  return { node, encoder, begin, changes: () => changes };
}

describe('a place for another program', () => {
  it('is one at a time, and is given up', async () => {
    const { encoder, begin } = await setUp();
    const open = await encoder.open(0, begin);
    expect(open).toMatchObject({ state: 'waiting', streamId: null });
    expect(open.server).toMatch(/^rtmp:\/\/127\.0\.0\.1:\d+\/live$/);
    await expect(encoder.open(0, begin)).rejects.toMatchObject({ code: 'already_exists' });
    expect(await encoder.close()).toMatchObject({ state: 'off', key: null, problem: null });
    expect((await encoder.open(0, begin)).key).not.toBe(open.key);
  });

  it.skipIf(!hasFfmpeg)('goes live when the program sends, and ends with it (needs ffmpeg)', async () => {
    const { node, encoder, begin } = await setUp();
    const { server, key } = await encoder.open(0, begin);
    const program = spawn('ffmpeg', [
      ...[
        '-v',
        'error',
        '-re',
        '-f',
        'lavfi',
        '-i',
        'testsrc2=size=160x90:rate=25',
        '-f',
        'lavfi',
        '-i',
        'sine',
      ],
      ...[
        '-t',
        '4',
        '-c:v',
        'libx264',
        '-preset',
        'ultrafast',
        '-pix_fmt',
        'yuv420p',
        '-g',
        '25',
        '-c:a',
        'aac',
      ],
      ...['-f', 'flv', `${server}/${key}`],
    ]);
    running.push({ stop: async () => program.kill() });
    await until(() => encoder.state().state === 'live', 20_000, 'it is live');
    const { streamId, link } = encoder.state();
    expect(link).toContain(streamId!);
    await until(() => node.streams.stats(streamId!).ingested > 5, 20_000, 'parts');
    await until(() => encoder.state().state === 'off', 20_000, 'its end');
    expect(encoder.state().problem).toBeNull();
    expect(node.streams.list()[0]).toMatchObject({ streamId, state: 'ended' });
  });

  it.skipIf(!hasFfmpeg)('says why it can not take what a program sends (needs ffmpeg)', async () => {
    const { encoder, begin } = await setUp();
    const { server, key } = await encoder.open(0, begin);
    const program = spawn('ffmpeg', [
      ...[
        '-v',
        'error',
        '-re',
        '-f',
        'lavfi',
        '-i',
        'testsrc2=size=160x90:rate=25',
        '-t',
        '3',
        '-c:v',
        'flv1',
      ],
      ...['-f', 'flv', `${server}/${key}`],
    ]);
    running.push({ stop: async () => program.kill() });
    await until(() => encoder.state().state === 'off', 20_000, 'its end');
    expect(encoder.state().problem).toMatch(/H\.264/);
  });
});
