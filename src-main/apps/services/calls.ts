import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger, RandomBytes } from '../../../src-shared/runtime.ts';
import type { DeviceId, Signer, UserId } from '../../identity/index.ts';
import type { Network } from '../../network/index.ts';
import type { JsonValue } from '../collections/index.ts';
import { inOrder, rated } from './choice.ts';
import { openConnection } from './connection.ts';
import type { ServiceConnection } from './connection.ts';
import type { Receipt, WireOffer, WirePrice } from './frames.ts';
import { checkInterface, checkJson } from './interface.ts';
import type { CheckedInterface } from './interface.ts';
import type { Offer, Offers } from './offers.ts';
import { offerShown } from './server.ts';
import type { RatedProvider, ServiceRatings } from './ratings.ts';
import type { ServiceRecords } from './records.ts';

/** A service as it is known here, and one computer that answers it. */
export interface KnownOffer extends WireOffer {
  /** null: this computer. */
  readonly peer: DeviceId | null;
  /** How to reach it, when it is not connected. */
  readonly addresses: readonly string[];
  readonly source: 'here' | 'peer' | 'ledger';
}

export interface CallRequest {
  /** `<slug>`, `<owner>/<slug>`, or the hash of an interface. */
  readonly service: string;
  /** Whoever answers has to have this interface. */
  readonly interface?: string;
  readonly method: string;
  readonly params: unknown;
  readonly app: string | null;
  /** The most a call may cost, units; null: nothing. `listed`: whatever the service says it costs. */
  readonly maxFee: WirePrice | 'listed' | null;
  /** ms from now. */
  readonly timeout: number;
}

export interface CallOutcome {
  readonly value: JsonValue;
  /** Who answered. */
  readonly offer: KnownOffer;
  /** null: it was answered on this computer. */
  readonly receipt: Receipt | null;
  /** Providers that were tried before it. */
  readonly failed: number;
}

export interface ServiceCalls {
  /** Everything that is offered by this computer, connected ones and in the ledger. */
  known(signal: AbortSignal): Promise<readonly KnownOffer[]>;
  /** Asks others about the providers of these offers, and waits a little for what they say. */
  askRatings(offers: readonly KnownOffer[]): Promise<void>;
  interfaceOf(hash: string, signal: AbortSignal): Promise<CheckedInterface>;
  call(request: CallRequest, signal: AbortSignal): AsyncGenerator<JsonValue, CallOutcome>;
  /** Pays what is owed to one provider, and tells it. */
  settle(owner: UserId, peer: DeviceId, signal: AbortSignal): Promise<void>;
  stop(): void;
}

/** Dialling and opening a session, ms: then the next provider is tried. */
const connectMs = 1000;
/** What peers offer is asked again after this, ms. */
const listFresh = 3000;
/** A peer that is slow to say what it offers is taken at its earlier word, ms. */
const listPatience = 300;
/** Interfaces whose providers others are asked about at a time. */
const mostRatedInterfaces = 16;
const mostInterfaces = 128;
/** Providers tried for one call. */
const mostTries = 6;

/** Answers after which another provider may do better; all others are the caller's own. */
const elsewhere: readonly string[] = [
  ...['unreachable', 'timeout', 'unsupported', 'not_found', 'interface_changed', 'rate_limited', 'malformed'],
  ...[
    'internal',
    'shutting_down',
    'forbidden',
    'bad_signature',
    'protocol_violation',
    'too_large',
    'cancelled',
  ],
  ...['price_exceeded', 'already_exists'],
];

