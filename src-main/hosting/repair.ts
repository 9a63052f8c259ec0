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
  /** A host that was silent for so long is replaced; sooner when few copies are left (see `patienceMs`). */
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

/**
 * Copies that may stand beyond those wanted. Who comes back after a repair still has his copy: keeping it saves the next repair
 * (Chun et al. 2006, "Efficient replica maintenance for distributed storage systems": reintegration).
 */
function spareCopies(wanted: number): number {
  return Math.max(1, wanted);
}

/** A silent host is given up after so many times the silence that made another copy necessary (a day, as usual). */
const givenUpAfter = 48;

function mayComeBack(host: ReplicaState, now: number, rules: ReplicaRules): boolean {
  if (host.leaving || host.disqualified || host.broken || host.connected) return false;
  return now - host.lastSeen < givenUpAfter * rules.silenceMs;
}

/** What is left of the patience with silent hosts when one copy is out of reach, two, or more. */
const patienceShares = [1, 1 / 30, 1 / 60];
/** A program that is started again is back within this time. ms. */
const restartMs = 30_000;

/**
 * How long a silent host is waited for. Most absences are short, and the first one costs nothing but patience; each further copy
 * out of reach makes it likelier that the last ones go before others are made.
 * @param reachable complete copies on connected hosts
 */
export function patienceMs(reachable: number, wanted: number, rules: ReplicaRules): number {
  const away = Math.max(1, wanted - reachable);
  const share = patienceShares[Math.min(away, patienceShares.length) - 1]!;
  return Math.min(rules.silenceMs, Math.max(restartMs, rules.silenceMs * share));
}

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
  const isReachable = (host: ReplicaState): boolean =>
    host.connected && host.complete && countsAsCopy(host, now, rules);
  const patience = patienceMs(hosts.filter(isReachable).length, wanted, rules);
  const counting = hosts.filter((host) => countsAsCopy(host, now, { ...rules, silenceMs: patience }));
  const isHost = new Set(hosts.map(({ peerId }) => peerId));
  const lacking = Math.max(0, wanted - counting.length);
  const claimOf = (peer: string): number => {
    const one = input.candidates.find(({ peerId }) => peerId === peer);
    return one ? claim(key, peer, weightOf(one, isHost.has(peer) ? 0 : bytes)) : 0;
  };
  const complete = counting.filter((host) => host.complete);
  const release = hosts
    .filter((host) => !counting.includes(host) && !mayComeBack(host, now, rules))
    .filter(() => complete.length >= wanted)
    .map(({ peerId }) => peerId);
  // Far more copies than wanted: those with the smallest claim go, as long as the rest has everything.
  const most = wanted + spareCopies(wanted);
  const surplus = counting.length - most;
  if (surplus > 0 && complete.length >= most) {
    const kept = new Set(
      [...complete]
        .sort((a, b) => Number(b.connected) - Number(a.connected) || claimOf(b.peerId) - claimOf(a.peerId))
        .slice(0, most)
        .map(({ peerId }) => peerId),
    );
    release.push(...counting.filter(({ peerId }) => !kept.has(peerId)).map(({ peerId }) => peerId));
  }
  const ranked = (): string[] => rank(input, counting, isHost);
  if (lacking > 0) {
    const order = ranked();
    return { add: order.slice(0, lacking), reserve: order.slice(lacking), release };
  }

  const isCalm =
    hosts.length === wanted &&
    complete.length === wanted &&
    hosts.every(({ connected, missSince }) => connected && missSince === null);
  if (!isCalm) return { add: [], reserve: [], release };
  const best = ranked()[0];
  const worst = counting.map(({ peerId }) => claimOf(peerId)).sort((a, b) => a - b)[0];
  if (best !== undefined && worst !== undefined && claimOf(best) > moveFactor * worst) {
    return { add: [best], reserve: [], release };
  }
  return { add: [], reserve: [], release };
}

/** Everyone else who offers, the best first; those of owners who have a copy already come after all others. */
function rank(
  input: Pick<Parameters<typeof planReplicas>[0], 'key' | 'bytes' | 'candidates'>,
  counting: readonly ReplicaState[],
  isHost: ReadonlySet<string>,
): string[] {
  const { key, bytes, candidates } = input;
  const owners = new Map(candidates.map(({ peerId, owner }) => [peerId, owner]));
  const taken = new Set(counting.flatMap(({ peerId }) => owners.get(peerId) ?? []));
  const fresh = candidates.filter(({ peerId }) => !isHost.has(peerId));
  const isNew = ({ owner }: Candidate): boolean => owner === null || !taken.has(owner);
  const choose = (from: readonly Candidate[]): string[] =>
    chooseHosts(key, from, from.length, bytes).map(({ peerId }) => peerId);
  return [...choose(fresh.filter(isNew)), ...choose(fresh.filter((one) => !isNew(one)))];
}
