import type { Clock } from '../../../src-shared/runtime.ts';
import { makeReceipt } from '../codec/records.ts';
import type { StreamId } from '../types.ts';
import type { Peer } from './overlay-driver.ts';
import type { SessionDeps } from './session-types.ts';

/** A receipt for one peer is made so often, ms. */
const receiptEvery = 10_000;

/** What came of one stream from whom, and the signed receipts for it. */
export interface Tally {
  bytes(peer: Peer, count: number): void;
  /** A whole part has come. */
  part(peer: Peer): void;
  /** Receipts that are to be given now. */
  due(): readonly { readonly peer: Peer; readonly signed: Uint8Array }[];
}

/** @param steady for what waits; receipts carry the time of day */
export function createTally(
  { device, clock }: Pick<SessionDeps, 'device' | 'clock'>,
  streamId: StreamId,
  steady: Clock,
): Tally {
  const received = new Map<Peer, { bytes: number; parts: number; told: number }>();

  function from(peer: Peer): { bytes: number; parts: number; told: number } {
    let one = received.get(peer);
    if (!one) received.set(peer, (one = { bytes: 0, parts: 0, told: 0 }));
    return one;
  }

  return {
    bytes(peer, count) {
      from(peer).bytes += count;
    },
    part(peer) {
      from(peer).parts += 1;
    },
    due() {
      const now = steady.now();
      const made = [];
      for (const [peer, one] of received) {
        if (now - one.told < receiptEvery || one.bytes === 0) continue;
        one.told = now;
        const { bytes, parts } = one;
        const { signed } = makeReceipt(device, { streamId, from: peer, bytes, parts, time: clock.now() });
        made.push({ peer, signed });
      }
      return made;
    },
  };
}
