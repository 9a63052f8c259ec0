import {
  askedAtOnce,
  chooseSource,
  createRateMeter,
  drainMs,
  isWorthMoving,
  lookAgainMs,
  mayHaveByNow,
  pickedFrom,
  queueMs,
  takesOn,
  tellsAtOnce,
  turnOf,
  usualRate,
} from '../../src-main/exchange/index.ts';
import type { RateMeter } from '../../src-main/exchange/index.ts';
import { createEventQueue } from './event-queue.ts';

export interface Place {
  readonly x: number;
  readonly y: number;
}

/** A node that has copies and sends them. */
export interface Uploader extends Place {
  /** Bytes a second it sends at most. */
  readonly upload: number;
}

export interface FetchOptions {
  readonly random: () => number;
  /** Who has each drive now; drives that nobody has are left out. The first are the most wanted. */
  readonly holders: readonly (readonly Uploader[])[];
  /** All that are online: each fetch is by one of them. */
  readonly nodes: readonly Uploader[];
  /** Whether who fetches a file serves what he has of it from then on, as with public drives. */
  readonly sharing: boolean;
  /** Round trip between two places, ms. */
  readonly rtt: (a: Place, b: Place) => number;
  /** Bytes asked for a second, as a share of what all holders together can send. */
  readonly demand: number;
  /** Simulated time in which fetches begin, seconds; each is followed to its end. */
  readonly seconds: number;
  /** `measured`: as the node chooses; `nearest`: the nearest copy only, to compare with. */
  readonly choice: 'measured' | 'nearest';
}

export interface FetchResult {
  readonly fetches: number;
  /** Time until the first block, and until all of a file is there. ms */
  readonly first: { readonly median: number; readonly p99: number };
  readonly whole: { readonly median: number; readonly p99: number };
  /** Time that the busiest node spends sending over the mean of all that have something to send at the end. */
  readonly spread: number;
}

/** A file of 16 blocks. */
const blockBytes = 1024 * 1024;
const blocksPerFile = 16;
/** How unevenly drives are wanted: the n-th gets 1 / n^0.5 of what the first gets. */
const skew = 0.5;
/** Sources that a node looks for, as in the node: more are not dialled. */
const maxSources = 8;
/** How often slow sources are looked at, as in the node. ms */
const watchMs = 500;
/** How often a block may be asked elsewhere while still unanswered, as in the node. */
const movesAllowed = 3;
/** Until the DHT names who has begun to fetch: the node says so at its next look (every 3 s), and telling others takes a while. ms */
const announceMs = 3_000;
/** A source that sends first come, first served. */
interface Server {
  readonly node: Uploader;
  freeAt: number;
  sentMs: number;
}

/** What one fetch knows of one source. */
interface Way {
  readonly server: Server;
  readonly rtt: number;
  readonly meter: RateMeter;
  outstanding: number;
  /** What of it the source has taken on and not sent. */
  queued: number;
  waitMs: number;
  /** What the source last said of that. */
  toldMs: number;
  heardAt: number;
  busyUntil: number;
  readonly asked: Set<Asked>;
  /** Blocks it had not, and when it said so. */
  readonly refused: Map<number, number>;
}

/** A block that was asked of a source. */
interface Asked {
  readonly block: number;
  /** It is asked elsewhere now. */
  cancelled: boolean;
  taken: boolean;
}

interface Fetch {
  readonly by: Uploader;
  readonly salt: string;
  readonly drive: number;
  readonly ways: Way[];
  readonly begun: number;
  /** Blocks that are here. */
  readonly have: Set<number>;
  /** Blocks that are asked of nobody: what came back first, then in order. */
  readonly back: Set<number>;
  readonly waiting: Set<number>;
  /** How often each block was taken from a source to ask another one. */
  readonly moves: Map<number, number>;
}

type Event =
  | { readonly t: 'begin' }
  | { readonly t: 'watch'; readonly fetch: Fetch }
  | { readonly t: 'look'; readonly fetch: Fetch }
  | {
      readonly t: 'want' | 'sent' | 'block' | 'busy' | 'gone' | 'load';
      readonly fetch: Fetch;
      readonly way: Way;
      readonly asked: Asked;
      readonly waitMs: number;
    };

