import type { Candidate } from './placement.ts';
import { countsAsCopy, patienceMs, planReplicas } from './repair.ts';
import type { ReplicaRules, ReplicaState } from './repair.ts';
import type { HostRole } from './types.ts';

/** One of a drive's hosts with what it is to keep. */
export interface PlacedHost extends ReplicaState, HostRole {}

export interface DrivePlan {
  /** New roles, of hosts that come or whose role changes; `whole: false, slot: null` releases a host. */
  readonly changes: ReadonlyMap<string, HostRole>;
}

/** Slots of erasure-coded files and how many of them may be lost. */
export interface SlotsWanted {
  readonly slots: number;
  readonly parity: number;
  /** Room that the host of a slot must have. */
  readonly bytes: number;
}

/**
 * Decides which hosts a drive gets, for whole files and for each slot of erasure-coded ones, by `planReplicas`. Pure. No two slots lie
 * on one host, and not on two of one person where others are there; a host of whole files may fill a slot as well.
 */
export function planDrive(input: {
  readonly key: string;
  /** Hosts of whole files. */
  readonly wanted: number;
  /** Room that one of them must have. */
  readonly bytes: number;
  /** null: nothing is coded, as far as is known here. */
  readonly coded: SlotsWanted | null;
  /**
   * Whether as many hosts of whole files as are wanted have every block that is in no known stripe. Until then a host keeps its slot even
   * if nothing is known to be coded: a keeper that has just taken over knows no stripes, and shards may be all there is of a file.
   */
  readonly mayForgetShards: boolean;
  readonly hosts: readonly PlacedHost[];
  readonly candidates: readonly Candidate[];
  readonly now: number;
  readonly rules: ReplicaRules;
}): DrivePlan {
  const { key, hosts, now, rules, coded } = input;
  const unfit = new Set(
    hosts.filter((host) => host.broken || host.leaving || host.disqualified).map(({ peerId }) => peerId),
  );
  const candidates = input.candidates.filter(({ peerId }) => !unfit.has(peerId));
  const roles = new Map<string, HostRole>(hosts.map(({ peerId, whole, slot }) => [peerId, { whole, slot }]));
  const changes = new Map<string, HostRole>();
  const change = (peer: string, part: Partial<HostRole>): void => {
    const role = { whole: false, slot: null, ...roles.get(peer), ...part };
    roles.set(peer, role);
    changes.set(peer, role);
  };

  const whole = planReplicas({ ...input, candidates, hosts: hosts.filter((host) => host.whole) });
  for (const peer of whole.add) change(peer, { whole: true });
  for (const peer of whole.release) change(peer, { whole: false });

  const slots = coded?.slots ?? 0;
  if (input.mayForgetShards) {
    for (const { peerId, slot } of hosts) if (slot !== null && slot >= slots) change(peerId, { slot: null });
  }
  if (coded === null) return { changes };
  // The shards' loss counts together: each one out of reach makes the others more precious.
  const lost = slotsLost(hosts, slots, now, rules);
  const copies = coded.parity + 1;
  const slotRules = { ...rules, silenceMs: patienceMs(Math.max(0, copies - lost), copies, rules) };
  const before = new Map(hosts.map(({ peerId, slot }) => [peerId, slot]));
  const owners = new Map(candidates.map(({ peerId, owner }) => [peerId, owner]));
  let hasMoved = lost > 0;
  for (let slot = 0; slot < slots; slot++) {
    const group = hosts.filter((host) => host.slot === slot);
    // Whoever loses a slot in this plan gets no other in it: it still has to take in that it lost one.
    const isFree = ({ peerId }: Candidate): boolean =>
      (roles.get(peerId)?.slot ?? slot) === slot && (before.get(peerId) ?? slot) === slot;
    const taken = new Set(
      [...roles].flatMap(([peer, role]) =>
        role.slot !== null && role.slot !== slot ? (owners.get(peer) ?? []) : [],
      ),
    );
    const isAnother = ({ peerId, owner }: Candidate): boolean =>
      owner === null || !taken.has(owner) || roles.get(peerId)?.slot === slot;
    const free = candidates.filter(isFree);
    const planWith = (from: readonly Candidate[]) =>
      planReplicas({
        key: `${key}/${slot}`,
        wanted: 1,
        bytes: coded.bytes,
        hosts: group,
        candidates: from,
        now,
        rules: slotRules,
      });
    let plan = planWith(free.filter(isAnother));
    const isFilled = group.some((host) => countsAsCopy(host, now, slotRules));
    if (!isFilled && plan.add.length === 0) plan = planWith(free);
    for (const peer of plan.add) {
      // One shard moves at a time when nothing is wrong.
      if (isFilled && hasMoved) continue;
      hasMoved ||= isFilled;
      change(peer, { slot });
    }
    for (const peer of plan.release) change(peer, { slot: null });
  }
  return { changes };
}

/** Slots without a complete shard on a connected host. */
function slotsLost(hosts: readonly PlacedHost[], slots: number, now: number, rules: ReplicaRules): number {
  const reachable = new Set(
    hosts
      .filter((host) => host.connected && host.complete && countsAsCopy(host, now, rules))
      .flatMap(({ slot }) => slot ?? []),
  );
  return slots - [...reachable].filter((slot) => slot < slots).length;
}
