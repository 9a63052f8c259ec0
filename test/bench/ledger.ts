/**
 * `npm run bench:ledger [-- --seconds 120] [--only idle|four|three|alone|join] [--anvil]`: transfers through four validators as
 * processes on this computer, through three of them after one was killed, through one alone; what idle ones take; a new node that
 * joins a chain of 100,000 transactions from a snapshot; and (with --anvil) transfers through anvil, a development node with one
 * sequencer and no consensus, in the same run. Prints rates, time until final, processor time and memory; never judges.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startCluster } from '../ledger/cluster.ts';
import type { Cluster, ValidatorProcess } from '../ledger/cluster.ts';
import { benchJoin } from './ledger-join.ts';
import type { LoadResult } from '../ledger/validator.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    only: { type: 'string', default: '' },
    anvil: { type: 'boolean', default: false },
    /** Transactions of the chain that is joined. */
    txs: { type: 'string', default: '100000' },
  },
});
const seconds = Number(values.seconds);
// Each may have 64 waiting: enough of them that the chain, not that bound, is what is measured.
const users = Array.from({ length: 200 }, (_, i) => `user ${i}`);
const anvilVersion = '1.7.1';
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const at = (sorted: readonly number[], part: number): string =>
  sorted.length === 0
    ? 'none'
    : `${((sorted[Math.floor(sorted.length * part)] as number) / 1000).toFixed(2)} s`;

function report(name: string, asked: number, result: LoadResult): void {
  const { sent, refused, final, failed, latencies } = result;
  console.log(
    `${name}: ${asked}/s asked for ${result.seconds.toFixed(0)} s: ${sent} sent (${(sent / result.seconds).toFixed(0)}/s), ${final} final, ${failed} failed, ${refused} refused; ` +
      `final after p50 ${at(latencies, 0.5)}, p95 ${at(latencies, 0.95)}, p99 ${at(latencies, 0.99)}; load ${os
        .loadavg()
        .map((mean) => mean.toFixed(1))
        .join(' ')}`,
  );
}

