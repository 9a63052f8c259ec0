import { Worker } from 'node:worker_threads';
import { AppError } from '../../../src-shared/errors.ts';
import { releaseShared } from '../../../src-shared/shared-memory.ts';
import type { DeviceId } from '../../identity/index.ts';
import type { FrameStream } from '../../network/index.ts';
import type { BulkAddress } from './bulk-messages.ts';
import type { BulkCertificate } from './certificate.ts';
import type { FromThread, ThreadError, ToThread } from './thread-messages.ts';

/** A TLS connection that lives in the thread. */
export interface BulkSocket {
  /** Frames over it: the same as over libp2p. Once. */
  frames(peer: DeviceId, maxFrame: number, count: (sent: number, received: number) => void): FrameStream;
  destroy(): void;
}

/** The thread of the bulk channel, started when first needed. When it breaks, all of its channels end. */
export interface BulkThread {
  /** Listens; `onToken` gets each connection with the token it showed and must destroy those it does not know. */
  listen(
    certificate: BulkCertificate,
    ips: readonly string[],
    onToken: (token: Uint8Array, socket: BulkSocket) => void,
  ): Promise<readonly BulkAddress[]>;
  /**
   * Connects, checks that the certificate is the one expected, and shows the token.
   * @throws AppError `unreachable`, `bad_hash` (somebody else answers there)
   */
  dial(
    host: string,
    port: number,
    fingerprint: Uint8Array,
    token: Uint8Array,
    signal: AbortSignal,
  ): Promise<BulkSocket>;
  /** Ends the thread and everything in it. */
  stop(): void;
}

/** What is being written at which `send` waits, bytes. */
const writeHighWater = 4 * 1024 * 1024;

interface Channel {
  frame(frame: Uint8Array): void;
  sent(bytes: number): void;
  ended(error: AppError | null): void;
  closed(): void;
}
interface Call {
  done(message: FromThread): void;
  fail(error: AppError): void;
}

/** @param onBroken told when the thread ended by itself: what listened there listens no more */
export function createBulkThread(onBroken: () => void): BulkThread {
  let worker: Worker | null = null;
  let lastCall = 0;
  let onToken: ((token: Uint8Array, socket: BulkSocket) => void) | null = null;
  const calls = new Map<number, Call>();
  const channels = new Map<number, Channel>();

  function start(): Worker {
    const made = new Worker(new URL('./bulk-worker.ts', import.meta.url), {
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 },
    });
    made.unref();
    made.on('message', (message: FromThread) => hear(message));
    const broken = (cause?: unknown): void => {
      if (worker !== made) return;
      worker = null;
      endAll(new AppError('unreachable', 'The thread of the bulk channel ended.', { cause }));
      onBroken();
    };
    made.on('error', broken);
    made.on('exit', () => broken());
    return made;
  }

  function endAll(error: AppError): void {
    for (const call of calls.values()) call.fail(error);
    calls.clear();
    for (const channel of channels.values()) {
      channel.ended(error);
      channel.closed();
    }
    channels.clear();
  }

  function tell(message: ToThread): void {
    worker ??= start();
    worker.postMessage(message);
  }

  function hear(message: FromThread): void {
    switch (message.t) {
      case 'listening':
      case 'dialled':
        calls.get(message.call)?.done(message);
        calls.delete(message.call);
        break;
      case 'failed':
        calls.get(message.call)?.fail(revived(message.error));
        calls.delete(message.call);
        break;
      case 'shown':
        if (onToken) onToken(message.token, socketOf(message.id));
        else tell({ t: 'destroy', id: message.id });
        break;
      case 'frame':
        // Of a channel that was given up meanwhile: nobody reads it.
        if (!channels.has(message.id)) return releaseShared(message.frame);
        channels.get(message.id)!.frame(message.frame);
        break;
      case 'sent':
        channels.get(message.id)?.sent(message.bytes);
        break;
      case 'ended':
        channels.get(message.id)?.ended(message.error && revived(message.error));
        break;
      case 'closed': {
        const channel = channels.get(message.id);
        channels.delete(message.id);
        channel?.closed();
        break;
      }
    }
  }

  function call(make: (call: number) => ToThread): { id: number; answer: Promise<FromThread> } {
    const id = ++lastCall;
    const { promise, resolve, reject } = Promise.withResolvers<FromThread>();
    calls.set(id, { done: resolve, fail: reject });
    tell(make(id));
    return { id, answer: promise };
  }

  function socketOf(id: number): BulkSocket {
    return {
      destroy: () => tell({ t: 'destroy', id }),
      frames(peer, maxFrame, count) {
        const { stream, channel } = createFrames(id, peer, maxFrame, count, tell);
        channels.set(id, channel);
        tell({ t: 'use', id, maxFrame });
        return stream;
      },
    };
  }

  return {
    async listen(certificate, ips, told) {
      onToken = told;
      const { cert, key } = certificate;
      const answer = await call((id) => ({ t: 'listen', call: id, cert, key, ips })).answer;
      return answer.t === 'listening' ? answer.addresses : [];
    },
    async dial(host, port, fingerprint, token, signal) {
      if (signal.aborted) throw new AppError('cancelled', 'The bulk channel is not wanted any more.');
      const { id, answer } = call((own) => ({ t: 'dial', call: own, host, port, fingerprint, token }));
      const hangUp = (): void => tell({ t: 'hangUp', call: id });
      signal.addEventListener('abort', hangUp, { once: true });
      const dialled = await answer.finally(() => signal.removeEventListener('abort', hangUp));
      if (dialled.t !== 'dialled')
        throw new AppError('internal', 'The thread of the bulk channel answered wrongly.');
      return socketOf(dialled.id);
    },
    stop() {
      const ending = worker;
      worker = null;
      void ending?.terminate();
      endAll(new AppError('shutting_down', 'The node is stopping.'));
    },
  };
}

