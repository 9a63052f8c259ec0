/**
 * `npm run bench:hosting [-- --only sources,swarm,video] [--mib 128]`: a file from five computers of 5 MB/s each beside one of them; 30
 * libp2p nodes and one popular file; the first byte of a public video, and a seek in it, on a fresh node. Daemons and nodes are
 * processes on loopback. Prints what was measured with the load of the machine; never judges.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { connectToDaemon } from '../../src-main/headless/client.ts';
import { startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { differences, readTree, seeded, seededBytes, until } from '../support/trees.ts';
import { runSwarm } from './swarm.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'sources,swarm,video' },
    mib: { type: 'string', default: '128' },
  },
});
const chosen = values.only.split(',');
const MiB = 1024 * 1024;
const load = (): string =>
  `load ${os
    .loadavg()
    .map((mean) => mean.toFixed(1))
    .join(' ')}`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

async function inDaemons(name: string, work: (dir: string, start: Start) => Promise<void>): Promise<void> {
  const temp = await tempDir(`bench-${name}`);
  const running: Daemon[] = [];
  try {
    await work(temp.dir, async (who, host) => {
      const daemon = await startDaemon({ data: path.join(temp.dir, who), host: `127.0.0.${host}` });
      running.push(daemon);
      return daemon;
    });
  } finally {
    await Promise.all(running.map((daemon) => daemon.stop()));
    await temp.remove();
  }
}
type Start = (name: string, host: number) => Promise<Daemon>;

/** The computers of one person: each has the drive and may send 5 MB a second. */
async function fromSources(): Promise<void> {
  await inDaemons('sources', async (dir, start) => {
    const folder = async (name: string): Promise<string> => {
      const made = path.join(dir, `folder-${name}`);
      await mkdir(made, { recursive: true });
      return made;
    };
    const limit = (daemon: Daemon): Promise<unknown> => daemon.cli('net', 'bandwidth', '--up', '5MB');
    const first = await start('s1', 31);
    await first.cli('id', 'create');
    const phrase = path.join(dir, 'phrase');
    await first.cli('id', 'backup', '--out', phrase);
    const bytes = Number(values.mib) * MiB;
    await writeFile(path.join(await folder('s1'), 'film.bin'), seededBytes(seeded(5), bytes));
    const { driveId } = await first.cli<{ driveId: string }>(
      'drive',
      'create',
      'Film',
      '--folder',
      await folder('s1'),
    );
    await first.cli('drive', 'wait', driveId);
    const sources = [first];
    const restored = async (name: string, host: number): Promise<Daemon> => {
      const daemon = await start(name, host);
      await daemon.cli('id', 'restore', '--phrase-file', phrase);
      for (const { ready } of sources) await daemon.cli('net', 'ping', ready.addresses[0]!);
      return daemon;
    };
    const measure = async (name: string, host: number): Promise<number> => {
      const daemon = await restored(name, host);
      const { client, close } = await connectToDaemon(daemon.data);
      try {
        const since = performance.now();
        await client.drives.join({ link: driveId, folder: await folder(name), onlineOnly: false });
        await until(`${name} has the file`, 300_000, async () => {
          const { state } = await client.drives.status({ drive: driveId });
          return state === 'in_step';
        });
        const ms = performance.now() - since;
        const trees = [await readTree(await folder('s1')), await readTree(await folder(name))];
        const odd = differences(trees);
        if (odd.length > 0) throw new Error(`what came is not what was sent: ${odd.join(', ')}`);
        return ms;
      } finally {
        close();
        await daemon.stop();
      }
    };
    await limit(first);
    const one = await measure('one', 40);
    await first.cli('net', 'bandwidth', '--up', '100GB');
    for (let n = 2; n <= 5; n++) {
      const daemon = await restored(`s${n}`, 30 + n);
      await daemon.cli('drive', 'join', driveId, '--folder', await folder(`s${n}`));
      await daemon.cli('drive', 'wait', driveId, '--timeout', '120');
      sources.push(daemon);
    }
    await Promise.all(sources.map(limit));
    const five = await measure('five', 41);
    console.log(
      `${values.mib} MiB at 5 MB/s a source: one ${seconds(one)}, five ${seconds(five)} (${(one / five).toFixed(2)} times as fast; ` +
        `lines alone would take ${seconds(bytes / 5000)} and ${seconds(bytes / 25_000)}); ${load()}`,
    );
  });
}

async function popularFile(): Promise<void> {
  const bytes = 8 * MiB;
  const upload = 1_000_000;
  const result = await runSwarm({ processes: 3, nodesEach: 10, bytes, upload, knows: 5, everyMs: 1000 });
  const others = result.fetched.length;
  const mean = result.sent.reduce((sum, one) => sum + one, 0) / result.sent.length;
  const median = result.fetched[Math.floor(others / 2)]!;
  console.log(
    `${others + 1} nodes of 1 MB/s each, one file of 8 MiB, a newcomer a second: all have it after ${seconds(result.ms)} ` +
      `(the first node alone would send for ${seconds((others * bytes * 1000) / upload)}); a fetch takes ${seconds(median)} (median), ` +
      `${seconds(result.fetched.at(-1)!)} (worst); the first node sent ${((100 * result.sent[0]!) / (mean * (others + 1))).toFixed(0)} % ` +
      `of all bytes, most / mean ${(Math.max(...result.sent) / mean).toFixed(2)}; ${load()}`,
  );
}

async function publicVideo(): Promise<void> {
  await inDaemons('video', async (dir, start) => {
    const owner = await start('owner', 51);
    const fresh = await start('fresh', 52);
    await owner.cli('id', 'create');
    const folder = path.join(dir, 'folder');
    await mkdir(folder);
    const bytes = 64 * MiB;
    await writeFile(path.join(folder, 'film.mp4'), seededBytes(seeded(6), bytes));
    const { driveId, link } = await owner.cli<{ driveId: string; link: string }>(
      'drive',
      'create',
      'Film',
      '--folder',
      folder,
      '--visibility',
      'public',
    );
    await owner.cli('drive', 'wait', driveId);
    const { client, close } = await connectToDaemon(fresh.data);
    const read = async (url: string, at: number): Promise<void> => {
      const answer = await fetch(url, { headers: { range: `bytes=${at}-${at + 65_535}` } });
      if (answer.status !== 206) throw new Error(`status ${answer.status}`);
      await answer.arrayBuffer();
    };
    const since = performance.now();
    const { url } = await client.files.open({ drive: link, path: 'film.mp4' });
    await read(url, 0);
    const first = performance.now() - since;
    const seeks: number[] = [];
    for (const share of [0.9, 0.5, 0.7, 0.3, 0.8]) {
      const sought = performance.now();
      await read(url, Math.floor((share * bytes) / MiB) * MiB + 12_345);
      seeks.push(performance.now() - sought);
    }
    close();
    seeks.sort((a, b) => a - b);
    console.log(
      `public video on a fresh node: first 64 KiB after ${first.toFixed(0)} ms, a seek takes ${seeks[2]!.toFixed(0)} ms ` +
        `(median of 5, worst ${seeks[4]!.toFixed(0)}); ${load()}`,
    );
  });
}

console.log(`${os.cpus().length} cores, Node ${process.versions.node}, ${load()}`);
if (chosen.includes('sources')) await fromSources();
if (chosen.includes('swarm')) await popularFile();
if (chosen.includes('video')) await publicVideo();
