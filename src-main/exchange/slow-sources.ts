import { AppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import type { EntryId } from '../history/index.ts';
import type { DeviceId } from '../identity/index.ts';
import type { BlockLink } from './block-link.ts';
import { giveBack } from './fetch-items.ts';
import type { DriveItems, Item } from './fetch-items.ts';
import { drainMs, stallMs } from './pacing.ts';
import { isWorthMoving } from './source-choice.ts';

export interface SlowSourcesDeps {
  readonly clock: Clock;
  /** ms; null before the first measurement. */
  readonly rtt: (peer: DeviceId) => number | null;
  /** Members of the drive that may be asked now, the best first. */
  readonly usable: (drive: EntryId) => readonly DeviceId[];
  readonly links: ReadonlyMap<DeviceId, BlockLink>;
  /** What is fetched under that key, if anything. */
  readonly find: (key: string) => readonly [DriveItems | null, Item | null];
}

/** Takes blocks away from sources that are silent or would be ready last. Looked at every now and then. */
export interface SlowSources {
  /** A source that owes blocks and is silent for too long loses them to others, and in the end its stream. */
  checkStall(link: BlockLink): void;
  /** A source with nothing left to do takes over from the one that would be ready last. */
  steal(drive: EntryId, set: DriveItems): void;
}

/** Blocks taken from a slower source at once. */
const stolenAtOnce = 16;
/** How often a block may be asked elsewhere while still unanswered. */
const movesAllowed = 3;
/** A silent source is given up after this many stall times. */
const silentStalls = 4;

export function createSlowSources(deps: SlowSourcesDeps): SlowSources {
  const { clock, usable, links, find } = deps;

  function checkStall(link: BlockLink): void {
    const silent = clock.now() - link.lastHeard;
    const pace = { rate: link.rate, rtt: deps.rtt(link.peer) };
    const patience = stallMs(pace, link.largestOutstanding()) + link.waitMs;
    if (silent < patience) return;
    if (silent > silentStalls * patience) {
      return link.reset(new AppError('timeout', 'The other device stopped answering.'));
    }
    for (const key of link.outstanding()) {
      const [set, item] = find(key);
      if (set && item) askElsewhere(set, item, link.peer);
    }
  }

  function steal(drive: EntryId, set: DriveItems): void {
    if (set.urgent.size > 0 || set.pending.size > 0) return;
    const peers = usable(drive);
    const idle = peers.filter((peer) => (links.get(peer)?.outstandingCount ?? 0) === 0);
    if (idle.length === 0) return;
    const slowest = peers
      .flatMap((peer) => links.get(peer) ?? [])
      .filter((link) => link.outstandingCount > 0)
      .map((link) => ({
        link,
        ms: drainMs({ rate: link.rate, rtt: null }, link.outstandingBytes) + link.waitMs,
      }))
      .sort((a, b) => b.ms - a.ms)[0];
    if (!slowest) return;
    let left = stolenAtOnce;
    for (const key of slowest.link.outstanding()) {
      if (left === 0) return;
      const item = set.items.get(key);
      if (!item || item.moves >= movesAllowed) continue;
      const taker = idle.find((peer) => !item.refused.has(peer));
      if (!taker) continue;
      const takes = drainMs({ rate: links.get(taker)?.rate ?? null, rtt: null }, item.size);
      if (!isWorthMoving(slowest.ms, takes + (links.get(taker)?.waitMs ?? 0))) continue;
      askElsewhere(set, item, slowest.link.peer);
      left--;
    }
  }

  function askElsewhere(set: DriveItems, item: Item, from: DeviceId): void {
    if (item.moves >= movesAllowed || item.accepting) return;
    const others = usable(item.drive).some((peer) => peer !== from && !item.refused.has(peer));
    if (!others) return;
    item.moves++;
    item.avoid = from;
    item.flying.delete(from);
    links.get(from)?.cancel(item.drive, [item.key]);
    giveBack(set, item);
  }

  return { checkStall, steal };
}
