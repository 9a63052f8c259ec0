import { checkNoFreeMoney, checkSequences } from '../../src-main/ledger/modules/testing/market-sequences.ts';
import type { World } from '../../src-main/ledger/modules/testing/market-sequences.ts';

/** Sequences at once: a failing batch names its seed. */
const batch = 200;

/**
 * So many random sequences, from `seed` on: half of all modules together, a quarter of markets alone, a quarter that looks for something
 * for nothing. Ends early after so many minutes, and says how far it came.
 * Prints each failure, shrunk, with what replays it.
 */
export async function soakMarkets(
  count: number,
  seed: number,
  minutes = Infinity,
): Promise<{ summary: string; failed: number }> {
  const end = performance.now() + minutes * 60_000;
  const kinds = new Map<string, number>();
  let ran = 0;
  let failed = 0;
  let deeds = 0;
  for (let start = 0; start < count; start += batch) {
    if (performance.now() > end) break;
    const runs = Math.min(batch, count - start);
    const attempt = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        failed += 1;
        console.log(`markets, seed ${seed + start}: ${(error as Error).message}`);
      }
    };
    const check = (world: World, some: number): void =>
      attempt(() => {
        const outcome = checkSequences(world, some, seed + start);
        deeds += outcome.done + outcome.refused;
        for (const [kind, times] of outcome.kinds) kinds.set(kind, (kinds.get(kind) ?? 0) + times);
      });
    check('all', Math.ceil(runs / 2));
    check('markets', Math.ceil(runs / 4));
    attempt(() => checkNoFreeMoney(Math.floor(runs / 4), seed + start));
    ran += runs;
    // Signals are heard between batches.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return {
    summary: `markets: ${ran} of ${count} sequences, seeds ${seed} to ${seed + ran - 1}, ${deeds} deeds checked one by one (${[...kinds].map(([kind, times]) => `${kind} ${times}`).join(', ')}), ${failed} batches failed`,
    failed,
  };
}
