import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { ErrorCode } from '../../src-shared/errors.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { FeedTip, IngestResult } from '../history/index.ts';
import type { DeviceId } from '../identity/index.ts';
import type { FrameStream } from '../network/index.ts';
import { sameFrontier } from './frontier.ts';
import { decodeHistoryMessage, encodeHistoryMessage } from './history-messages.ts';
import type { Rest, WireEarlyBlock } from './history-messages.ts';
import type { TurnQueue } from './turn-queue.ts';
import type { ExchangedDrive } from './types.ts';

export interface SubscriptionDeps {
  readonly drive: ExchangedDrive;
  readonly peer: DeviceId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly open: (signal: AbortSignal) => Promise<FrameStream>;
  readonly penalise: (reason: string) => void;
  /** One backlog at a time per drive, so that two peers do not both send all of it. */
  readonly backlogTurn: TurnQueue;
  readonly onIngested: (result: IngestResult) => void;
  readonly onTips: (tips: readonly FeedTip[]) => void;
  readonly onEarly: (token: string, node: string, blocks: readonly WireEarlyBlock[]) => void;
  /** `sameHistory`, `rest` or being subscribed at all changed. */
  readonly onChange: () => void;
}

/** The asking side of one history stream: keeps it open, ingests what comes, asks again for what is missing. */
export interface Subscription {
  /** The peer's frontier as it last told; null while not subscribed. */
  readonly tips: readonly FeedTip[] | null;
  /** It says, and has said again, that it does not serve us the drive: as a rule it does not have it. */
  readonly refused: boolean;
  readonly rest: Rest;
  /** Something changed that may let a refused or failed subscription succeed now. */
  retry(): void;
  /** Our own frontier grew. */
  localChanged(): void;
  stop(): Promise<void>;
}

const firstRetryMs = 2_000;
const lastRetryMs = 60_000;
/** How long two unequal frontiers may stay so before we ask again, doubling up to the last. ms. */
const firstRepairMs = 500;
const lastRepairMs = 60_000;
/** Entries of one stream remembered, to tell an honest overlap from a replay. */
const remembered = 4096;
const replaysAllowed = 16;

/** Rejections an honest peer never causes: it checks entries itself before it keeps them. */
const lies: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'malformed',
  'too_large',
  'bad_signature',
  'bad_hash',
  'bad_link',
  'unknown_writer',
]);

export function createSubscription(deps: SubscriptionDeps): Subscription {
  const { drive, clock } = deps;
  const stopping = new AbortController();
  let tips: readonly FeedTip[] | null = null;
  let refusals = 0;
  let rest: Rest = 'busy';
  let stream: FrameStream | null = null;
  let wakeEarlier: () => void = () => {};
  let retryMs = firstRetryMs;
  let repairMs = firstRepairMs;
  let cancelRepair: (() => void) | null = null;
  /** How often each of the latest entries came on this stream, and how often we asked for what we lack. */
  let arrivals = new Map<string, number>();
  let asked = 0;
  let replays = 0;

  async function session(): Promise<void> {
    const signal = stopping.signal;
    const release = await deps.backlogTurn.take(signal);
    try {
      stream = await deps.open(signal);
      arrivals = new Map();
      asked = 1;
      replays = 0;
      await stream.send(encodeHistoryMessage({ t: 'hello', drive: drive.id, frontier: drive.frontier() }));
      for (;;) {
        const frame = await stream.read(signal);
        if (frame === null) return;
        const message = decodeHistoryMessage(frame);
        switch (message.t) {
          case 'entries':
            countReplays(message.entries);
            release.progress();
            await ingest(message.entries);
            break;
          case 'tips':
            release();
            retryMs = firstRetryMs;
            tips = message.frontier;
            refusals = 0;
            rest = message.rest;
            deps.onTips(tips);
            deps.onChange();
            considerRepair();
            break;
          case 'settled':
            if (rest !== message.rest) {
              rest = message.rest;
              deps.onChange();
            }
            break;
          case 'early':
            deps.onEarly(message.token, message.node, message.blocks);
            break;
          case 'forbidden':
            // Once may mean that it has not heard of our role yet.
            if (++refusals === 2) deps.onChange();
            throw new AppError('forbidden', 'The other device does not serve this drive to this device.');
          default:
            throw new AppError('protocol_violation', `A serving peer sent "${message.t}".`);
        }
      }
    } finally {
      release();
      cancelRepair?.();
      cancelRepair = null;
      stream?.close().catch(() => {});
      stream = null;
      const wasSubscribed = tips !== null;
      tips = null;
      rest = 'busy';
      if (wasSubscribed) deps.onChange();
    }
  }

  async function ingest(entries: readonly Uint8Array[]): Promise<void> {
    const result = await drive.ingest(entries);
    deps.onIngested(result);
    const lie = result.rejected.find((rejection) => lies.has(rejection.error.code));
    if (lie) deps.penalise(`it sent an entry that is refused: ${lie.error.code}`);
    if (result.added.length > 0) repairMs = firstRepairMs;
    deps.onChange();
  }

  function countReplays(entries: readonly Uint8Array[]): void {
    for (const entry of entries) {
      // An entry ends with its signature, which names it well enough here.
      const key = Buffer.from(entry.subarray(-24)).toString('latin1');
      const times = (arrivals.get(key) ?? 0) + 1;
      arrivals.set(key, times);
      // What was on its way when we stated our frontier anew comes again with the answer: once each time we asked is honest.
      if (times > asked && ++replays > replaysAllowed) {
        throw new AppError('protocol_violation', 'A peer keeps sending the same entries again.');
      }
      if (arrivals.size > remembered) arrivals.delete(arrivals.keys().next().value!);
    }
  }

  /** When the frontiers still differ after a while, states ours, so that the peer sends what we lack (after a fork, a lost entry). */
  function considerRepair(): void {
    if (cancelRepair || !tips || sameFrontier(tips, drive.frontier())) return;
    cancelRepair = clock.after(repairMs, () => {
      cancelRepair = null;
      if (!stream || !tips) return;
      const ours = drive.frontier();
      if (sameFrontier(tips, ours)) {
        repairMs = firstRepairMs;
        return;
      }
      repairMs = Math.min(repairMs * 2, lastRepairMs);
      asked += 1;
      stream.send(encodeHistoryMessage({ t: 'have', frontier: ours })).catch(() => {});
      considerRepair();
    });
  }

  async function run(): Promise<void> {
    const { signal } = stopping;
    while (!signal.aborted) {
      try {
        await session();
      } catch (error) {
        if (signal.aborted) return;
        if (isAppError(error, 'malformed') || isAppError(error, 'protocol_violation')) {
          deps.penalise(error.message);
        }
        deps.logger.debug({ peer: deps.peer, drive: drive.id, error }, 'history subscription ended');
      }
      if (signal.aborted) return;
      const ms = retryMs;
      retryMs = Math.min(retryMs * 2, lastRetryMs);
      await new Promise<void>((resolve) => {
        const cancel = clock.after(ms, resolve);
        wakeEarlier = () => {
          cancel();
          resolve();
        };
      });
      wakeEarlier = () => {};
    }
  }
  const running = run();

  return {
    get tips() {
      return tips;
    },
    get rest() {
      return rest;
    },
    get refused() {
      return refusals >= 2;
    },
    retry() {
      retryMs = firstRetryMs;
      wakeEarlier();
    },
    localChanged: considerRepair,
    async stop() {
      stopping.abort();
      wakeEarlier();
      stream?.abort(new AppError('cancelled', 'The subscription is no longer wanted.'));
      await running;
    },
  };
}
