import { limits } from './limits.ts';

/** What is measured of one provider. Rates are bytes a second, times ms. */
export interface ProviderPace {
  readonly rate: number | null;
  readonly rtt: number | null;
}

/** Before anything is measured. */
const firstWindow = 4 * 1024 * 1024;
const smallestWindow = 2 * 1024 * 1024;
/** A provider is asked for as much as it delivers in this time beyond a round trip: more would only queue there. ms. */
const windowMs = 1000;

/** Bytes to have asked of a provider at once. */
export function windowBytes({ rate, rtt }: ProviderPace): number {
  if (rate === null) return firstWindow;
  const wanted = (rate * (windowMs + (rtt ?? 0))) / 1000;
  return Math.min(Math.max(wanted, smallestWindow), limits.windowBytes);
}

/** Until a measurement says otherwise a line is believed to be at least this slow. */
const cautiousRate = 1024 * 1024;

/**
 * How long a provider that owes blocks may be silent before they are asked elsewhere: several round trips and several
 * times what its largest block takes, so that a slow but honest line isn't abandoned. ms.
 */
export function stallMs({ rate, rtt }: ProviderPace, largestBlock: number): number {
  const perBlock = (largestBlock * 1000) / (rate ?? cautiousRate);
  return Math.min(Math.max(1500 + 4 * (rtt ?? 100) + 3 * perBlock, 2_000), 60_000);
}

/** When everything asked of a provider will have come, as far as is known; ms from now. */
export function drainMs({ rate }: ProviderPace, outstandingBytes: number): number {
  return (outstandingBytes * 1000) / (rate ?? cautiousRate);
}
