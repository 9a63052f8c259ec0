import { AppError } from '../../src-shared/errors.ts';
import type { Entry, FeedTip } from '../history/index.ts';
import type { FrameStream } from '../network/index.ts';
import { createKnownFrontier } from './frontier.ts';
import { decodeHistoryMessage, encodeHistoryMessage } from './history-messages.ts';
import type { HistoryMessage, Rest, WireEarlyBlock } from './history-messages.ts';
import type { ExchangedDrive } from './types.ts';
import { limits } from './limits.ts';

export interface FeedDeps {
  readonly drive: ExchangedDrive;
  readonly stream: FrameStream;
  /** What the subscriber said it has. */
  readonly frontier: readonly FeedTip[];
  /** Asked again before each message: a removed member gets nothing more. */
  readonly allowed: () => boolean;
  readonly rest: () => Rest;
}

/** The serving side of one history stream. */
export interface Feed {
  /** New entries of the drive, from here or from elsewhere. */
  push(entries: readonly Entry[]): void;
  /** The subscriber has these: it sent them, or told so on its own feed. */
  peerHas(entries: readonly Entry[], tips: readonly FeedTip[]): void;
  settledChanged(): void;
  early(token: string, node: string, blocks: readonly WireEarlyBlock[]): void;
  /** Membership may have changed: tells `forbidden` and ends when the peer is no longer one. */
  recheck(): void;
  /** True once everything that was missing has been sent. */
  caughtUp(): boolean;
  /** Serves until the stream ends; rejects with the breach of protocol or transport error that ended it. */
  run(): Promise<void>;
  stop(): void;
}

/** Announcements are hints: when a subscriber is slow, the oldest are forgotten. */
const earlyQueued = 32;

export function createFeed(deps: FeedDeps): Feed {
  const { drive, stream } = deps;
  const known = createKnownFrontier(deps.frontier);
  let queue: Entry[] = [];
  let queuedBytes = 0;
  let backlog = true;
  let tipsDue = true;
  let settledDue = false;
  let earlyDue: HistoryMessage[] = [];
  let ended = false;
  let wake: () => void = () => {};
  let lastBatch = new Set<string>();

  function takeBatch(from: Iterable<Entry>): Entry[] {
    const batch: Entry[] = [];
    let bytes = 0;
    for (const entry of from) {
      if (batch.length > 0 && bytes + entry.bytes.length > limits.entriesBatchBytes) break;
      batch.push(entry);
      bytes += entry.bytes.length;
      if (batch.length >= limits.entriesBatchCount) break;
    }
    return batch;
  }

  /** The next message to send, or null when there is nothing to say. */
  function next(): HistoryMessage | null {
    if (backlog) {
      queue = [];
      queuedBytes = 0;
      // Asked anew for each batch instead of keeping the iterator: it may hold a database cursor open.
      const batch = takeBatch(drive.missingFor(known.tips()));
      const repeated = batch.length > 0 && batch.every((entry) => lastBatch.has(entry.id));
      if (batch.length > 0 && !repeated) {
        lastBatch = new Set(batch.map((entry) => entry.id));
        return entries(batch);
      }
      backlog = false;
      lastBatch = new Set();
    }
    while (queue.length > 0) {
      const taken = takeBatch(queue);
      queue = queue.slice(taken.length);
      for (const entry of taken) queuedBytes -= entry.bytes.length;
      const batch = taken.filter((entry) => !known.covers(entry));
      if (batch.length > 0) return entries(batch);
    }
    if (tipsDue) {
      tipsDue = false;
      settledDue = false;
      return { t: 'tips', frontier: drive.frontier(), rest: deps.rest() };
    }
    if (settledDue) {
      settledDue = false;
      return { t: 'settled', rest: deps.rest() };
    }
    return earlyDue.shift() ?? null;
  }

  function entries(batch: readonly Entry[]): HistoryMessage {
    for (const entry of batch) known.add(entry);
    return { t: 'entries', entries: batch.map((entry) => entry.bytes) };
  }

  async function sendLoop(): Promise<void> {
    while (!ended) {
      if (!deps.allowed()) {
        ended = true;
        await stream.send(encodeHistoryMessage({ t: 'forbidden' }));
        return;
      }
      const message = next();
      if (message) await stream.send(encodeHistoryMessage(message));
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  async function readLoop(): Promise<void> {
    for (;;) {
      const frame = await stream.read();
      if (frame === null) return;
      const message = decodeHistoryMessage(frame);
      if (message.t !== 'have') throw unexpected(message.t);
      known.reset(message.frontier);
      backlog = true;
      tipsDue = true;
      wake();
    }
  }

  return {
    push(added) {
      tipsDue = true;
      if (!backlog) {
        for (const entry of added) {
          queue.push(entry);
          queuedBytes += entry.bytes.length;
        }
        // A slow subscriber is caught up from disk later rather than from memory.
        if (queuedBytes > 8 * limits.entriesBatchBytes) backlog = true;
      }
      wake();
    },
    peerHas(added, tips) {
      for (const entry of added) known.add(entry);
      known.merge(tips);
    },
    settledChanged() {
      settledDue = true;
      wake();
    },
    early(token, node, blocks) {
      for (let at = 0; at < blocks.length; at += limits.earlyBlocks) {
        earlyDue.push({ t: 'early', token, node, blocks: blocks.slice(at, at + limits.earlyBlocks) });
      }
      if (earlyDue.length > earlyQueued) earlyDue = earlyDue.slice(-earlyQueued);
      wake();
    },
    recheck: () => wake(),
    caughtUp: () => !backlog,
    async run() {
      const reading = readLoop().finally(() => {
        ended = true;
        wake();
      });
      // The read loop's own error is the one to report; it is awaited below.
      reading.catch(() => {});
      try {
        await sendLoop();
      } finally {
        ended = true;
        await stream.close().catch(() => {});
      }
      await reading;
    },
    stop() {
      ended = true;
      wake();
    },
  };
}

function unexpected(kind: string): AppError {
  return new AppError(
    'protocol_violation',
    `A subscriber sent "${kind}", which only the serving side may send.`,
  );
}
