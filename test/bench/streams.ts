/**
 * `npm run bench:streams [-- --runs 5] [--seconds 10] [--only hops,upload,wire,tamper,repair,relay,live]`: the figures that live streams
 * are to reach. Nodes in several processes with real sockets on loopback; `relay` and `live` are benches of their own
 * (`stream-relay.ts`, `live.ts`) run from here. Prints medians and ranges, and the load of the machine with each; never judges.
 */
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startStreamHost } from './stream-host.ts';
import type { BenchStream, NodeFigures, StreamHost } from './stream-host.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', default: 'hops,upload,wire,tamper,repair,relay,live' },
  },
});
const runs = Number(values.runs);
const seconds = Number(values.seconds);
const hd: BenchStream = { partMs: 200, partBytes: 62_500, fanOut: null };
const hosts = new Set<StreamHost>();
let net = 20;

const at = (numbers: readonly number[], share: number): number =>
  [...numbers].sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))] ??
  Number.NaN;
function tell(what: string, numbers: readonly number[], unit: string, digits = 0): void {
  const [middle, low, high] = [at(numbers, 0.5), Math.min(...numbers), Math.max(...numbers)];
  console.log(
    `${what.padEnd(58)} ${middle.toFixed(digits)} ${unit} (${low.toFixed(digits)} to ${high.toFixed(digits)}), ` +
      `${numbers.length} runs, load ${os.loadavg()[0]!.toFixed(1)}`,
  );
}

interface World {
  readonly streamId: string;
  readonly link: string;
  readonly sourceHost: StreamHost;
  host(): StreamHost;
  add(
    host: StreamHost,
    name: string,
    options: { uplink?: number; relay?: 'auto' | 'on' | 'off'; plays?: boolean },
  ): Promise<string>;
  figures(): Promise<Record<string, NodeFigures>>;
}

/** A source that sends, and a way to add others. All processes end with it. */
async function world<T>(stream: BenchStream, work: (world: World) => Promise<T>): Promise<T> {
  const all = new Set<StreamHost>();
  const host = (): StreamHost => {
    const one = startStreamHost();
    all.add(one);
    hosts.add(one);
    return one;
  };
  net = net === 250 ? 20 : net + 1;
  let ip = 0;
  try {
    const sourceHost = host();
    await sourceHost.ask('start', { name: 'source', ip: `127.0.${net}.${++ip}`, options: {} });
    const { streamId, link } = await sourceHost.ask('begin', { name: 'source', stream });
    return await work({
      streamId,
      link,
      sourceHost,
      host,
      async add(where, name, { uplink = 50_000_000, relay = 'on', plays = true }) {
        const options = { uplink, relay };
        const { peerId } = await where.ask('start', { name, ip: `127.0.${net}.${++ip}`, options });
        // Where one is too slow to answer for once, a person would try again.
        for (let tries = 1; ; tries++) {
          const failed = await where.ask('watch', { name, link, plays }).then(
            () => null,
            (error: unknown) => error as Error,
          );
          if (!failed) break;
          if (tries === 5) throw failed;
        }
        return peerId;
      },
      async figures() {
        const found = await Promise.all(
          [...all].map((one) => one.ask('figures', { streamId }).catch(() => ({}))),
        );
        return Object.assign({}, ...found) as Record<string, NodeFigures>;
      },
    });
  } finally {
    for (const one of all) {
      one.kill();
      hosts.delete(one);
    }
  }
}

async function untilAll(
  { figures }: World,
  why: string,
  ready: (all: NodeFigures[]) => boolean,
): Promise<void> {
  const end = Date.now() + 120_000;
  for (;;) {
    const { source: _, ...others } = await figures();
    if (ready(Object.values(others))) return;
    if (Date.now() > end) throw new Error(`${why}: not within two minutes`);
    await sleep(250);
  }
}

