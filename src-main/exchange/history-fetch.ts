import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import type { EntryId } from '../history/index.ts';
import type { DeviceId } from '../identity/index.ts';
import type { FrameStream } from '../network/index.ts';
import { decodeHistoryMessage, encodeHistoryMessage } from './history-messages.ts';
import { limits } from './limits.ts';

export interface HistoryFetchDeps {
  readonly clock: Clock;
  /** Opens a history stream, dialling first when need be. */
  readonly open: (peer: DeviceId, signal: AbortSignal) => Promise<FrameStream>;
  readonly penalise: (peer: DeviceId, reason: string) => void;
}

/** How long a device may take for each message. ms. */
const messageMs = 20_000;

/**
 * Fetches the whole history of a drive that is not known here yet, from the first of the devices that gives it.
 * @returns entries in their stored form, parents before children; they are not checked here
 * @throws AppError `forbidden` when a device answers that we are no member, else `timeout`, `unreachable`, `cancelled`
 */
export async function fetchWholeHistory(
  deps: HistoryFetchDeps,
  driveId: EntryId,
  from: readonly DeviceId[],
  signal: AbortSignal,
): Promise<readonly Uint8Array[]> {
  let failure: unknown = null;
  for (const peer of from) {
    if (signal.aborted) throw cancelled();
    try {
      return await fetchFrom(deps, driveId, peer, signal);
    } catch (error) {
      if (signal.aborted) throw cancelled();
      if (isAppError(error, 'malformed') || isAppError(error, 'protocol_violation')) {
        deps.penalise(peer, error.message);
      }
      if (failure === null || rank(error) > rank(failure)) failure = error;
    }
  }
  if (isAppError(failure, 'forbidden') || isAppError(failure, 'timeout')) throw failure;
  throw new AppError('unreachable', 'No device that has this drive can be reached.', { cause: failure });
}

async function fetchFrom(
  deps: HistoryFetchDeps,
  driveId: EntryId,
  peer: DeviceId,
  signal: AbortSignal,
): Promise<readonly Uint8Array[]> {
  const quiet = new AbortController();
  const both = AbortSignal.any([signal, quiet.signal]);
  let cancelTimer = () => {};
  const heard = (): void => {
    cancelTimer();
    cancelTimer = deps.clock.after(messageMs, () => quiet.abort());
  };
  let stream: FrameStream | null = null;
  try {
    heard();
    stream = await deps.open(peer, both);
    await stream.send(encodeHistoryMessage({ t: 'hello', drive: driveId, frontier: [] }));
    const entries: Uint8Array[] = [];
    let bytes = 0;
    for (;;) {
      const frame = await stream.read(both);
      heard();
      if (frame === null) throw new AppError('unreachable', 'The other device closed the connection.');
      const message = decodeHistoryMessage(frame);
      if (message.t === 'forbidden') {
        throw new AppError('forbidden', 'The other device does not serve this drive to this device.');
      }
      if (message.t === 'tips') return entries;
      if (message.t !== 'entries') continue;
      for (const entry of message.entries) {
        bytes += entry.length;
        // A copy, so that the frame it came in can be freed.
        entries.push(new Uint8Array(entry));
      }
      if (bytes > limits.fetchedHistoryBytes) {
        throw new AppError('too_large', 'The history of this drive is larger than can be fetched.');
      }
    }
  } catch (error) {
    if (quiet.signal.aborted) {
      throw new AppError('timeout', 'The other device does not answer.', { cause: error });
    }
    throw error;
  } finally {
    cancelTimer();
    await stream?.close().catch(() => {});
  }
}

function rank(error: unknown): number {
  if (isAppError(error, 'forbidden')) return 2;
  return isAppError(error, 'timeout') ? 1 : 0;
}

function cancelled(): AppError {
  return new AppError('cancelled', 'Joining was cancelled.');
}
