import type { Clock } from '../../src-shared/runtime.ts';
import { holdShared, releaseShared } from '../../src-shared/shared-memory.ts';
import { blockKey } from './block-key.ts';

export interface RingBlock {
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
}

/**
 * Ciphertext of blocks just announced or about to be, kept in memory until the peers that are told have fetched it, so that nothing is
 * read and sealed twice. Bounded by bytes; a slow or uninterested peer delays the announcer by at most the patience.
 */
export interface EarlyRing {
  /**
   * Keeps the blocks, which are its own now, for these peers; resolves when there is room for more.
   * @param peers those that were told of them; without any nothing is kept
   */
  put(drive: string, blocks: readonly RingBlock[], peers: readonly string[]): Promise<void>;
  /**
   * Keeps as many of the blocks, which are its own now, as there is room for: peers are told of them soon, with the entry that names
   * them. What nobody fetched in ten seconds is dropped.
   */
  keep(drive: string, blocks: readonly RingBlock[], peers: readonly string[]): void;
  /** Resolves when half of the ring is free, or a moment later: who makes blocks to keep does not run far ahead of those who take them. */
  halfFree(): Promise<void>;
  /** Whether one of these peers is thought to fetch what is kept. */
  wants(peers: readonly string[]): boolean;
  /** The block, if it is here and was meant for that peer's drive; counts as fetched by the peer. To be released by the caller. */
  take(drive: string, key: string, peer: string): Uint8Array | null;
  /** The peer went away: nobody waits for it any more. */
  forgetPeer(peer: string): void;
  forgetDrive(drive: string): void;
  stop(): void;
  readonly bytes: number;
}

interface Held {
  readonly bytes: Uint8Array;
  readonly order: number;
  readonly waitsFor: Set<string>;
  /** A peer that took a block put here this many blocks later does not want this one. */
  readonly skippedAfter: number;
  /** When it is dropped, whoever may want it; ms. */
  readonly until: number;
}

/** Announced blocks are fetched in order; those of small files by hundreds at once. */
const skippedAfter = 64;
const smallSkippedAfter = 2048;
/** How long what is not announced yet is kept. ms. */
const keptMs = 10_000;
/** How long `halfFree` waits while blocks are being taken. ms. */
const movingMs = 250;
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
  let cancelSweep: (() => void) | null = null;

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
        (peer) => (lastTaken.get(peer) ?? -1) > block.order + block.skippedAfter || isUninterested(peer),
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

  /** @returns whether nothing moved for so long; ms */
  function nextMove(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = clock.after(ms, () => resolve(true));
      wake.push(() => {
        cancel();
        resolve(false);
      });
    });
  }

  function giveUp(): void {
    for (const block of held.values()) {
      for (const peer of block.waitsFor) uninterested.set(peer, clock.now() + uninterestedMs);
    }
    for (const [key, block] of held) {
      if (bytes <= capacity / 2) break;
      drop(key, block);
    }
  }

  async function room(): Promise<void> {
    while (bytes > capacity) {
      dropSkipped();
      if (bytes <= capacity) return;
      const before = taken;
      if ((await nextMove(patienceMs)) && taken === before) giveUp();
    }
  }

  async function halfFree(): Promise<void> {
    const start = clock.now();
    const before = taken;
    while (bytes > capacity / 2) {
      const left = start + (taken === before ? patienceMs : movingMs) - clock.now();
      if (left > 0) await nextMove(left);
      else {
        if (taken === before) giveUp();
        return;
      }
    }
  }

  function dropOld(): void {
    for (const [key, block] of held) if (block.until <= clock.now()) drop(key, block);
  }

  function sweepLater(): void {
    cancelSweep ??= clock.after(keptMs, () => {
      cancelSweep = null;
      dropOld();
      for (const { until } of held.values()) if (until !== Infinity) return sweepLater();
    });
  }

  function add(drive: string, block: RingBlock, peers: readonly string[], kept: boolean): void {
    const key = keyOf(drive, blockKey(block.id));
    if (peers.length === 0 || held.has(key) || block.bytes.length > capacity) {
      releaseShared(block.bytes);
      return;
    }
    held.set(key, {
      bytes: block.bytes,
      order: order++,
      waitsFor: new Set(peers),
      skippedAfter: kept ? smallSkippedAfter : skippedAfter,
      until: kept ? clock.now() + keptMs : Infinity,
    });
    bytes += block.bytes.length;
  }

  return {
    async put(drive, blocks, peers) {
      const interested = peers.filter((peer) => !isUninterested(peer));
      for (const block of blocks) add(drive, block, interested, false);
      if (interested.length > 0) await room();
    },
    keep(drive, blocks, peers) {
      const interested = peers.filter((peer) => !isUninterested(peer));
      for (const block of blocks) {
        if (bytes + block.bytes.length > capacity) dropSkipped();
        if (bytes + block.bytes.length > capacity) releaseShared(block.bytes);
        else add(drive, block, interested, true);
      }
      sweepLater();
    },
    halfFree,
    wants: (peers) => peers.some((peer) => !isUninterested(peer)),
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
    stop() {
      cancelSweep?.();
      for (const [key, block] of held) drop(key, block);
      moved();
    },
    get bytes() {
      return bytes;
    },
  };
}
