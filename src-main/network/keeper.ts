import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { Finder, Sighting } from './find.ts';
import type { PeerBook } from './peer-book.ts';

/** Keeps connections to wanted peers, whatever happens to their addresses and ours. */
export interface Keeper {
  /** Counted: each is taken back by an `unwant` of its own. */
  want(peer: string, hints: readonly string[]): void;
  unwant(peer: string): void;
  wanted(peer: string): boolean;
  /** New addresses of a peer became known (mDNS, identify, a person): try at once if it is wanted and away. */
  hint(peer: string, addresses: readonly string[]): void;
  connected(peer: string): void;
  disconnected(peer: string): void;
  /** Our own network changed: forget all patience. */
  networkChanged(): void;
  stop(): void;
}

export interface KeeperDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly book: PeerBook;
  readonly finder: Finder;
  readonly self: string;
  readonly refused: (peer: string) => boolean;
  /** Connected, and whether directly. */
  readonly state: (peer: string) => 'direct' | 'relayed' | 'none';
  readonly connectedPeers: () => readonly string[];
  /** Resolves when connected; `upgrade` dials although a relayed connection exists. */
  readonly dial: (
    peer: string,
    addresses: readonly string[],
    timeout: number,
    upgrade: boolean,
  ) => Promise<void>;
  /** Addresses dialled when nobody else is known. */
  readonly bootstrap: readonly { readonly peer: string; readonly address: string }[];
  /** False before the host started and while it stops. */
  readonly active: () => boolean;
}

const firstDelay = 1000;
const longestDelay = 60_000;
const aloneDelay = 8000;
const dialTimeout = 8000;
const relayTimeout = 10_000;
const pollInterval = 5000;
const askTimeout = 4000;
/** Thirds asked in one round. */
const askedPerRound = 6;
/** While a wanted peer is away we keep at least so many connections to ask over. */
const fewConnections = 3;
const upgradeInterval = 30_000;
/** A connection that ends sooner did not help: whoever refuses us lets the dial succeed before it hangs up. */
const lasting = 10_000;

interface Wanted {
  /** By so many. */
  count: number;
  attempts: number;
  dialling: boolean;
  relaying: boolean;
  upgradeAt: number;
  connectedAt: number;
  cancel: (() => void) | null;
}

