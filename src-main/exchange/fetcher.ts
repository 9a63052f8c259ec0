import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { DeviceId } from '../identity/index.ts';
import type { EntryId } from '../history/index.ts';
import type { FrameStream } from '../network/index.ts';
import { assignBlocks } from './assign-blocks.ts';
import { createBlockLink } from './block-link.ts';
import type { BlockLink } from './block-link.ts';
import {
  addRequests,
  createDriveItems,
  dropJob,
  giveBack,
  jobError,
  removeItem,
  settleWaiter,
} from './fetch-items.ts';
import type { DriveItems, Item, Job } from './fetch-items.ts';
import { limits } from './limits.ts';
import { createSlowSources } from './slow-sources.ts';
import type { FetchRequest } from './types.ts';

export interface FetcherDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Connected members of the drive, the best first. */
  readonly sources: (drive: EntryId) => readonly DeviceId[];
  readonly rtt: (peer: DeviceId) => number | null;
  readonly self: DeviceId;
  readonly open: (peer: DeviceId, signal: AbortSignal) => Promise<FrameStream>;
  readonly penalise: (peer: DeviceId, reason: string) => void;
  readonly onReceived: (drive: EntryId, bytes: number) => void;
}

/** Gets blocks from whoever has them, each from where it will be here first (see source-choice.ts). */
export interface Fetcher {
  fetch(drive: EntryId, requests: readonly FetchRequest[], signal: AbortSignal): Promise<void>;
  /** Peers came, went, or became or ceased to be members. */
  sourcesChanged(): void;
  /** The peer is disconnected. */
  dropPeer(peer: DeviceId): void;
  /** Cancels what is asked for that drive. */
  dropDrive(drive: EntryId): void;
  stop(): Promise<void>;
}

/** How often silent and slow sources are looked at. ms. */
const watchMs = 500;
/** A source that failed this often in a row counts as having nothing, until it rested. */
const failuresAllowed = 4;
const forbiddenMs = 30_000;

