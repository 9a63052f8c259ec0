import { record } from '../../codec/shape.ts';
import { symbolShape } from '../../codec/tx.ts';
import { allParts } from '../../codec/token-spec.ts';
import type { Module } from '../context.ts';
import { kind } from '../context.ts';
import { emissionShares } from '../emission-shares.ts';

/*
 * A token's emission for hosts goes to those who proved that they keep something, by bytes and period. What came since it was last shared
 * out is spread evenly over the periods that have ended since and in which somebody proved anything.
 */

export const hostEmission = emissionShares({
  earners: 'hosts',
  tags: ['Y', 'Z', '0', '1', '2'],
  shared: 'work',
  // What was kept in a period is proven in the next one.
  lag: 2,
  partsOf(waiting, periods) {
    const each = periods === 0 ? 0n : waiting / BigInt(periods);
    return Array.from({ length: periods }, () => each);
  },
  mostBp: allParts,
});

/** Notes that a host proved so many bytes. */
export const noteWork = hostEmission.note;

export const workModule = {
  name: 'work',
  messages: {
    /** Pays a host its part of a token's emission for hosts. */
    'storage.collect': kind({
      shape: record({ symbol: symbolShape }),
      weight: 3000,
      delegable: true,
      run: (ctx, { symbol }) => hostEmission.collect(ctx, symbol),
    }),
  },
  invariants: hostEmission.invariants,
} satisfies Module;
