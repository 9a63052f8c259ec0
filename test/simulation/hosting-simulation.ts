import { createHash } from 'node:crypto';
import { chooseHosts, patienceMs, planReplicas, usualRules } from '../../src-main/hosting/index.ts';
import type { Candidate, ReplicaState } from '../../src-main/hosting/index.ts';
import { seeded } from '../support/trees.ts';
import { createEventQueue } from './event-queue.ts';
import { simulateFetches } from './fetch-simulation.ts';
import type { FetchResult, Place } from './fetch-simulation.ts';

/**
 * Many nodes and drives, with the functions the node itself uses for placement and repair (`chooseHosts`, `planReplicas`,
 * `patienceMs`), and at the end for the choice of sources (`chooseSource`, `takesOn`). A third of the nodes is away at any time; some
 * never come back. Time goes from event to event.
 */
export interface SimulationOptions {
  readonly nodes: number;
  readonly drivesPerNode: number;
  readonly copies: number;
  /** Simulated time, hours; the first quarter warms up and is not measured. */
  readonly hours: number;
  readonly seed: number;
}

export interface SimulationResult {
  readonly nodes: number;
  readonly drives: number;
  /** Bytes on the fullest node over the mean of all living ones, the worst of all looks (one every six hours). */
  readonly spread: number;
  /** Share of the drives' time with at least one complete copy online. */
  readonly availability: number;
  /** Drives whose copies were all on disks that never came back. */
  readonly lost: number;
  /** Copies made again, bytes a day, as a share of all bytes wanted in all copies. */
  readonly repairPerDay: number;
  /** Copies a drive has, on average, online or not. */
  readonly copies: number;
  /** Nodes looked at by one plan, on average, and plans a drive and day. */
  readonly costPerPlan: number;
  readonly plansPerDay: number;
  /** Round trip of the nearest copy online, ms. */
  readonly latencyMedian: number;
  readonly latencyP99: number;
  /**
   * Files fetched at the end: from the copies that are online then and from those who have fetched the same before; from the copies alone; from
   * the nearest copy alone.
   */
  readonly fetched: FetchResult;
  readonly fetchedFromCopies: FetchResult;
  readonly fetchedFromNearest: FetchResult;
}

interface Node {
  readonly id: string;
  readonly x: number;
  readonly y: number;
  readonly capacity: number;
  /** Bytes a second it sends. */
  readonly upload: number;
  used: number;
  online: boolean;
  dead: boolean;
  /** Since when it is as it is. ms. */
  since: number;
  readonly drives: Set<Drive>;
}

interface Copy {
  readonly node: Node;
  complete: boolean;
}

interface Drive {
  readonly key: string;
  readonly bytes: number;
  readonly owner: Node;
  /** Whom its keeper knows. */
  readonly view: readonly Node[];
  copies: Copy[];
  lost: boolean;
  /** Its next look is due then: later ones in the queue are stale. */
  lookAt: number;
  unavailableSince: number | null;
}

type Event =
  | { readonly t: 'toggle' | 'die'; readonly node: Node }
  | { readonly t: 'look'; readonly drive: Drive }
  | { readonly t: 'copied'; readonly drive: Drive; readonly copy: Copy }
  | { readonly t: 'sample' };

const GiB = 1024 ** 3;
const minute = 60_000;
const hour = 60 * minute;
/** A node is away a third of the time: for six hours at a time, after twelve, on average. */
const awayMs = 6 * hour;
const onlineMs = 12 * hour;
/** Nodes that leave for good, a day. */
const deathsPerDay = 0.01;
/** Bytes a second that one source gives to a new copy, which takes from all that are there. */
const copyRate = 2 * 1024 * 1024;
/** A keeper looks at its hosts so often (the node's setting), and at a drive that is well every three hours. */
const pollMs = 30_000;
const calmMs = 3 * hour;
const sampleMs = 6 * hour;
/** Fetches at the end: bytes asked for as a share of what all can send, and for how long. */
const demand = 0.3;
const fetchSeconds = 60;
/** Reputation and vetting are the subject of other tests. */
const trusted = { reputation: 1, vetted: true } as const;

