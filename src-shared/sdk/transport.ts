import type { AppMethodName, ItemOf, ParamsOf, ResultOf } from '../apps/methods/index.ts';
import { toRequestError } from './errors.ts';
import type { Provider } from './provider.ts';

/** Ends a subscription. Safe to call twice. */
export type Unsubscribe = () => void;

/** Typed calls over a provider; every part of the SDK is made of these two. */
export interface Transport {
  /** @throws AppRequestError */
  request<M extends AppMethodName>(
    method: M,
    ...params: Record<never, never> extends ParamsOf<M> ? [params?: ParamsOf<M>] : [params: ParamsOf<M>]
  ): Promise<ResultOf<M>>;
  /**
   * Opens a subscription and hands over its items, in order. After a lost connection it is opened anew.
   * @throws AppRequestError when it can't be opened
   */
  subscribe<M extends AppMethodName>(
    method: M,
    params: ParamsOf<M>,
    listener: (item: ItemOf<M>) => void,
    onLost?: (error: unknown) => void,
  ): Promise<Unsubscribe>;
}

/** What the provider tells of subscriptions (EIP-1193, EIP-758). */
interface SubscriptionMessage {
  readonly type: string;
  readonly data: { readonly subscription: string; readonly result?: unknown; readonly error?: unknown };
}

interface Subscription {
  readonly open: () => Promise<string>;
  readonly listener: (item: never) => void;
  readonly onLost: (error: unknown) => void;
  id: string | null;
  ended: boolean;
}

/** Calls at a time: fewer than the host answers at once. */
const mostOpen = 48;
/** How long a call waits that came too fast, ms, each time. */
const pauses = [250, 500, 1000, 2000];
const pause = (ms: number): Promise<void> =>
  new Promise((resolve) =>
    (globalThis as unknown as { setTimeout(fn: () => void, ms: number): unknown }).setTimeout(resolve, ms),
  );

export function createTransport(provider: Provider): Transport {
  const subscriptions = new Set<Subscription>();
  const byId = new Map<string, Subscription>();
  /** Items of a subscription whose id has not been answered yet: they may overtake the answer. */
  const early = new Map<string, unknown[]>();

  /** Calls that wait for their turn: a page that wants a thousand things asks for them without being refused. */
  const turns: (() => void)[] = [];
  let running = 0;
  const leave = (): void => {
    running -= 1;
    turns.shift()?.();
  };

  const request = async (method: string, params: unknown = {}): Promise<unknown> => {
    if (running >= mostOpen) await new Promise<void>((resolve) => turns.push(resolve));
    running += 1;
    try {
      for (let again = 0; ; again += 1) {
        try {
          return await provider.request({ method, params });
        } catch (thrown) {
          const error = toRequestError(thrown);
          if (error.word !== 'rate_limited' || again >= pauses.length) throw error;
          await pause(pauses[again]!);
        }
      }
    } finally {
      leave();
    }
  };

  async function open(one: Subscription): Promise<void> {
    const id = await one.open();
    if (one.ended) return void request('exc_unsubscribe', { subscription: id }).catch(() => {});
    one.id = id;
    byId.set(id, one);
    const waiting = early.get(id) ?? [];
    early.delete(id);
    for (const item of waiting) one.listener(item as never);
  }

  function end(one: Subscription): void {
    if (one.ended) return;
    one.ended = true;
    subscriptions.delete(one);
    if (one.id === null) return;
    byId.delete(one.id);
    void request('exc_unsubscribe', { subscription: one.id }).catch(() => {});
  }

  provider.on('message', ((message: SubscriptionMessage) => {
    if (message.type !== 'exc_subscription') return;
    const { subscription, result, error } = message.data;
    const one = byId.get(subscription);
    if (error !== undefined) {
      if (!one) return;
      byId.delete(subscription);
      subscriptions.delete(one);
      one.ended = true;
      one.onLost(toRequestError(error));
    } else if (one) {
      one.listener(result as never);
    } else if (early.size < 64) {
      const waiting = early.get(subscription) ?? [];
      if (waiting.length < 256) early.set(subscription, [...waiting, result]);
    }
  }) as (value: never) => void);
  provider.on('disconnect', () => {
    byId.clear();
    early.clear();
    for (const one of subscriptions) one.id = null;
  });
  provider.on('connect', () => {
    for (const one of subscriptions) {
      if (one.id !== null) continue;
      open(one).catch((error: unknown) => {
        end(one);
        one.onLost(error);
      });
    }
  });

  return {
    request: (method, ...[params]) => request(method, params) as Promise<never>,
    async subscribe(method, params, listener, onLost = () => {}) {
      const one: Subscription = {
        open: async () => ((await request(method, params)) as { subscription: string }).subscription,
        listener,
        onLost,
        id: null,
        ended: false,
      };
      await open(one);
      subscriptions.add(one);
      return () => end(one);
    },
  };
}
