import type fc from 'fast-check';
import type * as fastCheck from 'fast-check';
import { vi } from 'vitest';

/*
 * Loaded before every test file. Properties run from one seed, so that a failure is found again by the same command. With
 * EXTRACHAIN_FUZZ_MS each of them runs for so many ms; without it, as often as stands beside it. EXTRACHAIN_FUZZ_SEED names another seed.
 */
const ms = Number(process.env['EXTRACHAIN_FUZZ_MS'] ?? 0);
const seed = Number(process.env['EXTRACHAIN_FUZZ_SEED'] ?? 1);
const long = { seed, numRuns: 1e9, interruptAfterTimeLimit: ms, markInterruptAsFailure: false };
vi.doMock('fast-check', async (original) => {
  const actual = await original<typeof fastCheck>();
  const assert = ((property: fc.IRawProperty<unknown>, parameters?: fc.Parameters<unknown>) =>
    actual.assert(
      property,
      ms > 0 ? { ...parameters, ...long } : { seed, ...parameters },
    )) as typeof actual.assert;
  return { ...actual, assert, default: { ...actual.default, assert } };
});
