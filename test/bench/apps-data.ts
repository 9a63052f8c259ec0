import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { AppContract } from '../../src-shared/contract/index.ts';
import type { Connection } from '../../src-shared/rpc/index.ts';
import { connectToDaemon } from '../../src-main/headless/client.ts';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';

/**
 * What apps exchange, between real daemons: writes into a collection, how fast a message is at the other side, calls of a service
 * there, and how long it takes until another provider answers when one is killed or frozen.
 */
const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '5000' },
    deliveries: { type: 'string', default: '100' },
    calls: { type: 'string', default: '300' },
    failovers: { type: 'string', default: '3' },
  },
});
const app = 'a'.repeat(52);
const root = path.resolve(import.meta.dirname, '../..');

interface Side {
  readonly daemon: Daemon;
  readonly data: string;
  readonly client: Connection<AppContract>['client'];
  readonly userId: string;
}

const at = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
function summary(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const ms = (part: number): string => at(sorted, part).toFixed(1);
  return `p50 ${ms(0.5)} ms, p95 ${ms(0.95)} ms, worst ${ms(1)} ms of ${times.length}`;
}

const temp = await tempDir('bench-apps');
const closing: (() => Promise<unknown> | void)[] = [() => temp.remove()];

async function start(name: string, host: string): Promise<Side> {
  const data = path.join(temp.dir, name);
  const daemon = await startDaemon({ data, host });
  closing.push(() => daemon.stop());
  const { client, close } = await connectToDaemon(data);
  closing.push(close);
  const { userId } = await client.identity.create({ words: 12 });
  return { daemon, data, client, userId: userId! };
}

async function until(check: () => Promise<boolean>): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 50));
}

async function serve(side: Side, slug: string): Promise<string> {
  const manifest = path.join(temp.dir, `${slug}.json`);
  const program = path.join(temp.dir, 'echo.mjs');
  await writeFile(
    manifest,
    JSON.stringify({
      slug,
      title: 'Echo',
      interface: {
        name: 'Echo',
        methods: { say: { params: { type: 'string' }, result: { type: 'string' } } },
      },
    }),
  );
  await writeFile(
    program,
    `import { createInterface } from 'node:readline';
     createInterface({ input: process.stdin }).on('line', (line) => {
       const { id, params } = JSON.parse(line);
       process.stdout.write(JSON.stringify({ id, result: params }) + '\\n');
     });`,
  );
  const args = ['service', 'serve', manifest, '--data', side.data, '--json'];
  const child = spawn(
    path.join(root, 'bin', 'extrachain'),
    [...args, '--exec', `"${process.execPath}" "${program}"`],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  closing.push(() => void child.kill('SIGTERM'));
  const line = await new Promise<string>((resolve) =>
    child.stdout.once('data', (text) => resolve(String(text))),
  );
  return (JSON.parse(line) as { interface: string }).interface;
}

try {
  const a = await start('a', '127.0.0.61');
  const b = await start('b', '127.0.0.62');
  await b.daemon.cli('net', 'ping', a.daemon.ready.addresses[0]!);
  await until(async () => (await a.client.net.peers({})).some((one) => one.userId === b.userId));
  const load = (): string => os.loadavg()[0]!.toFixed(1);
  console.log(`two daemons, load ${load()}`);

  const { collection } = await a.client.collections.create({ app, name: 'bench' });
  const where = { app, collection };
  const count = Number(values.messages);
  const body = { text: 'A line that somebody writes to friends, of about the usual length.', reply: null };
  let begun = performance.now();
  for (let n = 0; n < count; n += 500) {
    const writes = Array.from({ length: Math.min(500, count - n) }, (_, i) => ({
      key: `m/${String(n + i).padStart(8, '0')}`,
      value: body,
    }));
    await a.client.collections.write({ ...where, writes });
  }
  const took = (performance.now() - begun) / 1000;
  console.log(
    `collection: ${count} messages signed and on disk in ${took.toFixed(2)} s, ${Math.round(count / took)} a second, load ${load()}`,
  );

  await a.client.collections.share({ ...where, user: b.userId });
  await until(async () => (await b.client.collections.invitations({ app })).length > 0);
  begun = performance.now();
  await b.client.collections.join(where);
  await until(async () => ((await b.client.collections.list({ app }))[0]?.keys ?? 0) >= count);
  console.log(
    `collection: joined with all of them after ${((performance.now() - begun) / 1000).toFixed(2)} s, load ${load()}`,
  );

  const seen = new Map<string, (time: number) => void>();
  const ended = new AbortController();
  const started = Promise.withResolvers<void>();
  void (async () => {
    for await (const { changes } of b.client.collections.watch(
      { ...where, prefix: 'live/' },
      { signal: ended.signal },
    )) {
      started.resolve();
      for (const { key } of changes) seen.get(key)?.(performance.now());
    }
  })().catch(() => {});
  await started.promise;
  const deliveries: number[] = [];
  for (let n = 0; n < Number(values.deliveries); n += 1) {
    const key = `live/${n}`;
    const arrived = new Promise<number>((resolve) => seen.set(key, resolve));
    const sent = performance.now();
    await a.client.collections.write({ ...where, writes: [{ key, value: body }] });
    deliveries.push((await arrived) - sent);
  }
  ended.abort();
  console.log(
    `a message, from being written at one daemon to being shown at the other: ${summary(deliveries)}, load ${load()}`,
  );

  const hash = await serve(a, 'echo');
  const call = (service: string, timeout = 10) =>
    b.client.services.call({ service, method: 'say', params: 'hello', timeout });
  for (let n = 0; n < 20; n += 1) await call(hash);
  const calls: number[] = [];
  for (let n = 0; n < Number(values.calls); n += 1) {
    const sent = performance.now();
    await call(hash);
    calls.push(performance.now() - sent);
  }
  console.log(`a call of a program behind another daemon: ${summary(calls)}, load ${load()}`);

  let host = 63;
  for (const how of ['SIGKILL', 'SIGSTOP'] as const) {
    const times: number[] = [];
    for (let n = 0; n < Number(values.failovers); n += 1) {
      // Two providers of their own, so that it does not matter which of them is preferred: the one that answers is taken away.
      const slug = `echo-${how.toLowerCase()}-${n}`;
      const pair = [
        await start(`${slug}-1`, `127.0.0.${host++}`),
        await start(`${slug}-2`, `127.0.0.${host++}`),
      ];
      for (const one of pair) {
        await b.daemon.cli('net', 'ping', one.daemon.ready.addresses[0]!);
        await serve(one, slug);
      }
      await until(async () => (await b.client.services.list({ search: slug })).length === 2);
      const { peerId } = await call(slug);
      const used = pair.find((one) => one.daemon.ready.peerId === peerId)!;
      process.kill(used.daemon.pid, how);
      const sent = performance.now();
      const answer = await call(slug);
      times.push(performance.now() - sent);
      if (answer.peerId === peerId) throw new Error('the same provider answered');
      if (how === 'SIGSTOP') process.kill(used.daemon.pid, 'SIGCONT');
    }
    console.log(`another provider answers after ${how} of one: ${summary(times)}, load ${load()}`);
  }
} finally {
  for (const end of closing.reverse()) await Promise.resolve(end()).catch(() => {});
}
process.exit(0);