/** Runs one seeded world. */
export function simulateHosting(options: SimulationOptions): SimulationResult {
  const random = seeded(options.seed);
  const between = (low: number, high: number): number => low + (high - low) * random();
  const after = (meanMs: number): number => -meanMs * Math.log(1 - random());
  const idOf = (n: number): string => createHash('sha256').update(`${options.seed}/${n}`).digest('hex');
  const nodes = Array.from({ length: options.nodes }, (_, n): Node => ({
    id: idOf(n),
    x: random(),
    y: random(),
    capacity: between(150, 300) * GiB,
    // From 1 to 16 MiB a second, evenly on a logarithmic scale.
    upload: 2 ** ((4 * Number.parseInt(idOf(n).slice(0, 8), 16)) / 2 ** 32) * 1024 * 1024,
    used: 0,
    online: random() < onlineMs / (onlineMs + awayMs),
    dead: false,
    since: 0,
    drives: new Set(),
  }));
  // A keeper knows as many nodes as a table of a distributed hash table has: it grows with the logarithm.
  const viewSize = Math.min(options.nodes, Math.ceil(6 * Math.log2(options.nodes)));
  const pick = (): Node => nodes[Math.floor(random() * nodes.length)]!;
  const drives = Array.from({ length: options.nodes * options.drivesPerNode }, (_, n): Drive => ({
    key: `drive ${options.seed}/${n}`,
    // Most are small, a few large.
    bytes: Math.min(0.5 * GiB * (1 / (1 - random())) ** 0.6, 16 * GiB),
    owner: pick(),
    view: [...new Set(Array.from({ length: viewSize }, pick))],
    copies: [],
    lost: false,
    lookAt: Number.POSITIVE_INFINITY,
    unavailableSince: null,
  }));
  const distance = (a: Place, b: Place): number => 5 + 200 * Math.hypot(a.x - b.x, a.y - b.y);
  const end = options.hours * hour;
  const from = end / 4;
  const queue = createEventQueue<Event>();
  const latencies: number[] = [];
  let now = 0;
  let unavailable = 0;
  let plans = 0;
  let looked = 0;
  let repaired = 0;
  let spread = 0;
  let copiesSeen = 0;
  let samples = 0;

  const isThere = ({ node, complete }: Copy): boolean => complete && node.online;

  function offers(drive: Drive): Candidate[] {
    return drive.view
      .filter((node) => node.online)
      .map((node) => ({
        peerId: node.id,
        owner: null,
        quota: node.capacity,
        free: node.capacity - node.used,
        ...trusted,
        rtt: distance(node, drive.owner),
      }));
  }

  function addCopy(drive: Drive, node: Node, complete: boolean): Copy {
    const copy = { node, complete };
    node.used += drive.bytes;
    node.drives.add(drive);
    drive.copies.push(copy);
    return copy;
  }

  function startCopy(drive: Drive, copy: Copy): void {
    const sources = drive.copies.filter(isThere).length;
    const seconds = drive.bytes / (copyRate * Math.max(1, sources));
    queue.add(now + seconds * 1000, { t: 'copied', drive, copy });
  }

  function noteAvailability(drive: Drive): void {
    const isAvailable = drive.copies.some(isThere);
    if (isAvailable && drive.unavailableSince !== null) {
      unavailable += Math.max(0, now - Math.max(drive.unavailableSince, from));
      drive.unavailableSince = null;
    } else if (!isAvailable) drive.unavailableSince ??= now;
  }

  function lookLater(drive: Drive, ms: number): void {
    const time = now + ms;
    if (time >= drive.lookAt) return;
    drive.lookAt = time;
    queue.add(time, { t: 'look', drive });
  }

  /** One look of a drive's keeper at its hosts. */
  function look(drive: Drive): void {
    drive.lookAt = Number.POSITIVE_INFINITY;
    if (drive.lost) return;
    const hosts = drive.copies.map(({ node, complete }): ReplicaState => ({
      peerId: node.id,
      connected: node.online,
      lastSeen: node.online ? now : node.since,
      complete,
      leaving: false,
      disqualified: false,
      missSince: null,
      broken: false,
    }));
    const candidates = offers(drive);
    const isMeasured = now >= from;
    if (isMeasured) {
      plans++;
      looked += candidates.length;
    }
    const plan = planReplicas({
      key: drive.key,
      wanted: options.copies,
      bytes: drive.bytes,
      hosts,
      candidates,
      now,
      rules: usualRules,
    });
    for (const peer of plan.add) {
      startCopy(
        drive,
        addCopy(
          drive,
          drive.view.find(({ id }) => id === peer)!,
          false,
        ),
      );
      if (isMeasured) repaired += drive.bytes;
    }
    for (const peer of plan.release) {
      const copy = drive.copies.find(({ node }) => node.id === peer)!;
      copy.node.used -= drive.bytes;
      copy.node.drives.delete(drive);
      drive.copies = drive.copies.filter((one) => one !== copy);
    }
    // The next look: when the patience with a silent host ends, or because nobody had room.
    const reachable = drive.copies.filter(isThere).length;
    const patience = patienceMs(reachable, options.copies, usualRules);
    let next = calmMs;
    for (const { node } of drive.copies) {
      const left = node.since + patience - now;
      if (!node.online && left > 0) next = Math.min(next, left + between(0, pollMs));
    }
    const coming = drive.copies.filter(({ node, complete }) => !complete && node.online).length;
    if (reachable + coming < options.copies) next = Math.min(next, 5 * minute);
    lookLater(drive, next);
  }

  /** A host came, went or died: its drives' keepers notice at once. */
  function changed(node: Node): void {
    for (const drive of node.drives) {
      noteAvailability(drive);
      // Known dead only to us: the keeper sees silence.
      if (node.dead && drive.copies.every((copy) => copy.node.dead || !copy.complete)) drive.lost = true;
      lookLater(drive, between(0, 1000));
    }
  }

  function happen(event: Event): void {
    switch (event.t) {
      case 'toggle': {
        const { node } = event;
        if (node.dead) return;
        node.online = !node.online;
        node.since = now;
        queue.add(now + after(node.online ? onlineMs : awayMs), event);
        return changed(node);
      }
      case 'die':
        event.node.dead = true;
        event.node.online = false;
        event.node.since = now;
        return changed(event.node);
      case 'look':
        if (event.drive.lookAt === now) look(event.drive);
        return;
      case 'copied': {
        const { drive, copy } = event;
        if (copy.complete || !drive.copies.includes(copy)) return;
        if (!copy.node.online || !drive.copies.some(isThere)) {
          // It goes on when both are there again; looked for once in a while.
          if (!copy.node.dead) queue.add(now + 5 * minute, event);
          return;
        }
        copy.complete = true;
        return noteAvailability(drive);
      }
      case 'sample': {
        const living = nodes.filter(({ dead }) => !dead);
        const mean = living.reduce((sum, { used }) => sum + used, 0) / living.length;
        if (now >= from) {
          spread = Math.max(spread, Math.max(...living.map(({ used }) => used)) / mean);
          copiesSeen += drives.reduce((sum, drive) => sum + drive.copies.length, 0) / drives.length;
          samples++;
          for (const drive of drives) {
            const there = drive.copies.filter(isThere).map(({ node }) => distance(node, drive.owner));
            if (there.length > 0) latencies.push(Math.min(...there));
          }
        }
        queue.add(now + sampleMs, event);
      }
    }
  }

  // The owners are there while they put their drives on hosts.
  for (const drive of drives) {
    for (const { peerId } of chooseHosts(drive.key, offers(drive), options.copies, drive.bytes)) {
      addCopy(
        drive,
        drive.view.find(({ id }) => id === peerId)!,
        true,
      );
    }
    lookLater(drive, between(0, calmMs));
  }
  for (const node of nodes) {
    queue.add(after(node.online ? onlineMs : awayMs), { t: 'toggle', node });
    queue.add(after((24 * hour) / deathsPerDay), { t: 'die', node });
  }
  queue.add(sampleMs, { t: 'sample' });
  for (let next = queue.next(); next !== null && next.time <= end; next = queue.next()) {
    now = next.time;
    happen(next.event);
  }
  now = end;
  for (const { unavailableSince } of drives) {
    if (unavailableSince !== null) unavailable += end - Math.max(unavailableSince, from);
  }

  const days = (end - from) / (24 * hour);
  latencies.sort((a, b) => a - b);
  const holders = drives
    .map(({ copies }) => copies.filter(isThere).map(({ node }) => node))
    .filter((some) => some.length > 0);
  const fetches = (choice: 'measured' | 'nearest', sharing: boolean): FetchResult =>
    simulateFetches({
      random: seeded(options.seed + 1),
      holders,
      nodes: nodes.filter(({ online }) => online),
      sharing,
      rtt: distance,
      demand,
      seconds: fetchSeconds,
      choice,
    });
  return {
    nodes: options.nodes,
    drives: drives.length,
    spread,
    availability: 1 - unavailable / (drives.length * (end - from)),
    lost: drives.filter(({ lost }) => lost).length,
    repairPerDay: repaired / drives.reduce((sum, { bytes }) => sum + bytes * options.copies, 0) / days,
    copies: copiesSeen / Math.max(1, samples),
    costPerPlan: looked / plans,
    plansPerDay: plans / drives.length / days,
    latencyMedian: latencies[Math.floor(latencies.length / 2)] ?? 0,
    latencyP99: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
    fetched: fetches('measured', true),
    fetchedFromCopies: fetches('measured', false),
    fetchedFromNearest: fetches('nearest', false),
  };
}
