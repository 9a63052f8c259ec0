import os from 'node:os';
import { defineConfig } from 'vitest/config';

// `npm run fuzz` gives every property a time of its own.
const fuzzMs = Number(process.env['EXTRACHAIN_FUZZ_MS'] ?? 0);
/** Outside the sources, but without daemons. */
const inOneProcess = 'test/{fuzz,sim,simulation}/**/*.test.ts';
const common = {
  // A busy machine may take its time; a second, the default, is for pure functions.
  expect: { poll: { timeout: 15_000 } },
  testTimeout: 60_000 + 20 * fuzzMs,
  hookTimeout: 60_000,
  pool: 'forks' as const,
  setupFiles: ['test/fuzz/longer.ts'],
};

export default defineConfig({
  test: {
    projects: [
      // Vitest leaves a core to itself by default, which is half of a small machine.
      {
        test: {
          ...common,
          name: 'layers',
          include: ['src-*/**/*.test.ts', inOneProcess],
          maxWorkers: os.availableParallelism(),
        },
      },
      // These start whole daemons, which wait for each other most of the time: two files at once, apart from the rest.
      {
        test: {
          ...common,
          name: 'processes',
          include: ['test/**/*.test.ts'],
          exclude: [inOneProcess],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
