import type { Conditions, OverlayOptions, Rung } from './types.ts';
import { rules } from './types.ts';

const bestRate = (ladder: readonly Rung[]): number => Math.max(...ladder.map(({ bitrate }) => bitrate));

/**
 * May this node repeat? Its user lets it, others reach it, it is on mains, runs since 30 s, and its measured uplink carries the
 * best rendition twice.
 */
export function eligible(conditions: Conditions, ladder: readonly Rung[]): boolean {
  return (
    conditions.willing &&
    conditions.reachable &&
    conditions.powered &&
    conditions.uptimeMs >= rules.repeaterUptimeMs &&
    conditions.uplink >= rules.repeaterUplink * bestRate(ladder)
  );
}

/**
 * Children a node takes in order, and in all when it rescues some whose parent was lost. Counted in copies of the best rendition,
 * rounded down. The source takes no more for rescues: that is the promise that its upload stays bounded.
 */
export function placesOf(
  options: OverlayOptions,
  conditions: Conditions | null,
): { readonly places: number; readonly rescue: number } {
  const source = options.self === options.source;
  if (options.without === 'repeaters') {
    return source
      ? { places: Number.MAX_SAFE_INTEGER, rescue: Number.MAX_SAFE_INTEGER }
      : { places: 0, rescue: 0 };
  }
  if (!conditions || (!source && !eligible(conditions, options.ladder))) return { places: 0, rescue: 0 };
  const rate = bestRate(options.ladder);
  const own = conditions.maxChildren ?? rules.hardFanOut;
  const most = Math.min(own, rules.hardFanOut);
  const wide = Math.floor((rules.wideShare * conditions.uplink) / rate);
  const usual = source ? (options.fanOut ?? rules.sourceFanOut) : Math.max(rules.repeaterFanOut, wide);
  // A source always serves somebody, however thin its uplink: without that there is no stream.
  const carried = Math.floor((rules.uplinkShare * conditions.uplink) / rate);
  const places = Math.min(most, usual, source ? Math.max(1, carried) : carried);
  return {
    places,
    rescue: source ? places : Math.max(places, Math.min(most, Math.floor(conditions.uplink / rate))),
  };
}

/** What is known of an uplink. Rates in bits a second, times in ms. */
export interface UplinkEstimate {
  /** The estimate; null while nothing is known. */
  readonly rate: number | null;
  readonly at: number;
}

export const noUplink: UplinkEstimate = { rate: null, at: 0 };
/** A measurement is trusted for so long. */
const uplinkKeptMs = 24 * 3_600_000;

/**
 * Takes in one measurement. `backlogged`: more was waiting all the time, so the rate is what the link carries (also a probe at
 * full speed counts so); otherwise it is only a lower bound. Falls quickly, rises slowly: promising too much costs others.
 */
export function measureUplink(
  estimate: UplinkEstimate,
  sample: { readonly bytes: number; readonly ms: number; readonly backlogged: boolean },
  now: number,
): UplinkEstimate {
  if (sample.ms <= 0 || sample.bytes <= 0) return estimate;
  const rate = (sample.bytes * 8_000) / sample.ms;
  const old = estimate.rate !== null && now - estimate.at < uplinkKeptMs ? estimate.rate : null;
  if (old === null) return { rate, at: now };
  if (!sample.backlogged) return rate > old ? { rate, at: now } : estimate;
  const weight = rate < old ? 0.5 : 0.2;
  return { rate: old + weight * (rate - old), at: now };
}
