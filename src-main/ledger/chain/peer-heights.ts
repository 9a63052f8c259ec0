/** Where the peers of a chain stand, by their own word. */
export interface PeerHeights {
  set(peer: string, height: number, first: number): void;
  remove(peer: string): void;
  /** It told of a height it could not show: its word counts for nothing for a while. */
  distrust(peer: string): void;
  /** Highest that is told; 0 when nobody is here. */
  highest(): number;
  /** Whether anybody told anything. */
  known(): boolean;
  /** Those who say they can give that height, the least asked first. */
  having(height: number): readonly string[];
  asked(peer: string): void;
  all(): readonly { readonly peerId: string; readonly height: number }[];
}

/** ms */
const distrustFor = 60_000;

export function createPeerHeights(now: () => number): PeerHeights {
  const peers = new Map<string, { height: number; first: number; asked: number }>();
  const distrusted = new Map<string, number>();
  const trusted = (peer: string): boolean => {
    const until = distrusted.get(peer);
    if (until === undefined) return true;
    if (until > now()) return false;
    distrusted.delete(peer);
    return true;
  };
  return {
    set(peer, height, first) {
      peers.set(peer, { height, first, asked: peers.get(peer)?.asked ?? 0 });
    },
    remove: (peer) => void peers.delete(peer),
    distrust: (peer) => void distrusted.set(peer, now() + distrustFor),
    highest: () =>
      Math.max(0, ...[...peers].filter(([peer]) => trusted(peer)).map(([, { height }]) => height)),
    known: () => [...peers.keys()].some(trusted),
    having: (height) =>
      [...peers]
        .filter(([peer, one]) => trusted(peer) && one.height >= height && one.first <= height)
        .sort(([, a], [, b]) => a.asked - b.asked)
        .map(([peer]) => peer),
    asked(peer) {
      const one = peers.get(peer);
      if (one) one.asked += 1;
    },
    all: () => [...peers].map(([peerId, { height }]) => ({ peerId, height })),
  };
}