export function createKeeper(deps: KeeperDeps): Keeper {
  const { clock, book } = deps;
  const wanted = new Map<string, Wanted>();
  const othersTried = new Map<string, { attempts: number; next: number }>();
  let round = 0;
  let stopped = false;
  let polling = false;
  let cancelPoll: (() => void) | null = null;

  function schedule(peer: string, delay: number): void {
    const state = wanted.get(peer);
    if (!state || stopped) return;
    state.cancel?.();
    state.cancel = clock.after(delay, () => {
      state.cancel = null;
      void attempt(peer, state);
    });
  }

  /** Exponential, with jitter so that a crowd that lost the same peer does not come back in one moment. */
  function backoff(attempts: number): number {
    return Math.min(longestDelay, firstDelay * 2 ** attempts) * (0.75 + deps.random() / 2);
  }

  async function attempt(peer: string, state: Wanted): Promise<void> {
    if (stopped || state.dialling || deps.refused(peer) || deps.state(peer) !== 'none') return;
    if (!deps.active()) return schedule(peer, 250);
    const addresses = book.addresses(peer);
    if (addresses.length > 0) {
      state.dialling = true;
      await deps.dial(peer, addresses, dialTimeout, false).catch((error: unknown) => {
        deps.logger.debug({ peer, attempts: state.attempts, error: String(error) }, 'a wanted peer is away');
      });
      state.dialling = false;
    }
    if (deps.state(peer) !== 'none' || wanted.get(peer) !== state) return;
    state.attempts += 1;
    if (!state.cancel) schedule(peer, backoff(state.attempts));
  }

  async function follow(sighting: Sighting): Promise<void> {
    const { peer, third } = sighting;
    const state = wanted.get(peer);
    if (!state || stopped) return;
    if (sighting.addresses.length > 0) {
      const before = new Set(book.addresses(peer));
      book.add(peer, sighting.addresses);
      if (sighting.addresses.some((address) => !before.has(address))) again(peer, state);
    }
    if (!sighting.connected || state.relaying || deps.state(peer) !== 'none') return;
    state.relaying = true;
    try {
      // Given a moment, the direct way wins; over a relay we are connected in any case.
      await deps.dial(peer, [`/p2p/${third}/p2p-circuit`], relayTimeout, true);
      state.upgradeAt = clock.now() + 2000;
    } catch (error) {
      deps.logger.debug({ peer, third, error: String(error) }, 'a peer could not be reached through a third');
    } finally {
      state.relaying = false;
    }
  }

  function again(peer: string, state: Wanted): void {
    state.attempts = 0;
    if (!state.dialling) schedule(peer, 0);
  }

  /** Strangers and old relays are worth a call when they may know where a wanted peer is. */
  function dialOthers(): void {
    const now = clock.now();
    const known = [
      ...deps.bootstrap,
      ...book.recent(24).map((peer) => ({ peer, address: null as string | null })),
    ];
    const alone = deps.connectedPeers().length === 0;
    let started = 0;
    for (const { peer, address } of known) {
      if (started >= fewConnections) return;
      if (peer === deps.self || wanted.has(peer) || deps.refused(peer) || deps.state(peer) !== 'none')
        continue;
      const tried = othersTried.get(peer) ?? { attempts: 0, next: 0 };
      if (tried.next > now) continue;
      // Cut off from everybody, somebody must be found again soon after the network is back.
      tried.next = now + Math.min(backoff(tried.attempts + 2), alone ? aloneDelay : longestDelay);
      tried.attempts += 1;
      othersTried.set(peer, tried);
      started += 1;
      const addresses = address === null ? book.addresses(peer) : [address];
      deps.dial(peer, addresses, dialTimeout, false).catch(() => {});
    }
  }

  async function upgrade(peer: string, state: Wanted): Promise<void> {
    const direct = book.addresses(peer).filter((address) => !address.includes('/p2p-circuit'));
    state.upgradeAt = clock.now() + upgradeInterval;
    if (direct.length === 0) return;
    await deps.dial(peer, direct, dialTimeout, true).catch((error: unknown) => {
      deps.logger.debug({ peer, error: String(error) }, 'still only reachable through a relay');
    });
  }

  async function poll(): Promise<void> {
    if (!deps.active()) return;
    const away: string[] = [];
    for (const [peer, state] of wanted) {
      if (deps.refused(peer)) continue;
      const how = deps.state(peer);
      if (how === 'none') away.push(peer);
      else if (how === 'relayed' && clock.now() >= state.upgradeAt) void upgrade(peer, state);
    }
    const connected = deps.connectedPeers();
    if (connected.length < fewConnections && (away.length > 0 || connected.length === 0)) dialOthers();
    if (away.length === 0 || connected.length === 0) return;
    const thirds = rotate(connected, round++ * askedPerRound).slice(0, askedPerRound);
    // Long lists take turns as well: one request names at most 64.
    const asked = rotate(away, round * 64);
    await Promise.all(
      thirds.map(async (third) => {
        try {
          const found = await deps.finder.ask(third, asked, AbortSignal.timeout(askTimeout));
          for (const sighting of found) void follow(sighting);
        } catch (error) {
          deps.logger.debug({ third, error: String(error) }, 'a peer could not be asked');
        }
      }),
    );
  }

  function pollSoon(delay: number): void {
    if (stopped) return;
    cancelPoll?.();
    cancelPoll = clock.after(delay, () => {
      if (polling) return pollSoon(500);
      polling = true;
      void poll().finally(() => {
        polling = false;
        pollSoon(pollInterval * (0.9 + deps.random() / 5));
      });
    });
  }
  pollSoon(500);

  return {
    want(peer, hints) {
      if (peer === deps.self) return;
      if (hints.length > 0) book.add(peer, hints);
      let state = wanted.get(peer);
      if (!state) {
        state = {
          count: 1,
          attempts: 0,
          dialling: false,
          relaying: false,
          upgradeAt: 0,
          connectedAt: 0,
          cancel: null,
        };
        wanted.set(peer, state);
      } else {
        state.count += 1;
        if (hints.length === 0) return;
      }
      if (deps.state(peer) === 'none') again(peer, state);
      pollSoon(250);
    },
    unwant(peer) {
      const state = wanted.get(peer);
      if (!state || --state.count > 0) return;
      state.cancel?.();
      wanted.delete(peer);
    },
    wanted: (peer) => wanted.has(peer),
    hint(peer, addresses) {
      if (peer === deps.self) return;
      book.add(peer, addresses);
      const state = wanted.get(peer);
      if (state && deps.state(peer) === 'none') again(peer, state);
    },
    connected(peer) {
      othersTried.delete(peer);
      const state = wanted.get(peer);
      if (state) {
        state.connectedAt = clock.now();
        state.cancel?.();
        state.cancel = null;
      }
      // Somebody new to ask about those who are away.
      if ([...wanted.keys()].some((other) => deps.state(other) === 'none')) pollSoon(1000);
    },
    disconnected(peer) {
      const state = wanted.get(peer);
      if (state && clock.now() - state.connectedAt >= lasting) {
        state.attempts = 0;
        schedule(peer, 50 + deps.random() * 450);
      } else if (state) {
        state.attempts += 1;
        schedule(peer, backoff(state.attempts - 1));
      }
      pollSoon(1000);
    },
    networkChanged() {
      othersTried.clear();
      for (const [peer, state] of wanted) if (deps.state(peer) === 'none') again(peer, state);
      pollSoon(250);
    },
    stop() {
      stopped = true;
      cancelPoll?.();
      for (const state of wanted.values()) state.cancel?.();
    },
  };
}

function rotate<T>(items: readonly T[], by: number): readonly T[] {
  if (items.length === 0) return items;
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
