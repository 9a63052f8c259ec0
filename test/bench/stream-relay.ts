/**
 * What passing on a stream costs: a source, one repeater and N viewers below it, three processes, real sockets on loopback, 62.5 KB a part,
 * five a second (2.5 Mbit/s). Tells Mbit sent a second of the repeater's processor time, verification included, and how much later parts
 * are at the viewers than at the repeater.
 *
 *     npm run bench:relay -- [--viewers 32] [--seconds 15] [--runs 1]
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

async function runViewers(link: string, streamId: string, count: number): Promise<void> {
  const nodes: StreamNode[] = [];
  for (let n = 0; n < count; n++) {
    const node = await startStreamNode(`bench viewer ${n}`, `127.0.10.${n + 1}`, { relay: 'off' });
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

async function measure(viewers: number, seconds: number): Promise<void> {
  const file = import.meta.filename;
  const source = fork(file, ['--role', 'source']);
  const { link, streamId } = (await heard(source)) as { link: string; streamId: string };
  const relay = await startStreamNode('bench relay', '127.0.9.2', { relay: 'on', uplink: 1_000_000_000 });
  await relay.streams.watch(link, none);
  await until(() => relay.streams.stats(streamId).depth === 1, 20_000, 'the repeater joins');
  const others = fork(file, [
    '--role',
    'viewers',
    '--link',
    link,
    '--stream',
    streamId,
    '--viewers',
    String(viewers),
  ]);
  await heard(others);
  await sleep(1_000);
  const own: number[] = [];
  const timer = setInterval(() => own.push(relay.streams.stats(streamId).latencyMs ?? 0), 50);
  const before = { cpu: process.cpuUsage(), sent: relay.network.traffic().sent };
  await sleep(seconds * 1_000);
  const cpu = process.cpuUsage(before.cpu);
  const sent = relay.network.traffic().sent - before.sent;
  clearInterval(timer);
  others.send({ stop: 1 });
  const found = (await heard(others)) as unknown as {
    delays: number[];
    depths: number[];
    rejected: number;
    gaps: number;
  };
  const processor = (cpu.user + cpu.system) / 1e6;
  const children = found.depths.filter((depth) => depth === 2).length;
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
        p50: quantile(found.delays, 0.5) - quantile(own, 0.5),
        p95: quantile(found.delays, 0.95) - quantile(own, 0.95),
      },
      rejected: found.rejected,
      gaps: found.gaps,
    }),
  );
  source.kill();
  others.kill();
  await relay.stop();
}

const { values } = parseArgs({
  options: {
    role: { type: 'string' },
    link: { type: 'string' },
    stream: { type: 'string' },
    viewers: { type: 'string', default: '32' },
    seconds: { type: 'string', default: '15' },
    runs: { type: 'string', default: '1' },
  },
});
if (values.role === 'source') await runSource();
else if (values.role === 'viewers') await runViewers(values.link!, values.stream!, Number(values.viewers));
else {
  for (let run = 0; run < Number(values.runs); run++)
    await measure(Number(values.viewers), Number(values.seconds));
  process.exit(0);
}
