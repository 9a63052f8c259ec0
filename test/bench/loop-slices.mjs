// How long the event loop of a daemon is held up by its own work, on a machine that is busy with other things:
//   NODE_OPTIONS=--import=$PWD/test/bench/loop-slices.mjs SLICES=/tmp/slices npm run bench -- --runs 1 --jobs "1 GiB random"
// A timer of 1 ms reads the processor time of the main thread: what was used between two ticks is one slice, however long the
// thread waited for a processor. Writes SLICES-<pid>.json once a second: ticks, slices over 10, 25 and 50 ms of processor time,
// the longest, and when those over 15 ms came (ms since the start, ms long).
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { isMainThread } from 'node:worker_threads';

const file = process.env.SLICES;
if (file && isMainThread && process.argv.includes('daemon')) {
  const start = performance.now();
  const seen = { ticks: 0, over10: 0, over25: 0, over50: 0, longest: 0, long: [] };
  let last = process.threadCpuUsage();
  const tick = () => {
    const now = process.threadCpuUsage();
    const ms = (now.user + now.system - last.user - last.system) / 1000;
    last = now;
    seen.ticks++;
    if (ms > 10) seen.over10++;
    if (ms > 25) seen.over25++;
    if (ms > 50) seen.over50++;
    seen.longest = Math.max(seen.longest, ms);
    if (ms > 15 && seen.long.length < 500) seen.long.push([performance.now() - start, ms].map(Math.round));
  };
  setInterval(tick, 1).unref();
  setInterval(() => writeFileSync(`${file}-${process.pid}.json`, JSON.stringify(seen)), 1000).unref();
}
