import { hash } from 'node:crypto';

/** A node that offers to keep a copy. */
export interface Candidate {
  readonly peerId: string;
  /** Whose it is: copies go to different people where they can; null: nobody's, counted as a person of its own. */
  readonly owner: string | null;
  /** Bytes it lends in all, and those it says are free. */
  readonly quota: number;
  readonly free: number;
  /** Score of its reputation in [0, 1]; see reputation.ts. */
  readonly reputation: number;
  /** Passed its vetting. */
  readonly vetted: boolean;
  /** Round trip in ms; null: unknown. */
  readonly rtt: number | null;
}

const GiB = 1024 ** 3;

/**
 * How much of the load a node should carry relative to others: square root of its free space (so that one huge disk does
 * not take everything) times its reputation squared; a newcomer carries a quarter, a far one down to a half.
 * 0 for one that has no room for `bytes` more.
 */
export function weightOf(candidate: Candidate, bytes: number): number {
  if (candidate.free < bytes || candidate.free <= 0) return 0;
  const space = Math.sqrt(Math.min(candidate.free, 4096 * GiB) / GiB);
  const trust = candidate.reputation ** 2 * (candidate.vetted ? 1 : 0.25);
  const distance = 1 / (1 + Math.min(candidate.rtt ?? 100, 300) / 300);
  return space * trust * distance;
}

/**
 * A node's claim to a key: weighted rendezvous hashing (Thaler and Ravishankar 1998; the logarithmic form of Schindelhauer and
 * Schomaker 2005). Each node's chance to come first is its share of all weights, and a node that joins or leaves moves
 * only what it gains or held.
 * @returns the larger the sooner; -Infinity for weight 0
 */
export function claim(key: string, peerId: string, weight: number): number {
  if (weight <= 0) return Number.NEGATIVE_INFINITY;
  const digest = hash('sha256', `${key}\0${peerId}`, 'buffer');
  // 52 bits, never 0: the logarithm stays finite.
  const uniform = (digest.readUIntBE(0, 6) * 16 + (digest[6]! >> 4) + 0.5) / 2 ** 52;
  return -weight / Math.log(uniform);
}

/** A node may be filled so many times as far as its candidates are on average before others come first. */
const loadBound = 1.25;
/** Up to this share of what it lends a node counts as empty: a first large drive is no load yet. */
const emptyShare = 0.02;

/**
 * Which candidates would still be within the bound with `bytes` more: consistent hashing with bounded loads (Mirrokni,
 * Thorup and Zadimoghaddam 2018), with the mean of those that are known here in place of that of all nodes.
 */
function lightlyLoaded(candidates: readonly Candidate[], bytes: number): (one: Candidate) => boolean {
  let quota = 0;
  let used = bytes;
  for (const one of candidates) {
    quota += one.quota;
    used += one.quota - one.free;
  }
  const bound = Math.max(emptyShare, (loadBound * used) / Math.max(quota, 1));
  return ({ quota: lent, free }) => lent - free + bytes <= bound * lent;
}

/**
 * The best `count` nodes for a key, the best first. Nodes that are filled far beyond the mean come after all others. Nodes of one
 * owner stand in for each other: a second one of the same is taken only when there are not enough others.
 * @param bytes room each of them must have
 */
export function chooseHosts(
  key: string,
  candidates: readonly Candidate[],
  count: number,
  bytes: number,
): Candidate[] {
  const isLight = lightlyLoaded(candidates, bytes);
  const ranked = candidates
    .map((candidate) => ({
      candidate,
      claim: claim(key, candidate.peerId, weightOf(candidate, bytes)),
      isLight: isLight(candidate),
    }))
    .filter((one) => one.claim > Number.NEGATIVE_INFINITY)
    .sort(
      (a, b) =>
        Number(b.isLight) - Number(a.isLight) ||
        b.claim - a.claim ||
        (a.candidate.peerId < b.candidate.peerId ? -1 : 1),
    );
  const owners = new Set<string>();
  const chosen: Candidate[] = [];
  const others: Candidate[] = [];
  for (const { candidate } of ranked) {
    const isAnother = candidate.owner === null || !owners.has(candidate.owner);
    if (isAnother && chosen.length < count) {
      chosen.push(candidate);
      if (candidate.owner !== null) owners.add(candidate.owner);
    } else others.push(candidate);
  }
  return [...chosen, ...others].slice(0, count);
}