export function createServiceCalls(deps: {
  readonly network: Network;
  readonly offers: Offers;
  readonly records: ServiceRecords;
  readonly ratings: Pick<ServiceRatings, 'told' | 'ask' | 'noteCall'>;
  readonly user: () => UserId;
  readonly device: () => Signer;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
  /** What the ledger says; empty where none is followed. */
  readonly registered: () => Promise<readonly KnownOffer[]>;
  /** @throws AppError for a price that could not be paid without asking */
  readonly checkPrice: (owner: UserId, price: WirePrice) => Promise<void>;
  /** Sends what is owed, or a part of it; resolves with the transaction once it stands in a block. */
  readonly pay: (
    owner: UserId,
    peer: DeviceId,
    symbol: string,
    amount: bigint,
    signal: AbortSignal,
  ) => Promise<{ readonly tx: string; readonly amount: bigint }>;
}): ServiceCalls {
  const { network, offers, records, clock, logger } = deps;
  const connections = new Map<string, Promise<ServiceConnection>>();
  const lists = new Map<
    DeviceId,
    { readonly time: number; readonly offers: Promise<readonly WireOffer[]> }
  >();
  const interfaces = new Map<string, CheckedInterface>();
  const lastLists = new Map<DeviceId, readonly WireOffer[]>();

  async function connect(
    peer: DeviceId,
    app: string | null,
    signal: AbortSignal,
  ): Promise<ServiceConnection> {
    const user = deps.user();
    const name = `${peer} ${user} ${app ?? ''}`;
    const before = await connections.get(name)?.catch(() => null);
    if (before && !before.closed) return before;
    before?.close();
    const limit = AbortSignal.any([signal, AbortSignal.timeout(connectMs)]);
    const opening = openConnection({ ...deps, device: deps.device() }, peer, { user, app }, limit);
    connections.set(name, opening);
    try {
      return await opening;
    } catch (error) {
      connections.delete(name);
      if (limit.aborted && !signal.aborted) {
        throw new AppError('unreachable', 'The provider was not reached in time.', { cause: error });
      }
      throw error;
    }
  }

  async function ofPeer(peer: DeviceId, signal: AbortSignal): Promise<readonly KnownOffer[]> {
    let list = lists.get(peer);
    if (!list || list.time < clock.now() - listFresh) {
      const asked = connect(peer, null, signal).then((one) => one.list());
      list = { time: clock.now(), offers: asked };
      lists.set(peer, list);
      asked.then(
        (found) => lastLists.set(peer, found),
        () => {},
      );
    }
    try {
      const user = network.cards.userOf(peer);
      return (await promptly(list.offers, lastLists.get(peer)))
        .filter((one) => one.owner === user)
        .map((one) => ({ ...one, peer, addresses: [], source: 'peer' as const }));
    } catch (error) {
      // A version without services, or gone: it stays a computer that offers nothing for a while.
      logger.debug({ err: error, peer }, 'a peer did not say what it offers');
      return [];
    }
  }

  /** What was known before, when the answer takes long. */
  async function promptly<T>(answer: Promise<T>, before: T | undefined): Promise<T> {
    if (before === undefined) return answer;
    let cancel = (): void => {};
    const late = new Promise<T>((resolve) => {
      cancel = clock.after(listPatience, () => resolve(before));
    });
    return Promise.race([answer, late]).finally(() => cancel());
  }

  async function known(signal: AbortSignal): Promise<readonly KnownOffer[]> {
    const here = offers
      .list()
      .map((one): KnownOffer => ({ ...offerShown(one), peer: null, addresses: [], source: 'here' }));
    const peers = [...new Set(network.peers().map(({ peerId }) => peerId))];
    const [ledger, ...others] = await Promise.all([
      deps.registered().catch((error: unknown) => {
        logger.debug({ err: error }, 'services of the ledger could not be read');
        return [];
      }),
      ...peers.map((peer) => ofPeer(peer, signal)),
    ]);
    return [...here, ...others.flat(), ...ledger.filter((one) => one.peer !== network.peerId)];
  }

  async function askRatings(found: readonly KnownOffer[]): Promise<void> {
    const groups = new Map<string, RatedProvider[]>();
    for (const { peer, owner, interface: hash } of found) {
      if (peer === null) continue;
      const group = groups.get(hash) ?? [];
      if (!group.some((one) => one.peer === peer)) group.push({ peer, owner });
      groups.set(hash, group);
    }
    const work = [...groups]
      .slice(0, mostRatedInterfaces)
      .map(([hash, group]) => deps.ratings.ask(hash, group));
    // Who is slow is heard the next time.
    await promptly(Promise.all(work), []);
  }

  function named({ service, interface: only }: Pick<CallRequest, 'service' | 'interface'>) {
    const fits = byName(service);
    return (one: WireOffer): boolean => fits(one) && (only === undefined || one.interface === only);
  }

  function byName(service: string): (one: WireOffer) => boolean {
    if (/^[0-9a-f]{64}$/.test(service)) return (one) => one.interface === service;
    const slash = service.indexOf('/');
    const owner = slash < 0 ? null : service.slice(0, slash);
    const slug = service.slice(slash + 1);
    return (one) => one.slug === slug && (owner === null || one.owner === owner);
  }

  /** Providers of what is asked for, each computer once, in the order to try. */
  function candidates(all: readonly KnownOffer[], request: CallRequest): readonly KnownOffer[] {
    const found = all.filter(named(request)).filter((one) => one.peer !== null);
    const info = new Map(network.peers().map((one) => [one.peerId, one]));
    const seen = new Set<string>();
    return inOrder(
      found.flatMap((offer) => {
        const peer = offer.peer as DeviceId;
        const key = `${peer} ${offer.owner} ${offer.slug}`;
        if (seen.has(key)) return [];
        seen.add(key);
        return [
          {
            offer,
            peer,
            rating: records.rating(peer, offer.interface),
            told: deps.ratings.told(peer, offer.interface),
            rtt: info.get(peer)?.rtt ?? null,
            connected: info.has(peer),
            price: offer.price && { symbol: offer.price.symbol, amount: BigInt(offer.price.amount) },
          },
        ];
      }),
    )
      .map(({ offer }) => offer)
      .slice(0, mostTries);
  }

  async function describe(
    offer: KnownOffer,
    app: string | null,
    signal: AbortSignal,
  ): Promise<CheckedInterface> {
    const hash = offer.interface;
    const found = interfaces.get(hash) ?? offers.interfaceOf(hash);
    if (found) return found;
    const connection = await connect(offer.peer as DeviceId, app, signal);
    const checked = checkInterface(await connection.describe(hash));
    if (checked.hash !== hash)
      throw new AppError('bad_hash', 'The provider tells another interface than it names.');
    if (interfaces.size >= mostInterfaces) interfaces.delete(interfaces.keys().next().value as string);
    interfaces.set(hash, checked);
    return checked;
  }

  async function reach({ peer, addresses }: KnownOffer, signal: AbortSignal): Promise<void> {
    const id = peer as DeviceId;
    if (network.peers().some(({ peerId }) => peerId === id)) return;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(connectMs)]);
    const ways = addresses.length > 0 ? addresses : [id];
    await Promise.any(ways.map((way) => network.connect(way, limit))).catch((cause: unknown) => {
      throw new AppError('unreachable', 'The provider is not reachable.', { cause });
    });
  }

  async function* callHere(
    offer: Offer,
    { method, app }: CallRequest,
    params: JsonValue,
    signal: AbortSignal,
  ): AsyncGenerator<JsonValue, CallOutcome> {
    const caller = { user: deps.user(), app, device: null };
    const value = yield* offers.run(offer, { method, params, caller }, signal);
    return {
      value,
      offer: { ...offerShown(offer), peer: null, addresses: [], source: 'here' },
      receipt: null,
      failed: 0,
    };
  }

  /** One try. What was sent on before it failed is told by `sent`. */
  async function* callThere(
    offer: KnownOffer,
    request: CallRequest,
    params: JsonValue,
    deadline: number,
    signal: AbortSignal,
    progress: { sent: boolean; items: number },
  ) {
    const peer = offer.peer as DeviceId;
    await reach(offer, signal);
    const definition = await describe(offer, request.app, signal);
    definition.check(request.method, 'params', params);
    const maxFee = request.maxFee === 'listed' ? offer.price : request.maxFee;
    if (
      offer.price &&
      (!maxFee || maxFee.symbol !== offer.price.symbol || BigInt(maxFee.amount) < BigInt(offer.price.amount))
    ) {
      throw new AppError('price_exceeded', `A call of ${offer.slug} costs more than may be paid.`, {
        details: { price: offer.price },
      });
    }
    if (offer.price) await deps.checkPrice(offer.owner, offer.price);
    const connection = await connect(peer, request.app, signal);
    progress.sent = true;
    const running = connection.call(
      {
        owner: offer.owner,
        service: offer.slug,
        interface: offer.interface,
        method: request.method,
        params,
        deadline,
        maxFee: offer.price ? maxFee : null,
      },
      signal,
    );
    try {
      for (;;) {
        const step = await running.next();
        if (step.done) {
          definition.check(request.method, 'result', step.value.value);
          records.keep(deps.user(), peer, step.value.receipt);
          deps.ratings.noteCall(peer, step.value.receipt);
          return step.value;
        }
        definition.check(request.method, 'item', step.value);
        progress.items += 1;
        yield step.value;
      }
    } finally {
      // Whoever is left in the middle is told.
      await running.return(undefined as never).catch(() => {});
    }
  }

  const settling = new Map<string, Promise<void>>();
  async function pay(owner: UserId, peer: DeviceId, signal: AbortSignal): Promise<void> {
    const user = deps.user();
    for (const debt of records.debts(user).filter((one) => one.owner === owner && one.peer === peer)) {
      for (let left = debt.amount; left > 0n;) {
        const { tx, amount } = await deps.pay(owner, peer, debt.symbol, left, signal);
        records.paid(user, { ...debt, amount }, tx);
        left -= amount;
      }
    }
    for (const tx of records.untold(user, owner, peer)) {
      await (await connect(peer, null, signal)).settle(owner, tx);
      records.told(user, owner, peer, tx);
    }
  }
  function settle(owner: UserId, peer: DeviceId, signal: AbortSignal): Promise<void> {
    const key = `${owner} ${peer}`;
    let work = settling.get(key);
    if (!work) {
      work = pay(owner, peer, signal).finally(() => settling.delete(key));
      settling.set(key, work);
    }
    return work;
  }

  async function* call(request: CallRequest, caller: AbortSignal): AsyncGenerator<JsonValue, CallOutcome> {
    const params = checkJson(request.params);
    const deadline = clock.now() + request.timeout;
    const limit = new AbortController();
    const cancel = clock.after(request.timeout, () =>
      limit.abort(new AppError('timeout', 'The service did not answer in time.')),
    );
    const signal = AbortSignal.any([caller, limit.signal]);
    try {
      const local = offers.list().find((one) => named(request)(offerShown(one)));
      if (local) return yield* callHere(local, request, params, signal);
      const offered = await known(signal);
      const there = offered.filter((one) => one.peer !== null && named(request)(one));
      if (new Set(there.map(({ peer }) => peer)).size > 1) await askRatings(there);
      const list = candidates(offered, request);
      if (list.length === 0) {
        throw new AppError('not_found', `Nobody who is known here offers ${request.service.slice(0, 100)}.`);
      }
      let failure: unknown = null;
      let failed = 0;
      for (const offer of list) {
        const peer = offer.peer as DeviceId;
        const progress = { sent: false, items: 0 };
        const start = clock.now();
        const note = (ok: boolean): void =>
          records.rate(
            peer,
            offer.interface,
            rated(records.rating(peer, offer.interface), ok, clock.now() - start),
            clock.now(),
          );
        for (let paid = false; ; paid = true) {
          try {
            const { value, receipt } = yield* callThere(offer, request, params, deadline, signal, progress);
            note(true);
            return { value, offer, receipt, failed };
          } catch (error) {
            if (signal.aborted) throw signal.reason;
            if (isAppError(error, 'payment_due') && !paid) {
              await settle(offer.owner, peer, signal);
              continue;
            }
            const code = isAppError(error) ? error.code : 'internal';
            if (!elsewhere.includes(code)) throw error;
            if (code !== 'price_exceeded') note(false);
            // Parts that were passed on can't be taken back, and some calls must not be made twice.
            const once = interfaces.get(offer.interface)?.method(request.method).once ?? false;
            if (progress.items > 0 || (progress.sent && once && !isRefusal(code))) throw error;
            failure ??= error;
            failed += 1;
            logger.debug({ err: error, peer, service: offer.slug }, 'another provider is tried');
            break;
          }
        }
      }
      throw failure;
    } finally {
      cancel();
    }
  }

  return {
    known,
    askRatings,
    async interfaceOf(hash, signal) {
      const found = interfaces.get(hash) ?? offers.interfaceOf(hash);
      if (found) return found;
      const offer = (await known(signal)).find((one) => one.interface === hash && one.peer !== null);
      if (!offer) throw new AppError('not_found', 'Nobody who is known here has this interface.');
      await reach(offer, signal);
      return describe(offer, null, signal);
    },
    call,
    settle,
    stop() {
      for (const one of connections.values()) one.then((open) => open.close()).catch(() => {});
    },
  };
}

/** The provider refused before it began. */
const isRefusal = (code: string): boolean =>
  ['not_found', 'interface_changed', 'rate_limited', 'forbidden', 'price_exceeded'].includes(code);