async function withCluster(validators: number, work: (cluster: Cluster) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'extrachain-bench-ledger-'));
  const cluster = await startCluster({ validators, users, dir, consensus: {}, slices: true });
  try {
    for (;;) {
      const states = await Promise.all(cluster.alive().map(statusOf));
      if (states.every(({ height, voting }) => height >= 1 && voting)) break;
      await wait(200);
    }
    await work(cluster);
  } finally {
    await cluster.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

interface Status {
  readonly height: number;
  readonly voting: boolean;
  readonly memory: number;
  /** Microseconds: of the process, and of its main thread. */
  readonly cpu: NodeJS.CpuUsage;
  readonly mainCpu: NodeJS.CpuUsage;
}
const statusOf = (one: ValidatorProcess): Promise<Status> => one.ask<Status>({ op: 'status' });
const ms = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;

/** Sends from the first validator; prints rates, latencies, processor time and the slices of the event loops. */
async function load(cluster: Cluster, name: string, perSecond: number, duration: number): Promise<void> {
  const all = cluster.alive();
  const before = await Promise.all(all.map(statusOf));
  await Promise.all(all.map((one) => one.ask({ op: 'slices' })));
  const result = await all[0]!.ask<LoadResult>({ op: 'load', perSecond, seconds: duration, users });
  const after = await Promise.all(all.map(statusOf));
  const slices = await Promise.all(
    all.map((one) => one.ask<{ over25: number; longest: number }>({ op: 'slices' })),
  );
  report(name, perSecond, result);
  const each = (of: (status: Status) => number): string =>
    after.map((status, i) => ((of(status) - of(before[i]!)) / result.sent).toFixed(2)).join(' ');
  const blocks = after[0]!.height - before[0]!.height;
  console.log(
    `  ${blocks} blocks of ${Math.round(result.final / Math.max(1, blocks))} on the average; CPU ms a transfer: ${each((one) => ms(one.cpu))}, ` +
      `of it main threads: ${each((one) => ms(one.mainCpu))}; slices of main threads over 25 ms of CPU: ${slices.map((one) => one.over25).join(' ')}, ` +
      `longest ${slices.map((one) => one.longest.toFixed(0)).join(' ')} ms; resident ${after.map((one) => (one.memory / 1e6).toFixed(0)).join(' ')} MB`,
  );
}

const wanted = (name: string): boolean => name.includes(values.only);

console.log(
  `Node ${process.versions.node}, ${os.cpus().length} x ${os.cpus()[0]?.model ?? 'unknown'}, load ${os.loadavg()[0]?.toFixed(1)} at the start`,
);
if (wanted('idle') || wanted('four') || wanted('three')) {
  await withCluster(4, async (cluster) => {
    if (wanted('idle')) {
      await wait(10_000);
      const before = await Promise.all(cluster.alive().map(statusOf));
      await wait(20_000);
      const after = await Promise.all(cluster.alive().map(statusOf));
      console.log(
        `idle validators: ${after.map(({ memory }) => `${(memory / 1e6).toFixed(0)} MB`).join(', ')} resident; ` +
          `CPU ${after.map(({ cpu }, i) => `${((ms(cpu) - ms(before[i]!.cpu)) / 200).toFixed(1)} %`).join(', ')}; ` +
          `${after[0]!.height - before[0]!.height} blocks in 20 s`,
      );
    }
    if (wanted('four')) {
      await load(cluster, 'four validators', 50, Math.min(30, seconds));
      await load(cluster, 'four validators', 500, seconds);
    }
    if (wanted('three')) {
      await load(cluster, 'four validators, to begin with', 500, 10);
      await cluster.kill(3);
      await load(cluster, 'three of four, one just killed', 500, Math.min(60, seconds));
    }
  });
}
if (wanted('alone')) {
  await withCluster(1, async (cluster) => {
    await load(cluster, 'one validator alone', 2000, Math.min(30, seconds));
    await load(cluster, 'one validator alone', 4000, Math.min(20, seconds));
  });
}
if (wanted('join')) await benchJoin(Number(values.txs));
if (values.anvil) await benchAnvil();

/** anvil signs with its own development keys and seals a block a second. */
async function benchAnvil(): Promise<void> {
  const dir = path.join(os.tmpdir(), `extrachain-anvil-${anvilVersion}`);
  const name = `@foundry-rs/anvil-${os.platform()}-${os.arch() === 'x64' ? 'amd64' : os.arch()}`;
  execFileSync(
    'npm',
    ['install', '--prefix', dir, '--no-audit', '--no-fund', '--no-save', `${name}@${anvilVersion}`],
    { stdio: 'ignore' },
  );
  const root = path.dirname(createRequire(path.join(dir, 'x.js')).resolve(`${name}/package.json`));
  const port = 18_545;
  const child = spawn(
    path.join(root, 'bin', 'anvil'),
    ['--port', String(port), '--block-time', '1', '--silent', '--gas-limit', '1000000000000'],
    { stdio: 'ignore' },
  );
  const rpc = async <T>(method: string, params: readonly unknown[]): Promise<T> => {
    const response = await fetch(`http://127.0.0.1:${port}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    const { result, error } = (await response.json()) as { result: T; error?: { message: string } };
    if (error) throw new Error(error.message);
    return result;
  };
  try {
    let accounts: readonly string[] = [];
    for (let i = 0; accounts.length === 0; i++) {
      accounts = await rpc<string[]>('eth_accounts', []).catch((error: unknown) => {
        if (i > 50) throw error;
        return [];
      });
      await wait(100);
    }
    const began = performance.now();
    const duration = Math.min(20, seconds) * 1000;
    let sent = 0;
    await Promise.all(
      accounts.map(async (from, i) => {
        const to = accounts[(i + 1) % accounts.length];
        while (performance.now() - began < duration) {
          await rpc('eth_sendTransaction', [{ from, to, value: '0x1', gas: '0x5208' }]);
          sent += 1;
        }
      }),
    );
    await wait(2500);
    const top = Number(await rpc<string>('eth_blockNumber', []));
    let mined = 0;
    for (let height = 1; height <= top; height++) {
      mined += Number(
        await rpc<string>('eth_getBlockTransactionCountByNumber', [`0x${height.toString(16)}`]),
      );
    }
    console.log(
      `anvil ${anvilVersion}, one sequencer: ${sent} transfers in ${(duration / 1000).toFixed(0)} s (${((sent * 1000) / duration).toFixed(0)}/s with signing inside), ${mined} in blocks`,
    );
  } finally {
    child.kill('SIGTERM');
  }
}
