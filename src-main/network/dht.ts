import type { KadDHT, Selectors, Validators } from '@libp2p/kad-dht';
import { openCard, replacesCard } from '../identity/index.ts';
import type { UserId } from '../identity/index.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';

/** Where cards of people can be found who are not connected. */
export interface CardDirectory {
  get(user: UserId, signal: AbortSignal): Promise<Uint8Array | null>;
  /** Publishes a card now and then again from time to time; failures are only logged. */
  put(bytes: Uint8Array): Promise<void>;
  stop(): void;
}

const namespace = 'extrachain-card';
const putTimeout = 20_000;
/** Records of the DHT expire after 36 hours. */
const republish = 6 * 60 * 60_000;

function keyOf(user: UserId): Uint8Array {
  return new TextEncoder().encode(`/${namespace}/${user}`);
}

/** Rules by which every node of the DHT keeps only true cards, and of two the newer one. */
export const cardRules: { readonly validators: Validators; readonly selectors: Selectors } = {
  validators: {
    [namespace]: (key, value) => {
      if (!Buffer.from(keyOf(openCard(value).user)).equals(key))
        throw new Error('the card is of another user');
    },
  },
  selectors: {
    [namespace]: (_key, records) => {
      const cards = records.map(openCard);
      let best = 0;
      for (let n = 1; n < cards.length; n++) if (replacesCard(cards[n]!, cards[best]!)) best = n;
      return best;
    },
  },
};

/** @param dht null when this node takes no part in a DHT */
export function createCardDirectory(dht: KadDHT | null, clock: Clock, logger: Logger): CardDirectory {
  let cancel: (() => void) | null = null;
  let stopped = false;
  let running: AbortController | null = null;

  async function put(bytes: Uint8Array): Promise<void> {
    if (!dht || stopped) return;
    cancel?.();
    running?.abort();
    const abort = (running = new AbortController());
    cancel = clock.after(republish, () => void put(bytes));
    const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(putTimeout)]);
    try {
      for await (const event of dht.put(keyOf(openCard(bytes).user), bytes, { signal })) void event;
    } catch (error) {
      logger.debug({ error: String(error) }, 'the actor card was not published');
    }
  }

  return {
    async get(user, signal) {
      if (!dht) return null;
      for await (const event of dht.get(keyOf(user), { signal })) {
        // Validated on the way in; the first one is good enough, the newest comes from the peers themselves.
        if (event.name === 'VALUE') return event.value;
      }
      return null;
    },
    put,
    stop() {
      stopped = true;
      cancel?.();
      running?.abort();
    },
  };
}