/** Many nodes fetch files at the same time, with the functions the node chooses sources by and bounds its own load by. */
export function simulateFetches(options: FetchOptions): FetchResult {
  const { random, holders } = options;
  const queue = createEventQueue<Event>();
  let now = 0;
  const clock = { now: () => now, after: () => () => {} };
  const servers = new Map<Uploader, Server>();
  const serverOf = (node: Uploader): Server => {
    const found = servers.get(node) ?? { node, freeAt: 0, sentMs: 0 };
    servers.set(node, found);
    return found;
  };
  for (const node of holders.flat()) serverOf(node);
  /** Who came to have a drive by fetching it, or is fetching it: with the fetch, by node. */
  const fetched = new Map<number, Map<Uploader, Fetch>>();
  const capacity = [...servers.keys()].reduce((sum, { upload }) => sum + upload, 0);
  const perSecond = (capacity * options.demand) / (blockBytes * blocksPerFile);
  const wanted: number[] = [];
  holders.forEach((_, n) => wanted.push((wanted[n - 1] ?? 0) + 1 / (n + 1) ** skew));
  const first: number[] = [];
  const whole: number[] = [];

  function pickDrive(): number {
    const at = random() * wanted.at(-1)!;
    let [low, high] = [0, wanted.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (wanted[middle]! < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** A node that wants a drive: not one that has it or is fetching it. */
  function pickNode(drive: number): Uploader {
    const has = new Set(holders[drive]);
    for (const node of fetched.get(drive)?.keys() ?? []) has.add(node);
    for (;;) {
      const node = options.nodes[Math.floor(random() * options.nodes.length)]!;
      if (!has.has(node) || has.size >= options.nodes.length) return node;
    }
  }

  /** Some of those that have a drive or a part of it, as the DHT names them. */
  function sourcesOf(drive: number): readonly Uploader[] {
    const all = [...holders[drive]!];
    if (options.sharing) {
      for (const [node, { begun }] of fetched.get(drive) ?? []) if (now - begun >= announceMs) all.push(node);
    }
    for (let i = 0; i < Math.min(maxSources, all.length); i++) {
      const other = i + Math.floor(random() * (all.length - i));
      [all[i], all[other]] = [all[other]!, all[i]!];
    }
    return all.slice(0, maxSources);
  }

  function begin(): void {
    const drive = pickDrive();
    const by = pickNode(drive);
    const ways = sourcesOf(drive)
      .map((node) => wayTo(by, node))
      .sort((a, b) => a.rtt - b.rtt);
    const some = options.choice === 'nearest' ? ways.slice(0, 1) : ways;
    const fetch: Fetch = {
      by,
      salt: `${by.x}`,
      drive,
      ways: some,
      begun: now,
      have: new Set(),
      back: new Set(),
      moves: new Map(),
      waiting: new Set(Array.from({ length: blocksPerFile }, (_, block) => block)),
    };
    const others = fetched.get(drive) ?? new Map<Uploader, Fetch>();
    fetched.set(drive, others.set(by, fetch));
    if (options.sharing) serverOf(by);
    ask(fetch);
    queue.add(now + watchMs, { t: 'watch', fetch });
    if (!options.sharing) return;
    for (const ms of lookAgainMs.slice(1)) queue.add(now + ms, { t: 'look', fetch });
  }

  function wayTo(by: Uploader, node: Uploader): Way {
    return {
      server: serverOf(node),
      rtt: options.rtt(by, node),
      meter: createRateMeter(clock),
      outstanding: 0,
      queued: 0,
      waitMs: 0,
      toldMs: 0,
      heardAt: now,
      busyUntil: 0,
      asked: new Set(),
      refused: new Map(),
    };
  }

  /** Others may have come since: they are read from as well. */
  function look(fetch: Fetch): void {
    if (fetch.have.size === blocksPerFile) return;
    const known = new Set(fetch.ways.map(({ server }) => server.node));
    for (const node of sourcesOf(fetch.drive)) {
      if (!known.has(node) && node !== fetch.by) fetch.ways.push(wayTo(fetch.by, node));
    }
    ask(fetch);
  }

  /** A source without anything to do takes over from the one that would be ready last. */
  function watch(fetch: Fetch): void {
    if (fetch.have.size === blocksPerFile) return;
    queue.add(now + watchMs, { t: 'watch', fetch });
    if (fetch.back.size + fetch.waiting.size > 0) return ask(fetch);
    const idle = fetch.ways.filter(({ outstanding }) => outstanding === 0);
    const slowest = fetch.ways
      .filter(({ outstanding }) => outstanding > 0)
      .map((way) => ({
        way,
        ms: drainMs({ rate: way.meter.rate(), rtt: null }, way.outstanding) + waitOf(way),
      }))
      .sort((a, b) => b.ms - a.ms)[0];
    if (!slowest) return;
    for (const asked of [...slowest.way.asked].reverse()) {
      const taker = idle.find(({ refused }) => !refused.has(asked.block));
      if (!taker) continue;
      const takes = drainMs({ rate: taker.meter.rate(), rtt: null }, blockBytes) + waitOf(taker);
      const moved = fetch.moves.get(asked.block) ?? 0;
      if (moved >= movesAllowed || !isWorthMoving(slowest.ms, takes)) continue;
      fetch.moves.set(asked.block, moved + 1);
      cancel(slowest.way, asked);
      fetch.back.add(asked.block);
      return askOf(fetch, taker, asked.block);
    }
  }

  function cancel(way: Way, asked: Asked): void {
    asked.cancelled = true;
    way.asked.delete(asked);
    way.outstanding -= blockBytes;
    if (way.outstanding === 0) way.meter.pause();
    if (!asked.taken) return;
    // Those behind it move up; what is scheduled for them stays a little late.
    const ms = (blockBytes * 1000) / way.server.node.upload;
    way.queued -= blockBytes;
    way.server.sentMs -= ms;
    way.server.freeAt = Math.max(now, way.server.freeAt - ms);
  }

  function askOf(fetch: Fetch, way: Way, block: number): void {
    if (way.outstanding === 0) {
      way.heardAt = Math.max(way.heardAt, now);
      way.meter.start();
    }
    const asked: Asked = { block, cancelled: false, taken: false };
    way.asked.add(asked);
    fetch.back.delete(block);
    fetch.waiting.delete(block);
    way.outstanding += blockBytes;
    queue.add(now + way.rtt / 2, { t: 'want', fetch, way, asked, waitMs: 0 });
  }

  const waitOf = ({ waitMs, heardAt }: Way): number => Math.max(0, waitMs - (now - heardAt));

  /** As `assignBlocks` does. */
  function ask(fetch: Fetch): void {
    const usual = usualRate(fetch.ways.map(({ meter }) => meter.rate()));
    const pick = (from: readonly Way[]): Way | undefined => {
      const states = from.map((way) => {
        const rate = way.meter.rate();
        const window = askedAtOnce(
          { rate, rtt: way.rtt, isBusy: now < way.busyUntil },
          fetch.ways.length === 1,
        );
        return {
          rate,
          rtt: way.rtt,
          outstanding: way.outstanding,
          waitMs: waitOf(way),
          silentMs: way.outstanding > 0 ? Math.max(0, now - way.heardAt - way.rtt) : 0,
          hasRoom: way.outstanding === 0 || way.outstanding + blockBytes <= window,
        };
      });
      const ahead = (fetch.back.size + fetch.waiting.size) * blockBytes;
      return from[chooseSource(states, blockBytes, ahead, usual)];
    };
    for (const blocks of [fetch.back, fetch.waiting]) {
      for (const block of [...blocks]) {
        if (!blocks.has(block)) continue;
        const best = pick(fetch.ways.filter(({ refused }) => !refused.has(block)));
        const isTaken = best === undefined || now < best.busyUntil;
        const byNow = fetch.ways.filter((way) =>
          mayHaveByNow(way.refused.get(block), way.outstanding === 0, now),
        );
        const way = (isTaken && pick(byNow)) || best;
        if (!way) continue;
        const among = pickedFrom(now < way.busyUntil, blocks.size);
        askOf(fetch, way, among > 1 ? oneOf(fetch, way, blocks, among) : block);
      }
    }
  }

  function oneOf({ salt }: Fetch, way: Way, blocks: ReadonlySet<number>, among: number): number {
    const turns = [...blocks]
      .slice(0, among)
      .map((block) => ({ block, turn: way.refused.has(block) ? Infinity : turnOf(salt, `${block}`) }));
    return turns.reduce((a, b) => (b.turn < a.turn ? b : a)).block;
  }

  /** What others have asked of the source and were not given, bytes. */
  const others = ({ server, queued }: Way): number =>
    Math.max(0, ((server.freeAt - now) * server.node.upload) / 1000 - queued);

  function happen(event: Event): void {
    if (event.t === 'begin') return begin();
    if (event.t === 'watch') return watch(event.fetch);
    if (event.t === 'look') return look(event.fetch);
    const { fetch, way, asked } = event;
    const { server } = way;
    if (asked.cancelled) return;
    switch (event.t) {
      case 'want': {
        const { upload } = server.node;
        const fetching = fetched.get(fetch.drive)?.get(server.node);
        if (fetching && !fetching.have.has(asked.block)) {
          queue.add(now + way.rtt / 2, { t: 'gone', fetch, way, asked, waitMs: 0 });
          return;
        }
        const isTaken = options.choice === 'nearest' || takesOn(way.queued, others(way), upload, blockBytes);
        if (!isTaken) {
          queue.add(now + way.rtt / 2, {
            t: 'busy',
            fetch,
            way,
            asked,
            waitMs: queueMs(others(way), upload),
          });
          return;
        }
        const ms = (blockBytes * 1000) / upload;
        asked.taken = true;
        way.queued += blockBytes;
        server.sentMs += ms;
        server.freeAt = Math.max(server.freeAt, now) + ms;
        queue.add(server.freeAt, { t: 'sent', fetch, way, asked, waitMs: 0 });
        const waitMs = queueMs(others(way), upload);
        if (options.choice === 'nearest' || !tellsAtOnce(waitMs, way.toldMs)) return;
        way.toldMs = waitMs;
        queue.add(now + way.rtt / 2, { t: 'load', fetch, way, asked, waitMs });
        return;
      }
      case 'sent':
        asked.taken = false;
        way.queued -= blockBytes;
        queue.add(now + way.rtt / 2, {
          t: 'block',
          fetch,
          way,
          asked,
          waitMs: queueMs(others(way), server.node.upload),
        });
        return;
      case 'load':
        way.waitMs = event.waitMs;
        way.heardAt = now;
        return;
      case 'busy':
        way.busyUntil = now + Math.min(Math.max(event.waitMs, 1_000), 10_000);
        fetch.back.add(asked.block);
        break;
      case 'gone':
        way.refused.set(asked.block, now);
        fetch.back.add(asked.block);
        break;
      case 'block':
        way.meter.received(blockBytes);
        if (fetch.have.size === 0) first.push(now - fetch.begun);
        fetch.have.add(asked.block);
        if (fetch.have.size === blocksPerFile) whole.push(now - fetch.begun);
    }
    way.asked.delete(asked);
    way.outstanding -= blockBytes;
    way.waitMs = way.toldMs = event.waitMs;
    way.heardAt = now;
    if (way.outstanding === 0) way.meter.pause();
    ask(fetch);
  }

  for (let at = 0; at < options.seconds * 1000; at += (-1000 * Math.log(1 - random())) / perSecond) {
    queue.add(at, { t: 'begin' });
  }
  for (let next = queue.next(); next !== null; next = queue.next()) {
    now = next.time;
    happen(next.event);
  }
  const loads = [...servers.values()].map(({ sentMs }) => sentMs);
  const mean = loads.reduce((sum, ms) => sum + ms, 0) / loads.length;
  return {
    fetches: whole.length,
    first: quantiles(first),
    whole: quantiles(whole),
    spread: loads.reduce((most, ms) => Math.max(most, ms), 0) / mean,
  };
}

function quantiles(values: number[]): { median: number; p99: number } {
  values.sort((a, b) => a - b);
  const at = (share: number): number => values[Math.floor(values.length * share)] ?? 0;
  return { median: at(0.5), p99: at(0.99) };
}
