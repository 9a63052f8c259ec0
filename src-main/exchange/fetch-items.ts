import { AppError } from '../../src-shared/errors.ts';
import type { DeviceId } from '../identity/index.ts';
import type { EntryId } from '../history/index.ts';
import { ciphertextBound } from './block-frames.ts';
import { blockKey, keyToHex } from './block-key.ts';
import type { FetchRequest } from './types.ts';

/** One call of `fetch`. */
export interface Job {
  remaining: number;
  readonly gone: string[];
  failure: unknown;
  readonly finish: () => void;
}

export interface Waiter {
  readonly job: Job;
  readonly accept: FetchRequest['accept'];
}

/** One block somebody waits for, whoever and however many they are. */
export interface Item {
  readonly key: string;
  readonly drive: EntryId;
  readonly size: number;
  waiters: Waiter[];
  /** Asked of these peers and not answered. */
  readonly flying: Set<DeviceId>;
  /** Peers that had it not, and when they said so (ms); Infinity: it sent something else. */
  readonly refused: Map<DeviceId, number>;
  /** Was taken from this peer because it is slow; asked there again only when nobody else is left. */
  avoid: DeviceId | null;
  /** Times it was asked of somebody else before an answer. */
  moves: number;
  accepting: boolean;
}

/** The blocks of one drive that are waited for; those not being asked for stand in `pending`, in order. */
export interface DriveItems {
  readonly items: Map<string, Item>;
  /** Came back from a peer: asked again before everything else. */
  readonly urgent: Map<string, Item>;
  readonly pending: Map<string, Item>;
}

export function createDriveItems(): DriveItems {
  return { items: new Map(), urgent: new Map(), pending: new Map() };
}

/** Adds a job's requests; equal blocks become one item. */
export function addRequests(
  set: DriveItems,
  drive: EntryId,
  job: Job,
  requests: readonly FetchRequest[],
): void {
  for (const request of requests) {
    const key = blockKey(request.ref.id);
    let item = set.items.get(key);
    if (!item) {
      item = {
        key,
        drive,
        size: ciphertextBound(request.ref.len),
        waiters: [],
        flying: new Set(),
        refused: new Map(),
        avoid: null,
        moves: 0,
        accepting: false,
      };
      set.items.set(key, item);
      set.pending.set(key, item);
    }
    item.waiters.push({ job, accept: request.accept });
  }
}

/** Takes the job's part out of every item and returns those nobody else waits for. */
export function dropJob(set: DriveItems, job: Job): Item[] {
  const orphans: Item[] = [];
  for (const item of set.items.values()) {
    const kept = item.waiters.filter((waiter) => waiter.job !== job);
    if (kept.length === item.waiters.length) continue;
    item.waiters = kept;
    if (kept.length === 0 && !item.accepting) {
      removeItem(set, item);
      orphans.push(item);
    }
  }
  return orphans;
}

export function removeItem(set: DriveItems, item: Item): void {
  set.items.delete(item.key);
  set.urgent.delete(item.key);
  set.pending.delete(item.key);
}

/** The item will be asked again, before others, unless it still is asked somewhere. */
export function giveBack(set: DriveItems, item: Item): void {
  if (item.flying.size === 0 && !item.accepting && set.items.get(item.key) === item) {
    set.urgent.set(item.key, item);
  }
}

export function settleWaiter(job: Job, outcome: 'accepted' | { gone: string } | { failure: unknown }): void {
  if (outcome !== 'accepted') {
    if ('gone' in outcome) job.gone.push(outcome.gone);
    else job.failure ??= outcome.failure;
  }
  if (--job.remaining === 0) job.finish();
}

/** What a finished job rejects with, or null. */
export function jobError(job: Job): unknown {
  if (job.failure !== undefined) return job.failure;
  if (job.gone.length === 0) return null;
  return new AppError('gone', 'No device that can be reached has some of the blocks.', {
    details: { ids: job.gone.map(keyToHex) },
  });
}
