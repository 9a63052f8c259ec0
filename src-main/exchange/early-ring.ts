import type { Clock } from '../../src-shared/runtime.ts';
import { holdShared, releaseShared } from '../../src-shared/shared-memory.ts';
import { blockKey } from './block-key.ts';

export interface RingBlock {
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
}

/**
 * Ciphertext of blocks just announced, kept in memory until the peers that were told have fetched it, so that nothing is
 * read and sealed twice. Bounded by bytes; a slow or uninterested peer delays the announcer by at most the patience.
 */
export interface EarlyRing {
  /**
   * Keeps the blocks, which are its own now, for these peers; resolves when there is room for more.
   * @param peers those that were told of them; without any nothing is kept
   */
  put(drive: string, blocks: readonly RingBlock[], peers: readonly string[]): Promise<void>;
  /** The block, if it is here and was meant for that peer's drive; counts as fetched by the peer. To be released by the caller. */
  take(drive: string, key: string, peer: string): Uint8Array | null;
  /** The peer went away: nobody waits for it any more. */
  forgetPeer(peer: string): void;
  forgetDrive(drive: string): void;
  readonly bytes: number;
}

interface Held {
  readonly bytes: Uint8Array;
  readonly order: number;
  readonly waitsFor: Set<string>;
}

/** A peer that took a block announced this many blocks later does not want the earlier one. */
const skippedAfter = 64;
/** How long a peer that let the ring run full is not waited for. ms. */
const uninterestedMs = 30_000;

/**
 * @param capacity bytes
 * @param patienceMs longest wait without any block being taken
 */
export function createEarlyRing(clock: Clock, capacity: number, patienceMs: number): EarlyRing {
  const held = new Map<string, Held>();
  /** The newest block each peer took, and until when it is held to be uninterested. */
  const lastTaken = new Map<string, number>();
  const uninterested = new Map<string, number>();
  let bytes = 0;
  let order = 0;
  let taken = 0;
  let wake: (() => void)[] = [];

  const keyOf = (drive: string, key: string): string => `${drive}/${key}`;

  function drop(key: string, block: Held): void {
    held.delete(key);
    bytes -= block.bytes.length;
    releaseShared(block.bytes);
  }

  function moved(): void {
    const waiting = wake;
    wake = [];
    for (const resolve of waiting) resolve();
  }

  function dropSkipped(): void {
    for (const [key, block] of held) {
      const skipped = [...block.waitsFor].every(
        (peer) => (lastTaken.get(peer) ?? -1) > block.order + skippedAfter || isUninterested(peer),
      );
      if (skipped) drop(key, block);
      if (bytes <= capacity) return;
    }
  }

  function isUninterested(peer: string): boolean {
    const until = uninterested.get(peer);
    if (until === undefined) return false;
    if (clock.now() < until) return true;
    uninterested.delete(peer);
    return false;
  }

  async function room(): Promise<void> {
    while (bytes > capacity) {
      dropSkipped();
      if (bytes <= capacity) return;
      const before = taken;
      const timedOut = await new Promise<boolean>((resolve) => {
        const cancel = clock.after(patienceMs, () => resolve(true));
        wake.push(() => {
          cancel();
          resolve(false);
        });
      });
      if (!timedOut || taken !== before) continue;
      for (const block of held.values()) {
        for (const peer of block.waitsFor) uninterested.set(peer, clock.now() + uninterestedMs);
      }
      for (const [key, block] of held) {
        drop(key, block);
        if (bytes <= capacity) break;
      }
    }
  }

  return {
    async put(drive, blocks, peers) {
      const interested = peers.filter((peer) => !isUninterested(peer));
      for (const block of blocks) {
        const key = keyOf(drive, blockKey(block.id));
        if (interested.length === 0 || held.has(key) || block.bytes.length > capacity) {
          releaseShared(block.bytes);
          continue;
        }
        held.set(key, { bytes: block.bytes, order: order++, waitsFor: new Set(interested) });
        bytes += block.bytes.length;
      }
      if (interested.length > 0) await room();
    },
    take(drive, id, peer) {
      const key = keyOf(drive, id);
      const block = held.get(key);
      if (!block) return null;
      taken++;
      uninterested.delete(peer);
      lastTaken.set(peer, Math.max(lastTaken.get(peer) ?? -1, block.order));
      block.waitsFor.delete(peer);
      holdShared(block.bytes);
      if (block.waitsFor.size === 0) drop(key, block);
      moved();
      return block.bytes;
    },
    forgetPeer(peer) {
      lastTaken.delete(peer);
      uninterested.delete(peer);
      for (const [key, block] of held) {
        if (block.waitsFor.delete(peer) && block.waitsFor.size === 0) drop(key, block);
      }
      moved();
    },
    forgetDrive(drive) {
      for (const [key, block] of held) if (key.startsWith(`${drive}/`)) drop(key, block);
      moved();
    },
    get bytes() {
      return bytes;
    },
  };
}
