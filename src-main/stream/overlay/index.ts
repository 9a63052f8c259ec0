export type * from './types.ts';
export { bounds, rules } from './types.ts';
export { decodeMessage, encodeMessage } from './codec.ts';
export { createOverlay, step, viewOf, wakeAt } from './step.ts';
export type { OverlayState } from './state.ts';
export { eligible, measureUplink, noUplink, placesOf } from './fan-out.ts';
export type { UplinkEstimate } from './fan-out.ts';
export { costOf } from './rank.ts';
export { noPressure, press } from './back-pressure.ts';
export type { Pressure, PressedPart } from './back-pressure.ts';
export {
  chooseRendition,
  continuityOf,
  createPlayhead,
  firstRendition,
  partArrived,
  partGivenUp,
} from './player.ts';
export type { Continuity, DeliverySample, Playhead, PlayheadOptions, RenditionState } from './player.ts';
