import type { MessagePort, Worker } from 'node:worker_threads';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { ErrorCode } from '../../../src-shared/errors.ts';

/*
 * Calls between two threads: each side has functions, the other calls them by name. Values go by structured clone, errors as
 * code and sentence, a cancelled call as a message of its own.
 */

/** Functions by name. What `call` waits for may be cancelled: the last argument is its signal. */
// eslint-disable-next-line typescript/no-explicit-any
export type Functions<F> = { readonly [K in keyof F]: (...args: any[]) => unknown };

type Arguments<F> = F extends (...args: infer A) => unknown ? A : never;
type Answer<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never;

export interface Calls<Theirs> {
  /** @throws what the function threw; `cancelled` after the signal; `internal` when the other side is gone */
  call<K extends keyof Theirs & string>(
    name: K,
    args: Arguments<Theirs[K]>,
    signal?: AbortSignal,
  ): Promise<Answer<Theirs[K]>>;
  /** Calls without waiting; a failure is the other side's to tell of. */
  tell<K extends keyof Theirs & string>(name: K, args: Arguments<Theirs[K]>): void;
  /** The other side is gone: everything waiting fails. */
  end(error: AppError): void;
}

/** One end of a channel between threads. */
export type Port = Worker | MessagePort;

interface FlatError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}
type Message =
  | { readonly t: 'call'; readonly id: number; readonly name: string; readonly args: readonly unknown[] }
  | { readonly t: 'tell'; readonly name: string; readonly args: readonly unknown[] }
  | { readonly t: 'cancel'; readonly id: number }
  | { readonly t: 'done'; readonly id: number; readonly value: unknown }
  | { readonly t: 'failed'; readonly id: number; readonly error: FlatError };

/**
 * Bytes that a message may carry cheaply: cloning a view copies all of the memory under it, which for a small one cut from
 * node's pool or from a batch is many times its size.
 */
export const ownBytes = (bytes: Uint8Array): Uint8Array =>
  bytes.byteLength === bytes.buffer.byteLength && bytes.constructor === Uint8Array
    ? bytes
    : new Uint8Array(bytes);

/**
 * @param onFault told of what is nobody's answer: a function that was only told and failed, an error that is not an `AppError`
 */
export function createCalls<Theirs>(
  port: Port,
  ours: Functions<object>,
  onFault: (error: unknown) => void,
): Calls<Theirs> {
  const waiting = new Map<number, { resolve(value: never): void; reject(error: unknown): void }>();
  const running = new Map<number, AbortController>();
  /** What goes over together: waking the other thread costs more than most messages do. */
  let outbox: Message[] = [];
  let lastId = 0;
  let ended: AppError | null = null;

  function post(message: Message): void {
    if (outbox.length === 0) setImmediate(flush);
    outbox.push(message);
  }
  function flush(): void {
    const messages = outbox;
    outbox = [];
    port.postMessage(messages);
  }

  const flat = (error: unknown): FlatError => {
    if (isAppError(error)) return { code: error.code, message: error.message, details: error.details };
    onFault(error);
    return { code: 'internal', message: 'Something went wrong inside.' };
  };
  const invoke = async (name: string, args: readonly unknown[]): Promise<unknown> =>
    (ours as Record<string, (...all: readonly unknown[]) => unknown>)[name]!(...args);

  async function answer(id: number, name: string, args: readonly unknown[]): Promise<void> {
    const abort = new AbortController();
    running.set(id, abort);
    let message: Message;
    try {
      message = { t: 'done', id, value: await invoke(name, [...args, abort.signal]) };
    } catch (error) {
      message = { t: 'failed', id, error: flat(error) };
    } finally {
      running.delete(id);
    }
    post(message);
  }

  function take(message: Message): void {
    switch (message.t) {
      case 'call':
        return void answer(message.id, message.name, message.args);
      case 'tell':
        return void invoke(message.name, message.args).catch(onFault);
      case 'cancel':
        return running.get(message.id)?.abort();
      default: {
        const call = waiting.get(message.id);
        waiting.delete(message.id);
        if (message.t === 'done') call?.resolve(message.value as never);
        else
          call?.reject(
            new AppError(message.error.code, message.error.message, { details: message.error.details ?? {} }),
          );
      }
    }
  }
  port.on('message', (messages: readonly Message[]) => messages.forEach(take));

  return {
    call(name, args, signal) {
      if (ended) return Promise.reject(ended);
      if (signal?.aborted) return Promise.reject(cancelled());
      const id = ++lastId;
      return new Promise((resolve, reject) => {
        const stop = (): void => {
          post({ t: 'cancel', id });
          if (waiting.delete(id)) reject(cancelled());
        };
        const off = (): void => signal?.removeEventListener('abort', stop);
        waiting.set(id, {
          resolve: (value) => (off(), resolve(value)),
          reject: (error) => (off(), reject(error as Error)),
        });
        signal?.addEventListener('abort', stop, { once: true });
        post({ t: 'call', id, name, args });
      });
    },
    tell(name, args) {
      if (!ended) post({ t: 'tell', name, args });
    },
    end(error) {
      ended = error;
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
      for (const abort of running.values()) abort.abort();
    },
  };
}

const cancelled = (): AppError => new AppError('cancelled', 'It was cancelled.');
