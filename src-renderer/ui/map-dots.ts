import type { Device, DriveHost, Peer } from '../../src-shared/contract/index.ts';

/** One computer on the map. */
export interface MapDot {
  readonly id: string;
  readonly name: string;
  /** ms; null: not measured, or away. */
  readonly rtt: number | null;
  readonly look: 'yours' | 'direct' | 'relay' | 'away';
  /** Drawn with a ring of its own: it keeps a copy. */
  readonly keeps: boolean;
}

/** Computers on the map at most; more could not be told apart. */
const most = 40;

/** All connected computers, those nearest first when there are too many. */
export function peerDots(
  peers: readonly Peer[],
  devices: readonly Device[],
  hosts: ReadonlySet<string>,
  nameOf: (peer: Peer) => string,
): readonly MapDot[] {
  const own = new Set(devices.map((device) => device.peerId));
  return peers
    .toSorted((a, b) => (a.rtt ?? Infinity) - (b.rtt ?? Infinity))
    .slice(0, most)
    .map((peer) => ({
      id: peer.peerId,
      name: nameOf(peer),
      rtt: peer.rtt,
      look: own.has(peer.peerId) ? 'yours' : peer.relayed ? 'relay' : 'direct',
      keeps: hosts.has(peer.peerId),
    }));
}

/** The computers that keep copies of one drive; those that are away at the edge. */
export function hostDots(
  hosts: readonly DriveHost[],
  peers: readonly Peer[],
  nameOf: (host: DriveHost) => string,
): readonly MapDot[] {
  const connected = new Map(peers.map((peer) => [peer.peerId, peer]));
  return hosts.slice(0, most).map((host) => {
    const peer = connected.get(host.peerId);
    return {
      id: host.peerId,
      name: nameOf(host),
      rtt: peer?.rtt ?? null,
      look: !host.connected ? 'away' : peer?.relayed ? 'relay' : 'direct',
      keeps: host.complete,
    };
  });
}

export const mapSize = { width: 400, height: 280, x: 200, y: 140, edge: 122 } as const;
/** Rings drawn, ms. */
export const mapRings = [10, 50, 200] as const;

/** Distance from the middle: the logarithm of the round trip, 1 ms at 22 and 500 ms at the edge. */
export function mapRadius(ms: number): number {
  const share = Math.log10(Math.max(1, ms)) / Math.log10(500);
  return Math.min(mapSize.edge, 22 + share * (mapSize.edge - 22));
}

export interface PlacedDot extends MapDot {
  readonly x: number;
  readonly y: number;
  /** Where its name stands. */
  readonly label: { readonly x: number; readonly y: number; readonly end: boolean };
}

const lineHeight = 13;

/**
 * Places the dots around the middle, in an order that stays the same while they do; names are moved up or down until none
 * lies on another.
 */
export function placeDots(dots: readonly MapDot[]): readonly PlacedDot[] {
  const { x: cx, y: cy, edge } = mapSize;
  const placed = dots
    .toSorted((a, b) => a.id.localeCompare(b.id))
    .map((dot, index, all): PlacedDot => {
      const angle = (index / all.length) * 2 * Math.PI - Math.PI / 2.6;
      const r = dot.look === 'away' ? edge : mapRadius(dot.rtt ?? 500);
      const x = cx + Math.cos(angle) * r;
      const y = cy + Math.sin(angle) * r;
      const end = x < cx;
      return { ...dot, x, y, label: { x: x + (end ? -10 : 10), y: y + 4, end } };
    });
  const result = new Map<string, PlacedDot>();
  for (const end of [true, false]) {
    let floor = -Infinity;
    for (const dot of placed
      .filter((one) => one.label.end === end)
      .toSorted((a, b) => a.label.y - b.label.y)) {
      const y = Math.max(dot.label.y, floor);
      floor = y + lineHeight;
      result.set(dot.id, { ...dot, label: { ...dot.label, y } });
    }
  }
  return placed.map((dot) => result.get(dot.id) ?? dot);
}

/** About what a letter of a name takes, and what the words of a ring do. */
const letter = 6;
const ringWords = { width: 36, height: 13 };

/**
 * The direction in which the words of the rings stand freest: those of no ring shall lie on a dot or its name.
 * @returns radians, clockwise from the right
 */
export function ringAngle(placed: readonly PlacedDot[]): number {
  const taken = placed.flatMap(({ x, y, name, label }) => {
    const width = Math.min(name.length, 16) * letter;
    return [
      { left: x - 8, right: x + 8, top: y - 8, bottom: y + 8 },
      {
        left: label.end ? label.x - width : label.x,
        right: label.end ? label.x : label.x + width,
        top: label.y - lineHeight,
        bottom: label.y + 3,
      },
    ];
  });
  const room = (angle: number): number =>
    Math.min(
      ...mapRings.flatMap((ms) => {
        const x = mapSize.x + Math.cos(angle) * mapRadius(ms);
        const y = mapSize.y + Math.sin(angle) * mapRadius(ms);
        return taken.map(({ left, right, top, bottom }) => {
          const dx = Math.max(left - x, x - right, 0) - ringWords.width / 2;
          const dy = Math.max(top - y, y - bottom, 0) - ringWords.height / 2;
          return Math.max(dx, dy);
        });
      }),
      mapSize.width,
    );
  // Down left where nothing speaks against it; below or above rather than beside, where words of several rings would lie in one line.
  const angles = [0.75, 0.7, 0.8, 0.3, 0.25, 0.2, 0.65, 0.35, 0.86, 0.14].map((part) => part * Math.PI);
  const upper = angles.map((angle) => -angle);
  let best = angles[0]!;
  for (const angle of [...angles, ...upper])
    if (room(angle) > Math.max(2, room(best)) && room(best) < 2) best = angle;
  return best;
}
