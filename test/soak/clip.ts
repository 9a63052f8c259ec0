import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Daemon } from '../support/daemon.ts';

const extrachain = path.resolve(import.meta.dirname, '../../bin/extrachain');

/** Eight seconds of moving pictures and a tone, a key frame a second. */
export function makeClip(file: string): void {
  const made = spawnSync('ffmpeg', [
    ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25'],
    ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-t', '8'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-c:a', 'aac', file],
  ]);
  if (made.status !== 0) throw new Error('ffmpeg is needed to make a clip');
}

/** A clip that goes live again and again, from a process of its own; `pid` is its id. */
export interface Loop {
  readonly streamId: string;
  readonly link: string;
  readonly pid: number;
  stop(): Promise<unknown>;
}

/** @param more options of `stream publish` */
export async function loopClip(daemon: Daemon, clip: string, more: readonly string[] = []): Promise<Loop> {
  const args = [
    '--data',
    daemon.data,
    '--json',
    'stream',
    'publish',
    'Loop',
    '--from',
    clip,
    '--loop',
    ...more,
  ];
  const child = spawn(extrachain, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    void exited.then(() => reject(new Error('publishing ended early')));
  });
  return {
    ...(JSON.parse(line) as { streamId: string; link: string }),
    pid: child.pid!,
    stop() {
      child.kill('SIGTERM');
      return exited;
    },
  };
}
