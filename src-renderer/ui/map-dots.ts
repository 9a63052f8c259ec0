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
