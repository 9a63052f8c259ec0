import type { RandomBytes } from '../../../src-shared/runtime.ts';
import { createOverlay as createState, step, viewOf, wakeAt } from '../overlay/index.ts';
import type { Effect, OverlayEvent, OverlayOptions, OverlayView } from '../overlay/index.ts';

export { decodeMessage, encodeMessage } from '../overlay/index.ts';
export type { Conditions, Effect, OverlayEvent, Peer } from '../overlay/index.ts';

/** The reducer of one stream with its state and its source of randomness. */
export interface Overlay {
  step(event: OverlayEvent, now: number): readonly Effect[];
  /** When it wants to be woken; null: not by itself. */
  wakeAt(): number | null;
  view(): OverlayView;
}

export function createOverlay(options: OverlayOptions, now: number, bytes: RandomBytes): Overlay {
  const random = (): number => Buffer.from(bytes(4)).readUInt32BE(0) / 2 ** 32;
  const state = createState(options, now, random);
  return {
    step: (event, at) => step(state, event, at, random).effects,
    wakeAt() {
      const at = wakeAt(state);
      return Number.isFinite(at) ? at : null;
    },
    view: () => viewOf(state),
  };
}
