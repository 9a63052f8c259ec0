import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { seeded, until, writeManyFiles } from '../support/trees.ts';
import { startExtrachainPair, type Pair } from './contenders.ts';

interface Doctor {
  readonly checks: readonly { readonly name: string; readonly message: string }[];
}

/** Event-loop delays since the last reading, of the daemons of a pair and of a process that only waits. ms. */
export interface LoopProbe {
  /** One text for each: the daemons in order, then the idle process. Begins anew. */
  read(): Promise<readonly string[]>;
  stop(): void;
}

/** Watches the daemons of a pair through `doctor`, beside an idle process on the same machine. */
export function startLoopProbe(pair: Pair): LoopProbe {
  const script = `const h=require('perf_hooks').monitorEventLoopDelay({resolution:10});h.enable();
    const ms=(n)=>Math.max(0,n/1e6-10).toFixed(1);
    process.stdin.on('data',()=>{console.log('p50 '+ms(h.percentile(50))+' ms, p99 '+ms(h.percentile(99))+' ms, max '+ms(h.max)+' ms');h.reset()})`;
  const idle = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  return {
    async read() {
      const daemons = pair.daemons.map(async (daemon) => {
        const { checks } = await daemon.cli<Doctor>('doctor');
        const loop = checks.find((check) => check.name === 'event loop');
        return loop?.message.replace(/ \(.*/, '') ?? 'not told';
      });
      const line = new Promise<string>((resolve) =>
        idle.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim())),
      );
      idle.stdin.write('\n');
      return [...(await Promise.all(daemons)), await line];
    },
    stop: () => void idle.kill(),
  };
}

/** Resident memory of a process, bytes; 0 where the system does not tell. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

/** One run of the jobs below. */
export interface StartMeasure {
  readonly job: string;
  readonly ms: number;
  readonly resident: readonly number[];
}

/**
 * Start of a daemon with a synced drive of `count` files until it says "in step", and its memory then; before, how long so many
 * new files took from writing to in step on both sides.
 */
export async function measureStart(count: number, runs: number): Promise<readonly StartMeasure[]> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'extrachain-bench-'));
  const pair = await startExtrachainPair(dir, { bulk: true });
  const inStep = async (): Promise<void> => {
    type Status = { state: string; files: number };
    await until(
      'in step',
      1_800_000,
      async () => {
        const status = await pair.daemons[1]!.cli<Status>('drive', 'status', pair.driveId);
        return status.state === 'in_step' && status.files === count;
      },
      50,
    );
  };
  try {
    const measures: StartMeasure[] = [];
    const importStart = performance.now();
    await writeManyFiles(pair.a, count, { min: 100, max: 2000 }, seeded(1));
    await pair.daemons[0]!.cli('drive', 'wait', pair.driveId, '--timeout', '1800');
    await inStep();
    measures.push({
      job: `${count.toLocaleString('en')} new small files, until in step on both sides`,
      ms: performance.now() - importStart,
      resident: await Promise.all(pair.daemons.map(({ pid }) => residentBytes(pid))),
    });
    for (let i = 0; i < runs; i++) {
      await pair.daemons[1]!.stop();
      const start = performance.now();
      await pair.restart();
      await inStep();
      measures.push({
        job: `start of a daemon with a synced drive of ${count.toLocaleString('en')} files, until in step`,
        ms: performance.now() - start,
        resident: [await residentBytes(pair.daemons[1]!.pid)],
      });
    }
    return measures;
  } finally {
    await pair.stop();
    await rm(dir, { recursive: true, force: true });
  }
}
