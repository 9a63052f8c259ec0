import { AppError, isAppError } from '../errors.ts';
import type { Clock, Service } from '../runtime.ts';
import { connect } from './client.ts';
import type { Client, Connection } from './client.ts';
import type { Contract } from './contract.ts';
import type { Port } from './port.ts';

export interface Link<C extends Contract> extends Service {
  /** The client once there is a connection; rejects with `cancelled` when stopped. */
  ready(): Promise<Client<C>>;
  /**
   * Subscribes for good: after a lost connection, or a gap in the numbers that `onItem` complains of by throwing
   * `protocol_violation`, it subscribes anew, so that a fresh snapshot comes first.
   * @param onFailure told when the node refuses for another reason; the watch has then ended
   * @returns ends the watch
   */
  watch<T>(
    subscribe: (client: Client<C>) => AsyncIterableIterator<T>,
    onItem: (item: T) => void,
    onFailure?: (error: unknown) => void,
  ): () => void;
}

export interface LinkOptions<C extends Contract> {
  readonly contract: C;
  /** Opens the carrier; rejecting means trying again later. */
  readonly dial: () => Promise<Port>;
  readonly clock: Clock;
  readonly silence?: number;
  readonly onState?: (state: 'connecting' | 'open') => void;
}

const firstDelay = 250;
const longestDelay = 5_000;
const resubscribeDelay = 50;

/** Keeps one connection open, dialling again after 0.25 s, doubling to 5 s. */
export function createLink<C extends Contract>(options: LinkOptions<C>): Link<C> {
  let stopped = false;
  let connection: Connection<C> | null = null;
  let stopWaiting = () => {};
  const waiters = new Set<{ resolve(client: Client<C>): void; reject(error: AppError): void }>();
  const watches = new Set<() => void>();
  let loop: Promise<void> = Promise.resolve();

  const sleep = (ms: number) =>
    new Promise<void>((resolve) => {
      const cancel = options.clock.after(ms, resolve);
      stopWaiting = () => (cancel(), resolve());
    });

  async function keep() {
    let delay = firstDelay;
    while (!stopped) {
      options.onState?.('connecting');
      try {
        const port = await options.dial();
        if (stopped) return port.close();
        connection = connect(options.contract, port, {
          clock: options.clock,
          ...(options.silence === undefined ? {} : { silence: options.silence }),
        });
        delay = firstDelay;
        options.onState?.('open');
        for (const waiter of waiters) waiter.resolve(connection.client);
        waiters.clear();
        await connection.closed;
        connection = null;
      } catch {
        // Not there (yet): dial again.
      }
      if (stopped) return;
      await sleep(delay);
      delay = Math.min(delay * 2, longestDelay);
    }
  }

  function ready(): Promise<Client<C>> {
    if (stopped) return Promise.reject(new AppError('cancelled', 'The connection was ended.'));
    if (connection) return Promise.resolve(connection.client);
    return new Promise((resolve, reject) => waiters.add({ resolve, reject }));
  }

  async function follow<T>(
    subscribe: (client: Client<C>) => AsyncIterableIterator<T>,
    onItem: (item: T) => void,
    state: { ended: boolean; items: AsyncIterableIterator<T> | null },
  ) {
    while (!state.ended) {
      const client = await ready();
      if (state.ended) return;
      const items = subscribe(client);
      state.items = items;
      try {
        for await (const item of items) onItem(item);
        return;
      } catch (error) {
        if (!isAppError(error, 'unreachable') && !isAppError(error, 'protocol_violation')) throw error;
        // Lets the lost connection be noticed, and keeps a server that never gets its numbers right from being hammered.
        await new Promise<void>((resolve) => options.clock.after(resubscribeDelay, resolve));
      }
    }
  }

  return {
    start() {
      loop = keep();
      return Promise.resolve();
    },
    async stop() {
      stopped = true;
      for (const end of watches) end();
      for (const waiter of waiters) waiter.reject(new AppError('cancelled', 'The connection was ended.'));
      waiters.clear();
      connection?.close();
      stopWaiting();
      await loop;
    },
    ready,
    watch(subscribe, onItem, onFailure) {
      const state: { ended: boolean; items: AsyncIterableIterator<never> | null } = {
        ended: false,
        items: null,
      };
      follow(subscribe as never, onItem as (item: never) => void, state).catch((error: unknown) => {
        if (!state.ended) onFailure?.(error);
      });
      const end = () => {
        state.ended = true;
        watches.delete(end);
        void state.items?.return?.();
      };
      watches.add(end);
      return end;
    },
  };
}
