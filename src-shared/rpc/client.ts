import { AppError } from '../errors.ts';
import type { Clock } from '../runtime.ts';
import type { AnyEntry, Contract, InputOf, OutputOf } from './contract.ts';
import { creditWindow, decodeServerFrame, encodeFrame, errorFromWire } from './frames.ts';
import type { CallerFrame } from './frames.ts';
import type { Port, Signal } from './port.ts';
import { defaultSilence } from './server.ts';

export interface CallOptions {
  /** Aborting it cancels the call on both sides; the call then rejects with `cancelled`. */
  readonly signal?: Signal | undefined;
}

type Arguments<E extends AnyEntry> =
  Record<never, never> extends InputOf<E>
    ? [input?: InputOf<E>, options?: CallOptions]
    : [input: InputOf<E>, options?: CallOptions];

type CallOf<E extends AnyEntry> = (
  ...args: Arguments<E>
) => E['kind'] extends 'subscription' ? AsyncIterableIterator<OutputOf<E>> : Promise<OutputOf<E>>;

/** `client.group.call(input)`. Failures are `AppError`s with the code the node gave. */
export type Client<C extends Contract> = {
  readonly [G in keyof C]: { readonly [K in keyof C[G]]: CallOf<C[G][K]> };
};

export interface ClientOptions {
  readonly clock: Clock;
  /** A server that says nothing for so long is taken for gone. ms. */
  readonly silence?: number;
}

export interface Connection<C extends Contract> {
  readonly client: Client<C>;
  /** Resolves when the port is closed, by whoever. */
  readonly closed: Promise<void>;
  close(): void;
}

interface Pending {
  /** Return false when it came unasked. */
  item(value: unknown): boolean;
  ok(value: unknown): void;
  end(): void;
  fail(error: AppError): void;
}

const gone = () => new AppError('unreachable', 'The connection to the node was closed.');

/** Speaks to a server at the other end of a port. */
export function connect<C extends Contract>(contract: C, port: Port, options: ClientOptions): Connection<C> {
  const pending = new Map<number, Pending>();
  let nextId = 0;
  let isClosed = false;
  let heard = options.clock.now();
  let stopTimer = () => {};
  let finished!: () => void;
  const closed = new Promise<void>((resolve) => (finished = resolve));

  function close() {
    if (isClosed) return;
    isClosed = true;
    stopTimer();
    port.close();
    for (const call of [...pending.values()]) call.fail(gone());
    pending.clear();
    finished();
  }

  const silence = options.silence ?? defaultSilence;
  function heartbeat() {
    stopTimer = options.clock.after(silence / 3, () => {
      if (options.clock.now() - heard > silence) return close();
      send({ t: 'ping' });
      heartbeat();
    });
  }

  function send(frame: CallerFrame) {
    if (!isClosed) port.send(encodeFrame(frame));
  }

  function open(call: string, input: unknown, signal: Signal | undefined, handlers: Pending): () => void {
    if (signal?.aborted) throw new AppError('cancelled', 'Cancelled.');
    if (isClosed) throw gone();
    const id = nextId++;
    const settle = () => {
      pending.delete(id);
      signal?.removeEventListener('abort', onAbort);
    };
    const cancel = () => {
      if (!pending.has(id)) return;
      settle();
      send({ t: 'cancel', id });
    };
    const onAbort = () => {
      cancel();
      handlers.fail(new AppError('cancelled', 'Cancelled.'));
    };
    send({ t: 'open', id, call, input });
    signal?.addEventListener('abort', onAbort, { once: true });
    pending.set(id, {
      item: (value) => handlers.item(value),
      ok: (value) => (settle(), handlers.ok(value)),
      end: () => (settle(), handlers.end()),
      fail: (error) => (settle(), handlers.fail(error)),
    });
    return cancel;
  }

  function call(name: string, input: unknown, { signal }: CallOptions = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      open(name, input, signal, {
        item: () => false,
        ok: resolve,
        end: () =>
          reject(new AppError('protocol_violation', 'The node answered a call as if it were a stream.')),
        fail: reject,
      });
    });
  }

  function subscribe(
    name: string,
    input: unknown,
    { signal }: CallOptions = {},
  ): AsyncIterableIterator<unknown> {
    const buffer: unknown[] = [];
    let taken = 0;
    let ended = false;
    let failure: AppError | null = null;
    let cancel: (() => void) | null = null;
    let id = -1;
    let waiting: (() => void) | null = null;
    const wake = () => {
      waiting?.();
      waiting = null;
    };
    const handlers: Pending = {
      item(value) {
        if (buffer.length >= creditWindow) return false;
        buffer.push(value);
        wake();
        return true;
      },
      ok: () =>
        handlers.fail(new AppError('protocol_violation', 'The node answered a stream as if it were a call.')),
      end() {
        ended = true;
        wake();
      },
      fail(error) {
        failure = error;
        wake();
      },
    };
    const start = () => {
      if (cancel) return;
      id = nextId;
      cancel = open(name, input, signal, handlers);
    };
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      async next() {
        start();
        for (;;) {
          if (buffer.length > 0) {
            const value = buffer.shift();
            taken += 1;
            if (taken >= creditWindow / 2 && !ended && !failure) {
              send({ t: 'credit', id, n: taken });
              taken = 0;
            }
            return { value, done: false };
          }
          if (failure) {
            const error = failure;
            failure = null;
            ended = true;
            throw error;
          }
          if (ended) return { value: undefined, done: true };
          await new Promise<void>((resolve) => (waiting = resolve));
        }
      },
      async return() {
        ended = true;
        buffer.length = 0;
        cancel?.();
        wake();
        return { value: undefined, done: true };
      },
    };
  }

  port.onMessage((message) => {
    if (isClosed) return;
    heard = options.clock.now();
    try {
      const frame = decodeServerFrame(message);
      if (frame.t === 'pong') return;
      // Frames of a call that was cancelled a moment ago are still on their way: ignored.
      const call = pending.get(frame.id);
      if (!call) return;
      if (frame.t === 'ok') call.ok(frame.value);
      else if (frame.t === 'end') call.end();
      else if (frame.t === 'err') call.fail(errorFromWire(frame.error));
      else if (!call.item(frame.value)) close();
    } catch {
      close();
    }
  });
  port.onClose(close);
  heartbeat();

  const client: Record<string, Record<string, unknown>> = {};
  for (const [group, entries] of Object.entries(contract)) {
    const calls: Record<string, unknown> = (client[group] = {});
    for (const [name, entry] of Object.entries(entries)) {
      const full = `${group}.${name}`;
      calls[name] =
        entry.kind === 'subscription'
          ? (input: unknown = {}, callOptions?: CallOptions) => subscribe(full, input, callOptions)
          : (input: unknown = {}, callOptions?: CallOptions) => call(full, input, callOptions);
    }
  }
  return { client: client as Client<C>, closed, close };
}
