import type { Socket } from 'node:net';
import { AppError } from '../../../src-shared/errors.ts';
import { createFrameParser, encodeFrameLength } from '../../../src-shared/frame-parser.ts';
import { createSharedMemory, releaseShared } from '../../../src-shared/shared-memory.ts';
import type { FrameStream } from '../../network/index.ts';
import type { DeviceId } from '../../identity/index.ts';

/** Memory for received frames that is used again, bytes. */
const frameBytes = 16 * 1024 * 1024;
/** Smaller parts of a frame are copied together and written so many bytes at a time: each write waits for the one before. */
const smallPart = 128 * 1024;
const gatheredBytes = 256 * 1024;
/** Unread bytes at which the socket is paused. */
const readHighWater = 1024 * 1024;

/**
 * Frames over a socket that is already secured and authenticated: the same framing and back-pressure as over libp2p.
 * @param maxFrame largest frame accepted, bytes
 * @param count told of bytes sent and received, without what TLS adds
 */
export function createSocketFrames(
  socket: Socket,
  peer: DeviceId,
  maxFrame: number,
  count: (sent: number, received: number) => void = () => {},
): FrameStream {
  const parser = createFrameParser(maxFrame, createSharedMemory(frameBytes));
  const closed = Promise.withResolvers<void>();
  let failure: AppError | null = null;
  let ended = false;
  let wakeReader: (() => void) | null = null;
  let tail: Promise<void> = Promise.resolve();
  let gather: Uint8Array | null = null;

  function wake(): void {
    wakeReader?.();
  }
  function fail(error: AppError): AppError {
    failure ??= error;
    socket.destroy();
    wake();
    return failure;
  }

  socket.on('data', (chunk: Buffer) => {
    count(0, chunk.length);
    parser.push(chunk);
    if (parser.buffered() >= readHighWater) socket.pause();
    wakeReader?.();
  });
  socket.on('end', () => {
    ended = true;
    wake();
  });
  socket.on('error', (error) => {
    failure ??= lost(error);
    wake();
  });
  socket.on('close', () => {
    if (!ended) failure ??= lost();
    ended = true;
    wake();
    closed.resolve();
  });

  async function write(parts: readonly Uint8Array[], length: number): Promise<void> {
    if (failure) throw failure;
    if (socket.writableEnded) throw lost();
    count(length, 0);
    // Used again for each frame: they are sent one after another.
    gather ??= new Uint8Array(gatheredBytes);
    let filled = 0;
    // One by one: what waits behind a write is copied together before it is encrypted.
    const send = async (bytes: Uint8Array): Promise<void> => {
      await written(bytes);
      if (failure) throw failure;
    };
    const flush = async (): Promise<void> => {
      if (filled > 0) await send(gather!.subarray(0, filled));
      filled = 0;
    };
    for (const part of [encodeFrameLength(length), ...parts]) {
      if (filled + part.length > gatheredBytes || part.length >= smallPart) await flush();
      if (part.length >= smallPart) {
        await send(part);
        continue;
      }
      gather.set(part, filled);
      filled += part.length;
      releaseShared(part);
    }
    await flush();
  }

  /** Called back when the bytes went to the system, or the socket ended: either way nobody reads them any more. */
  function written(part: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      socket.write(part, () => {
        releaseShared(part);
        resolve();
      });
    });
  }

  return {
    peer,
    closed: closed.promise,
    send(frame) {
      const parts = frame instanceof Uint8Array ? [frame] : frame;
      let length = 0;
      for (const part of parts) length += part.length;
      if (length > maxFrame)
        return Promise.reject(new AppError('too_large', 'A frame is too large to send.'));
      const sent = tail.then(() => write(parts, length));
      tail = sent.catch(() => {});
      return sent;
    },
    async read(signal) {
      for (;;) {
        if (failure) throw failure;
        let frame: Uint8Array | null;
        try {
          frame = parser.next();
        } catch (error) {
          throw fail(error as AppError);
        }
        if (socket.isPaused() && parser.buffered() < readHighWater) socket.resume();
        if (frame) return frame;
        if (ended) {
          if (!parser.partial()) return null;
          throw fail(new AppError('protocol_violation', 'The channel ended in the middle of a frame.'));
        }
        if (signal?.aborted) throw new AppError('cancelled', 'Reading was cancelled.');
        const woken = Promise.withResolvers<void>();
        wakeReader = woken.resolve;
        signal?.addEventListener('abort', woken.resolve as () => void, { once: true });
        await woken.promise;
        wakeReader = null;
        signal?.removeEventListener('abort', woken.resolve as () => void);
      }
    },
    release: releaseShared,
    async close() {
      await tail;
      socket.end();
    },
    abort(error) {
      fail(error instanceof AppError ? error : lost(error));
    },
  };
}

function lost(cause?: unknown): AppError {
  return new AppError('unreachable', 'The connection to the other computer was lost.', { cause });
}
