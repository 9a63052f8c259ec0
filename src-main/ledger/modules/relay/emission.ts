import type { Amount } from '../../types.ts';
import { emissionShares } from '../emission-shares.ts';

/*
 * A token's emission for relays goes to those who redeemed receipts, by the base coin that burnt with their pay. Viewers can be made
 * up, so what making them up brings is bounded: each unit of work costs a burnt unit; one account gets a tenth of a period's share, and
 * needs stake; and a period gives a small part of what waits, so that nobody who comes after a long silence takes it all.
 */

/** A period gives so many times less than what waits. What comes in evenly so reaches relays with a day's delay. */
const smoothing = 24n;

export const relayEmission = emissionShares({
  earners: 'relays',
  tags: ['#', '$', '%', '&', '*'],
  shared: 'relay work',
  // Receipts count in the period they are redeemed in.
  lag: 1,
  partsOf(waiting, periods) {
    const parts: Amount[] = [];
    let left = waiting;
    for (let i = 0; i < periods; i++) {
      const part = left / smoothing;
      parts.push(part);
      left -= part;
    }
    return parts;
  },
  mostBp: 1000,
});
