import { checkNoFreeMoney, checkSequences } from '../../src-main/ledger/modules/testing/market-sequences.ts';

/** Sequences at once: a failing batch names its seed. */
const batch = 1000;

/**
 * Pools, vaults and names on so many random sequences, from `seed` on; half of them look for something for nothing.
 * Prints each failure, shrunk, with what replays it.
 */
export async function soakMarkets(count: number, seed: number): Promise<{ summary: string; failed: number }> {
  let failed = 0;
  let deeds = 0;
  for (let start = 0; start < count; start += batch) {
    const runs = Math.min(batch, count - start);
    const attempt = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        failed += 1;
        console.log(`markets, seed ${seed + start}: ${(error as Error).message}`);
      }
    };
    attempt(() => {
      const { done, refused } = checkSequences(Math.ceil(runs / 2), seed + start);
      deeds += done + refused;
    });
    attempt(() => checkNoFreeMoney(Math.floor(runs / 2), seed + start));
    // Signals are heard between batches.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return {
    summary: `markets: ${count} sequences, ${deeds} deeds checked one by one, ${failed} batches failed`,
    failed,
  };
}
