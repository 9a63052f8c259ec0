/**
 * `npm run bench [-- --runs 5] [--jobs TEXT] [--only TEXT] [--quick]`: the same jobs by ExtraChain and by what a person would
 * use instead, side by side in one run. Prints medians and versions; never judges.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { contenders } from './contenders.ts';
import { jobs, median, type Measure, type Scale } from './jobs.ts';
import { measureStart, startLoopProbe } from './node-jobs.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    jobs: { type: 'string', default: '' },
    only: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
const scale: Scale = values.quick
  ? { bigBytes: 64 << 20, files: 1000, small: 5 }
  : { bigBytes: 1 << 30, files: 10_000, small: 20 };

const results = new Map<string, Map<string, Measure[]>>();
const notes: string[] = [];
const loops: string[][] = [];
const load = (): string =>
  os
    .loadavg()
    .map((mean) => mean.toFixed(1))
    .join(' ');
const loadBefore = load();

function record(job: string, contender: string, measure: Measure): void {
  const byContender = results.get(job) ?? new Map<string, Measure[]>();
  results.set(job, byContender);
  byContender.set(contender, [...(byContender.get(contender) ?? []), measure]);
  const wire = measure.wire === null ? '' : `, ${(measure.wire / 1e6).toFixed(2)} MB on the wire`;
  console.error(`${contender}: ${job}: ${(measure.ms / 1000).toFixed(2)} s${wire}`);
}

const wanted = jobs.filter((job) => job.name.includes(values.jobs));
const needed = new Set(wanted.flatMap((job) => [job.name, job.needs ?? job.name]));
const present: string[] = [];
for (const contender of contenders) {
  if (!contender.name.includes(values.only)) continue;
  const version = await contender.version();
  if (version === null) {
    notes.push(`${contender.name}: skipped, not installed`);
    continue;
  }
  present.push(contender.name);
  notes.push(`${contender.name}: ${version}`);
}
// One after another within a run, so that a noisy minute hits all of them.
for (let run = 0; run < runs; run++) {
  for (const contender of contenders.filter((c) => present.includes(c.name))) {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'extrachain-bench-'));
    const pair = await contender.start(dir);
    const probe = pair.daemons.length > 0 ? startLoopProbe(pair) : null;
    try {
      for (const job of jobs.filter((j) => needed.has(j.name))) {
        await probe?.read();
        record(job.name, contender.name, await job.run(pair, scale));
        if (probe) loops.push([job.name, contender.name, ...(await probe.read())]);
      }
    } finally {
      probe?.stop();
      await pair.stop();
      await rm(dir, { recursive: true, force: true });
    }
  }
}
if (values.jobs === '' || 'start of a daemon'.includes(values.jobs))
  notes.push(...(await measureStart(values.quick ? 5_000 : 100_000, values.quick ? 1 : runs)));

console.log(
  `\nmedians of ${runs} run(s) (least - most), seconds; ${os.cpus().length} x ${os.cpus()[0]!.model}, Linux ${os.release()}, ${new Date().toISOString()}; load average before ${loadBefore}, after ${load()}\n`,
);
console.log(`| job | ${present.join(' | ')} |`);
console.log(`|---|${present.map(() => '---:|').join('')}`);
for (const [job, byContender] of results) {
  const cells = present.map((name) => {
    const measures = byContender.get(name);
    if (!measures) return '';
    const wire =
      measures[0]!.wire === null ? '' : ` [${(median(measures.map((m) => m.wire!)) / 1e6).toFixed(2)} MB]`;
    const seconds = (ms: number): string => (ms / 1000).toFixed(2);
    const times = measures.map((m) => m.ms);
    const range =
      times.length > 1 ? ` (${seconds(Math.min(...times))} - ${seconds(Math.max(...times))})` : '';
    return `${seconds(median(times))}${range}${wire}`;
  });
  console.log(`| ${job} | ${cells.join(' | ')} |`);
}
console.log(
  '\nEvent-loop delay during each job\n\n| job | contender | daemon a | daemon b | an idle process |',
);
console.log('|---|---|---|---|---|');
for (const line of loops) console.log(`| ${line.join(' | ')} |`);
console.log(`\n${[...new Set(notes)].map((note) => `- ${note}`).join('\n')}`);
