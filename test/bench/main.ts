/**
 * `npm run bench [-- --runs 5] [--jobs TEXT,TEXT] [--only TEXT] [--quick] [--log FILE]`: the same jobs by ExtraChain and by what a
 * person would use instead, side by side in one run. Prints medians and versions; never judges. With `--log` each measure is noted
 * in a file, and the table is of all that stand in it: a long bench can be made of several short ones. `--runs 0` prints it.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { contenders, type Contender } from './contenders.ts';
import { jobs, type Scale } from './jobs.ts';
import { measureStart, residentBytes, startLoopProbe } from './node-jobs.ts';
import { noteRecord, readRecords, tables, type BenchRecord } from './records.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    jobs: { type: 'string', default: '' },
    only: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    log: { type: 'string', default: '' },
  },
});
const runs = Number(values.runs);
const scale: Scale = values.quick
  ? { bigBytes: 64 << 20, files: 1000, small: 5 }
  : { bigBytes: 1 << 30, files: 10_000, small: 20 };
const startFiles = values.quick ? 5_000 : 100_000;

const records: BenchRecord[] = values.log === '' ? [] : await readRecords(values.log);
const chosen = values.jobs.split(',');
const isWanted = (name: string): boolean => chosen.some((text) => name.includes(text));

async function note(measure: Omit<BenchRecord, 'at' | 'load'>): Promise<void> {
  const record = { at: new Date().toISOString(), ...measure, load: os.loadavg() };
  records.push(record);
  if (values.log !== '') await noteRecord(values.log, record);
  const { job, contender, ms, cpu, wire, loops } = record;
  const parts = [`${contender}: ${job}: ${(ms / 1000).toFixed(2)} s`];
  if (cpu !== null) parts.push(`${cpu.toFixed(1)} CPU s`);
  if (wire !== null) parts.push(`${(wire / 1e6).toFixed(2)} MB on the wire`);
  if (loops.length > 0) parts.push(`loops ${loops.join(' | ')}`);
  console.error(parts.join(', '));
}

async function runJobs(contender: Contender, names: ReadonlySet<string>): Promise<void> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'extrachain-bench-'));
  const pair = await contender.start(dir);
  const probe = pair.daemons.length > 0 ? startLoopProbe(pair) : null;
  try {
    for (const job of jobs.filter((each) => names.has(each.name))) {
      await probe?.read();
      const measure = await job.run(pair, scale);
      const loops = probe ? await probe.read() : [];
      const resident = await Promise.all(pair.daemons.map(({ pid }) => residentBytes(pid)));
      await note({ job: job.name, contender: contender.name, ...measure, loops, resident });
    }
  } finally {
    probe?.stop();
    await pair.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

const wanted = jobs.filter((job) => isWanted(job.name));
const needed = new Set(wanted.flatMap((job) => [job.name, job.needs ?? job.name]));
const notes: string[] = [];
const present: Contender[] = [];
for (const contender of contenders) {
  if (!contender.name.includes(values.only)) continue;
  const version = await contender.version();
  if (version !== null) present.push(contender);
  notes.push(`${contender.name}: ${version ?? 'skipped, not installed'}`);
}
// One after another within a run, so that a noisy minute hits all of them.
for (let run = 0; run < runs && needed.size > 0; run++) {
  for (const contender of present) await runJobs(contender, needed);
}
if (runs > 0 && isWanted('start of a daemon') && 'ExtraChain'.includes(values.only)) {
  for (const start of await measureStart(startFiles, runs)) {
    await note({ contender: 'ExtraChain, bulk channel', cpu: null, wire: null, loops: [], ...start });
  }
}

const memory = /MemTotal:\s+(\d+)/.exec(await readFile('/proc/meminfo', 'utf8').catch(() => ''))?.[1];
const gib = memory === undefined ? '' : `, ${(Number(memory) / 2 ** 20).toFixed(0)} GiB`;
const loads = records.map(({ load }) => load[0]!);
console.log(
  `\nmedians (least - most), seconds; ${os.cpus().length} x ${os.cpus()[0]!.model}${gib}, Linux ${os.release()}; measured ${records[0]?.at ?? 'never'} to ${records.at(-1)?.at ?? 'never'}, load average ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)} at the ends of the jobs\n`,
);
console.log(tables(records));
console.log(`\n${notes.map((line) => `- ${line}`).join('\n')}`);
