/**
 * Loaded into a daemon with `NODE_OPTIONS=--import=...` by the crash tests; never part of the product. Counts every call that
 * changes a disk or a database, before and after it, and ends the process with SIGKILL at the one named by
 * `EXTRACHAIN_CRASH_POINT` (`main:<n>` or `worker:<n>`). `EXTRACHAIN_CRASH_COUNT=<file>` writes how many there were instead.
 */
import fs from 'node:fs';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import net from 'node:net';
import BetterSqlite from 'better-sqlite3';

const [thread, position] = (process.env['EXTRACHAIN_CRASH_POINT'] ?? 'none:0').split(':');
const mine = (isMainThread ? 'main' : 'worker') === thread;
const crashAt = Number(position);
const countFile = process.env['EXTRACHAIN_CRASH_COUNT'];
// Counting begins when the test says so (it creates the file), so that the points are those of the transfer.
const armedFile = process.env['EXTRACHAIN_CRASH_ARMED'];
const { statSync, writeSync, ftruncateSync } = fs;
let armed = armedFile === undefined;
let count = 0;

function point(): void {
  if (!armed) {
    if (!statSync(armedFile!, { throwIfNoEntry: false })) return;
    armed = true;
  }
  count++;
  if (mine && count === crashAt) process.kill(process.pid, 'SIGKILL');
}

type AnyFunction = (...args: unknown[]) => unknown;

function wrap(object: object, names: readonly string[]): void {
  const target = object as Record<string, AnyFunction | undefined>;
  for (const name of names) {
    const original = target[name];
    if (typeof original !== 'function') continue;
    target[name] = function (this: unknown, ...args: unknown[]) {
      point();
      const result = original.apply(this, args);
      if (result instanceof Promise) return result.finally(point);
      point();
      return result;
    };
  }
}

const changing = [
  'rename',
  'unlink',
  'mkdir',
  'rm',
  'rmdir',
  'symlink',
  'link',
  'writeFile',
  'appendFile',
  'copyFile',
  'truncate',
  'utimes',
  'lutimes',
  'chmod',
];
wrap(fsPromises, changing);
wrap(
  fs,
  changing.flatMap((name) => [`${name}Sync`]),
);
wrap(fs, [
  'writeSync',
  'fsyncSync',
  'fdatasyncSync',
  'ftruncateSync',
  'futimesSync',
  'fchmodSync',
  'write',
  'fsync',
  'fdatasync',
]);
const probe = await fsPromises.open(process.execPath, 'r');
wrap(Object.getPrototypeOf(probe) as object, [
  'write',
  'writev',
  'writeFile',
  'sync',
  'datasync',
  'truncate',
  'utimes',
  'chmod',
]);
await probe.close();
const db = new BetterSqlite(':memory:');
wrap(Object.getPrototypeOf(db.prepare('select 1')) as object, ['run']);
wrap(Object.getPrototypeOf(db) as object, ['exec']);
db.close();
wrap(net.Socket.prototype, ['write']);
syncBuiltinESMExports();

if (countFile !== undefined) {
  const thisThread = isMainThread ? 'main' : 'worker';
  // Through a handle opened once: it must not count itself.
  const file = fs.openSync(`${countFile}.${thisThread}`, 'w');
  setInterval(() => {
    ftruncateSync(file, 0);
    writeSync(file, String(count), 0);
  }, 200).unref();
}
