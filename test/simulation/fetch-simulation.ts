import {
  askedAtOnce,
  chooseSource,
  createRateMeter,
  drainMs,
  isWorthMoving,
  queueMs,
  takesOn,
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
  /** Whether who has fetched a file serves it from then on, as with public drives. */
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
  heardAt: number;
  busyUntil: number;
  readonly asked: Set<Asked>;
}

/** A block that was asked of a source. */
interface Asked {
  /** It is asked elsewhere now. */
  cancelled: boolean;
  taken: boolean;
}

interface Fetch {
  readonly by: Uploader;
  readonly drive: number;
  readonly ways: readonly Way[];
  readonly begun: number;
  left: number;
  toAsk: number;
}

type Event =
  | { readonly t: 'begin' }
  | { readonly t: 'watch'; readonly fetch: Fetch }
  | {
      readonly t: 'want' | 'sent' | 'block' | 'busy';
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
  /** Who came to have a drive by fetching it. */
  const fetched = new Map<number, Uploader[]>();
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

  const having = (drive: number): Uploader[] => [...holders[drive]!, ...(fetched.get(drive) ?? [])];

  /** A node that wants a drive: not one that has it. */
  function pickNode(drive: number): Uploader {
    const has = new Set(having(drive));
    for (;;) {
      const node = options.nodes[Math.floor(random() * options.nodes.length)]!;
      if (!has.has(node) || has.size >= options.nodes.length) return node;
    }
  }

  /** Some of those that have a drive, as the DHT names them. */
  function sourcesOf(drive: number): readonly Uploader[] {
    const all = having(drive);
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
      .map((node): Way => ({
        server: serverOf(node),
        rtt: options.rtt(by, node),
        meter: createRateMeter(clock),
        outstanding: 0,
        queued: 0,
        waitMs: 0,
        heardAt: now,
        busyUntil: 0,
        asked: new Set(),
      }))
      .sort((a, b) => a.rtt - b.rtt);
    const some = options.choice === 'nearest' ? ways.slice(0, 1) : ways;
    const fetch = { by, drive, ways: some, begun: now, left: blocksPerFile, toAsk: blocksPerFile };
    ask(fetch);
    queue.add(now + watchMs, { t: 'watch', fetch });
  }

  /** A source without anything to do takes over from the one that would be ready last. */
  function watch(fetch: Fetch): void {
    if (fetch.left === 0) return;
    queue.add(now + watchMs, { t: 'watch', fetch });
    const idle = fetch.ways.find(({ outstanding }) => outstanding === 0);
    if (fetch.toAsk > 0 || !idle) return;
    const slowest = fetch.ways
      .filter(({ outstanding }) => outstanding > 0)
      .map((way) => ({ way, ms: drainMs({ rate: way.meter.rate(), rtt: null }, way.outstanding) }))
      .sort((a, b) => b.ms - a.ms)[0];
    if (!slowest || !isWorthMoving(slowest.ms, drainMs({ rate: idle.meter.rate(), rtt: null }, blockBytes))) {
      return;
    }
    const asked = [...slowest.way.asked].at(-1)!;
    cancel(slowest.way, asked);
    fetch.toAsk++;
    askOf(fetch, idle);
  }

  function end({ begun, drive, by }: Fetch): void {
    whole.push(now - begun);
    if (!options.sharing) return;
    const some = fetched.get(drive) ?? [];
    if (!some.includes(by)) fetched.set(drive, [...some, by]);
    serverOf(by);
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

  function askOf(fetch: Fetch, way: Way): void {
    if (way.outstanding === 0) {
      way.heardAt = Math.max(way.heardAt, now);
      way.meter.start();
    }
    const asked: Asked = { cancelled: false, taken: false };
    way.asked.add(asked);
    fetch.toAsk--;
    way.outstanding += blockBytes;
    queue.add(now + way.rtt / 2, { t: 'want', fetch, way, asked, waitMs: 0 });
  }

  function ask(fetch: Fetch): void {
    const rates = fetch.ways.map(({ meter }) => meter.rate());
    const usual = usualRate(rates);
    while (fetch.toAsk > 0) {
      const states = fetch.ways.map(({ rtt, meter, outstanding, waitMs, heardAt, busyUntil }) => {
        const rate = meter.rate();
        const window = askedAtOnce({ rate, rtt, isBusy: now < busyUntil }, fetch.ways.length === 1);
        return {
          rate,
          rtt,
          outstanding,
          waitMs: Math.max(0, waitMs - (now - heardAt)),
          silentMs: outstanding > 0 ? Math.max(0, now - heardAt - rtt) : 0,
          hasRoom: outstanding === 0 || outstanding + blockBytes <= window,
        };
      });
      const way = fetch.ways[chooseSource(states, blockBytes, fetch.toAsk * blockBytes, usual)];
      if (!way) return;
      askOf(fetch, way);
    }
  }

  /** What others have asked of the source and were not given, bytes. */
  const others = ({ server, queued }: Way): number =>
    Math.max(0, ((server.freeAt - now) * server.node.upload) / 1000 - queued);

  function happen(event: Event): void {
    if (event.t === 'begin') return begin();
    if (event.t === 'watch') return watch(event.fetch);
    const { fetch, way, asked } = event;
    const { server } = way;
    if (asked.cancelled) return;
    switch (event.t) {
      case 'want': {
        const { upload } = server.node;
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
      case 'busy':
        way.busyUntil = now + Math.min(Math.max(event.waitMs, 1_000), 10_000);
        fetch.toAsk++;
        break;
      case 'block':
        way.meter.received(blockBytes);
        if (fetch.left === blocksPerFile) first.push(now - fetch.begun);
        fetch.left--;
        if (fetch.left === 0) end(fetch);
    }
    way.asked.delete(asked);
    way.outstanding -= blockBytes;
    way.waitMs = event.waitMs;
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
