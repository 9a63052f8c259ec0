import type { Stream } from '@libp2p/interface';
import { Uint8ArrayList } from 'uint8arraylist';
import { AppError } from '../../src-shared/errors.ts';
import { createFrameParser, encodeFrameLength, tooLarge } from '../../src-shared/frame-parser.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import { createSharedMemory, releaseShared } from '../../src-shared/shared-memory.ts';
import type { Shaper } from './shaper.ts';
import type { FrameStream, ProtocolOptions } from './types.ts';

export interface FrameStreamDeps {
  readonly clock: Clock;
  readonly up: Shaper;
  readonly down: Shaper;
  /** Counts a frame of this peer; false when it sends more than it may. */
  readonly allowFrame: () => boolean;
  /** Told when the other side broke the protocol. */
  readonly onViolation: (error: AppError) => void;
}

/** Unread bytes at which the peer is asked to stop; it may still send what its window allows. */
const readHighWater = 256 * 1024;
/** Unsent bytes at which `send` waits. */
const writeHighWater = 512 * 1024;
/** Frames handed in while others wait to be written go out with them, up to so many bytes: each write costs the same, however small. */
const mergedBytes = 64 * 1024;
/** Memory for received frames that is used again, bytes. */
const pooledBytes = 8 * 1024 * 1024;
/** After closing our side: how long the other side may take to close its own while nobody reads, ms. */
const linger = 30_000;

/**
 * Frames over a libp2p stream: back-pressure both ways, limits, time limits and bandwidth shaping. Frames are not buffered
 * before their length was checked; what is unread stays below the stream's receive window.
 * @param stream just opened, nobody else listens to it
 */
