import { appendFile, readFile } from 'node:fs/promises';
import path from 'node:path';
import { runVitest } from '../support/run-vitest.ts';
import { commitNow } from './commit.ts';

/** What became of some seeds, a line of JSON each in the state folder. */
interface Line {
  /** The first seed, and how many from there. */
  readonly seed: number;
  readonly runs: number;
  readonly error: string | null;
  /** Of the code that ran. */
  readonly commit: string;
}

export interface SeedSoak {
  readonly what: string;
  /** Name of the file of outcomes in the state folder. */
  readonly file: string;
  /** Seeds in one process. */
  readonly chunk: number;
  /** Runs a chunk in a process of its own and appends what became of it to the file of outcomes. */
  readonly run: (seed: number, runs: number, file: string, commit: string) => Promise<void>;
  /** The command that runs one failing line again. */
  readonly replay: (seed: number, runs: number) => string;
}

async function read(file: string): Promise<Line[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  // The last line may be torn when the soak was killed while writing it.
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as Line];
    } catch {
      return [];
    }
  });
}

/**
 * Runs `count` seeds from `from` on, in chunks, each in a process of its own. What is done is noted as it is done, so that an
 * interrupted soak goes on where it was; failures are printed as they come and all together at the end, with what replays them.
 */
export async function soakSeeds(
  soak: SeedSoak,
  count: number,
  from: number,
  stateDir: string,
): Promise<{ summary: string; failed: number }> {
  const file = path.join(stateDir, soak.file);
  let lines: Line[] = [];
  let done = new Set<number>();
  const look = async (): Promise<void> => {
    lines = (await read(file)).filter(({ seed }) => seed >= from && seed < from + count);
    done = new Set(lines.flatMap(({ seed, runs }) => Array.from({ length: runs }, (_, i) => seed + i)));
  };
  await look();
  if (done.size > 0) console.log(`${soak.what}: ${done.size} of ${count} seeds were done before (${file})`);
  const commit = await commitNow();
  const start = performance.now();
  for (let seed = from; seed < from + count;) {
    if (done.has(seed)) {
      seed += 1;
      continue;
    }
    let runs = 1;
    while (runs < soak.chunk && seed + runs < from + count && !done.has(seed + runs)) runs++;
    await soak.run(seed, runs, file, commit);
    await look();
    for (let i = 0; i < runs; i++) {
      if (!done.has(seed + i))
        throw new Error(`${soak.what}: the process ended without telling of seed ${seed + i}`);
    }
    seed += runs;
    const seconds = Math.round((performance.now() - start) / 1000);
    console.log(`${soak.what}: ${done.size} of ${count} seeds, ${seconds} s`);
  }
  const failures = lines.filter(({ error }) => error !== null);
  for (const { seed, runs } of failures) console.log(`failed: ${soak.replay(seed, runs)}`);
  const commits = [...new Set(lines.map((line) => line.commit))].join(', ');
  return {
    failed: failures.length,
    summary: `${soak.what}: ${done.size} seeds from ${from} (commit ${commits}), ${failures.length === 0 ? 'none' : failures.length} failed`,
  };
}

const simulationTest = 'test/sim/simulation.test.ts';
const planTest = 'src-main/sync/plan/plan.test.ts';

export const simulations: SeedSoak = {
  what: 'simulation',
  file: 'simulations.jsonl',
  chunk: 50,
  replay: (seed) => `EXTRACHAIN_SEED=${seed} npx vitest run ${simulationTest}`,
  // The process notes each seed as it is done.
  async run(seed, runs, file, commit) {
    const code = await runVitest([simulationTest, '-t', 'nothing lost'], {
      EXTRACHAIN_SIM_RUNS: String(runs),
      EXTRACHAIN_SEED: String(seed),
      EXTRACHAIN_SIM_REPORT: file,
      EXTRACHAIN_SIM_COMMIT: commit,
    });
    const noted = (await read(file)).filter((line) => line.seed >= seed && line.seed < seed + runs);
    if (code === 0 || noted.some(({ error }) => error !== null)) return;
    const error = 'an error outside of any seed; it is above';
    await appendFile(file, `${JSON.stringify({ seed, runs, error, commit } satisfies Line)}\n`);
  },
};

export const plans: SeedSoak = {
  what: 'planner',
  file: 'plans.jsonl',
  chunk: 50_000,
  replay: (seed, runs) =>
    `EXTRACHAIN_PLAN_SEED=${seed} EXTRACHAIN_PLAN_RUNS=${runs} npx vitest run ${planTest}`,
  // One seed of the generator makes as many trees as there are seeds in the chunk.
  async run(seed, runs, file, commit) {
    const code = await runVitest([planTest, '-t', 'loses no edit'], {
      EXTRACHAIN_PLAN_RUNS: String(runs),
      EXTRACHAIN_PLAN_SEED: String(seed),
    });
    const error = code === 0 ? null : 'fast-check has printed the smallest tree that fails';
    await appendFile(file, `${JSON.stringify({ seed, runs, error, commit } satisfies Line)}\n`);
  },
};

const consensusTest = 'src-main/ledger/consensus/simulation.test.ts';

export const consensus: SeedSoak = {
  what: 'consensus',
  file: 'consensus.jsonl',
  chunk: 1000,
  replay: (seed, runs) =>
    `EXTRACHAIN_CONSENSUS_SEED=${seed} EXTRACHAIN_CONSENSUS_RUNS=${runs} npx vitest run ${consensusTest}`,
  async run(seed, runs, file, commit) {
    // A hundred validators take as long as hundreds of seeds of few: one seed in 5,000.
    const large = seed % 5000 === 1;
    const code = await runVitest([consensusTest, '-t', large ? 'below a third' : '4 and 7'], {
      EXTRACHAIN_CONSENSUS_RUNS: String(runs),
      EXTRACHAIN_CONSENSUS_SEED: String(seed),
    });
    const error = code === 0 ? null : 'the test has printed the seed';
    await appendFile(file, `${JSON.stringify({ seed, runs, error, commit } satisfies Line)}\n`);
  },
};

/** Validators as many as a set may have, over faults as long as those of the smaller sets: minutes of processor time a seed. */
export const largeConsensus: SeedSoak = {
  what: 'consensus of 100 validators',
  file: 'consensus-large.jsonl',
  chunk: 1,
  replay: (seed) =>
    `EXTRACHAIN_CONSENSUS_SEED=${seed} EXTRACHAIN_CONSENSUS_RUNS=1000 npx vitest run ${consensusTest} -t '100 validators'`,
  async run(seed, runs, file, commit) {
    const code = await runVitest([consensusTest, '-t', '100 validators'], {
      // More than 200: the test's long form, of one seed.
      EXTRACHAIN_CONSENSUS_RUNS: '1000',
      EXTRACHAIN_CONSENSUS_SEED: String(seed),
    });
    const error = code === 0 ? null : 'the test has printed the seed';
    await appendFile(file, `${JSON.stringify({ seed, runs, error, commit } satisfies Line)}\n`);
  },
};
