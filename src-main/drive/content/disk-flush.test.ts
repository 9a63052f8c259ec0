import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDiskFlush } from './disk-flush.ts';

const children = (): string[] =>
  execFileSync('ps', ['--ppid', String(process.pid), '-o', 'pid=,args='])
    .toString()
    .split('\n')
    .filter((line) => line.includes('sync -f'));

describe.skipIf(process.platform !== 'linux')('flushing a file system', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "extrachain-flush 'a' \n"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  test('uses one helper for a folder, whatever its name, and shares flushes', async () => {
    const disk = createDiskFlush();
    await Promise.all(Array.from({ length: 20 }, () => disk.flush(dir)));
    await disk.flush(dir);
    expect(children()).toHaveLength(1);
    await disk.stop();
    await expect.poll(children).toEqual([]);
  });

  test('says when a folder can not be flushed, and goes on with others', async () => {
    const disk = createDiskFlush();
    await expect(disk.flush(path.join(dir, 'nowhere'))).rejects.toMatchObject({ code: 'internal' });
    await disk.flush(dir);
    await disk.stop();
  });

  test('a helper that is ended by somebody is replaced', async () => {
    const disk = createDiskFlush();
    await disk.flush(dir);
    const waiting = disk.flush(dir);
    process.kill(Number.parseInt(children()[0]!, 10), 'SIGKILL');
    await waiting;
    await disk.flush(dir);
    expect(children()).toHaveLength(1);
    await disk.stop();
  });
});
