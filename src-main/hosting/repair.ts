import { chooseHosts, claim, weightOf } from './placement.ts';
import type { Candidate } from './placement.ts';

/** What a keeper knows of one of a drive's hosts. Times in ms since the epoch. */
export interface ReplicaState {
  readonly peerId: string;
  readonly connected: boolean;
  readonly lastSeen: number;
  /** It has everything it was told to keep, as it says and as audits do not contradict. */
  readonly complete: boolean;
  /** It wants to be rid of what it has. */
  readonly leaving: boolean;
  readonly disqualified: boolean;
  /** First confirmed miss that was not made good yet; null: none. */
  readonly missSince: number | null;
  /** It broke its contract (no room for what it reserved, no repair). */
  readonly broken: boolean;
}

export interface ReplicaRules {
  /** A host that was silent for so long is replaced. */
  readonly silenceMs: number;
  /** So long a host may take to bring back what it lost; other copies are made at once if there are too few. */
  readonly repairMs: number;
}

/** 30 minutes of silence and 5 minutes for a repair. */
export const usualRules: ReplicaRules = { silenceMs: 30 * 60_000, repairMs: 5 * 60_000 };

export interface ReplicaPlan {
  /** Hosts to ask for a copy, the best first; as many as are needed, the next ones if one refuses are in `reserve`. */
  readonly add: readonly string[];
  readonly reserve: readonly string[];
  /** Hosts that may forget the drive: enough others have all of it. */
  readonly release: readonly string[];
}

/** A better host takes over only if its claim is so many times that of the worst one: moves cost more than they bring. */
const moveFactor = 4;

/** Whether a host still counts as one of the copies. */
export function countsAsCopy(host: ReplicaState, now: number, rules: ReplicaRules): boolean {
  if (host.leaving || host.disqualified || host.broken) return false;
  if (!host.connected && now - host.lastSeen >= rules.silenceMs) return false;
  return host.missSince === null || now - host.missSince < rules.repairMs;
}

/**
 * Decides which hosts a drive gets and which it leaves. Pure; the node and the simulation run the same.
 *
 * A copy is replaced when its host is gone, leaving or bad; nothing is released before `wanted` others have everything (so the
 * last copies are never given up); when all is well, at most one copy moves at a time to a host that fits much better.
 * @param key names what is placed (the drive id)
 * @param bytes room a new host must have
 */
export function planReplicas(input: {
  readonly key: string;
  readonly wanted: number;
  readonly bytes: number;
  readonly hosts: readonly ReplicaState[];
  /** Everyone who offers, current hosts among them (their `free` without what they hold of this drive). */
  readonly candidates: readonly Candidate[];
  readonly now: number;
  readonly rules: ReplicaRules;
}): ReplicaPlan {
  const { key, wanted, bytes, hosts, now, rules } = input;
  const counting = hosts.filter((host) => countsAsCopy(host, now, rules));
  const isHost = new Set(hosts.map(({ peerId }) => peerId));
  const fresh = input.candidates.filter(({ peerId }) => !isHost.has(peerId));
  const lacking = Math.max(0, wanted - counting.length);
  const claims = new Map(
    input.candidates.map((one) => [
      one.peerId,
      claim(key, one.peerId, weightOf(one, isHost.has(one.peerId) ? 0 : bytes)),
    ]),
  );
  const claimOf = (peer: string): number => claims.get(peer) ?? 0;

  // Copies of one owner only when there are no others: owners of the hosts that stay come first in the choice.
  const owners = new Map(input.candidates.map(({ peerId, owner }) => [peerId, owner]));
  const taken = new Set(counting.flatMap(({ peerId }) => owners.get(peerId) ?? []));
  const choose = (from: readonly Candidate[], count: number): string[] =>
    chooseHosts(key, from, count, bytes).map(({ peerId }) => peerId);
  const others = fresh.filter(({ owner }) => owner === null || !taken.has(owner));
  const ranked = [...choose(others, others.length)];
  ranked.push(...choose(fresh, fresh.length).filter((peer) => !ranked.includes(peer)));

  const complete = counting.filter((host) => host.complete);
  const release = hosts
    .filter((host) => !counting.includes(host))
    .filter(() => complete.length >= wanted)
    .map(({ peerId }) => peerId);
  // More copies than wanted: those with the smallest claim go, as long as the rest has everything.
  const surplus = counting.length - wanted;
  if (surplus > 0 && complete.length >= wanted) {
    const kept = new Set(
      [...complete]
        .sort((a, b) => Number(b.connected) - Number(a.connected) || claimOf(b.peerId) - claimOf(a.peerId))
        .slice(0, wanted)
        .map(({ peerId }) => peerId),
    );
    release.push(...counting.filter(({ peerId }) => !kept.has(peerId)).map(({ peerId }) => peerId));
  }
  if (lacking > 0) return { add: ranked.slice(0, lacking), reserve: ranked.slice(lacking), release };

  const isCalm =
    hosts.length === wanted &&
    complete.length === wanted &&
    hosts.every(({ connected, missSince }) => connected && missSince === null);
  const best = ranked[0];
  const worst = counting.map(({ peerId }) => claimOf(peerId)).sort((a, b) => a - b)[0];
  if (isCalm && best !== undefined && worst !== undefined && claimOf(best) > moveFactor * worst) {
    return { add: [best], reserve: [], release };
  }
  return { add: [], reserve: [], release };
}
