import { AppError } from '../../../src-shared/errors.ts';
import type { Clock } from '../../../src-shared/runtime.ts';
import type { DeviceId } from '../../identity/index.ts';
import type { FrameStream } from '../../network/index.ts';
import type { PartEntry } from '../part-window.ts';
import { decodeLive, encodeLive } from './frames.ts';
import type { LiveFrame } from './frames.ts';

/** What a link tells the session. */
export interface LinkEvents {
  /** Every frame but those of parts, probes and acknowledgements. Throwing ends the link as a breach. */
  frame(frame: LiveFrame): void;
  /**
   * A part begins.
   * @returns what takes its chunks; null: they are read over. Throwing ends the link as a breach.
   */
  part(header: Uint8Array): PartSink | null;
  /** The other side has read a part that was pushed (or was told that it is cut). */
  drained(entry: PartEntry): void;
  /**
   * It is of no use any more.
   * @param how `ours`: closed by us, in order; `theirs`: by the other side, in order; `broken`: anything else
   * @param unsent pushed and not acknowledged
   */
  closed(how: 'ours' | 'theirs' | 'broken', error: unknown, unsent: readonly PartEntry[]): void;
}

/** How much was read by the other side in how long, while there was always something to send. */
export interface UplinkSample {
  readonly bytes: number;
  readonly ms: number;
}

interface Probing {
  readonly startedAt: number;
  readonly mediaBefore: number;
  left: number;
  readonly done: (sample: UplinkSample | null) => void;
}

/** Takes one incoming part. */
export interface PartSink {
  readonly chunks: number;
  /** A chunk that does not fit its hash throws. */
  chunk(index: number, bytes: Uint8Array): void;
  /** It was cut, or the link was lost. */
  cut(): void;
}

/** One stream of frames between two members of a live stream. Control goes before media; parts go one after another. */
export interface Link {
  readonly peer: DeviceId;
  send(frame: LiveFrame): void;
  /**
   * Sends a part, as far as it is here and then as it comes. `drained` follows.
   * @param old of long ago: everything else goes before it
   */
  push(entry: PartEntry, old?: boolean): void;
  /** Pushes that have not begun are not sent; each still drains. */
  cancel(entry: PartEntry): void;
  /** Media that waits here or on the way, ms. */
  queueMs(): number;
  close(): void;
  abort(error: Error): void;
  /** Bytes of frames. */
  sent(): number;
  received(): number;
  /** Acknowledged bytes a second while there was always something to send; 0: not known yet. */
  uplink(): number;
}

/** Unacknowledged bytes of media on the way at which the next part waits: what a fast and far link needs, and no more. */
const mostUnderway = 1024 * 1024;
/** Bytes that are handed to the transport at a time. */
const mostAtOnce = 64 * 1024;
/** The same for parts of long ago: what is live must not wait behind them. */
const mostOldUnderway = 192 * 1024;
/** Parts may be on the way in any case. */
const leastUnderway = 2;
/** Control frames that may wait for a slow peer. */
const mostControl = 2000;
/** Probes measure over so many bytes. */
const probeBytes = 512 * 1024;
const probeChunk = 16 * 1024;
const probeAhead = 256 * 1024;

