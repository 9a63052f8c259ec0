import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StreamStats, StreamSummary } from '../../src-shared/contract/index.ts';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { until } from '../support/trees.ts';

const extrachain = path.resolve(import.meta.dirname, '../../bin/extrachain');
const hasFfmpeg = ['ffmpeg', 'ffprobe'].every((name) => spawnSync(name, ['-version']).status === 0);

let temp: { dir: string; remove(): Promise<void> };
const daemons: Daemon[] = [];
const publishers: ChildProcess[] = [];

async function start(name: string, host: number): Promise<Daemon> {
  const one = await startDaemon({ data: path.join(temp.dir, name), host: `127.0.8.${host}` });
  await one.cli('id', 'create');
  daemons.push(one);
  return one;
}

interface Publisher {
  readonly streamId: string;
  readonly link: string;
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>;
}

/** `stream publish` as a person runs it: it prints one line and goes on. */
async function publish(daemon: Daemon, args: readonly string[], input?: Uint8Array): Promise<Publisher> {
  const child = spawn(extrachain, ['--data', daemon.data, '--json', 'stream', 'publish', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  publishers.push(child);
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    void exited.then((code) => reject(new Error(`publish ended with ${code}: ${errors}`)));
  });
  return {
    ...(JSON.parse(line) as { streamId: string; link: string }),
    stop() {
      child.kill('SIGTERM');
      return exited;
    },
  };
}

const stats = (daemon: Daemon, id: string): Promise<StreamStats> => daemon.cli('stream', 'stats', id);

