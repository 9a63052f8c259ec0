import { describe, expect, it } from 'vitest';
import { checkNoFreeMoney, checkSequences } from './testing/market-sequences.ts';

const seed = 20261126;

describe('markets together', () => {
  it('keep every invariant and every share’s worth over any sequence', () => {
    const { done, refused } = checkSequences('markets', 300, seed);
    // The sequences did something, and met many refusals.
    expect(done).toBeGreaterThan(1500);
    expect(refused).toBeGreaterThan(500);
  });

  it('and with paid storage, the beacon and relays', () => {
    const { kinds } = checkSequences('all', 150, seed);
    for (const one of [
      'periods',
      'storage.open',
      'storage.accept',
      'redeem',
      'storage.collect',
      'relay.collect',
      'pool.swapIn',
    ]) {
      expect(kinds.get(one) ?? 0, one).toBeGreaterThan(5);
    }
  });

  it('give nothing for nothing to somebody alone', () => {
    checkNoFreeMoney(200, seed);
  });
});