/** A chain of three repeaters with room for one child each: how much later each hop has a part. */
async function hops(): Promise<void> {
  const later: number[][] = [[], [], []];
  for (let run = 0; run < runs; run++) {
    await world({ ...hd, fanOut: 1 }, async (one) => {
      const uplink = (2 * hd.partBytes * 1000) / hd.partMs;
      for (let n = 1; n <= 4; n++) {
        await one.add(one.host(), `hop${n}`, { uplink });
        await untilAll(one, 'a chain', (all) => all.every(({ depth }) => depth !== null));
      }
      const seen = new Map<number, number[]>();
      const end = Date.now() + seconds * 1000;
      while (Date.now() < end) {
        for (const { depth, latencyMs } of Object.values(await one.figures()))
          if (depth && latencyMs !== null) seen.set(depth, [...(seen.get(depth) ?? []), latencyMs]);
        await sleep(90);
      }
      for (let n = 1; n <= 3; n++)
        if (seen.has(n + 1)) later[n - 1]!.push(at(seen.get(n + 1)!, 0.5) - at(seen.get(n)!, 0.5));
    });
  }
  later.forEach((ms, n) => {
    if (ms.length > 0) tell(`hop ${n + 2} has a part later than hop ${n + 1}, p50`, ms, 'ms');
  });
}

/**
 * What the source uploads for each of N viewers, of whom every fourth passes the stream on; parts of an eighth of the usual size, so that
 * one computer can. Whoever may have a place is spoken to, and what takes the time are the handshakes for that, on both sides of each: so
 * it is one stream whose viewers become more, and not all of them have places.
 */
async function upload(): Promise<void> {
  const counts = [1, 8, 32, 64];
  const each = counts.map((): number[] => []);
  try {
    for (let run = 0; run < runs; run++) {
      await world({ ...hd, partBytes: hd.partBytes / 8 }, async (one) => {
        const places = [one.host(), one.host()];
        let there = 0;
        for (const [step, count] of counts.entries()) {
          while (there < count) {
            const pair = places.slice(0, count - there);
            const relay = there % 8 === 0 ? 'on' : 'off';
            await Promise.all(
              pair.map((place, n) => one.add(place, `viewer${there + n}`, { relay, plays: false })),
            );
            there += pair.length;
          }
          await untilAll(one, `all ${count} get parts`, (all) =>
            all.every(({ latencyMs }) => latencyMs !== null),
          );
          // What joining costs, and who finds a better place right after it, is not what is asked.
          await sleep(5_000);
          const before = (await one.figures())['source']!.wireSent;
          const began = performance.now();
          await sleep(seconds * 1000);
          const sent = (await one.figures())['source']!.wireSent - before;
          each[step]!.push((sent * 8) / (performance.now() - began) / count);
        }
      });
    }
  } finally {
    for (const [step, count] of counts.entries())
      if (each[step]!.length > 0)
        tell(`source upload for each of ${count} viewers (312 kbit/s stream)`, each[step]!, 'kbit/s');
  }
}

/** What comes over the wire beside the media, and what comes twice, at a viewer behind a repeater. */
async function wire(): Promise<void> {
  const over: number[] = [];
  const twice: number[] = [];
  for (let run = 0; run < runs; run++) {
    await world({ ...hd, fanOut: 1 }, async (one) => {
      await one.add(one.host(), 'repeater', {});
      await one.add(one.host(), 'viewer', { relay: 'off' });
      await untilAll(one, 'both play', (all) => all.every(({ played }) => played > 5));
      const before = (await one.figures())['viewer']!;
      await sleep(seconds * 1000);
      const after = (await one.figures())['viewer']!;
      const media = (after.parts - before.parts) * hd.partBytes;
      over.push(((after.wireReceived - before.wireReceived) / media - 1) * 100);
      twice.push(((after.duplicateBytes - before.duplicateBytes) / media) * 100);
    });
  }
  tell('overhead on the wire, everything included', over, '%', 2);
  tell('media that comes twice', twice, '%', 2);
}

