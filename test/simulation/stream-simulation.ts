import {
  continuityOf,
  createOverlay,
  createPlayhead,
  partArrived,
  partGivenUp,
  step,
  viewOf,
  wakeAt,
} from '../../src-main/stream/overlay/index.ts';
import type {
  Candidate,
  Effect,
  Message,
  OverlayEvent,
  OverlayOptions,
  OverlayState,
  PartFacts,
  Playhead,
} from '../../src-main/stream/overlay/index.ts';
import { seeded } from '../support/trees.ts';
import { createEventQueue } from './event-queue.ts';
import { drawLine, roundTrip, sourceLine } from './stream-world.ts';
import type { Line } from './stream-world.ts';

/**
 * One stream and many viewers, on the reducer that runs in the node. Parts go store-and-forward (the node forwards chunk by
 * chunk, so this is the slower case), each uplink sends one part after another, a first contact costs two more round trips
 * (TCP, TLS).
 */
export interface StreamSimulationOptions {
  readonly viewers: number;
  /** All arrive within this time, evenly, from the start of the stream. ms */
  readonly arriveMs: number;
  /** Simulated time after that. ms */
  readonly watchMs: number;
  readonly seed: number;
  /** Share of viewers that leave each second, replaced by as many new ones. */
  readonly leavePerSecond?: number;
  /** How they leave: in order, killed (their links are reset); the rest vanish without a word. */
  readonly inOrder?: number;
  readonly killed?: number;
  /** Every so often one repeater in a hundred (at least one) is killed, one frozen for 5 s, one slowed to a tenth for 10 s. */
  readonly chaosMs?: number;
  readonly chaos?: readonly ('kill' | 'freeze' | 'slow')[];
  /** At this time after all arrived, half of all repeaters are killed at once. */
  readonly halfKilledMs?: number;
  readonly without?: 'backups' | 'repeaters';
  readonly bitrate?: number;
  readonly sourceUplink?: number;
}

export interface StreamSimulationResult {
  readonly viewers: number;
  readonly repeaters: number;
  /** From the first `join` to the first playable part: share within 2 s, median and 99 % (ms). */
  readonly joinedInTwo: number;
  readonly joinMedian: number;
  readonly joinP99: number;
  /** Hops from the source: the deepest of the final tree, its mean, and the deepest seen. */
  readonly depth: number;
  readonly depthMean: number;
  readonly depthEver: number;
  /** Viewers at each depth of the final tree, from 1 on. */
  readonly depths: readonly number[];
  /** Share of all watching time in which something played (measured when all had arrived). */
  readonly continuity: number;
  /** Share of viewers who saw no interruption. */
  readonly smooth: number;
  readonly sourceFanOut: number;
  /** Source's upload over the viewers, bits a second each. */
  readonly sourcePerViewer: number;
  /** Bytes that are not media (control, headers, framing) over media bytes; parts received twice over parts. */
  readonly overhead: number;
  readonly duplicates: number;
  /** From the last part of a lost parent to the first of the new one, ms. */
  readonly repairs: number;
  readonly repairMedian: number;
  readonly repairP95: number;
  readonly repairP99: number;
  /** Five seconds after half the repeaters were killed: share of the others that play. */
  readonly playingAfterKill: number | null;
  readonly changes: Readonly<Record<string, number>>;
  readonly events: number;
}

interface Viewer {
  readonly index: number;
  readonly line: Line;
  state: OverlayState;
  random: () => number;
  alive: boolean;
  frozen: boolean;
  slowed: boolean;
  wasFrozen: boolean;
  arrivedAt: number;
  joinedAt: number;
  /** Parts that wait for the uplink; the first is on its way. */
  uplink: { readonly to: Viewer; readonly seq: number }[];
  downUntil: number;
  wakeScheduled: number;
  readonly head: Playhead;
  readonly links: Map<number, number>;
  readonly held: Event[];
  measured: boolean;
}

type Event =
  | { readonly t: 'event'; readonly to: Viewer; readonly event: OverlayEvent }
  | { readonly t: 'wake'; readonly to: Viewer; readonly at: number }
  | { readonly t: 'sent'; readonly from: Viewer }
  | { readonly t: 'arrive' }
  | { readonly t: 'leave' }
  | { readonly t: 'chaos' }
  | { readonly t: 'half' }
  | { readonly t: 'count' }
  | { readonly t: 'thaw'; readonly viewer: Viewer }
  | { readonly t: 'gone'; readonly viewer: Viewer }
  | { readonly t: 'made'; readonly seq: number };

