import type { Clock } from '../../src-shared/runtime.ts';
import type { DeviceId, UserId } from '../identity/index.ts';
import type { Network } from '../network/index.ts';
import { talkTo } from './host-protocol.ts';
import { limits } from './limits.ts';
import { claim } from './placement.ts';
import type { HeardOffer, HostAddress, Offer } from './types.ts';

/**
 * Who lends disk. Connected peers are asked themselves; a few of them are also asked whom they know, so that hosts are found beyond
 * one's own connections. What is heard only says whom to dial: an offer counts when its host made it.
 */
export interface OfferBook {
  /** Asks connected peers who were not asked lately what they lend. */
  refresh(signal: AbortSignal): Promise<void>;
  /** Asks a few connected peers, not too often, whom they know. */
  listen(signal: AbortSignal): Promise<void>;
  /** Dials some of those heard of and asks them. `key` decides whom: each drive another few. */
  reach(key: string, signal: AbortSignal): Promise<void>;
  /** Connected peers that lend something. */
  list(): readonly {
    readonly peerId: DeviceId;
    readonly userId: UserId | null;
    readonly offer: Offer;
    readonly rtt: number | null;
  }[];
  get(peer: DeviceId): Offer | null;
  /** What others may be told. */
  told(to: DeviceId): readonly HeardOffer[];
  /** It refused: not offered again for a while. */
  avoid(peer: DeviceId): void;
}

export interface OfferBookDeps {
  readonly network: Network;
  readonly clock: Clock;
  /** How long an answer is believed. ms. */
  readonly freshMs: () => number;
  /** Hosts found elsewhere (in the DHT), when nobody connected knows any. */
  readonly find?: ((key: string, signal: AbortSignal) => Promise<readonly HostAddress[]>) | undefined;
}

const avoidMs = 10 * 60_000;
const askMs = 5_000;
const dialMs = 5_000;
const remembered = 4096;
/** Hosts heard of and not connected: enough to choose from, few enough to keep. */
const heardRemembered = 256;
/** Peers asked whom they know, in one refresh. */
const askedForOthers = 3;
/** Hosts dialled in one look, and how long one that was dialled is let alone. */
const dialledAtOnce = 8;
const dialAgainMs = 10 * 60_000;

export function createOfferBook(deps: OfferBookDeps): OfferBook {
  const { network, clock, freshMs } = deps;
  const known = new Map<DeviceId, { offer: Offer | null; at: number }>();
  const heard = new Map<DeviceId, HostAddress>();
  const dialled = new Map<DeviceId, number>();
  const avoided = new Map<DeviceId, number>();
  let othersAt = Number.NEGATIVE_INFINITY;
  let turn = 0;

  const connected = (): DeviceId[] => [...new Set(network.peers().map(({ peerId }) => peerId))];

  function limited(signal: AbortSignal, ms: number): AbortSignal {
    return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
  }

  async function ask(peer: DeviceId, signal: AbortSignal): Promise<void> {
    const asked = talkTo(network, peer, limited(signal, askMs), (say) => say({ t: 'offer' }));
    const offer = await asked.catch(() => null);
    known.delete(peer);
    known.set(peer, { offer, at: clock.now() });
    bound(known, remembered);
  }

  async function askForOthers(peer: DeviceId, signal: AbortSignal): Promise<void> {
    const asked = talkTo(network, peer, limited(signal, askMs), (say) => say({ t: 'others' }));
    const answer = await asked.catch(() => null);
    for (const one of answer?.offers ?? []) if (one.free > 0) hear(one);
  }

  function hear({ peerId, addresses }: HostAddress): void {
    if (peerId === network.peerId) return;
    heard.delete(peerId);
    heard.set(peerId, { peerId, addresses });
    bound(heard, heardRemembered);
  }

  async function dial({ peerId, addresses }: HostAddress, signal: AbortSignal): Promise<void> {
    dialled.set(peerId, clock.now());
    bound(dialled, remembered);
    for (const address of addresses.slice(0, limits.addressesPerOffer)) {
      // An address names its peer: whoever else answers there is not let in.
      if (!address.endsWith(`/p2p/${peerId}`)) continue;
      const found = await network.connect(address, limited(signal, dialMs)).catch(() => null);
      if (found !== null) return ask(peerId, signal);
      if (signal.aborted) return;
    }
    heard.delete(peerId);
  }

  return {
    async refresh(signal) {
      const now = clock.now();
      const due = connected().filter((peer) => {
        const last = known.get(peer);
        return !last || now - last.at >= freshMs();
      });
      await Promise.allSettled(due.map((peer) => ask(peer, signal)));
    },
    async listen(signal) {
      const peers = connected();
      if (clock.now() - othersAt < freshMs() || peers.length === 0) return;
      othersAt = clock.now();
      // Each in its turn, whatever their number.
      const some = new Set(
        Array.from({ length: askedForOthers }, (_, i) => peers[(turn + i) % peers.length]!),
      );
      turn += askedForOthers;
      await Promise.allSettled([...some].map((peer) => askForOthers(peer, signal)));
    },
    async reach(key, signal) {
      const now = clock.now();
      const there = new Set(connected());
      const isDue = ({ peerId }: HostAddress): boolean =>
        !there.has(peerId) &&
        now - (dialled.get(peerId) ?? Number.NEGATIVE_INFINITY) >= dialAgainMs &&
        (avoided.get(peerId) ?? 0) <= now;
      if (deps.find && ![...heard.values()].some(isDue)) {
        for (const one of await deps.find(key, limited(signal, askMs)).catch(() => [])) hear(one);
      }
      const some = [...heard.values()]
        .filter(isDue)
        .sort((a, b) => claim(key, b.peerId, 1) - claim(key, a.peerId, 1))
        .slice(0, dialledAtOnce);
      await Promise.allSettled(some.map((one) => dial(one, signal)));
    },
    list() {
      const now = clock.now();
      const seen = new Set<DeviceId>();
      return network.peers().flatMap(({ peerId, userId, rtt }) => {
        const offer = known.get(peerId)?.offer;
        if (!offer || offer.leaving || seen.has(peerId) || (avoided.get(peerId) ?? 0) > now) return [];
        seen.add(peerId);
        return [{ peerId, userId, offer, rtt }];
      });
    },
    get: (peer) => known.get(peer)?.offer ?? null,
    told(to) {
      const there = new Set(connected());
      return [...known]
        .filter(
          ([peer, { offer }]) => peer !== to && there.has(peer) && offer && !offer.leaving && offer.free > 0,
        )
        .sort(([a], [b]) => claim(to, b, 1) - claim(to, a, 1))
        .slice(0, limits.offersPerMessage)
        .map(([peerId, { offer }]) => ({
          peerId,
          addresses: offer!.addresses.slice(0, limits.addressesPerOffer),
          quota: offer!.quota,
          free: offer!.free,
        }));
    },
    avoid(peer) {
      avoided.set(peer, clock.now() + avoidMs);
      bound(avoided, remembered);
    },
  };
}

/** Drops the oldest entries beyond a number. */
function bound(map: Map<DeviceId, unknown>, most: number): void {
  while (map.size > most) map.delete(map.keys().next().value!);
}
