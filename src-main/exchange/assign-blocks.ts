import type { DeviceId } from '../identity/index.ts';
import type { BlockLink } from './block-link.ts';
import type { DriveItems, Item } from './fetch-items.ts';
import { limits } from './limits.ts';
import { askedAtOnce, chooseSource, mayHaveByNow, pickedFrom, turnOf, usualRate } from './source-choice.ts';
import type { SourceState } from './source-choice.ts';

/** Blocks looked at in one round: sources may have refused many of them. */
const lookedAt = 2048;
/** Blocks for which it is better to wait for a good source, before a round ends. */
const waitingAllowed = 32;

/** One source in one round. */
interface Way {
  readonly link: BlockLink;
  readonly rtt: number | null;
  readonly isBusy: boolean;
  /** Bytes it may be asked for at once. */
  readonly window: number;
  readonly silentMs: number;
  readonly waitMs: number;
  /** Asked and not answered, what is chosen now included. */
  bytes: number;
  count: number;
  readonly batch: Item[];
}

/**
 * Gives blocks that are waited for to sources, in order, each to the one it will come from first, until none may be asked for more. Takes
 * them out of the queues and notes where they fly.
 * @param links the drive's sources
 * @param rtt ms; null before the first measurement
 * @param salt differs from node to node
 * @returns what is now to be asked of whom
 */
export function assignBlocks(
  set: DriveItems,
  links: readonly BlockLink[],
  rtt: (peer: DeviceId) => number | null,
  now: number,
  salt: string,
): readonly (readonly [BlockLink, readonly Item[]])[] {
  const peers = links.map(({ peer }) => peer);
  const isOnly = links.length === 1;
  const ways = links
    .filter((link) => link.restsUntil <= now)
    .map((link) => openWay(link, rtt(link.peer), now, isOnly));
  choose(set, peers, ways, now, salt);
  return ways.filter(({ batch }) => batch.length > 0).map(({ link, batch }) => [link, batch]);
}

function openWay(link: BlockLink, rtt: number | null, now: number, isOnly: boolean): Way {
  return {
    link,
    rtt,
    isBusy: link.isBusy,
    window: askedAtOnce({ rate: link.rate, rtt, isBusy: link.isBusy }, isOnly),
    silentMs: link.outstandingCount > 0 ? now - link.lastHeard - (rtt ?? 0) : 0,
    waitMs: link.waitMs,
    bytes: link.outstandingBytes,
    count: link.outstandingCount,
    batch: [],
  };
}

function choose(
  set: DriveItems,
  peers: readonly DeviceId[],
  ways: readonly Way[],
  now: number,
  salt: string,
): void {
  const usual = usualRate(ways.map(({ link }) => link.rate));
  let looked = 0;
  let waiting = 0;
  for (const queue of [set.urgent, set.pending]) {
    for (const item of queue.values()) {
      if (!ways.some((way) => hasRoom(way, item.size))) return;
      if (++looked > lookedAt || waiting > waitingAllowed) return;
      const able = ways.filter((way) => mayAsk(item, way.link.peer, peers));
      const ahead = (set.urgent.size + set.pending.size) * item.size;
      const pick = (from: readonly Way[]): Way | undefined => {
        const states = from.map((one) => stateOf(one, item.size));
        return from[chooseSource(states, item.size, ahead, usual)];
      };
      const best = pick(able);
      const isTaken = best === undefined || best.isBusy;
      const way = (isTaken && pick(ways.filter((one) => hasItByNow(item, one, now)))) || best;
      if (!way) {
        waiting++;
        continue;
      }
      const among = pickedFrom(way.isBusy, queue.size);
      const given = among > 1 ? oneOf(queue, way, peers, salt, among) : item;
      queue.delete(given.key);
      given.flying.add(way.link.peer);
      way.batch.push(given);
      way.bytes += given.size;
      way.count++;
    }
  }
}

/** The block whose turn comes first, of the next ones. */
function oneOf(
  queue: DriveItems['pending'],
  way: Way,
  peers: readonly DeviceId[],
  salt: string,
  among: number,
): Item {
  let best: Item | null = null;
  let least = Number.POSITIVE_INFINITY;
  let looked = 0;
  for (const item of queue.values()) {
    if (++looked > among) break;
    const turn = mayAsk(item, way.link.peer, peers) ? turnOf(salt, item.key) : Number.POSITIVE_INFINITY;
    if (best !== null && turn >= least) continue;
    best = item;
    least = turn;
  }
  return best!;
}

function stateOf(way: Way, size: number): SourceState {
  const { rtt, waitMs, silentMs, bytes } = way;
  return { rate: way.link.rate, rtt, outstanding: bytes, waitMs, silentMs, hasRoom: hasRoom(way, size) };
}

/** A source without anything to do may be asked for a block of any size. */
function hasRoom(way: Way, size: number): boolean {
  return way.count === 0 || (way.bytes + size <= way.window && way.count < limits.windowCount);
}

function mayAsk(item: Item, peer: DeviceId, peers: readonly DeviceId[]): boolean {
  if (item.refused.has(peer) || item.flying.has(peer)) return false;
  return item.avoid !== peer || !peers.some((other) => other !== peer && !item.refused.has(other));
}

/** Whether a source that had nothing to do at the start of the round may have the block by now, though it had it not. */
function hasItByNow(item: Item, { link }: Way, now: number): boolean {
  const isIdle = link.outstandingCount === 0 && !item.flying.has(link.peer);
  return mayHaveByNow(item.refused.get(link.peer), isIdle, now);
}