const partMs = 200;
const partsPerGop = 5;
const holdBackMs = 1_400;
/** Header of a part, TLS record and yamux frame headers of its four chunks; TCP and IP are the same for all and left out. */
const partOverhead = 300 + 4 * (22 + 12);
const messageOverhead = 22 + 12 + 2;

export function simulateStream(options: StreamSimulationOptions): StreamSimulationResult {
  const { viewers: count, arriveMs, watchMs, seed } = options;
  const bitrate = options.bitrate ?? 2.5e6;
  const random = seeded(seed);
  const queue = createEventQueue<Event>();
  const all: Viewer[] = [];
  const live: Viewer[] = [];
  const place = new Map<Viewer, number>();
  const joins: number[] = [];
  const repairTimes: number[] = [];
  const changes: Record<string, number> = {};
  let joined: Viewer[] = [];
  let now = 0;
  let events = 0;
  let mediaBytes = 0;
  let otherBytes = 0;
  let parts = 0;
  let twice = 0;
  let sourceBytes = 0;
  let sourceFanOut = 0;
  let depthEver = 0;
  let watched = 0;
  let lost = 0;
  let smooth = 0;
  let counted = 0;
  let playingAfterKill: number | null = null;
  const measureFrom = arriveMs + 2_000;
  const end = arriveMs + watchMs;

  const nameOf = (index: number): string => `n${index}`;
  const byName = (peer: string): Viewer => all[Number(peer.slice(1))]!;

  const add = (line: Line): Viewer => {
    const index = all.length;
    const own = seeded(seed * 1_000_003 + index);
    const settings: OverlayOptions = {
      self: nameOf(index),
      source: nameOf(0),
      ladder: [{ bitrate }],
      partMs,
      ...(options.without ? { without: options.without } : {}),
    };
    const viewer: Viewer = {
      index,
      line,
      state: createOverlay(settings, now, own),
      random: own,
      alive: true,
      frozen: false,
      slowed: false,
      wasFrozen: false,
      arrivedAt: now,
      joinedAt: Number.NaN,
      uplink: [],
      downUntil: 0,
      wakeScheduled: Number.POSITIVE_INFINITY,
      head: createPlayhead({ partMs, holdBackMs }),
      links: new Map(),
      held: [],
      measured: false,
    };
    all.push(viewer);
    place.set(viewer, live.length);
    live.push(viewer);
    return viewer;
  };

  const remove = (viewer: Viewer): void => {
    settle(viewer);
    viewer.alive = false;
    const at = place.get(viewer)!;
    const last = live.pop()!;
    if (last !== viewer) {
      live[at] = last;
      place.set(last, at);
    }
    place.delete(viewer);
  };

  /** Takes what a viewer saw since everybody arrived into the sums. */
  const base = new Map<Viewer, { stalled: number; skipped: number }>();
  const settle = (viewer: Viewer): void => {
    if (viewer.index === 0 || now < measureFrom || viewer.head.next < 0) return;
    const seen = continuityOf(viewer.head, now);
    const before = base.get(viewer) ?? { stalled: 0, skipped: 0 };
    const time = now - Math.max(measureFrom, viewer.head.startedAt);
    const missed = seen.stalledMs - before.stalled + seen.skippedMs - before.skipped;
    // Who was frozen itself saw nothing of what the others did.
    if (viewer.wasFrozen) return;
    watched += time;
    lost += Math.min(time, missed);
    counted++;
    if (missed === 0) smooth++;
  };

  /** One-way time from a to b; links keep order. */
  const travel = (from: Viewer, to: Viewer, at: number): number => {
    const rtt = roundTrip(from.line, to.line);
    let arrival = at + rtt / 2;
    const last = from.links.get(to.index);
    if (last === undefined) {
      arrival += 2 * rtt;
      if (!to.links.has(from.index)) to.links.set(from.index, 0);
    } else if (arrival < last) {
      arrival = last;
    }
    from.links.set(to.index, arrival);
    return arrival;
  };

  const feed = (viewer: Viewer, event: OverlayEvent): void => {
    if (!viewer.alive) return;
    events++;
    const { effects } = step(viewer.state, event, now, viewer.random);
    for (const effect of effects) perform(viewer, effect);
    const at = wakeAt(viewer.state);
    if (at < viewer.wakeScheduled) {
      viewer.wakeScheduled = Math.max(at, now);
      queue.add(viewer.wakeScheduled, { t: 'wake', to: viewer, at: viewer.wakeScheduled });
    }
  };

  const perform = (viewer: Viewer, effect: Effect): void => {
    switch (effect.type) {
      case 'send': {
        const to = byName(effect.to);
        otherBytes += messageBytes(effect.message) + messageOverhead;
        if (!to.alive) {
          // A closed port answers at once; who vanished does not.
          queue.add(now + 3 * roundTrip(viewer.line, to.line), {
            t: 'event',
            to: viewer,
            event: { type: 'lost', peer: effect.to },
          });
          return;
        }
        const event = { type: 'message', from: nameOf(viewer.index), message: effect.message } as const;
        queue.add(travel(viewer, to, now), { t: 'event', to, event });
        return;
      }
      case 'push': {
        push(viewer, byName(effect.to), effect.part.seq);
        return;
      }
      case 'cancel': {
        // What is on the line goes on.
        const [first, ...rest] = viewer.uplink;
        const to = byName(effect.to);
        const gone = new Set(effect.parts.map(({ seq }) => seq));
        const cancelled = rest.filter((one) => one.to === to && gone.has(one.seq));
        if (cancelled.length === 0) return;
        viewer.uplink = [first!, ...rest.filter((one) => !cancelled.includes(one))];
        for (const { seq } of cancelled) {
          const event = { type: 'drained', to: effect.to, part: { rendition: 0, seq } } as const;
          queue.add(now, { t: 'event', to: viewer, event });
        }
        return;
      }
      case 'drop':
        if (now >= measureFrom) twice++;
        return;
      case 'gap':
        partGivenUp(viewer.head, effect.part.seq, now);
        return;
      case 'attached':
        changes[effect.reason] = (changes[effect.reason] ?? 0) + 1;
        depthEver = Math.max(depthEver, effect.depth);
        if (effect.reason === 'repair' && effect.afterMs !== null && !viewer.wasFrozen)
          repairTimes.push(effect.afterMs);
        return;
      case 'left':
        remove(viewer);
        return;
      default:
        return;
    }
  };

  const bytesOf = (seq: number): number =>
    // Key frames are four times as large as the others; the mean is the bit rate.
    Math.round(((bitrate / 8) * (partMs / 1_000) * (seq % partsPerGop === 0 ? 2.5 : 0.625)) / 1);
  const factsOf = (seq: number): PartFacts => ({
    rendition: 0,
    seq,
    independent: seq % partsPerGop === 0,
    bytes: bytesOf(seq),
  });

  const push = (from: Viewer, to: Viewer, seq: number): void => {
    from.uplink.push({ to, seq });
    if (from.uplink.length === 1) transmit(from);
  };

  /** Puts the first part that waits on the line. */
  const transmit = (from: Viewer): void => {
    const [first] = from.uplink;
    if (!first) return;
    const bytes = bytesOf(first.seq) + partOverhead;
    const uplink = from.line.uplink * (from.slowed ? 0.1 : 1);
    queue.add(now + (bytes * 8_000) / uplink, { t: 'sent', from });
  };

  const sent = (from: Viewer): void => {
    const { to, seq } = from.uplink.shift()!;
    transmit(from);
    const bytes = bytesOf(seq) + partOverhead;
    if (now >= measureFrom) {
      mediaBytes += bytesOf(seq);
      otherBytes += partOverhead;
      if (from.index === 0) sourceBytes += bytes;
    }
    if (to.alive) {
      const arrival = Math.max(travel(from, to, now), to.downUntil + (bytes * 8_000) / to.line.downlink);
      to.downUntil = arrival;
      const event = { type: 'part', from: nameOf(from.index), part: factsOf(seq) } as const;
      queue.add(arrival, { t: 'event', to, event });
    }
    feed(from, { type: 'drained', to: nameOf(to.index), part: { rendition: 0, seq } });
  };

  const receive = (to: Viewer, event: OverlayEvent): void => {
    if (event.type === 'part' && event.from !== null) {
      // The bytes of a sender that died on the way do not arrive.
      if (!byName(event.from).alive) return;
      const { seq, independent } = event.part;
      if (now >= measureFrom) parts++;
      if (independent && Number.isNaN(to.joinedAt)) {
        to.joinedAt = now;
        joined.push(to);
        joins.push(now - to.arrivedAt);
      }
      partArrived(to.head, { seq, independent, edge: Math.floor(now / partMs) - 1 }, now);
    }
    feed(to, event);
  };

  const die = (viewer: Viewer, reset: boolean): void => {
    remove(viewer);
    if (!reset) return;
    for (const index of viewer.links.keys()) {
      const other = all[index]!;
      if (!other.alive) continue;
      queue.add(now + roundTrip(viewer.line, other.line) / 2, {
        t: 'event',
        to: other,
        event: { type: 'lost', peer: nameOf(viewer.index) },
      });
    }
  };

  const arrive = (): void => {
    const viewer = add(drawLine(random));
    if (joined.length > 64 && joined.length > 2 * live.length) joined = joined.filter(({ alive }) => alive);
    const contacts = new Set<number>([0]);
    // A link or the directory names the source and a few who were in two seconds ago.
    for (let i = 0; i < 6 && contacts.size < 4 && joined.length > 0; i++) {
      const one = joined[Math.floor(random() * joined.length)]!;
      if (one.alive && one.joinedAt < now - 2_000) contacts.add(one.index);
    }
    feed(viewer, { type: 'conditions', conditions: viewer.line.conditions });
    feed(viewer, {
      type: 'join',
      contacts: [...contacts].map((index) => ({ peer: nameOf(index), addresses: [] })),
    });
  };

  const anyone = (): Viewer => live[1 + Math.floor(random() * (live.length - 1))]!;
  const repeatersNow = (): Viewer[] => live.filter((one) => one.index !== 0 && one.state.children.size > 0);

  const source = add(
    options.sourceUplink === undefined
      ? sourceLine
      : {
          ...sourceLine,
          uplink: options.sourceUplink,
          conditions: { ...sourceLine.conditions, uplink: options.sourceUplink },
        },
  );
  feed(source, { type: 'conditions', conditions: source.line.conditions });
  for (let seq = 0; (seq + 1) * partMs <= end; seq++) queue.add((seq + 1) * partMs, { t: 'made', seq });
  for (let i = 0; i < count; i++) queue.add((arriveMs * i) / count, { t: 'arrive' });
  queue.add(measureFrom, { t: 'count' });
  if (options.leavePerSecond) queue.add(arriveMs, { t: 'leave' });
  if (options.chaosMs) queue.add(measureFrom + options.chaosMs, { t: 'chaos' });
  if (options.halfKilledMs !== undefined) {
    queue.add(arriveMs + options.halfKilledMs, { t: 'half' });
  }
  let killedAt = Number.NaN;

  const happen = (event: Event): void => {
    switch (event.t) {
      case 'event':
        if (!event.to.alive) return;
        if (event.to.frozen) event.to.held.push(event);
        else receive(event.to, event.event);
        return;
      case 'sent':
        if (!event.from.alive) return;
        if (event.from.frozen) event.from.held.push(event);
        else sent(event.from);
        return;
      case 'wake':
        if (event.to.wakeScheduled !== event.at || !event.to.alive) return;
        if (event.to.frozen) {
          event.to.held.push(event);
          return;
        }
        event.to.wakeScheduled = Number.POSITIVE_INFINITY;
        feed(event.to, { type: 'wake' });
        return;
      case 'made':
        feed(source, { type: 'part', from: null, part: factsOf(event.seq) });
        sourceFanOut = Math.max(sourceFanOut, source.state.children.size);
        return;
      case 'arrive':
        arrive();
        return;
      case 'leave': {
        const viewer = anyone();
        const how = random();
        const inOrder = options.inOrder ?? 0.6;
        if (viewer && !viewer.frozen && viewer.state.phase !== 'leaving') {
          if (how < inOrder) feed(viewer, { type: 'leave' });
          else die(viewer, how < inOrder + (options.killed ?? 0.3));
          arrive();
        }
        queue.add(now + 1_000 / (count * options.leavePerSecond!), { t: 'leave' });
        return;
      }
      case 'chaos': {
        const repeaters = repeatersNow();
        const each = Math.ceil(repeaters.length / 100);
        for (const how of options.chaos ?? ['kill', 'freeze', 'slow']) {
          for (let i = 0; i < each && repeaters.length > 0; i++) {
            const [viewer] = repeaters.splice(Math.floor(random() * repeaters.length), 1);
            if (how === 'kill') die(viewer!, true);
            else {
              viewer![how === 'freeze' ? 'frozen' : 'slowed'] = true;
              viewer!.wasFrozen ||= how === 'freeze';
              queue.add(now + (how === 'freeze' ? 5_000 : 10_000), { t: 'thaw', viewer: viewer! });
            }
          }
        }
        queue.add(now + options.chaosMs!, { t: 'chaos' });
        return;
      }
      case 'thaw': {
        event.viewer.slowed = false;
        if (!event.viewer.frozen) return;
        event.viewer.frozen = false;
        for (const held of event.viewer.held.splice(0)) happen(held);
        return;
      }
      case 'half': {
        const repeaters = repeatersNow();
        for (const viewer of repeaters) if (random() < 0.5) die(viewer, true);
        killedAt = now;
        queue.add(now + 5_000, { t: 'count' });
        return;
      }
      case 'count': {
        if (!Number.isNaN(killedAt)) {
          const there = live.filter((one) => one.index !== 0 && one.arrivedAt < killedAt);
          playingAfterKill =
            there.filter((one) => !continuityOf(one.head, now).stallingNow).length / there.length;
          return;
        }
        for (const viewer of live) {
          const seen = continuityOf(viewer.head, now);
          base.set(viewer, { stalled: seen.stalledMs, skipped: seen.skippedMs });
        }
        return;
      }
      default:
        return;
    }
  };

  for (let next = queue.next(); next && next.time <= end; next = queue.next()) {
    now = next.time;
    happen(next.event);
  }
  now = end;
  for (const viewer of live) settle(viewer);

  // Who came in the last two seconds had no chance to be in time.
  const waiting = all.filter(
    (one) => one.index !== 0 && one.alive && Number.isNaN(one.joinedAt) && now - one.arrivedAt > 2_000,
  ).length;
  joins.sort((a, b) => a - b);
  repairTimes.sort((a, b) => a - b);
  const views = live.filter((one) => one.index !== 0).map((one) => viewOf(one.state));
  const depths = views.filter(({ parent }) => parent !== null).map(({ depth }) => depth);
  return {
    viewers: views.length,
    repeaters: views.filter(({ children }) => children.length > 0).length,
    joinedInTwo: joins.filter((ms) => ms <= 2_000).length / (joins.length + waiting),
    joinMedian: at(joins, 0.5),
    joinP99: at(joins, 0.99),
    depth: Math.max(0, ...depths),
    depthMean: depths.reduce((sum, depth) => sum + depth, 0) / Math.max(1, depths.length),
    depthEver,
    depths: Array.from(
      { length: Math.max(0, ...depths) },
      (_, n) => depths.filter((one) => one === n + 1).length,
    ),
    continuity: watched === 0 ? 0 : 1 - lost / watched,
    smooth: counted === 0 ? 0 : smooth / counted,
    sourceFanOut,
    sourcePerViewer: (sourceBytes * 8_000) / (end - measureFrom) / Math.max(1, views.length),
    overhead: otherBytes / Math.max(1, mediaBytes),
    duplicates: twice / Math.max(1, parts),
    repairs: repairTimes.length,
    repairMedian: at(repairTimes, 0.5),
    repairP95: at(repairTimes, 0.95),
    repairP99: at(repairTimes, 0.99),
    playingAfterKill,
    changes,
    events,
  };
}

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

/** About what the codec makes of it: keys of 32 bytes, one address of 40 bytes for each member. */
function messageBytes(message: Message): number {
  const members = (list: readonly Candidate[]): number => list.length * (34 + 43 + 15 + 34);
  const path = (list: readonly string[]): number => list.length * 34;
  switch (message.type) {
    case 'candidates':
      return 14 + members(message.list);
    case 'probed':
      return 14 + (message.self ? members([message.self]) : 1);
    case 'attach':
      return 20 + 43;
    case 'accepted':
      return 20 + path(message.path);
    case 'refused':
    case 'move':
      return 16 + members(message.list);
    case 'beat':
      return 16 + path(message.path) + members(message.others);
    case 'status':
      return 18 + members(message.below);
    case 'have':
      return 13 + path(message.path) + message.have.reduce((sum, { bits }) => sum + 10 + bits.length, 0);
    case 'pull':
    case 'missing':
      return 12 + 3 * message.seqs.length;
    default:
      return 14;
  }
}
