import { defineConfig } from 'vitest/config';

/**
 * The tests that `npm run mutation` runs against each change. The simulation of whole networks, which finds more, takes seconds for
 * each of them: EXTRACHAIN_MUTATION_SIMULATION=1 includes it (with few seeds, see EXTRACHAIN_CONSENSUS_RUNS).
 * EXTRACHAIN_MUTATION_TESTS names files of `modules` to run alone: `value` takes minutes for value.ts, all of them hours.
 */
const simulation = process.env['EXTRACHAIN_MUTATION_SIMULATION'] === '1' ? ['simulation'] : [];
const consensus = ['reducer', 'reducer-guards', 'crash-safety', 'empty-blocks', ...simulation];

const only = process.env['EXTRACHAIN_MUTATION_TESTS'];

export default defineConfig({
  test: {
    include: only
      ? [`src-main/ledger/modules/${only}.test.ts`]
      : [
          ...consensus.map((name) => `src-main/ledger/consensus/${name}.test.ts`),
          'src-main/ledger/modules/{value,rules,models}.test.ts',
        ],
    testTimeout: 60_000,
  },
});
