import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { AppError } from '../../../src-shared/errors.ts';

/** Flushes whole file systems to disk (Linux: syncfs, by `sync -f`). */
export interface DiskFlush {
  /**
   * Resolves when everything written to the file system of `path` before this call is on disk; at once on other systems, where files must
   * be synced one by one.
   * @throws AppError `internal`
   */
  flush(path: string): Promise<void>;
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

interface Helper {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  /** Those whose flush has begun, and those who wait for the next one. */
  running: PromiseWithResolvers<'flushed' | 'lost'>[];
  waiting: PromiseWithResolvers<'flushed' | 'lost'>[];
  idle: NodeJS.Timeout | null;
}

// Makes a large process no copy of itself for each flush, which would hold up its event loop: a small shell does that. It ends
// when its input does, so also when we are killed.
const script = 'while read -r _; do if sync -f -- "$1" 2>/dev/null; then echo 0; else echo 1; fi; done';
/** A folder that is not flushed for so long loses its helper, ms. */
const idleMs = 10_000;

export function createDiskFlush(): DiskFlush {
  const helpers = new Map<string, Helper>();

  const failed = (path: string): AppError =>
    new AppError('internal', 'The disk could not be flushed.', { details: { path } });

  function end(path: string, helper: Helper): void {
    if (helper.idle) clearTimeout(helper.idle);
    if (helpers.get(path) === helper) helpers.delete(path);
    helper.child.stdin.end();
    for (const one of [...helper.running, ...helper.waiting]) one.resolve('lost');
    helper.running = [];
    helper.waiting = [];
  }

  function start(path: string): Helper {
    const child = spawn('/bin/sh', ['-c', script, 'sh', path], { stdio: ['pipe', 'pipe', 'ignore'] });
    const helper: Helper = { child, running: [], waiting: [], idle: null };
    const lost = (): void => end(path, helper);
    child.on('error', lost);
    child.on('exit', lost);
    child.stdin.on('error', lost);
    createInterface({ input: child.stdout }).on('line', (line) => {
      const done = helper.running;
      helper.running = [];
      for (const one of done) {
        if (line === '0') one.resolve('flushed');
        else one.reject(failed(path));
      }
      next(path, helper);
    });
    helpers.set(path, helper);
    return helper;
  }

  function next(path: string, helper: Helper): void {
    if (helper.running.length > 0) return;
    if (helper.waiting.length === 0) {
      helper.idle = setTimeout(() => end(path, helper), idleMs).unref();
      return;
    }
    if (helper.idle) clearTimeout(helper.idle);
    helper.idle = null;
    helper.running = helper.waiting;
    helper.waiting = [];
    helper.child.stdin.write('\n');
  }

  function once(path: string): Promise<'flushed' | 'lost'> {
    const helper = helpers.get(path) ?? start(path);
    const flush = Promise.withResolvers<'flushed' | 'lost'>();
    // A flush that has begun may have missed the last writes: those who come meanwhile share the next one.
    helper.waiting.push(flush);
    next(path, helper);
    return flush.promise;
  }

  return {
    async flush(path) {
      if (process.platform !== 'linux') return;
      // A helper that was ended by somebody says nothing of the disk: the next one does.
      if ((await once(path)) === 'lost' && (await once(path)) === 'lost') throw failed(path);
    },
    async stop() {
      const all = [...helpers].flatMap(([, { running, waiting }]) => [...running, ...waiting]);
      await Promise.allSettled(all.map(({ promise }) => promise));
      for (const [path, helper] of helpers) end(path, helper);
    },
  };
}
