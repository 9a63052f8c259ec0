import { defineConfig } from 'vitest/config';

/**
 * The tests that `npm run mutation` runs against each change. The simulation of whole networks, which finds more, takes seconds for
 * each of them: EXTRACHAIN_MUTATION_SIMULATION=1 includes it (with few seeds, see EXTRACHAIN_CONSENSUS_RUNS).
 */
const simulation = process.env['EXTRACHAIN_MUTATION_SIMULATION'] === '1' ? ['simulation'] : [];
const consensus = ['reducer', 'reducer-guards', 'crash-safety', 'empty-blocks', ...simulation];

export default defineConfig({
  test: {
    include: [
      ...consensus.map((name) => `src-main/ledger/consensus/${name}.test.ts`),
      'src-main/ledger/modules/{value,rules,models}.test.ts',
    ],
    testTimeout: 60_000,
  },
});
