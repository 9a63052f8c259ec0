import { AppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import type { DeviceId } from '../identity/index.ts';
import type { FrameStream } from '../network/index.ts';
import { decodeBlockFrame, encodeBlockFrame } from './block-frames.ts';
import type { Block } from './block-frames.ts';
import { blockKey, keyToId } from './block-key.ts';
import { limits } from './limits.ts';
import { createRateMeter } from './rate-meter.ts';

export interface LinkDeps {
  readonly peer: DeviceId;
  readonly clock: Clock;
  /** Opens the stream (libp2p or the bulk channel), on first use and again after it failed. */
  readonly open: (signal: AbortSignal) => Promise<FrameStream>;
  /** Resolves when there is room for more received blocks. */
  readonly room: () => Promise<void>;
  /** Blocks that were asked for, each once. Resolves (never rejects) when their bytes are not needed any more. */
  readonly onBlocks: (
    blocks: readonly { readonly key: string; readonly bytes: Uint8Array }[],
  ) => Promise<unknown>;
  readonly onGone: (keys: readonly string[]) => void;
  readonly onForbidden: (drive: string) => void;
  /** It has too much to do for others and does not take these on. */
  readonly onBusy: (keys: readonly string[]) => void;
  /** The stream ended; these were asked for and not answered. */
  readonly onDown: (keys: readonly string[], error: unknown) => void;
}

/** The asking side of the blocks stream to one peer. Opens by itself, keeps count of what was asked. */
export interface BlockLink {
  readonly peer: DeviceId;
  /** Bytes (upper bound) and blocks asked for and not answered yet. */
  readonly outstandingBytes: number;
  readonly outstandingCount: number;
  /** Bytes a second while busy, smoothed; null before the first measurement. */
  readonly rate: number | null;
  /** How long what others asked there keeps it busy, as it last said. It tells changes with its answers; after the last one the time counts. ms */
  readonly waitMs: number;
  /** It sent blocks back a moment ago: it is asked for little at a time. */
  readonly isBusy: boolean;
  /** When the last answer came, or the first question after a pause went out. ms. */
  readonly lastHeard: number;
  /** Streams lost in a row without any answer between. */
  readonly failures: number;
  /** Since when asked blocks may be asked: after failures it rests. ms. */
  readonly restsUntil: number;
  /** The size of the largest block it owes us. */
  largestOutstanding(): number;
  /** Asked for, latest first. */
  outstanding(): readonly string[];
  ask(drive: string, wants: readonly { readonly key: string; readonly size: number }[]): void;
  /** No longer wanted from here; if it comes all the same, it is still handed over. */
  cancel(drive: string, keys: readonly string[]): void;
  /** Ends the stream; what is outstanding comes back through `onDown`. */
  reset(error: Error): void;
  stop(): Promise<void>;
}

/** What is believed of a load. ms */
const longestWaitMs = 60_000;
/** So long a busy source is asked for little at a time: as long as its load lasts, within these bounds. ms */
const shortestBusyMs = 1_000;
const longestBusyMs = 10_000;
/** A source that sends everything back, so often in a row, gives nothing. */
const busyAllowed = 32;
const firstRestMs = 500;
const lastRestMs = 30_000;
/** Cancelled blocks remembered, as they may be on their way. */
const cancelledRemembered = 4096;

export function createBlockLink(deps: LinkDeps): BlockLink {
  const { clock, peer } = deps;
  const stopping = new AbortController();
  const asked = new Map<string, number>();
  /** How often each was asked for and cancelled: each time an answer may have been on its way. */
  const cancelled = new Map<string, number>();
  const meter = createRateMeter(clock);
  let outstandingBytes = 0;
  let lastHeard = 0;
  let failures = 0;
  let waitTold = 0;
  let answeredAt = 0;
  let busyUntil = 0;
  let sentBack = 0;
  let restsUntil = 0;
  let stream: FrameStream | null = null;
  let opening: Promise<void> | null = null;
  let outbox: (readonly Uint8Array[])[] = [];
  let sending = false;
  let session = 0;

  async function open(): Promise<void> {
    const mine = ++session;
    try {
      stream = await deps.open(stopping.signal);
      void flush(stream);
      await readLoop(stream);
      throw new AppError('unreachable', 'The other device closed the block stream.');
    } catch (error) {
      if (mine !== session) return;
      stream?.abort(error instanceof Error ? error : new Error(String(error)));
      stream = null;
      down(error);
    }
  }

  function down(error: unknown): void {
    opening = null;
    outbox = [];
    const keys = [...asked.keys()];
    asked.clear();
    cancelled.clear();
    outstandingBytes = 0;
    meter.pause();
    waitTold = 0;
    sentBack = 0;
    failures++;
    restsUntil = clock.now() + Math.min(firstRestMs * 2 ** (failures - 1), lastRestMs);
    deps.onDown(keys, error);
  }

  async function flush(to: FrameStream): Promise<void> {
    if (sending) return;
    sending = true;
    try {
      while (outbox.length > 0 && stream === to) await to.send(outbox.shift()!);
    } catch {
      // The read loop reports how the stream ended.
    } finally {
      sending = false;
    }
    if (stream && stream !== to && outbox.length > 0) void flush(stream);
  }

  function send(frame: readonly Uint8Array[]): void {
    outbox.push(frame);
    if (stream) void flush(stream);
    else opening ??= open();
  }

  function settle(key: string): boolean {
    const size = asked.get(key);
    if (size === undefined) {
      const times = cancelled.get(key) ?? 0;
      if (times > 1) cancelled.set(key, times - 1);
      else cancelled.delete(key);
      return times > 0;
    }
    asked.delete(key);
    outstandingBytes -= size;
    return true;
  }

  function noteLoad(ms: number): void {
    waitTold = Math.min(ms, longestWaitMs);
  }

  function noteBusy(ms: number): void {
    noteLoad(ms);
    busyUntil = clock.now() + Math.min(Math.max(waitTold, shortestBusyMs), longestBusyMs);
    if (++sentBack > busyAllowed) {
      throw new AppError('timeout', 'The other device sends everything back that it is asked for.');
    }
  }

  async function readLoop(from: FrameStream): Promise<void> {
    for (;;) {
      await deps.room();
      const bytes = await from.read(stopping.signal);
      if (bytes === null) return;
      const frame = decodeBlockFrame(bytes);
      answeredAt = lastHeard = clock.now();
      failures = 0;
      switch (frame.t) {
        case 'blocks':
          meter.received(bytes.length);
          sentBack = 0;
          void deliver(frame.blocks).then(() => from.release?.(bytes));
          break;
        case 'gone':
          deps.onGone(frame.ids.map(blockKey).filter(wasAsked));
          break;
        case 'forbidden':
          deps.onForbidden(frame.drive);
          break;
        case 'load':
          noteLoad(frame.waitMs);
          break;
        case 'busy':
          noteBusy(frame.waitMs);
          deps.onBusy(frame.ids.map(blockKey).filter(wasAsked));
          break;
        default:
          throw new AppError('protocol_violation', `A providing peer sent "${frame.t}".`);
      }
      if (asked.size === 0) meter.pause();
    }
  }

  function deliver(blocks: readonly Block[]): Promise<unknown> {
    const wanted: { key: string; bytes: Uint8Array }[] = [];
    for (const { id, bytes } of blocks) {
      const key = blockKey(id);
      const bound = asked.get(key);
      if (bound !== undefined && bytes.length > bound) {
        throw new AppError('protocol_violation', 'A peer sent a block larger than it can be.');
      }
      if (wasAsked(key)) wanted.push({ key, bytes });
    }
    return deps.onBlocks(wanted);
  }

  function wasAsked(key: string): boolean {
    if (!settle(key)) throw new AppError('protocol_violation', 'A peer answered what it was not asked.');
    return true;
  }

  return {
    peer,
    get outstandingBytes() {
      return outstandingBytes;
    },
    get outstandingCount() {
      return asked.size;
    },
    get rate() {
      return meter.rate();
    },
    get waitMs() {
      return Math.max(0, waitTold - (clock.now() - answeredAt));
    },
    get isBusy() {
      return clock.now() < busyUntil;
    },
    get lastHeard() {
      return lastHeard;
    },
    get failures() {
      return failures;
    },
    get restsUntil() {
      return restsUntil;
    },
    largestOutstanding: () => Math.max(0, ...asked.values()),
    outstanding: () => [...asked.keys()].reverse(),
    ask(drive, wants) {
      if (asked.size === 0) {
        lastHeard = clock.now();
        meter.start();
      }
      for (const { key, size } of wants) {
        // A cancelled block stays remembered: the first answer may be on its way and a second one follow.
        asked.set(key, size);
        outstandingBytes += size;
      }
      for (let at = 0; at < wants.length; at += limits.idsPerWant) {
        const part = wants.slice(at, at + limits.idsPerWant);
        send(
          encodeBlockFrame({
            t: 'want',
            drive,
            wants: part.map(({ key, size }) => ({ id: keyToId(key), size })),
          }),
        );
      }
    },
    cancel(drive, keys) {
      const known = keys.filter((key) => asked.has(key));
      if (known.length === 0) return;
      for (const key of known) {
        settle(key);
        const times = (cancelled.get(key) ?? 0) + 1;
        cancelled.delete(key);
        if (cancelled.set(key, times).size > cancelledRemembered)
          cancelled.delete(cancelled.keys().next().value!);
      }
      send(encodeBlockFrame({ t: 'cancel', drive, ids: known.map(keyToId) }));
      if (asked.size === 0) meter.pause();
    },
    reset(error) {
      if (stream) stream.abort(error);
    },
    async stop() {
      session++;
      stopping.abort();
      stream?.abort(new AppError('cancelled', 'Blocks are no longer wanted.'));
      stream = null;
      await opening;
    },
  };
}
