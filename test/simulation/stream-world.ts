import type { Conditions } from '../../src-main/stream/overlay/index.ts';

/*
 * Who watches: access lines, distances and willingness of the simulated viewers.
 *
 * Uplinks: FCC, "Internet Access Services: Status as of June 30, 2024" (May 2025), residential fixed connections in the United
 * States: 97 % have at least 1 Mbit/s upstream, 94 % at least 3, 66 % at least 20, which is also the median. The report gives no
 * quantiles above: we take 35 Mbit/s at 80 % and 100 at 95 %, less than the share of fibre lines suggests. One in eight watches
 * on a mobile line (the same report: median 3 Mbit/s upstream) and never repeats, as it is not on mains.
 */
const uplinkQuantiles: readonly (readonly [number, number])[] = [
  [0, 0.5],
  [0.03, 1],
  [0.06, 3],
  [0.34, 20],
  [0.5, 20],
  [0.8, 35],
  [0.95, 100],
  [1, 500],
];
const mobileShare = 0.125;
/** Directly reachable, by a public address, a forwarded port or IPv6. An assumption: no published share fits all networks. */
const reachableShare = 0.4;
const willingShare = 0.8;
const poweredShare = 0.9;

/** Mbit/s at a quantile, straight on a logarithmic scale between the points. */
function uplinkAt(quantile: number): number {
  const above = uplinkQuantiles.findIndex(([q]) => q >= quantile);
  if (above <= 0) return uplinkQuantiles[0]![1];
  const [q1, v1] = uplinkQuantiles[above]!;
  const [q0, v0] = uplinkQuantiles[above - 1]!;
  return v0 * (v1 / v0) ** ((quantile - q0) / (q1 - q0));
}

export interface Line {
  /** Bits a second. */
  readonly uplink: number;
  readonly downlink: number;
  /** Place in a plane whose distances are ms of round trip, and the ms of the access line. */
  readonly x: number;
  readonly y: number;
  readonly access: number;
  readonly conditions: Conditions;
}

export function drawLine(random: () => number): Line {
  const mobile = random() < mobileShare;
  const uplink = (mobile ? 3 * 2 ** (4 * random() - 2) : uplinkAt(random())) * 1e6;
  return {
    uplink,
    // No line here is too slow for the best rendition: what is simulated is what others do.
    downlink: Math.max(10e6, uplink * 5),
    x: random() * 160,
    y: random() * 160,
    access: 2 - Math.log(1 - random()) * (mobile ? 25 : 8),
    conditions: {
      willing: random() < willingShare,
      reachable: !mobile && random() < reachableShare,
      powered: !mobile && random() < poweredShare,
      uplink,
      // 5 % have started just now.
      uptimeMs: random() < 0.05 ? 0 : 3_600_000,
      maxChildren: null,
      addresses: [],
    },
  };
}

/** The source: an ordinary fibre or cable line that carries its eight children. */
export const sourceLine: Line = {
  uplink: 35e6,
  downlink: 200e6,
  x: 80,
  y: 80,
  access: 6,
  conditions: {
    willing: true,
    reachable: true,
    powered: true,
    uplink: 35e6,
    uptimeMs: 3_600_000,
    maxChildren: null,
    addresses: [],
  },
};

/** Round trip, ms: Euclidean with heights, as in Vivaldi (Dabek et al., SIGCOMM 2004). Median about 95, 99 % below 200. */
export const roundTrip = (a: Line, b: Line): number => Math.hypot(a.x - b.x, a.y - b.y) + a.access + b.access;