/** A repeater that changes bytes, with viewers below it and below them. */
async function tamper(): Promise<void> {
  let accepted = 0;
  let refused = 0;
  let further = 0;
  for (let run = 0; run < runs; run++) {
    await world({ ...hd, fanOut: 1 }, async (one) => {
      const bad = one.host();
      const liar = await one.add(bad, 'bad', { uplink: (4 * hd.partBytes * 1000) / hd.partMs });
      const viewers = one.host();
      for (let n = 0; n < 4; n++) await one.add(viewers, `viewer${n}`, {});
      await untilAll(one, 'all play', (all) => all.every(({ played }) => played > 5));
      const before = await one.figures();
      await bad.ask('flip', { name: 'bad' });
      await sleep(1_000);
      // Who got its parts from another one: a forged part would have had to be passed on to get there.
      for (const [name, { rejected }] of Object.entries(await one.figures()))
        if (before[name] && before[name].parent !== liar) further += rejected;
      await sleep(seconds * 1000);
      for (const { forged, rejected } of Object.values(await one.figures())) {
        accepted += forged;
        refused += rejected;
      }
    });
  }
  console.log(`${'forged parts accepted by any viewer'.padEnd(58)} ${accepted} in ${runs} runs`);
  console.log(
    `${'forged parts refused: by all, by those further below'.padEnd(58)} ${refused}, ${further} in ${runs} runs`,
  );
}

/** Four processes of repeaters, eight viewers; two of the four are killed at once. */
async function repair(): Promise<void> {
  const pauses: number[] = [];
  const playing: number[] = [];
  for (let run = 0; run < runs; run++) {
    await world({ ...hd, partBytes: hd.partBytes / 4, fanOut: 4 }, async (one) => {
      const repeaters = Array.from({ length: 4 }, () => one.host());
      for (const [n, host] of repeaters.entries()) await one.add(host, `repeater${n}`, { plays: false });
      const viewers = one.host();
      for (let n = 0; n < 8; n++) await one.add(viewers, `viewer${n}`, { relay: 'off' });
      const isViewer = (name: string): boolean => name.startsWith('viewer');
      await untilAll(one, 'all have backups', (all) =>
        all.filter(({ played }) => played > 0).every(({ backups }) => backups.length > 0),
      );
      await sleep(2_000);
      for (const host of repeaters.slice(0, 2)) host.kill();
      await sleep(5_000);
      const before = await one.figures();
      await sleep(1_000);
      const after = await one.figures();
      const names = Object.keys(after).filter(isViewer);
      for (const name of names) if (after[name]!.switches > 0) pauses.push(after[name]!.longestPauseMs);
      playing.push(
        (100 * names.filter((name) => after[name]!.played > before[name]!.played).length) / names.length,
      );
    });
  }
  tell('re-attachment, last part before to first after', pauses, 'ms');
  console.log(`${'re-attachment, p95'.padEnd(58)} ${at(pauses, 0.95).toFixed(0)} ms`);
  tell('viewers that play 5 s after half the repeaters were killed', playing, '%');
}

function other(script: string, args: readonly string[]): void {
  spawnSync(process.execPath, [path.join(import.meta.dirname, script), ...args], { stdio: 'inherit' });
}

const benches: Readonly<Record<string, () => Promise<void> | void>> = {
  hops,
  upload,
  wire,
  tamper,
  repair,
  relay: () => other('stream-relay.ts', ['--runs', String(runs), '--seconds', String(seconds)]),
  live: () => other('live.ts', ['--runs', String(runs), '--seconds', String(seconds)]),
};
process.once('exit', () => {
  for (const one of hosts) one.kill();
});
for (const name of values.only.split(',')) {
  const bench = benches[name];
  if (!bench) throw new Error(`there is no bench ${name}; there are ${Object.keys(benches).join(', ')}`);
  try {
    await bench();
  } catch (error) {
    console.error(`${name} did not come to an end: ${String(error)}`);
    process.exitCode = 1;
  }
}
