/**
 * What passing on a stream costs: a source, one repeater and N viewers below it, real sockets on loopback, 62.5 KB a part, five a second
 * (2.5 Mbit/s). The viewers share two processes: each part comes to all of them in the same moment, which real ones never do. Tells Mbit sent a second of the repeater's processor time, verification included, and how much later parts
 * are at the viewers than at the repeater.
 *
 *     npm run bench:relay -- [--viewers 32] [--seconds 15] [--runs 1] [--processes 2]
 */
import { fork } from 'node:child_process';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { encode, startStreamNode, testStart, until } from '../../src-main/stream/testing/world.ts';
import type { StreamNode } from '../../src-main/stream/testing/world.ts';

const none = new AbortController().signal;
const partMs = 200;
const partBytes = 62_500;

type Message = Readonly<Record<string, string | number | readonly number[]>>;

/** The next message of another process. */
function heard(from: NodeJS.Process | ReturnType<typeof fork>): Promise<Message> {
  return new Promise((resolve, reject) => {
    from.once('message', (message) => resolve(message as Message));
    if ('pid' in from && from !== process)
      from.once('exit', () => reject(new Error('a process ended early')));
  });
}

async function runSource(): Promise<void> {
  const node = await startStreamNode('bench source', '127.0.9.1');
  const { streamId, link } = await node.streams.begin(testStart({ fanOut: 1, partMs }), none);
  await encode(node.streams.ingest(streamId), { partMs, size: partBytes });
  process.send!({ link, streamId });
}

async function runViewers(link: string, streamId: string, first: number, count: number): Promise<void> {
  const nodes: StreamNode[] = [];
  for (let n = 0; n < count; n++) {
    const name = first + n;
    const node = await startStreamNode(`bench viewer ${name}`, `127.0.10.${name + 1}`, { relay: 'off' });
    await node.streams.watch(link, none);
    nodes.push(node);
  }
  for (const node of nodes)
    await until(() => (node.streams.stats(streamId).latencyMs ?? 0) > 0, 20_000, 'parts');
  process.send!({ ready: 1 });
  const delays: number[] = [];
  const timer = setInterval(() => {
    for (const node of nodes) delays.push(node.streams.stats(streamId).latencyMs ?? 0);
  }, 50);
  await heard(process);
  clearInterval(timer);
  const depths = nodes.map((node) => node.streams.stats(streamId).depth ?? -1);
  const rejected = nodes.reduce((sum, node) => sum + node.streams.stats(streamId).rejected, 0);
  const gaps = nodes.reduce((sum, node) => sum + node.streams.stats(streamId).gaps, 0);
  process.send!({ delays, depths, rejected, gaps });
}

const quantile = (values: readonly number[], q: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))] ?? 0;

async function measure(viewers: number, seconds: number, processes: number): Promise<void> {
  const file = import.meta.filename;
  const source = fork(file, ['--role', 'source']);
  const { link, streamId } = (await heard(source)) as { link: string; streamId: string };
  const relay = await startStreamNode('bench relay', '127.0.9.2', { relay: 'on', uplink: 1_000_000_000 });
  await relay.streams.watch(link, none);
  await until(() => relay.streams.stats(streamId).depth === 1, 20_000, 'the repeater joins');
  const others: ReturnType<typeof fork>[] = [];
  for (let first = 0; first < viewers; first += Math.ceil(viewers / processes)) {
    const count = Math.min(Math.ceil(viewers / processes), viewers - first);
    const args = ['--role', 'viewers', '--link', link, '--stream', streamId];
    const one = fork(file, [...args, '--first', String(first), '--viewers', String(count)]);
    others.push(one);
    // One after another: all are in the tree before anything is measured.
    await heard(one);
  }
  await sleep(1_000);
  const own: number[] = [];
  const timer = setInterval(() => own.push(relay.streams.stats(streamId).latencyMs ?? 0), 50);
  const before = { cpu: process.cpuUsage(), sent: relay.network.traffic().sent };
  await sleep(seconds * 1_000);
  const cpu = process.cpuUsage(before.cpu);
  const sent = relay.network.traffic().sent - before.sent;
  clearInterval(timer);
  const answers: { delays: number[]; depths: number[]; rejected: number; gaps: number }[] = [];
  for (const one of others) {
    one.send({ stop: 1 });
    answers.push((await heard(one)) as unknown as (typeof answers)[number]);
  }
  const delays = answers.flatMap((one) => one.delays);
  const processor = (cpu.user + cpu.system) / 1e6;
  const children = answers.flatMap((one) => one.depths).filter((depth) => depth === 2).length;
  console.log(
    JSON.stringify({
      viewers,
      children,
      seconds,
      load: Number(os.loadavg()[0]!.toFixed(1)),
      mbit: Number(((sent * 8) / 1e6).toFixed(0)),
      cpuSeconds: Number(processor.toFixed(2)),
      mbitPerCpuSecond: Number(((sent * 8) / 1e6 / processor).toFixed(0)),
      delayMs: {
        p50: quantile(delays, 0.5) - quantile(own, 0.5),
        p95: quantile(delays, 0.95) - quantile(own, 0.95),
      },
      rejected: answers.reduce((sum, one) => sum + one.rejected, 0),
      gaps: answers.reduce((sum, one) => sum + one.gaps, 0),
    }),
  );
  source.kill();
  for (const one of others) one.kill();
  await relay.stop();
}

const { values } = parseArgs({
  options: {
    role: { type: 'string' },
    link: { type: 'string' },
    stream: { type: 'string' },
    viewers: { type: 'string', default: '32' },
    first: { type: 'string', default: '0' },
    processes: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '15' },
    runs: { type: 'string', default: '1' },
  },
});
if (values.role === 'source') await runSource();
else if (values.role === 'viewers')
  await runViewers(values.link!, values.stream!, Number(values.first), Number(values.viewers));
else {
  for (let run = 0; run < Number(values.runs); run++)
    await measure(Number(values.viewers), Number(values.seconds), Number(values.processes));
  process.exit(0);
}
