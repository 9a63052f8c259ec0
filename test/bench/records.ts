import { appendFile, readFile } from 'node:fs/promises';

/** One run of one job by one contender. */
export interface BenchRecord {
  readonly at: string;
  readonly job: string;
  readonly contender: string;
  /** Milliseconds. */
  readonly ms: number;
  /** Processor seconds of all processes of the contender; null where not counted. */
  readonly cpu: number | null;
  /** Bytes on the wire; null where not counted. */
  readonly wire: number | null;
  /** What the event loops of both daemons and of an idle process said; empty where there are none. */
  readonly loops: readonly string[];
  /** Resident bytes of the processes when the job was done; empty where not measured. */
  readonly resident: readonly number[];
  /** Load averages of the machine when the job was done, over 1, 5 and 15 minutes. */
  readonly load: readonly number[];
}

/** The middle of the sorted values (mean of the two middle ones). */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** What earlier calls have noted in a file; nothing when there is none. */
export async function readRecords(file: string): Promise<BenchRecord[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as BenchRecord);
}

export async function noteRecord(file: string, record: BenchRecord): Promise<void> {
  await appendFile(file, `${JSON.stringify(record)}\n`);
}

const seconds = (ms: number): string => (ms / 1000).toFixed(2);

function cell(records: readonly BenchRecord[]): string {
  if (records.length === 0) return '';
  const times = records.map(({ ms }) => ms);
  const parts = [seconds(median(times))];
  if (times.length > 1) parts.push(`(${seconds(Math.min(...times))} - ${seconds(Math.max(...times))})`);
  const cpu = records.flatMap((record) => record.cpu ?? []);
  if (cpu.length > 0) parts.push(`${median(cpu).toFixed(1)} CPU s`);
  const wire = records.flatMap((record) => record.wire ?? []);
  if (wire.length > 0) parts.push(`[${(median(wire) / 1e6).toFixed(2)} MB]`);
  const resident = records.flatMap((record) =>
    record.resident.length > 0 ? Math.max(...record.resident) : [],
  );
  if (resident.length > 0) parts.push(`${(median(resident) / 1e6).toFixed(0)} MB resident`);
  return parts.join(' ');
}

/** The largest p99 of either daemon, and of the idle process, as medians over the runs. */
function loopCell(records: readonly BenchRecord[]): string {
  const p99 = (text: string): number => Number(/p99 ([\d.]+)/.exec(text)?.[1] ?? Number.NaN);
  const told = records.map(({ loops }) => loops.map(p99)).filter((each) => each.length === 3);
  if (told.length === 0) return '';
  const of = (pick: (each: readonly number[]) => number): string => median(told.map(pick)).toFixed(1);
  return `${of((each) => each[0]!)}, ${of((each) => each[1]!)} (idle ${of((each) => each[2]!)})`;
}

/** Both tables as Markdown: times, and event-loop delays. */
export function tables(records: readonly BenchRecord[]): string {
  const jobs = [...new Set(records.map(({ job }) => job))];
  const contenders = [...new Set(records.map(({ contender }) => contender))];
  const of = (job: string, contender: string): readonly BenchRecord[] =>
    records.filter((record) => record.job === job && record.contender === contender);
  const table = (names: readonly string[], show: (records: readonly BenchRecord[]) => string): string[] => [
    `| job | runs | ${names.join(' | ')} |`,
    `|---|---:|${names.map(() => '---:|').join('')}`,
    ...jobs.flatMap((job) => {
      const cells = names.map((name) => show(of(job, name)));
      if (cells.every((text) => text === '')) return [];
      const runs = [...new Set(names.map((name) => of(job, name).length).filter((n) => n > 0))];
      return [`| ${job} | ${runs.sort((a, b) => a - b).join(', ')} | ${cells.join(' | ')} |`];
    }),
  ];
  const daemons = contenders.filter((name) =>
    records.some((r) => r.contender === name && r.loops.length > 0),
  );
  return [
    ...table(contenders, cell),
    ...(daemons.length > 0
      ? [
          '',
          'Event-loop delay at p99, ms: daemon a, daemon b (an idle process)',
          '',
          ...table(daemons, loopCell),
        ]
      : []),
  ].join('\n');
}
