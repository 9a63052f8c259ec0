// `npm run mutation`: changes the reducer of consensus and the function that moves value, one place at a time, and counts the
// changes that no test notices. Results are in docs/benchmarks.md.
export default {
  packageManager: 'npm',
  mutate: ['src-main/ledger/consensus/reducer.ts', 'src-main/ledger/modules/value.ts'],
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'vitest.mutation.config.ts' },
  coverageAnalysis: 'perTest',
  ignoreStatic: true,
  // Messages for people may be put otherwise.
  mutator: { excludedMutations: ['StringLiteral'] },
  concurrency: 1,
  // A change that loops for ever is noticed, too.
  timeoutMS: 20_000,
  reporters: ['clear-text', 'progress-append-only'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  tempDirName: 'dist/stryker',
  ignorePatterns: ['dist', 'docs', 'assets', 'src-renderer', 'test'],
};