/** The main thread's end of one channel. */
function createFrames(
  id: number,
  peer: DeviceId,
  maxFrame: number,
  count: (sent: number, received: number) => void,
  tell: (message: ToThread) => void,
): { stream: FrameStream; channel: Channel } {
  const closed = Promise.withResolvers<void>();
  const frames: Uint8Array[] = [];
  let failure: AppError | null = null;
  let ended = false;
  let gone = false;
  let unsent = 0;
  let wakeReader: (() => void) | null = null;
  const wakeWriters: (() => void)[] = [];

  function wake(): void {
    wakeReader?.();
    for (const go of wakeWriters.splice(0)) go();
  }
  function fail(error: AppError): void {
    failure ??= error;
    if (!gone) tell({ t: 'destroy', id });
    wake();
  }

  const stream: FrameStream = {
    peer,
    closed: closed.promise,
    async send(frame) {
      const parts = frame instanceof Uint8Array ? [frame] : frame;
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      if (length > maxFrame) throw new AppError('too_large', 'A frame is too large to send.');
      if (failure) throw failure;
      if (gone) throw lost();
      count(length, 0);
      unsent += length;
      tell({ t: 'send', id, parts });
      while (unsent > writeHighWater && !failure && !gone) {
        await new Promise<void>((resolve) => wakeWriters.push(resolve));
      }
      if (failure) throw failure;
    },
    async read(signal) {
      for (;;) {
        if (failure) throw failure;
        const frame = frames.shift();
        if (frame) {
          tell({ t: 'taken', id, bytes: frame.length });
          return frame;
        }
        if (ended) return null;
        if (signal?.aborted) throw new AppError('cancelled', 'Reading was cancelled.');
        const woken = Promise.withResolvers<void>();
        const onAbort = (): void => woken.resolve();
        wakeReader = woken.resolve;
        signal?.addEventListener('abort', onAbort, { once: true });
        await woken.promise;
        wakeReader = null;
        signal?.removeEventListener('abort', onAbort);
      }
    },
    release: releaseShared,
    async close() {
      if (!gone) tell({ t: 'close', id });
    },
    abort(error) {
      fail(error instanceof AppError ? error : lost(error));
    },
  };
  const channel: Channel = {
    frame(frame) {
      count(0, frame.length);
      if (failure) return releaseShared(frame);
      frames.push(frame);
      wakeReader?.();
    },
    sent(bytes) {
      unsent -= bytes;
      if (unsent <= writeHighWater) for (const go of wakeWriters.splice(0)) go();
    },
    ended(error) {
      ended = true;
      if (error) failure ??= error;
      wake();
    },
    closed() {
      gone = true;
      if (!ended) failure ??= lost();
      wake();
      closed.resolve();
    },
  };
  return { stream, channel };
}

const revived = ({ code, message }: ThreadError): AppError => new AppError(code, message);

function lost(cause?: unknown): AppError {
  return new AppError('unreachable', 'The connection to the other computer was lost.', { cause });
}
