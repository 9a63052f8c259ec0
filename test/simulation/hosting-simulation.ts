import { createHash } from 'node:crypto';
import { chooseHosts, planReplicas, usualRules } from '../../src-main/hosting/index.ts';
import type { Candidate, ReplicaState } from '../../src-main/hosting/index.ts';
import { seeded } from '../support/trees.ts';

/**
 * Many nodes and drives, with the functions the node itself uses for placement and repair (`chooseHosts`, `planReplicas`). A
 * third of the nodes is away at any time; some never come back. Time goes in steps of ten minutes.
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
  /** Bytes on the fullest node over the mean of all. */
  readonly spread: number;
  /** Share of looks at drives that found at least one complete copy online. */
  readonly availability: number;
  /** Drives whose copies were all on disks that never came back. */
  readonly lost: number;
  /** Copies made again, bytes a day, as a share of all bytes hosted. */
  readonly repairPerDay: number;
  /** Nodes looked at by one plan, on average. */
  readonly costPerPlan: number;
  /** Modelled time to a first block: round trip of the nearest source online, ms. */
  readonly latencyMedian: number;
  readonly latencyP99: number;
}

interface Node {
  readonly id: string;
  readonly x: number;
  readonly y: number;
  readonly capacity: number;
  used: number;
  online: boolean;
  dead: boolean;
  since: number;
}

interface Copy {
  readonly node: Node;
  complete: boolean;
  readonly readyAt: number;
}

interface Drive {
  readonly key: string;
  readonly bytes: number;
  readonly owner: Node;
  /** Whom its keeper knows. */
  readonly view: Node[];
  copies: Copy[];
  lost: boolean;
}

const GiB = 1024 ** 3;
const stepMs = 10 * 60_000;
/** A node is away a third of the time: for six hours at a time, after twelve on average. */
const awaySteps = 36;
const onlineSteps = 72;
/** Nodes that leave for good, a day. */
const deathsPerDay = 0.01;
/** Bytes a second that one source gives to a new copy, which takes from all that are there. */
const copyRate = 2 * 1024 * 1024;
/** Reputation and vetting are the subject of other tests. */
const trusted = { reputation: 1, vetted: true } as const;

/** Runs one seeded world. */
export function simulateHosting(options: SimulationOptions): SimulationResult {
  const random = seeded(options.seed);
  const between = (low: number, high: number): number => low + (high - low) * random();
  const nodes = Array.from({ length: options.nodes }, (_, n): Node => ({
    id: createHash('sha256').update(`${options.seed}/${n}`).digest('hex'),
    x: random(),
    y: random(),
    capacity: between(150, 300) * GiB,
    used: 0,
    online: random() < 2 / 3,
    dead: false,
    since: 0,
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
  }));
  const distance = (a: Node, b: Node): number => 5 + 200 * Math.hypot(a.x - b.x, a.y - b.y);
  const steps = Math.round((options.hours * 3_600_000) / stepMs);
  let looks = 0;
  let misses = 0;
  let plans = 0;
  let looked = 0;
  let repaired = 0;
  const latencies: number[] = [];

  function offers(drive: Drive): Candidate[] {
    return drive.view
      .filter((node) => node.online && !node.dead)
      .map((node) => ({
        peerId: node.id,
        owner: null,
        free: node.capacity - node.used,
        ...trusted,
        rtt: distance(node, drive.owner),
      }));
  }

  function keep(drive: Drive, now: number, isMeasured: boolean): void {
    const byId = new Map(drive.view.map((node) => [node.id, node]));
    const states = drive.copies.map(({ node, complete }): ReplicaState => ({
      peerId: node.id,
      connected: node.online && !node.dead,
      lastSeen: node.since,
      complete,
      leaving: false,
      disqualified: false,
      missSince: null,
      broken: false,
    }));
    const candidates = offers(drive);
    plans++;
    looked += candidates.length;
    const plan = planReplicas({
      key: drive.key,
      wanted: options.copies,
      bytes: drive.bytes,
      hosts: states,
      candidates,
      now,
      rules: usualRules,
    });
    const sources = drive.copies.filter(({ node, complete }) => complete && node.online).length;
    const seconds = drive.bytes / (copyRate * Math.max(1, sources));
    for (const peer of plan.add) {
      const node = byId.get(peer)!;
      node.used += drive.bytes;
      drive.copies.push({ node, complete: false, readyAt: now + seconds * 1000 });
      if (isMeasured) repaired += drive.bytes;
    }
    for (const peer of plan.release) {
      const copy = drive.copies.find(({ node }) => node.id === peer)!;
      copy.node.used -= drive.bytes;
      drive.copies = drive.copies.filter((one) => one !== copy);
    }
  }

  // The owners are there while they put their drives on hosts.
  for (const drive of drives) {
    for (const { peerId } of chooseHosts(drive.key, offers(drive), options.copies, drive.bytes)) {
      const node = drive.view.find(({ id }) => id === peerId)!;
      node.used += drive.bytes;
      drive.copies.push({ node, complete: true, readyAt: 0 });
    }
  }

  for (let step = 1; step <= steps; step++) {
    const now = step * stepMs;
    const isMeasured = step > steps / 4;
    for (const node of nodes) {
      if (node.dead) continue;
      if (random() < (deathsPerDay * stepMs) / 86_400_000) {
        node.dead = true;
        node.online = false;
        continue;
      }
      if (node.online) node.since = now;
      if (random() < 1 / (node.online ? onlineSteps : awaySteps)) node.online = !node.online;
    }
    for (const drive of drives) {
      if (drive.lost) continue;
      const hasSource = drive.copies.some(({ node, complete }) => complete && node.online);
      for (const copy of drive.copies) {
        if (!copy.complete && hasSource && copy.node.online && copy.readyAt <= now) copy.complete = true;
      }
      // Known dead only to us: the keeper sees silence.
      if (drive.copies.every(({ node, complete }) => node.dead || !complete)) {
        drive.lost = true;
        continue;
      }
      if (isMeasured) {
        looks++;
        const near = drive.copies
          .filter(({ node, complete }) => complete && node.online)
          .map(({ node }) => distance(node, drive.owner))
          .sort((a, b) => a - b)[0];
        if (near === undefined) misses++;
        else if (latencies.length < 200_000) latencies.push(near);
      }
      const isUneasy =
        drive.copies.filter(({ node, complete }) => complete && node.online).length < options.copies;
      // A keeper looks when something changed; that is what costs nothing to leave out here.
      if (isUneasy || step % 18 === 0) keep(drive, now, isMeasured);
    }
  }

  const used = nodes.filter(({ dead }) => !dead).map((node) => node.used);
  const mean = used.reduce((sum, one) => sum + one, 0) / used.length;
  const total = drives.reduce((sum, { bytes }) => sum + bytes * options.copies, 0);
  const days = (options.hours * 0.75) / 24;
  latencies.sort((a, b) => a - b);
  return {
    nodes: options.nodes,
    drives: drives.length,
    spread: Math.max(...used) / mean,
    availability: 1 - misses / looks,
    lost: drives.filter(({ lost }) => lost).length,
    repairPerDay: repaired / total / days,
    costPerPlan: looked / plans,
    latencyMedian: latencies[Math.floor(latencies.length / 2)] ?? 0,
    latencyP99: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
  };
}
