import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lockFolder } from './folder-lock.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'extrachain-lock-'));
});
afterEach(() => rm(dir, { recursive: true }));

const locked = expect.objectContaining({ code: 'locked' });

it('is held once, also within one process, until released', () => {
  const lock = lockFolder(dir);
  expect(() => lockFolder(dir)).toThrow(locked);
  lock.release();
  lockFolder(dir).release();
});

it('is held against other processes, and ends with a process that is killed', async () => {
  const script = `const { lockFolder } = await import(${JSON.stringify(import.meta.resolve('./folder-lock.ts'))});
    globalThis.lock = lockFolder(${JSON.stringify(dir)}); console.log('held'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  expect(() => lockFolder(dir)).toThrow(locked);
  child.kill('SIGKILL');
  await once(child, 'exit');
  lockFolder(dir).release();
});