/** Decodes so many seconds of a stream by its URL, as any player would. */
function decode(url: string, seconds: number): Promise<{ frames: number; errors: string }> {
  const args = [
    '-v',
    'error',
    '-i',
    url,
    '-t',
    String(seconds),
    '-map',
    '0:v',
    '-f',
    'null',
    '-progress',
    'pipe:1',
    '-',
  ];
  const child = spawn('ffmpeg', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  return new Promise((resolve) =>
    child.once('close', () =>
      resolve({ frames: Number(/frame=(\d+)(?![\s\S]*frame=)/.exec(out)?.[1] ?? 0), errors }),
    ),
  );
}

interface Probed {
  readonly codec_name: string;
  readonly nb_read_packets: string;
  readonly duration?: string;
}
function probe(file: string): { readonly streams: readonly Probed[]; readonly errors: string } {
  const args = [
    '-v',
    'error',
    '-count_packets',
    '-show_entries',
    'stream=codec_name,nb_read_packets,duration',
    '-of',
    'json',
    file,
  ];
  const run = spawnSync('ffprobe', args, { encoding: 'utf8' });
  return { streams: (JSON.parse(run.stdout) as { streams: Probed[] }).streams, errors: run.stderr };
}

beforeAll(async () => {
  temp = await tempDir('streams');
});
afterAll(async () => {
  for (const child of publishers) child.kill('SIGKILL');
  await Promise.all(daemons.map((one) => one.stop()));
  await temp?.remove();
});

/** The name of the first recording that lies in a folder of a drive, once there is one. */
async function recordingIn(folder: string): Promise<string> {
  let found: string | undefined;
  await until('the recording lies in the drive', 20_000, async () => {
    found = (await readdir(folder)).find((name) => name.endsWith('.mp4'));
    return found !== undefined;
  });
  return found!;
}

describe.skipIf(!hasFfmpeg)('a stream over seven computers', () => {
  it(
    'goes through repeaters to the invited, survives them, and is recorded',
    { timeout: 180_000 },
    async () => {
      const clip = path.join(temp.dir, 'clip.mp4');
      const made = spawnSync('ffmpeg', [
        ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25'],
        ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-t', '8'],
        ...['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-bf', '2', '-c:a', 'aac', clip],
      ]);
      expect(made.status).toBe(0);
      const [source, one, two, stranger, ...viewers] = await Promise.all(
        ['source', 'one', 'two', 'stranger', 'va', 'vb', 'vc'].map((name, n) => start(name, n + 1)),
      );
      if (!source || !one || !two || !stranger) throw new Error('no daemons');
      const folder = path.join(temp.dir, 'recordings');
      await mkdir(folder);
      await source.cli('drive', 'create', 'Rec', '--folder', folder);
      // Said rather than measured: this machine may be busy.
      await source.cli('stream', 'relay', 'auto', '--uplink', '100Mbit');
      for (const relay of [one, two]) await relay.cli('stream', 'relay', 'on', '--uplink', '100Mbit');
      for (const other of [one, two, stranger, ...viewers])
        await other.cli('net', 'ping', source.ready.addresses[0]!);
      const users = await Promise.all(
        viewers.map(async (viewer) => (await viewer.cli<{ userId: string }>('status')).userId),
      );
      const show = await publish(source, [
        ...['For three', '--from', clip, '--loop', '--audience', users.join(',')],
        ...['--fanout', '2', '--record', 'Rec'],
      ]);
      // Encrypted and in no list: the source asks those it knows, who cannot read it.
      const repeaters = [one.ready.peerId, two.ready.peerId];
      await until(
        'both repeaters join',
        20_000,
        async () => (await stats(source, show.streamId)).children.length === 2,
        200,
      );
      expect(new Set((await stats(source, show.streamId)).children)).toEqual(new Set(repeaters));

      // Who is not invited gets nothing, with the link or without it.
      await expect(stranger.cli('stream', 'watch', show.link)).rejects.toMatchObject({ code: 'not_invited' });
      expect(await stranger.cli<StreamSummary[]>('stream', 'list')).toEqual([]);
      expect(await one.cli<StreamSummary[]>('stream', 'list')).toEqual([]);

      const urls: string[] = [];
      for (const viewer of viewers) {
        const { url } = await viewer.cli<{ url: string }>('stream', 'watch', show.link);
        urls.push(url);
      }
      for (const viewer of viewers) {
        await until('parts come', 20_000, async () => (await stats(viewer, show.streamId)).parts > 5, 200);
        const { parent, depth } = await stats(viewer, show.streamId);
        expect(repeaters).toContain(parent);
        expect(depth).toBe(2);
      }
      // Three watch, the source sends twice.
      expect((await stats(source, show.streamId)).children).toHaveLength(2);
      const seen = await decode(urls[0]!, 3);
      expect(seen.frames).toBeGreaterThan(60);
      expect(seen.errors).toBe('');
      const nonsense = await fetch(urls[0]!.replace('stream.m3u8', 'v/index.m3u8?_HLS_msn=999999'));
      expect([nonsense.status, nonsense.headers.get('error-code')]).toEqual([400, 'invalid_argument']);

      // One repeater freezes, the other dies: all go on.
      const frozen = repeaters[0] === (await stats(viewers[0]!, show.streamId)).parent ? one : two;
      const other = frozen === one ? two : one;
      process.kill(frozen.pid, 'SIGSTOP');
      try {
        await until(
          'a frozen parent is left',
          20_000,
          async () => (await stats(viewers[0]!, show.streamId)).parent !== frozen.ready.peerId,
          200,
        );
        await other.kill();
        for (const viewer of viewers) {
          await until(
            'all have a parent',
            30_000,
            async () => {
              const { parent, parts } = await stats(viewer, show.streamId);
              return (
                parent !== other.ready.peerId &&
                parent !== frozen.ready.peerId &&
                parent !== null &&
                parts > 0
              );
            },
            200,
          );
        }
        const after = await decode(urls[1]!, 2);
        expect(after.frames).toBeGreaterThan(40);
        for (const viewer of viewers) expect((await stats(viewer, show.streamId)).rejected).toBe(0);
      } finally {
        process.kill(frozen.pid, 'SIGCONT');
      }

      expect(await show.stop()).toBe(0);
      const recording = await recordingIn(folder);
      const { streams, errors } = probe(path.join(folder, recording));
      expect(errors).toBe('');
      expect(streams.map((track) => track.codec_name)).toEqual(['h264', 'aac']);
      const [pictures, sound] = streams.map((track) => Number(track.duration));
      expect(Math.abs(pictures! - sound!)).toBeLessThan(0.1);
      expect(Number(streams[0]!.nb_read_packets)).toBe(Math.round(pictures! * 25));
      const [listed] = (await source.cli<StreamSummary[]>('stream', 'list')).filter((each) => each.own);
      expect(listed).toMatchObject({ state: 'ended', recording: { path: recording } });
    },
  );

  it(
    'that is cut off by a crash leaves a recording that plays, in the drive after the next start',
    { timeout: 120_000 },
    async () => {
      const source = await start('crash', 20);
      const folder = path.join(temp.dir, 'crashed');
      await mkdir(folder);
      await source.cli('drive', 'create', 'Rec', '--folder', folder);
      await publish(source, [
        'Cut off',
        '--from',
        path.join(temp.dir, 'clip.mp4'),
        '--loop',
        '--record',
        'Rec',
      ]);
      await sleep(3_000);
      await source.kill();
      const growing = path.join(folder, '.extrachain', 'recordings');
      const [file] = await readdir(growing);
      const cut = probe(path.join(growing, file!));
      expect(cut.streams.map((track) => track.codec_name)).toEqual(['h264', 'aac']);
      expect(Number(cut.streams[0]!.nb_read_packets)).toBeGreaterThan(25);
      daemons.splice(daemons.indexOf(source), 1);
      daemons.push(await startDaemon({ data: source.data, host: '127.0.8.20' }));
      const recording = await recordingIn(folder);
      const { streams, errors } = probe(path.join(folder, recording));
      expect(errors).toBe('');
      expect(Number(streams[0]!.nb_read_packets)).toBeGreaterThan(25);
    },
  );
});

describe.skipIf(!hasFfmpeg)('a stream that somebody comes to late', () => {
  it('is played from its beginning, which lies on the disk of its source', { timeout: 180_000 }, async () => {
    const clip = path.join(temp.dir, 'late.mp4');
    const made = spawnSync('ffmpeg', [
      ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25'],
      ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-t', '60'],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-c:a', 'aac', clip],
    ]);
    expect(made.status).toBe(0);
    const [source, viewer] = await Promise.all([start('past-source', 40), start('past-viewer', 41)]);
    const show = await publish(source, ['From the beginning', '--from', clip]);
    await until('a past', 60_000, async () => (await stats(source, show.streamId)).ingested > 60, 200);
    expect(await readdir(path.join(source.data, 'streams'))).toEqual([show.streamId]);
    const live = await viewer.cli<{ url: string }>('stream', 'watch', show.link);
    const { url } = await viewer.cli<{ url: string }>('stream', 'watch', show.link, '--back', '600');
    const list = await (await fetch(url.replace('stream.m3u8?back=600', 'v/index.m3u8?from=0'))).text();
    expect(list).toContain('#EXT-X-MEDIA-SEQUENCE:0\n');
    // Live it begins with what came since.
    const now = await (await fetch(live.url.replace('stream.m3u8', 'v/index.m3u8'))).text();
    expect(Number(/MEDIA-SEQUENCE:(\d+)/.exec(now)?.[1])).toBeGreaterThan(5);
    const seen = await decode(url, 8);
    expect(seen.errors).toBe('');
    expect(seen.frames).toBeGreaterThan(190);
    expect(await show.stop()).toBe(0);
    await source.stop();
    expect(await readdir(path.join(source.data, 'streams'))).toEqual([]);
  });
});

