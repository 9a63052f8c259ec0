import { AppError } from '../errors.ts';
import type { Clock } from '../runtime.ts';
import type { AnyEntry, Contract, OutputOf, ParsedInputOf } from './contract.ts';
import { creditWindow, decodeCallerFrame, encodeFrame, errorToWire, maxOpenCalls } from './frames.ts';
import type { CallerFrame, ServerFrame } from './frames.ts';
import { createController } from './port.ts';
import type { Port, Signal } from './port.ts';

/** The signal is aborted when the caller cancels or goes away. */
export type HandlerOf<E extends AnyEntry> = E['kind'] extends 'subscription'
  ? (input: ParsedInputOf<E>, signal: Signal) => AsyncIterable<OutputOf<E>>
  : (input: ParsedInputOf<E>, signal: Signal) => Promise<OutputOf<E>> | OutputOf<E>;

export type Handlers<C extends Contract> = {
  readonly [G in keyof C]: { readonly [K in keyof C[G]]: HandlerOf<C[G][K]> };
};

/** A contract with all of its handlers. */
export interface Implementation {
  find(call: string): { readonly entry: AnyEntry; readonly handler: AnyHandler } | null;
}
type AnyHandler = (input: never, signal: Signal) => unknown;

/** Ties handlers to a contract; does not compile while one is missing or of the wrong shape. */
export function implement<C extends Contract>(contract: C, handlers: Handlers<C>): Implementation {
  const calls = new Map<string, { entry: AnyEntry; handler: AnyHandler }>();
  for (const [group, entries] of Object.entries(contract)) {
    for (const [name, entry] of Object.entries(entries)) {
      const owner = handlers[group]!;
      const handler = owner[name]! as AnyHandler;
      calls.set(`${group}.${name}`, { entry, handler: handler.bind(owner) as AnyHandler });
    }
  }
  return { find: (call) => calls.get(call) ?? null };
}

export interface ServeOptions {
  readonly clock: Clock;
  /** A caller that says nothing for so long (it pings every third of this) is taken for gone. ms. */
  readonly silence?: number;
  /** Checks what handlers answer, too. On in tests. */
  readonly checkOutputs?: boolean;
  /** Told of failures that are not declared, which the caller sees as `internal` only. */
  readonly onInternalError?: (error: unknown, call: string) => void;
}

export const defaultSilence = 45_000;

interface OpenCall {
  cancelled: boolean;
  credit: number;
  cancel(): void;
  /** Wakes a subscription that waits for credit. */
  wake: (() => void) | null;
}

/**
 * Serves an implementation to one port until it closes.
 * @returns resolves when the port is closed and every handler has come to its end
 */
export function serve(implementation: Implementation, port: Port, options: ServeOptions): Promise<void> {
  const calls = new Map<number, OpenCall>();
  const running = new Set<Promise<void>>();
  let closed = false;
  let heard = options.clock.now();
  let stopTimer = () => {};

  function close() {
    if (closed) return;
    closed = true;
    stopTimer();
    for (const call of calls.values()) call.cancel();
    calls.clear();
    port.close();
    void Promise.all(running).then(() => finished());
  }
  let finished!: () => void;
  const done = new Promise<void>((resolve) => (finished = resolve));

  const silence = options.silence ?? defaultSilence;
  function watchSilence() {
    stopTimer = options.clock.after(silence / 3, () => {
      if (options.clock.now() - heard > silence) close();
      else watchSilence();
    });
  }

  function send(frame: ServerFrame) {
    if (!closed) port.send(encodeFrame(frame));
  }

  async function run(frame: CallerFrame & { t: 'open' }, call: OpenCall, signal: Signal) {
    const { id } = frame;
    try {
      const found = implementation.find(frame.call);
      if (!found) throw new AppError('unsupported', `This node knows no call ${JSON.stringify(frame.call)}.`);
      const { entry, handler } = found;
      const input = entry.input.safeParse(frame.input ?? {});
      if (!input.success) {
        const issues = input.error.issues
          .slice(0, 20)
          .map((issue) => ({ path: issue.path.map(String).join('.'), message: issue.message }));
        const first = issues[0]!;
        throw new AppError(
          'invalid_argument',
          `${first.path === '' ? 'The input' : `"${first.path}"`} is not right: ${first.message.replace(/\.$/, '')}.`,
          { details: { issues } },
        );
      }
      const check = (value: unknown) => (options.checkOutputs ? entry.output.parse(value) : value);
      if (entry.kind !== 'subscription') {
        const value = check(await handler(input.data as never, signal));
        if (!call.cancelled) send({ t: 'ok', id, value });
        return;
      }
      const items = (handler(input.data as never, signal) as AsyncIterable<unknown>)[Symbol.asyncIterator]();
      try {
        while (!call.cancelled) {
          if (call.credit === 0) {
            await new Promise<void>((resolve) => (call.wake = resolve));
            continue;
          }
          const next = await items.next();
          if (call.cancelled) break;
          if (next.done) {
            send({ t: 'end', id });
            break;
          }
          call.credit -= 1;
          send({ t: 'item', id, value: check(next.value) });
        }
      } finally {
        await items.return?.();
      }
    } catch (error) {
      // What a handler throws because it was told to stop interests nobody.
      if (call.cancelled) return;
      if (!(error instanceof AppError)) options.onInternalError?.(error, frame.call);
      send({ t: 'err', id, error: errorToWire(error) });
    } finally {
      if (calls.get(id) === call) calls.delete(id);
    }
  }

  function open(frame: CallerFrame & { t: 'open' }) {
    if (calls.has(frame.id)) {
      throw new AppError('protocol_violation', 'The caller used a call number twice.');
    }
    // Cancelled handlers that are still at work count, or opening and cancelling would be a way around the limit.
    if (running.size >= maxOpenCalls) {
      send({
        t: 'err',
        id: frame.id,
        error: {
          code: 'rate_limited',
          message: `More than ${maxOpenCalls} calls are open on this connection.`,
        },
      });
      return;
    }
    const controller = createController();
    const call: OpenCall = {
      cancelled: false,
      credit: creditWindow,
      wake: null,
      cancel() {
        call.cancelled = true;
        controller.abort(new AppError('cancelled', 'The caller asked to stop.'));
        call.wake?.();
      },
    };
    calls.set(frame.id, call);
    const work = run(frame, call, controller.signal);
    running.add(work);
    void work.finally(() => running.delete(work));
  }

  port.onMessage((message) => {
    if (closed) return;
    heard = options.clock.now();
    try {
      const frame = decodeCallerFrame(message);
      if (frame.t === 'open') open(frame);
      else if (frame.t === 'ping') send({ t: 'pong' });
      else {
        // A call that has just ended may still be cancelled or granted credit: not an error.
        const call = calls.get(frame.id);
        if (!call) return;
        if (frame.t === 'cancel') {
          calls.delete(frame.id);
          call.cancel();
        } else {
          call.credit += frame.n;
          if (call.credit > creditWindow) {
            throw new AppError('protocol_violation', 'The caller granted more credit than it may.');
          }
          call.wake?.();
          call.wake = null;
        }
      }
    } catch {
      close();
    }
  });
  port.onClose(close);
  watchSilence();
  return done;
}
