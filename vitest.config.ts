import { defineConfig } from 'vitest/config';

const common = { testTimeout: 60_000, hookTimeout: 60_000, pool: 'forks' as const };

export default defineConfig({
  test: {
    projects: [
      { test: { ...common, name: 'layers', include: ['src-*/**/*.test.ts'] } },
      // These start whole daemons: one file after another, and after the rest, so that nothing waits for a busy machine.
      {
        test: {
          ...common,
          name: 'processes',
          include: ['test/**/*.test.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