describe.skipIf(!hasFfmpeg)('a stream whose computer starts anew', () => {
  it('goes on under its id for those who watch, sent by the same command', { timeout: 240_000 }, async () => {
    const clip = path.join(temp.dir, 'again.mp4');
    const made = spawnSync('ffmpeg', [
      ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25', '-t', '8'],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', clip],
    ]);
    expect(made.status).toBe(0);
    const [first, viewer] = await Promise.all([start('again-source', 50), start('again-viewer', 51)]);
    const { userId } = await viewer.cli<{ userId: string }>('status');
    await viewer.cli('net', 'ping', first.ready.addresses[0]!);
    const folder = path.join(temp.dir, 'again');
    await mkdir(folder);
    await first.cli('drive', 'create', 'Rec', '--folder', folder);
    const show = await publish(first, [
      ...['Again', '--from', clip, '--loop', '--audience', userId, '--record', 'Rec'],
    ]);
    const { url } = await viewer.cli<{ url: string }>('stream', 'watch', show.link);
    const list = async (): Promise<string> =>
      (
        await fetch(url.replace('stream.m3u8', 'v/index.m3u8'), { signal: AbortSignal.timeout(30_000) })
      ).text();
    await until('parts come', 60_000, async () => (await stats(viewer, show.streamId)).parts > 10, 200);
    const began = /MEDIA-SEQUENCE:(\d+)/.exec(await list())?.[1];
    let source = first;
    // Once in order, once not.
    for (const [n, end] of (['stop', 'kill'] as const).entries()) {
      await source[end]();
      daemons.splice(daemons.indexOf(source), 1);
      source = await startDaemon({ data: first.data, host: '127.0.8.50' });
      daemons.push(source);
      await until(
        'parts of the next run come',
        120_000,
        async () => {
          // A player that goes on asking.
          await list().catch(() => '');
          const now = await stats(viewer, show.streamId);
          return now.run === n + 1 && now.parent === source.ready.peerId && now.arriving.length > 0;
        },
        500,
      );
      // What was sent before is there still, and goes on with other init segments.
      const text = await list();
      expect(/MEDIA-SEQUENCE:(\d+)/.exec(text)?.[1]).toBe(began);
      expect(text).toContain(`#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="init-${n + 1}.mp4"`);
    }
    // A player that comes now; where the runs meet, the times of the clip jump.
    await until('it is decoded', 90_000, async () => (await decode(url, 2)).frames > 30, 500);
    expect((await stats(viewer, show.streamId)).rejected).toBe(0);
    const [own] = await source.cli<StreamSummary[]>('stream', 'list');
    expect(own).toMatchObject({ streamId: show.streamId, title: 'Again', state: 'live', own: true });
    // Also what was sent before the restarts can be gone back to.
    const past = await (await fetch(url.replace('stream.m3u8', 'v/index.m3u8?from=0'))).text();
    expect(past).toContain('#EXT-X-MEDIA-SEQUENCE:0\n');
    expect(await show.stop()).toBe(0);
    // What was recorded before each restart lies in the drive, and what came after the last.
    const recordings = async (): Promise<string[]> =>
      (await readdir(folder)).filter((name) => name.endsWith('.mp4'));
    await until('three recordings', 60_000, async () => (await recordings()).length === 3, 500);
    for (const name of await recordings()) {
      const { streams, errors } = probe(path.join(folder, name));
      expect([name, errors]).toEqual([name, '']);
      // One part of five pictures is all there is when the node was killed right after it.
      expect(Number(streams[0]!.nb_read_packets)).toBeGreaterThanOrEqual(5);
    }
    await until(
      'the end',
      60_000,
      async () => (await viewer.cli<StreamSummary[]>('stream', 'list'))[0]?.state !== 'live',
      500,
    );
  });
});

describe('bytes from standard input', () => {
  it('reach somebody who waits for them', { timeout: 120_000 }, async () => {
    const [source, receiver] = await Promise.all([start('data-source', 30), start('data-receiver', 31)]);
    const bytes = randomBytes(3_000_000);
    await writeFile(path.join(temp.dir, 'bytes'), bytes);
    const sent = await publish(
      source,
      ['Bytes', '--from', '-', '--audience', 'unlisted', '--wait', '1'],
      bytes,
    );
    const { url } = await receiver.cli<{ url: string }>('stream', 'watch', sent.link);
    const got = Buffer.from(await (await fetch(url)).arrayBuffer());
    const hash = (value: Uint8Array) => createHash('sha256').update(value).digest('hex');
    expect([got.length, hash(got)]).toEqual([bytes.length, hash(bytes)]);
  });
});
