import type { Candidate, Peer } from './types.ts';

/** Round trip assumed of a member never probed, ms. */
const assumedRttMs = 100;
/** A member counts as proven after so long in the stream, s. */
const provenS = 60;

/** Members at this depth should be the last with children: each hop more counts three times. */
const deepest = 4;

/** What a place below a member would cost in delay, ms: `depth x part + RTT/2 + queue - stability bonus`. */
export function costOf(
  member: Pick<Candidate, 'depth' | 'queueMs' | 'ageS'>,
  rttMs: number | null,
  partMs: number,
): number {
  const bonus = (Math.min(member.ageS, provenS) / provenS) * (partMs / 2);
  const depth = member.depth + 2 * Math.max(0, member.depth - deepest);
  return depth * partMs + (rttMs ?? assumedRttMs) / 2 + member.queueMs - bonus;
}

/**
 * May somebody with fan-out `fanOut` take the place of a child with `weakest`? Only with clearly more to give, so that two of
 * about equal strength don't chase each other.
 */
export const displaces = (fanOut: number, weakest: number): boolean =>
  fanOut >= weakest + 2 && fanOut >= weakest * 1.5;

/** Has that member a place for somebody with this fan-out? */
export const hasPlaceFor = (member: Pick<Candidate, 'free' | 'weakest'>, fanOut: number): boolean =>
  member.free > 0 || displaces(fanOut, member.weakest);

/**
 * At most `count` members for one who asks, drawn by free places: in a crowd everybody must not be sent to the same best one.
 * Some are the nearest to the source, more for one who can repeat: that is how it finds its way up.
 */
export function drawCandidates(
  pool: readonly Candidate[],
  count: number,
  fanOut: number,
  random: () => number,
): Candidate[] {
  const fit = pool.filter((member) => hasPlaceFor(member, fanOut));
  if (fit.length <= count) return fit;
  const upwards = [...fit].sort((a, b) => a.depth - b.depth || a.heardMs - b.heardMs);
  const chosen = upwards.slice(0, fanOut > 0 ? count >> 1 : 1);
  const rest = upwards.slice(chosen.length);
  let sum = rest.reduce((total, member) => total + weightOf(member), 0);
  while (chosen.length < count) {
    let at = random() * sum;
    let i = 0;
    while (i < rest.length - 1 && (at -= weightOf(rest[i]!)) >= 0) i++;
    const [one] = rest.splice(i, 1);
    sum -= weightOf(one!);
    chosen.push(one!);
  }
  return chosen;
}

/** Places heard of long ago are probably taken. */
const weightOf = (member: Candidate): number => Math.max(1, member.free) / (1 + member.heardMs / 500);

/** What a member that could be a backup shares with this node's present way to the source. */
export interface BackupFacts {
  readonly peer: Peer;
  readonly branch: Peer | null;
  /** From the source to it, itself last; null while only hearsay is known. */
  readonly path: readonly Peer[] | null;
  readonly cost: number;
  readonly free: number;
}

/**
 * Order of preference among possible backups, best first; those that are useless are left out: descendants of this node, its
 * parent and what is below the parent (they fall together with it). Another branch of the source comes first.
 */
export function rankBackups(
  facts: readonly BackupFacts[],
  me: {
    readonly self: Peer;
    readonly source: Peer;
    readonly parent: Peer | null;
    readonly branch: Peer | null;
  },
): BackupFacts[] {
  const score = (one: BackupFacts): number =>
    one.cost + (one.branch !== null && one.branch === me.branch ? 10_000 : 0) + (one.free > 0 ? 0 : 1_000);
  return facts
    .filter((one) => isBackup(one, me))
    .map((one) => ({ one, score: score(one) }))
    .sort((a, b) => a.score - b.score)
    .map(({ one }) => one);
}

/** Would that member be of use should the parent be lost? Judged by its path, or as far as hearsay goes. */
export function isBackup(
  one: Pick<BackupFacts, 'peer' | 'branch' | 'path'>,
  me: {
    readonly self: Peer;
    readonly source: Peer;
    readonly parent: Peer | null;
    readonly branch: Peer | null;
  },
): boolean {
  if (one.peer === me.self || one.peer === me.parent) return false;
  if (one.path) {
    if (one.path.includes(me.self)) return false;
    return me.parent === null || me.parent === me.source || !one.path.includes(me.parent);
  }
  // Below me if I am the branch, perhaps below my parent if that is it.
  return one.branch === null || (one.branch !== me.self && one.branch !== me.parent);
}