export function createFetcher(deps: FetcherDeps): Fetcher {
  const { clock } = deps;
  const drives = new Map<EntryId, DriveItems>();
  const links = new Map<DeviceId, BlockLink>();
  /** `peer/drive` that answered `forbidden`, until when. */
  const forbidden = new Map<string, number>();
  let accepting = 0;
  let roomWaiters: (() => void)[] = [];
  let cancelWatch: (() => void) | null = null;
  let scheduled = false;
  let stopped = false;

  function usable(drive: EntryId): readonly DeviceId[] {
    const now = clock.now();
    return deps.sources(drive).filter((peer) => {
      if ((forbidden.get(`${peer}/${drive}`) ?? 0) > now) return false;
      const link = links.get(peer);
      return !link || link.failures < failuresAllowed || link.restsUntil <= now;
    });
  }

  const slow = createSlowSources({ clock, rtt: (peer) => deps.rtt(peer), usable, links, find });

  function linkTo(peer: DeviceId): BlockLink {
    let link = links.get(peer);
    if (!link) links.set(peer, (link = newLink(peer)));
    return link;
  }

  function newLink(peer: DeviceId): BlockLink {
    return createBlockLink({
      peer,
      clock,
      open: (signal) => deps.open(peer, signal),
      room: async () => {
        while (accepting > limits.acceptingBytes) await new Promise<void>((r) => roomWaiters.push(r));
      },
      onBlocks(blocks) {
        const used = blocks.map(({ key, bytes }) => received(peer, key, bytes));
        schedule();
        return Promise.all(used);
      },
      onGone(keys) {
        for (const key of keys) {
          const [set, item] = find(key);
          if (!set || !item) continue;
          item.flying.delete(peer);
          item.refused.set(peer, clock.now());
          giveBack(set, item);
        }
        schedule();
      },
      onBusy(keys) {
        lost(peer, keys);
      },
      onForbidden(drive) {
        forbidden.set(`${peer}/${drive}`, clock.now() + forbiddenMs);
        const set = drives.get(drive);
        const back =
          links
            .get(peer)
            ?.outstanding()
            .filter((key) => set?.items.has(key)) ?? [];
        links.get(peer)?.cancel(drive, back);
        lost(peer, back);
      },
      onDown(keys, error) {
        if (
          isAppError(error, 'malformed') ||
          isAppError(error, 'protocol_violation') ||
          isAppError(error, 'too_large')
        ) {
          deps.penalise(peer, error.message);
        }
        deps.logger.debug({ peer, error }, 'block stream ended');
        lost(peer, keys);
      },
    });
  }

  function find(key: string): [DriveItems | null, Item | null] {
    for (const set of drives.values()) {
      const item = set.items.get(key);
      if (item) return [set, item];
    }
    return [null, null];
  }

  function lost(peer: DeviceId, keys: readonly string[]): void {
    for (const key of keys) {
      const [set, item] = find(key);
      if (!set || !item) continue;
      item.flying.delete(peer);
      giveBack(set, item);
    }
    schedule();
  }

  async function received(peer: DeviceId, key: string, bytes: Uint8Array): Promise<void> {
    const [set, item] = find(key);
    if (!set || !item) return;
    deps.onReceived(item.drive, bytes.length);
    item.flying.delete(peer);
    if (item.accepting) return;
    item.accepting = true;
    set.urgent.delete(key);
    set.pending.delete(key);
    accepting += bytes.length;
    const size = bytes.length;
    await accept(peer, set, item, bytes).finally(() => {
      accepting -= size;
      if (accepting <= limits.acceptingBytes) {
        const waiting = roomWaiters;
        roomWaiters = [];
        for (const resolve of waiting) resolve();
      }
      schedule();
    });
  }

  async function accept(peer: DeviceId, set: DriveItems, item: Item, bytes: Uint8Array): Promise<void> {
    let lie = false;
    // Who asks for the block while it is being accepted gets it, too, unless an accept has moved its memory away.
    while (item.waiters.length > 0 && !lie && bytes.length > 0) lie = await acceptOnce(item, bytes);
    item.accepting = false;
    if (lie) {
      item.refused.set(peer, Number.POSITIVE_INFINITY);
      deps.penalise(peer, 'it sent a block that does not match its id');
    }
    // Waiters that came meanwhile, or whose bytes were wrong, are still to be served.
    if (item.waiters.length > 0) return giveBack(set, item);
    for (const other of item.flying) links.get(other)?.cancel(item.drive, [item.key]);
    if (set.items.get(item.key) === item) removeItem(set, item);
  }

  /** @returns whether the bytes turned out not to be the block; who found out still waits then */
  async function acceptOnce(item: Item, bytes: Uint8Array): Promise<boolean> {
    const takers = item.waiters;
    item.waiters = [];
    const results = await Promise.allSettled(takers.map(async (taker) => taker.accept(bytes)));
    let lie = false;
    results.forEach((result, i) => {
      const taker = takers[i]!;
      if (result.status === 'fulfilled') settleWaiter(taker.job, 'accepted');
      else if (isAppError(result.reason, 'bad_hash')) {
        lie = true;
        item.waiters.push(taker);
      } else settleWaiter(taker.job, { failure: result.reason });
    });
    return lie;
  }

  /** Everything that follows from a change happens once, in the next microtask. */
  function schedule(): void {
    if (scheduled || stopped) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      if (stopped) return;
      for (const [drive, set] of drives) assign(drive, set);
      watch();
    });
  }

  function assign(drive: EntryId, set: DriveItems): void {
    const peers = usable(drive);
    settleGone(set, peers);
    if (set.items.size === 0) return;
    const links = peers.map(linkTo);
    for (const [link, batch] of assignBlocks(set, links, deps.rtt, clock.now(), deps.self))
      link.ask(drive, batch);
  }

  /** Blocks that every source refused are gone. Only what came back can have become so, unless the sources changed. */
  function settleGone(set: DriveItems, peers: readonly DeviceId[]): void {
    const queues = peers.length === 0 ? [set.urgent, set.pending] : [set.urgent];
    for (const queue of queues) {
      for (const item of queue.values()) {
        if (peers.some((peer) => !item.refused.has(peer))) continue;
        removeItem(set, item);
        for (const waiter of item.waiters) settleWaiter(waiter.job, { gone: item.key });
      }
    }
  }

  function watch(): void {
    const busy = [...drives.values()].some((set) => set.items.size > 0);
    if (!busy || cancelWatch || stopped) return;
    cancelWatch = clock.after(watchMs, () => {
      cancelWatch = null;
      // Our own back-pressure is no fault of the sources.
      if (accepting <= limits.acceptingBytes) {
        for (const link of links.values()) if (link.outstandingCount > 0) slow.checkStall(link);
      }
      for (const [drive, set] of drives) slow.steal(drive, set);
      schedule();
      watch();
    });
  }

  return {
    async fetch(drive, requests, signal) {
      if (stopped) throw new AppError('shutting_down', 'The node is stopping.');
      if (signal.aborted) throw cancelled();
      if (requests.length === 0) return;
      let set = drives.get(drive);
      if (!set) drives.set(drive, (set = createDriveItems()));
      const mine = set;
      const done = Promise.withResolvers<void>();
      const job: Job = {
        remaining: requests.length,
        gone: [],
        failure: undefined,
        finish: () => {
          const error = jobError(job);
          if (error === null) done.resolve();
          else done.reject(error);
        },
      };
      const abort = (): void => {
        cancelItems(drive, dropJob(mine, job));
        done.reject(cancelled());
      };
      signal.addEventListener('abort', abort, { once: true });
      addRequests(set, drive, job, requests);
      schedule();
      try {
        await done.promise;
      } finally {
        signal.removeEventListener('abort', abort);
        if (mine.items.size === 0 && drives.get(drive) === mine) drives.delete(drive);
      }
    },
    sourcesChanged() {
      forbidden.clear();
      // Any item may be without a source now, also those never asked.
      for (const [drive, set] of drives) {
        const peers = usable(drive);
        for (const [key, item] of set.pending) {
          if (item.refused.size === 0 && peers.length > 0) continue;
          set.pending.delete(key);
          set.urgent.set(key, item);
        }
      }
      schedule();
    },
    dropPeer(peer) {
      const link = links.get(peer);
      if (!link) return;
      links.delete(peer);
      const keys = link.outstanding();
      void link.stop();
      lost(peer, keys);
      for (const set of drives.values()) for (const item of set.items.values()) item.refused.delete(peer);
    },
    dropDrive(drive) {
      const set = drives.get(drive);
      if (!set) return;
      drives.delete(drive);
      for (const item of [...set.items.values()]) {
        removeItem(set, item);
        cancelItems(drive, [item]);
        for (const waiter of item.waiters) settleWaiter(waiter.job, { failure: cancelled() });
      }
    },
    async stop() {
      stopped = true;
      cancelWatch?.();
      const error = new AppError('shutting_down', 'The node is stopping.');
      for (const set of drives.values()) {
        for (const item of set.items.values()) {
          for (const waiter of item.waiters) settleWaiter(waiter.job, { failure: error });
          item.waiters = [];
        }
      }
      drives.clear();
      await Promise.all([...links.values()].map((link) => link.stop()));
      links.clear();
    },
  };

  function cancelItems(drive: EntryId, items: readonly Item[]): void {
    const byPeer = new Map<DeviceId, string[]>();
    for (const item of items) {
      for (const peer of item.flying) {
        const keys = byPeer.get(peer);
        if (keys) keys.push(item.key);
        else byPeer.set(peer, [item.key]);
      }
    }
    for (const [peer, keys] of byPeer) links.get(peer)?.cancel(drive, keys);
  }
}

function cancelled(): AppError {
  return new AppError('cancelled', 'The transfer was cancelled.');
}
