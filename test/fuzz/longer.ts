import type fc from 'fast-check';
import type * as fastCheck from 'fast-check';
import { vi } from 'vitest';

/*
 * Loaded before every test file. With EXTRACHAIN_FUZZ_MS each property runs for so many ms, from EXTRACHAIN_FUZZ_SEED on;
 * without it nothing changes: the small fixed number of runs that stands beside each property.
 */
const ms = Number(process.env['EXTRACHAIN_FUZZ_MS'] ?? 0);
if (ms > 0) {
  const seed = Number(process.env['EXTRACHAIN_FUZZ_SEED'] ?? 1);
  vi.doMock('fast-check', async (original) => {
    const actual = await original<typeof fastCheck>();
    const assert = ((property: fc.IRawProperty<unknown>, parameters?: fc.Parameters<unknown>) =>
      actual.assert(property, {
        ...parameters,
        seed,
        numRuns: 1e9,
        interruptAfterTimeLimit: ms,
        markInterruptAsFailure: false,
      })) as typeof actual.assert;
    return { ...actual, assert, default: { ...actual.default, assert } };
  });
}
