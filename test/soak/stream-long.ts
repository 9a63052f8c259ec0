import { spawnSync } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { until } from '../support/trees.ts';
import { watchHls, type HlsViewer } from '../support/hls-viewer.ts';
import { loopClip, makeClip } from './clip.ts';

const sampleMs = 10_000;
/** Caches fill and code is compiled at first: what grows in the first fifth does not count. */
const warmUp = 0.2;
/** More growth than this fails, MB a minute; so do ends of sound and pictures further apart than this, ms. */
const mostGrowth = 1;
const mostApartMs = 100;

/** Resident memory of a process, MB. @throws Error when it has ended */
async function resident(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

/** Slope of the line that fits best, by least squares: MB a minute. */
export function growth(samples: readonly { readonly minutes: number; readonly mb: number }[]): number {
  const mean = (of: (one: (typeof samples)[number]) => number): number =>
    samples.reduce((sum, one) => sum + of(one), 0) / samples.length;
  const [x, y] = [mean((one) => one.minutes), mean((one) => one.mb)];
  const spread = samples.reduce((sum, one) => sum + (one.minutes - x) ** 2, 0);
  const together = samples.reduce((sum, one) => sum + (one.minutes - x) * (one.mb - y), 0);
  return spread === 0 ? 0 : together / spread;
}

/** Last moment of each kind of track in a recording, ms. */
function endsOf(file: string): { readonly video: number; readonly audio: number } {
  const end = (stream: string): number => {
    const told = spawnSync(
      'ffprobe',
      [
        '-v',
        'error',
        '-select_streams',
        stream,
        '-show_entries',
        'stream=start_time,duration',
        '-of',
        'json',
        file,
      ],
      { encoding: 'utf8' },
    );
    const one = (JSON.parse(told.stdout) as { streams: { start_time: string; duration: string }[] })
      .streams[0]!;
    return 1000 * (Number(one.start_time) + Number(one.duration));
  };
  return { video: end('v:0'), audio: end('a:0') };
}

/**
 * `npm run soak -- --stream-minutes 60`: a source that records, a repeater and two viewers with players, in daemons of their own. Prints
 * how the memory of every process grew, how far sound and pictures of the recording end apart, and what the players saw.
 */
export async function soakStreamLong(minutes: number): Promise<{ summary: string; failed: number }> {
  const temp = await tempDir('stream-long');
  const running: Daemon[] = [];
  const players: HlsViewer[] = [];
  let stop = async (): Promise<unknown> => undefined;
  const start = async (name: string): Promise<Daemon> => {
    const data = path.join(temp.dir, name);
    const daemon = await startDaemon({
      data,
      host: `127.0.81.${running.length + 1}`,
      env: { HOME: temp.dir },
    });
    running.push(daemon);
    await daemon.cli('id', 'create');
    return daemon;
  };
  try {
    const clip = path.join(temp.dir, 'clip.mp4');
    makeClip(clip);
    const source = await start('source');
    const folder = path.join(temp.dir, 'films');
    const { driveId } = await source.cli<{ driveId: string }>('drive', 'create', 'Films', '--folder', folder);
    const repeater = await start('repeater');
    await repeater.cli('stream', 'relay', 'on', '--uplink', '100Mbit');
    await repeater.cli('net', 'ping', source.ready.addresses[0]!);
    const loop = await loopClip(source, clip, ['--record', driveId, '--fanout', '1']);
    stop = () => loop.stop();
    const viewers = [await start('viewer-1'), await start('viewer-2')];
    for (const viewer of viewers) {
      await viewer.cli('stream', 'relay', 'off');
      const { url } = await viewer.cli<{ url: string }>('stream', 'watch', loop.link);
      players.push(watchHls(url));
    }
    await until('all play', 60_000, () => Promise.resolve(players.every((one) => one.parts() > 10)), 200);
    for (const player of players) player.reset();

    const processes = new Map([
      ['source', source.pid],
      ['publisher', loop.pid],
      ['repeater', repeater.pid],
      ...viewers.map((one, n): [string, number] => [`viewer ${n + 1}`, one.pid]),
    ]);
    const samples = new Map(
      [...processes.keys()].map((name) => [name, [] as { minutes: number; mb: number }[]]),
    );
    const begun = performance.now();
    const passed = (): number => (performance.now() - begun) / 60_000;
    while (passed() < minutes) {
      await sleep(sampleMs);
      if (passed() < warmUp * minutes) continue;
      for (const [name, pid] of processes)
        samples.get(name)!.push({ minutes: passed(), mb: await resident(pid) });
    }
    const seen = players.map((one) => one.seen().share);
    const holes = players.reduce((sum, one) => sum + one.holes(), 0);
    await loop.stop();
    const recordings = async (): Promise<string[]> =>
      (await readdir(folder)).filter((one) => one.endsWith('.mp4'));
    await until('the recording is finished', 120_000, async () => (await recordings()).length === 1, 500);
    const [name] = await recordings();
    const ends = endsOf(path.join(folder, name!));
    const apart = Math.abs(ends.video - ends.audio);
    const wrong: string[] = [];
    for (const [process, list] of samples) {
      const rate = growth(list);
      console.error(
        `stream of ${minutes} min: ${process} ${list[0]!.mb.toFixed(0)} to ${list.at(-1)!.mb.toFixed(0)} MB, ${rate.toFixed(2)} MB a minute`,
      );
      if (rate > mostGrowth) wrong.push(`${process} grew by ${rate.toFixed(2)} MB a minute`);
    }
    if (apart > mostApartMs) wrong.push(`sound and pictures end ${apart.toFixed(0)} ms apart`);
    const steepest = Math.max(...[...samples.values()].map(growth));
    const what =
      `a stream of ${minutes} min: memory grows by ${steepest.toFixed(2)} MB a minute at the most, sound and pictures of the recording of ` +
      `${(ends.video / 60_000).toFixed(1)} min end ${apart.toFixed(0)} ms apart, players saw ${seen.map((share) => `${(100 * share).toFixed(2)} %`).join(' and ')} ` +
      `with ${holes} holes, load ${os.loadavg()[0]!.toFixed(1)}`;
    return {
      failed: wrong.length,
      summary: wrong.length === 0 ? what : `${what}; FAILED: ${wrong.join('; ')}`,
    };
  } catch (error) {
    console.error(error);
    return { failed: 1, summary: `stream of ${minutes} min FAILED: ${String(error)}` };
  } finally {
    await Promise.all(players.map((one) => one.stop()));
    await stop();
    await Promise.all(running.map((one) => one.stop()));
    await temp.remove();
  }
}
