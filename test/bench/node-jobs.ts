import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { seeded, until, writeManyFiles } from '../support/trees.ts';
import { startExtrachainPair, type Pair } from './contenders.ts';
import { median } from './jobs.ts';

interface Doctor {
  readonly checks: readonly { readonly name: string; readonly message: string }[];
}

/** Event-loop delay of the daemons since their start, beside that of a process that does nothing. One line each. */
export async function measureEventLoop(pair: Pair, name: string): Promise<string[]> {
  const lines: string[] = [];
  for (const [i, daemon] of pair.daemons.entries()) {
    const doctor = await daemon.cli<Doctor>('doctor');
    const loop = doctor.checks.find((check) => check.name === 'event loop');
    lines.push(`event-loop delay, ${name}, daemon ${'ab'[i]}: ${loop?.message ?? 'not told'}`);
  }
  lines.push(`event-loop delay, an idle process: ${await idleDelay(5000)}`);
  return lines;
}

/** p50/p99/max in ms of a Node process that only waits, for `ms`. */
function idleDelay(ms: number): Promise<string> {
  const script = `const h=require('perf_hooks').monitorEventLoopDelay({resolution:10});h.enable();
    setTimeout(()=>{console.log('p50 '+(h.percentile(50)/1e6-10).toFixed(1)+' ms, p99 '+(h.percentile(99)/1e6-10).toFixed(1)+' ms, max '+(h.max/1e6-10).toFixed(1)+' ms')},${ms})`;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.on('error', reject).on('exit', () => resolve(out.trim()));
  });
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1024;
}

/** Start of a daemon with a synced drive of `count` files until it says "in step", and its memory then. */
export async function measureStart(count: number, runs: number): Promise<string[]> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'extrachain-bench-'));
  const pair = await startExtrachainPair(dir, { bulk: true });
  try {
    const import_ = performance.now();
    await writeManyFiles(pair.a, count, { min: 100, max: 2000 }, seeded(1));
    await pair.daemons[0]!.cli('drive', 'wait', pair.driveId, '--timeout', '1800');
    const imported = performance.now() - import_;
    const times: number[] = [];
    const memory: number[] = [];
    for (let i = 0; i < runs; i++) {
      await pair.daemons[1]!.stop();
      const start = performance.now();
      await pair.restart();
      await until(
        'in step',
        120_000,
        async () => {
          const status = await pair.daemons[1]!.cli<{ state: string; files: number }>(
            'drive',
            'status',
            pair.driveId,
          );
          return status.state === 'in_step' && status.files === count;
        },
        50,
      );
      times.push(performance.now() - start);
      memory.push(await residentBytes(pair.daemons[1]!.pid));
    }
    return [
      `${count} new small files from writing to in step on both sides: ${(imported / 1000).toFixed(1)} s`,
      `start of a daemon with a synced drive of ${count} files until in step: ${(median(times) / 1000).toFixed(2)} s (median of ${runs}), resident ${(median(memory) / 1e6).toFixed(0)} MB`,
    ];
  } finally {
    await pair.stop();
    await rm(dir, { recursive: true, force: true });
  }
}