/** @param stream just opened or taken; read by nobody else */
export function createLink(
  stream: FrameStream,
  events: LinkEvents,
  deps: {
    readonly clock: Clock;
    readonly onBreach: (error: AppError) => void;
    readonly onUplink?: (sample: UplinkSample) => void;
  },
): Link & {
  /** Reads until the link ends; never throws. */
  run(): Promise<void>;
  /** Sends half a megabyte for nothing and tells how fast it and the media beside it were read; null when the link ended. */
  probe(): Promise<UplinkSample | null>;
} {
  const control: (readonly Uint8Array[])[] = [];
  const queue: PartEntry[] = [];
  const oldQueue: PartEntry[] = [];
  /** Sent, not acknowledged yet. */
  const underway: { entry: PartEntry; sentAt: number }[] = [];
  let underwayBytes = 0;
  let sending: { readonly entry: PartEntry; next: number } | null = null;
  let sent = 0;
  let received = 0;
  let acknowledged = 0;
  let mediaAcknowledged = 0;
  let read = 0;
  let uplink = 0;
  let busySince: number | null = null;
  let busyBytes = 0;
  let ended = false;
  let wake = (): void => {};
  let unwatch = (): void => {};
  let incoming: { readonly sink: PartSink | null; readonly left: number; index: number } | null = null;
  let probing: Probing | null = null;
  /** Bytes of probes that were sent, and that the other side has read. */
  let probesSent = 0;
  let probesRead = 0;

  function finish(how: 'ours' | 'theirs' | 'broken', error: unknown): void {
    if (ended) return;
    ended = true;
    unwatch();
    wake();
    incoming?.sink?.cut();
    incoming = null;
    const unsent = [...underway.map((one) => one.entry), ...queue, ...oldQueue];
    queue.length = 0;
    oldQueue.length = 0;
    probing?.done(null);
    probing = null;
    events.closed(how, error, unsent);
  }

  function write(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) sent += piece.length;
    return stream.send(pieces);
  }

  /** The next frame to send; null: wait. */
  function nextFrame(): readonly Uint8Array[] | null {
    const first = control.shift();
    if (first) return first;
    if (sending) {
      const { entry } = sending;
      const chunk = entry.chunks[sending.next];
      if (chunk) {
        sending.next += 1;
        if (sending.next === entry.header.chunks.length) endPart();
        return encodeLive({ t: 'chunk', bytes: chunk });
      }
      if (!entry.failed) return null;
      endPart();
      return encodeLive({ t: 'cut' });
    }
    if (underwayBytes >= mostUnderway && underway.length >= leastUnderway) return null;
    const entry = queue.shift() ?? (underwayBytes < mostOldUnderway ? oldQueue.shift() : undefined);
    if (!entry) return nextProbe();
    sending = { entry, next: 0 };
    unwatch();
    unwatch = entry.wait(() => wake());
    underway.push({ entry, sentAt: deps.clock.now() });
    underwayBytes += entry.header.length;
    busySince ??= deps.clock.now();
    return encodeLive({ t: 'part', header: entry.header.bytes });
  }

  /** Probes go only while nothing else is there to send, and never far ahead of what was read. */
  function nextProbe(): readonly Uint8Array[] | null {
    if (!probing || probing.left <= 0 || probesSent - probesRead >= probeAhead) return null;
    probing.left -= probeChunk;
    probesSent += probeChunk;
    return encodeLive({ t: 'probe', bytes: new Uint8Array(probeChunk) });
  }

  function onProbed(bytes: number): void {
    if (bytes > probesSent || bytes < probesRead)
      throw new AppError('protocol_violation', 'More of a probe was read than was sent.');
    probesRead = bytes;
    if (probing && probing.left <= 0 && probesRead === probesSent) {
      const { startedAt, mediaBefore, done } = probing;
      probing = null;
      done({
        bytes: probeBytes + mediaAcknowledged - mediaBefore,
        ms: Math.max(deps.clock.now() - startedAt, 1),
      });
    }
    wake();
  }

  function endPart(): void {
    sending = null;
    unwatch();
    unwatch = (): void => {};
  }

  async function pump(): Promise<void> {
    for (;;) {
      // What is there goes out as one write: writes, not bytes, are what passing on costs.
      const writes: Promise<void>[] = [];
      // A link that lags gets frame after frame: control must not wait behind media.
      const upTo = sent + (queue.length > 0 ? 1 : mostAtOnce);
      while (sent < upTo) {
        // What was said before the link was closed still goes out.
        const frame = ended ? control.shift() : nextFrame();
        if (!frame) break;
        writes.push(write(frame));
      }
      if (writes.length > 0) await Promise.all(writes);
      else if (ended) return;
      else {
        await new Promise<void>((resolve) => (wake = resolve));
        // Chunks that came together are all taken up first.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    }
  }

  function onAcknowledged(parts: number): void {
    let count = (parts - acknowledged) >>> 0;
    if (count > underway.length)
      throw new AppError('protocol_violation', 'Parts were acknowledged that were never sent.');
    acknowledged = parts;
    for (; count > 0; count--) {
      const { entry } = underway.shift()!;
      underwayBytes -= entry.header.length;
      mediaAcknowledged += entry.header.length;
      busyBytes += entry.header.length;
      events.drained(entry);
    }
    const now = deps.clock.now();
    if (busySince !== null && now - busySince >= 500) {
      // Only what went out while something always waited says what the uplink carries.
      if (busyBytes > 64 * 1024) {
        uplink = (1000 * busyBytes) / (now - busySince);
        deps.onUplink?.({ bytes: busyBytes, ms: now - busySince });
      }
      busySince = now;
      busyBytes = 0;
    }
    if (underway.length === 0) {
      busySince = null;
      busyBytes = 0;
    }
    wake();
  }

  function endIncoming(): void {
    incoming = null;
    read = (read + 1) >>> 0;
    send({ t: 'acknowledge', parts: read });
  }

  function take(frame: LiveFrame): void {
    switch (frame.t) {
      case 'part': {
        if (incoming) throw new AppError('protocol_violation', 'A part began before the last one ended.');
        const count = Math.ceil((frame.header.length - 188) / 32);
        const sink = events.part(frame.header);
        incoming = { sink, left: sink ? sink.chunks : count, index: 0 };
        return;
      }
      case 'chunk': {
        if (!incoming) throw new AppError('protocol_violation', 'A chunk came that belongs to no part.');
        const { sink, index, left } = incoming;
        incoming.index += 1;
        sink?.chunk(index, frame.bytes);
        if (incoming && incoming.index === left) endIncoming();
        return;
      }
      case 'cut':
        if (!incoming) throw new AppError('protocol_violation', 'A part was cut that had not begun.');
        incoming.sink?.cut();
        endIncoming();
        return;
      case 'acknowledge':
        onAcknowledged(frame.parts);
        return;
      case 'probe':
        probed += frame.bytes.length;
        if (probed > 4 * probeBytes)
          throw new AppError('rate_limited', 'A link is measured again and again.');
        send({ t: 'probed', bytes: probed });
        return;
      case 'probed':
        onProbed(frame.bytes);
        return;
      default:
        events.frame(frame);
    }
  }
  let probed = 0;

  function send(frame: LiveFrame): void {
    if (ended) return;
    control.push(encodeLive(frame));
    if (control.length > mostControl) {
      const error = new AppError('rate_limited', 'The other computer reads too slowly.');
      control.length = 0;
      stream.abort(error);
      finish('broken', error);
    }
    wake();
  }

  return {
    peer: stream.peer,
    send,
    push(entry, old = false) {
      if (ended) return;
      (old ? oldQueue : queue).push(entry);
      wake();
    },
    cancel(entry) {
      const at = queue.indexOf(entry);
      if (at < 0) return;
      queue.splice(at, 1);
      events.drained(entry);
    },
    queueMs() {
      const waiting = [...queue, ...underway.map((one) => one.entry)];
      return waiting.reduce((sum, entry) => sum + entry.header.duration / 90, 0);
    },
    close() {
      finish('ours', null);
    },
    abort(error) {
      control.length = 0;
      stream.abort(error);
      finish('broken', error);
    },
    sent: () => sent,
    received: () => received,
    uplink: () => uplink,
    probe() {
      if (probing || ended) return Promise.resolve(null);
      return new Promise((done) => {
        probing = { startedAt: deps.clock.now(), mediaBefore: mediaAcknowledged, left: probeBytes, done };
        wake();
      });
    },
    async run() {
      const pumping = pump()
        .then(() => stream.close())
        .catch((error: unknown) => finish('broken', error));
      try {
        for (;;) {
          const bytes = await stream.read();
          if (bytes === null) break;
          received += bytes.length;
          // After we have closed it the rest is read over, so that the other side can end in order.
          if (!ended) take(decodeLive(bytes));
        }
        finish('theirs', null);
      } catch (error) {
        if (
          error instanceof AppError &&
          ['malformed', 'protocol_violation', 'bad_hash', 'bad_signature', 'rate_limited'].includes(
            error.code,
          )
        )
          deps.onBreach(error);
        control.length = 0;
        stream.abort(error as Error);
        finish('broken', error);
      }
      await pumping;
    },
  };
}