export function createFrameStream(
  stream: Stream,
  peer: string,
  options: ProtocolOptions,
  deps: FrameStreamDeps,
): FrameStream {
  const parser = createFrameParser(
    options.maxFrame,
    options.pooled ? createSharedMemory(pooledBytes) : undefined,
  );
  const closed = Promise.withResolvers<void>();
  let failure: AppError | null = null;
  let ended = false;
  let isClosed = false;
  let closing = false;
  let throttled = 0;
  let reading = false;
  let resuming = false;
  let wakeReader: (() => void) | null = null;
  const wakeWriters = new Set<() => void>();
  let sendTail: Promise<void> = Promise.resolve();
  /** Frames that wait for their turn together. */
  let batch: { readonly list: Uint8ArrayList; readonly sent: Promise<void> } | null = null;
  let cancelLinger: (() => void) | null = null;

  function wake(): void {
    wakeReader?.();
    for (const go of wakeWriters) go();
  }

  function fail(error: AppError): AppError {
    if (!failure) {
      failure = error;
      stream.abort(error);
      wake();
    }
    return failure;
  }

  function violate(error: AppError): AppError {
    if (failure) return failure;
    fail(error);
    deps.onViolation(error);
    return error;
  }

  /** Pausing a stream that has just ended throws; there is nothing left to hold back then. */
  function flow(): void {
    // resume() first delivers what is buffered and then opens the window again: a pause from inside that delivery would be
    // undone by half, and the peer could send on without end. So it is decided again when resume() has returned.
    if (resuming) return;
    for (;;) {
      if (stream.readStatus !== 'readable' && stream.readStatus !== 'paused') return;
      const hold = throttled > 0 || (parser.buffered() >= readHighWater && wakeReader === null);
      if (hold) return stream.pause();
      if (stream.readStatus === 'readable') return;
      resuming = true;
      try {
        stream.resume();
      } finally {
        resuming = false;
      }
    }
  }

  stream.addEventListener('message', (event) => {
    const data = event.data as Uint8Array | Uint8ArrayList;
    if (data instanceof Uint8Array) parser.push(data);
    else for (const chunk of data) parser.push(chunk);
    const wait = deps.down.charge(data.byteLength);
    if (wait) {
      throttled += 1;
      void wait.then(() => {
        throttled -= 1;
        flow();
      });
    }
    wakeReader?.();
    flow();
  });
  stream.addEventListener('end', () => {
    // Also fired, before 'close', when the other side gave the stream up: that is no clean end.
    if (stream.status === 'reset' || stream.status === 'aborted') failure ??= lostError();
    ended = true;
    wake();
  });
  for (const name of ['drain', 'idle'] as const) {
    stream.addEventListener(name, () => {
      for (const go of wakeWriters) go();
    });
  }
  stream.addEventListener('close', (event) => {
    isClosed = true;
    cancelLinger?.();
    if (event.error) failure ??= lostError(event.error);
    if (stream.readBufferLength === 0) ended = true;
    wake();
    closed.resolve();
  });
  // It may have ended before anybody listened.
  if (stream.readableEnded) ended = true;
  if (stream.status !== 'open' && stream.status !== 'closing') {
    if (stream.status !== 'closed') failure = lostError();
    isClosed = true;
    ended = true;
    closed.resolve();
  }

  async function waitForRoom(): Promise<void> {
    while (stream.writableNeedsDrain || stream.writeBufferLength > writeHighWater) {
      if (failure) throw failure;
      if (isClosed) throw closedError();
      // libp2p's own onDrain() keeps its first, resolved promise, so it can't be waited on twice.
      await new Promise<void>((resolve) => {
        const go = (): void => {
          wakeWriters.delete(go);
          resolve();
        };
        wakeWriters.add(go);
      });
    }
  }

  async function write(list: Uint8ArrayList): Promise<void> {
    while (list.byteLength > 0) {
      if (failure) throw failure;
      if (isClosed) throw closedError();
      const size = Math.min(list.byteLength, deps.up.slice());
      const wait = deps.up.take(size);
      if (wait) {
        await wait;
        check();
      }
      const part = size === list.byteLength ? new Uint8ArrayList(list) : list.sublist(0, size);
      list.consume(size);
      try {
        stream.send(part);
      } catch (error) {
        throw fail(lostError(error));
      }
      await waitForRoom();
    }
  }

  function check(): void {
    if (failure) throw failure;
    if (isClosed) throw closedError();
  }

  async function waitForData(signal: AbortSignal | undefined): Promise<void> {
    const woken = Promise.withResolvers<void>();
    wakeReader = woken.resolve;
    const onAbort = (): void => woken.resolve();
    signal?.addEventListener('abort', onAbort, { once: true });
    let timedOut = false;
    const cancelTimer =
      options.idleTimeout > 0
        ? deps.clock.after(options.idleTimeout, () => {
            timedOut = true;
            woken.resolve();
          })
        : null;
    try {
      flow();
      await woken.promise;
    } finally {
      wakeReader = null;
      cancelTimer?.();
      signal?.removeEventListener('abort', onAbort);
    }
    // Throttled by our own limit: the silence is ours.
    if (timedOut && throttled === 0 && parser.buffered() === 0) {
      throw fail(new AppError('timeout', 'The other computer did not answer in time.'));
    }
  }

  async function read(signal?: AbortSignal): Promise<Uint8Array | null> {
    for (;;) {
      if (failure) throw failure;
      let frame: Uint8Array | null;
      try {
        frame = parser.next();
      } catch (error) {
        throw violate(error as AppError);
      }
      if (frame) {
        if (!deps.allowFrame()) {
          throw violate(new AppError('rate_limited', 'The other computer sends too many messages.'));
        }
        flow();
        return frame;
      }
      if (ended) {
        if (parser.partial()) {
          throw violate(new AppError('protocol_violation', 'The stream ended in the middle of a frame.'));
        }
        return null;
      }
      if (signal?.aborted) throw new AppError('cancelled', 'Reading was cancelled.');
      await waitForData(signal);
    }
  }

  function armLinger(): void {
    if (isClosed) return;
    cancelLinger = deps.clock.after(linger, () => {
      if (reading) armLinger();
      else fail(new AppError('timeout', 'The other computer did not close its side of a stream.'));
    });
  }

  return {
    peer,
    closed: closed.promise,
    send(frame) {
      if (failure) return Promise.reject(failure);
      if (closing || isClosed) return Promise.reject(closedError());
      const parts = frame instanceof Uint8Array ? [frame] : frame;
      let length = 0;
      for (const part of parts) length += part.length;
      if (length > options.maxFrame) return Promise.reject(tooLarge(length, options.maxFrame));
      const pieces = [encodeFrameLength(length), ...parts.map(ownCopy)];
      if (batch && batch.list.byteLength + length <= mergedBytes) {
        for (const piece of pieces) batch.list.append(piece);
        return batch.sent;
      }
      const list = new Uint8ArrayList(...pieces);
      // Frames of concurrent senders must not mix when they are sent in slices.
      const sent = sendTail.then(() => {
        if (batch?.list === list) batch = null;
        return write(list);
      });
      batch = { list, sent };
      sendTail = sent.catch(() => {});
      return sent;
    },
    async read(signal) {
      if (reading) throw new AppError('internal', 'A stream is already being read.');
      reading = true;
      try {
        return await read(signal);
      } finally {
        reading = false;
      }
    },
    release: releaseShared,
    async close() {
      if (closing) return;
      closing = true;
      await sendTail;
      if (failure || isClosed) return;
      try {
        await stream.close({ signal: AbortSignal.timeout(linger) });
      } catch (error) {
        stream.abort(error as Error);
      }
      armLinger();
    },
    abort(error) {
      fail(error instanceof AppError ? error : new AppError('cancelled', error.message, { cause: error }));
    },
  };
}

function lostError(cause?: unknown): AppError {
  return new AppError('unreachable', 'The other computer ended the stream or the connection was lost.', {
    cause,
  });
}

/** libp2p does not say when it has written bytes: what lies in shared memory is copied, and free again. */
function ownCopy(bytes: Uint8Array): Uint8Array {
  if (!(bytes.buffer instanceof SharedArrayBuffer)) return bytes;
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  releaseShared(bytes);
  return copy;
}

function closedError(): AppError {
  return new AppError('unreachable', 'The stream is closed.');
}
