import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { ServiceSummary } from '../../../src-shared/contract/index.ts';
import type { NodeServices } from '../../api/index.ts';
import {
  checkManifest,
  createOffers,
  createServiceCalls,
  createServiceRatings,
  createServiceRecords,
  createServiceServer,
} from '../../apps/index.ts';
import type {
  CallOutcome,
  CallRequest,
  JsonValue,
  KnownOffer,
  Offers,
  ServiceCalls,
  WirePrice,
} from '../../apps/index.ts';
import type { UserId } from '../../identity/index.ts';
import type { Online } from '../core.ts';
import type { Chains } from '../ledger/chains.ts';
import { iso } from '../ledger/shown.ts';
import { needsPassword } from '../ledger/spending.ts';
import type { Wallet } from '../ledger/wallet.ts';
import { createAnswering } from './answering.ts';
import type { Asked, ReplyStep } from './answering.ts';
import { createServiceMarket, type ServiceMarket } from './service-market.ts';

/** Services offered from and called from this node. */
export interface NodeServicesOfApps {
  readonly calls: ServiceCalls;
  readonly offers: Offers;
  readonly market: ServiceMarket;
  user(): UserId;
  /**
   * Offers a service from here, answered by a program or an app.
   * @param ask hands a call on; false when nobody is there any more
   * @returns the service's name, its interface and what ends it
   */
  provide(
    manifest: unknown,
    app: string | null,
    ask: (asked: Asked) => boolean,
  ): Promise<{ readonly service: string; readonly interface: string; readonly end: () => void }>;
  reply(call: string, app: string | null, step: ReplyStep): void;
  register(manifest: unknown, days: number): Promise<string>;
  /** A call with its price in whole tokens. */
  call(
    request: Omit<CallRequest, 'maxFee'> & {
      readonly maxFee: { symbol: string; amount: string } | 'listed' | null;
    },
    signal: AbortSignal,
  ): AsyncGenerator<JsonValue, CallOutcome>;
  list(
    query: { readonly search: string; readonly interface: string | null },
    signal: AbortSignal,
  ): Promise<ServiceSummary[]>;
  readonly records: ReturnType<typeof createServiceRecords>;
  stop(): void;
}

/** Debts are paid this long after a call, ms, or at once when a provider asks. */
const payAfter = 60_000;

export function createNodeServicesOfApps(
  node: Online,
  { chains, wallet }: { readonly chains: () => Chains; readonly wallet: () => Wallet },
): NodeServicesOfApps {
  const { network, identity, clock, random, logger } = node;
  const records = createServiceRecords(node.db);
  const market = createServiceMarket({
    chains,
    wallet,
    records,
    clock,
    self: network.peerId,
    needsPassword: (open, view, messages) => needsPassword(node, open, view, messages),
  });
  const ended = new AbortController();
  const offers = createOffers(() => {});
  const answering = createAnswering(random);

  function user(): UserId {
    const found = identity.userId();
    if (found !== null) return found;
    throw new AppError('no_identity', 'Create an identity first, restore one, or link this computer to one.');
  }

  const server = createServiceServer({
    network,
    offers,
    credit: market.credit,
    device: () => identity.deviceSigner,
    clock,
    logger,
  });
  const ratings = createServiceRatings({
    network,
    records,
    user: () => identity.userId(),
    device: () => identity.deviceSigner,
    shares: () => node.settings.get('services.shareRatings'),
    clock,
    logger,
  });
  const calls = createServiceCalls({
    network,
    offers,
    records,
    ratings,
    user,
    device: () => identity.deviceSigner,
    clock,
    random,
    logger,
    registered: () => market.registered(),
    checkPrice: (...args) => market.checkPrice(...args),
    pay: (...args) => market.pay(...args),
  });

  async function payAll(): Promise<void> {
    const of = identity.userId();
    for (const { owner, peer } of of === null ? [] : records.debts(of)) {
      await calls
        .settle(owner, peer, ended.signal)
        .catch((error: unknown) =>
          logger.debug({ err: error, peer }, 'calls of services could not be paid yet'),
        );
    }
  }
  let cancel = (): void => {};
  const later = (): void => {
    cancel = clock.after(payAfter, () => {
      void payAll().finally(() => {
        if (!ended.signal.aborted) later();
      });
    });
  };
  later();

  async function summary(group: readonly KnownOffer[]): Promise<ServiceSummary> {
    const first = group.find((one) => one.source !== 'ledger') ?? (group[0] as KnownOffer);
    const connected = new Set(network.peers().map(({ peerId }) => peerId));
    const peers = new Set(group.map((one) => one.peer));
    return {
      service: `${first.owner}/${first.slug}`,
      slug: first.slug,
      owner: first.owner,
      title: first.title,
      text: first.text,
      interface: first.interface,
      price: await market.shown(first.price),
      registered: group.some((one) => one.source === 'ledger'),
      providers: [...peers].map((peerId) => {
        const { success, ms, calls: made } = records.rating(peerId ?? '', first.interface);
        const rating = peerId === null ? null : ratings.told(peerId, first.interface);
        const reached = peerId === null || connected.has(peerId);
        return { peerId, connected: reached, success, ms, calls: made, rating };
      }),
    };
  }

  return {
    calls,
    offers,
    market,
    records,
    user,
    async provide(given, app, ask) {
      const manifest = checkManifest(given);
      const owner = user();
      const { slug, title, text, interface: definition } = manifest;
      const price = await market.units(manifest.price);
      const end = offers.add({
        owner,
        slug,
        title,
        text,
        interface: definition,
        price,
        app,
        run: (call, signal) => answering.run(call, app, ask, signal),
      });
      return { service: `${owner}/${slug}`, interface: definition.hash, end };
    },
    reply: (call, app, step) => answering.reply(call, app, step),
    register(given, days) {
      const manifest = checkManifest(given);
      const addresses = network.addresses();
      return market.register(manifest, addresses.length > 0 ? addresses : [network.peerId], days);
    },
    async *call({ maxFee, ...request }, signal) {
      const fee = maxFee === 'listed' ? 'listed' : await market.units(maxFee);
      try {
        return yield* calls.call({ ...request, maxFee: fee }, signal);
      } catch (error) {
        const price = isAppError(error, 'price_exceeded')
          ? (error.details?.['price'] as WirePrice | undefined)
          : undefined;
        const costs = await market.shown(price ?? null).catch(() => null);
        if (!costs) throw error;
        throw new AppError(
          'price_exceeded',
          `A call costs ${costs.amount} ${costs.symbol}; allow so much for it.`,
          {
            details: { price: costs },
            cause: error,
          },
        );
      }
    },
    async list({ search, interface: hash }, signal) {
      const words = search
        .toLowerCase()
        .split(/\s+/)
        .filter((word) => word !== '');
      const found = (await calls.known(signal)).filter((one) => {
        if (hash !== null && one.interface !== hash) return false;
        const text = `${one.slug} ${one.title} ${one.text} ${one.owner}`.toLowerCase();
        return words.every((word) => text.includes(word));
      });
      await calls.askRatings(found);
      const groups = new Map<string, KnownOffer[]>();
      for (const one of found) {
        const key = `${one.owner}/${one.slug} ${one.interface}`;
        groups.set(key, [...(groups.get(key) ?? []), one]);
      }
      return Promise.all([...groups.values()].slice(0, 500).map(summary));
    },
    stop() {
      ended.abort();
      cancel();
      server.stop();
      ratings.stop();
      calls.stop();
    },
  };
}

/** What `provide` may hold back for a slow reader. */
const mostAsked = 1000;
/** Parts of one answer that are collected in a list. */
const mostItems = 10_000;

type Groups = NodeServices['services'];
type CallInput = Parameters<Groups['callStream']>[0] & Pick<CallRequest, 'interface'>;

/** Ends a call that nobody takes parts of any more, so that it gives its place back. */
const leave = (running: AsyncGenerator<unknown, unknown>): Promise<unknown> =>
  running.return(undefined).catch(() => {});

/** Calls and offers in the contract's shapes, in the name of an app (null: of the person at the command line or in the window). */
export function createServicesOfCallers(services: () => NodeServicesOfApps) {
  async function* call(app: string | null, { timeout, ...request }: CallInput, signal: AbortSignal) {
    const started = performance.now();
    const { value, offer, receipt, failed } = yield* services().call(
      { ...request, app, timeout: timeout * 1000 },
      signal,
    );
    return {
      value,
      service: `${offer.owner}/${offer.slug}`,
      peerId: offer.peer,
      fee: await services().market.shown(receipt?.fee ?? null),
      took: Math.round((performance.now() - started) * 10) / 10,
      failed,
    };
  }

  return {
    list: (query: Parameters<Groups['list']>[0], signal: AbortSignal) => services().list(query, signal),
    async call(app: string | null, input: CallInput, signal: AbortSignal) {
      const items: JsonValue[] = [];
      const running = call(app, input, signal);
      try {
        for (;;) {
          const step = await running.next();
          if (step.done) return { ...step.value, items };
          if (items.length >= mostItems)
            throw new AppError('too_large', 'This answer has too many parts: stream it.');
          items.push(step.value);
        }
      } finally {
        await leave(running);
      }
    },
    async *callStream(app: string | null, input: CallInput, signal: AbortSignal) {
      const running = call(app, input, signal);
      try {
        for (;;) {
          const step = await running.next();
          if (step.done) {
            yield { kind: 'result' as const, ...step.value };
            return;
          }
          yield { kind: 'item' as const, value: step.value };
        }
      } finally {
        await leave(running);
      }
    },
    async *provide(app: string | null, manifest: unknown, signal: AbortSignal) {
      const queue: Asked[] = [];
      let wake = (): void => {};
      const onAbort = (): void => wake();
      signal.addEventListener('abort', onAbort);
      const offer = await services().provide(manifest, app, (asked) => {
        if (signal.aborted || queue.length >= mostAsked) return false;
        queue.push(asked);
        wake();
        return true;
      });
      try {
        yield { kind: 'ready' as const, service: offer.service, interface: offer.interface };
        while (!signal.aborted) {
          const next = queue.shift();
          if (!next) {
            await new Promise<void>((resolve) => (wake = resolve));
            continue;
          }
          if (next.kind === 'cancelled') yield next;
          else {
            const { caller, ...asked } = next;
            yield { ...asked, user: caller.user, app: caller.app, local: caller.device === null };
          }
        }
      } finally {
        offer.end();
        signal.removeEventListener('abort', onAbort);
      }
    },
    reply: (app: string | null, { call: name, step }: Parameters<Groups['reply']>[0]) =>
      services().reply(name, app, step as ReplyStep),
    async describe({ service }: { readonly service: string }, signal: AbortSignal) {
      const known = await services().list({ search: '', interface: null }, signal);
      const found = known.find((one) => [one.service, one.slug, one.interface].includes(service));
      if (!found) throw new AppError('not_found', `Nobody who is known here offers ${service}.`);
      const { definition } = await services().calls.interfaceOf(found.interface, signal);
      return { interface: found.interface, definition, price: found.price };
    },
  };
}

/** The `services` group of the contract. */
export function createServiceServices(services: () => NodeServicesOfApps): Pick<NodeServices, 'services'> {
  const callers = createServicesOfCallers(services);
  return {
    services: {
      list: callers.list,
      describe: callers.describe,
      call: (input, signal) => callers.call(null, input, signal),
      callStream: (input, signal) => callers.callStream(null, input, signal),
      provide: ({ manifest }, signal) => callers.provide(null, manifest, signal),
      reply(input) {
        callers.reply(null, input);
        return { ok: true };
      },
      async register({ manifest, days }) {
        return { hash: await services().register(manifest, days) };
      },
      async remove({ slug }) {
        return { hash: await services().market.remove(slug) };
      },
      receipts: ({ limit }) =>
        Promise.all(
          services()
            .records.receipts(services().user(), limit)
            .map(async ({ peer, receipt }) => ({
              service: `${receipt.owner}/${receipt.service}`,
              method: receipt.method,
              peerId: peer,
              app: receipt.app,
              fee: await services().market.shown(receipt.fee),
              time: iso(receipt.time),
              params: receipt.params,
              result: receipt.result,
              signature: receipt.sig,
            })),
        ),
      debts: () =>
        Promise.all(
          services()
            .records.debts(services().user())
            .map(async ({ owner, peer, symbol, amount }) => ({
              owner,
              peerId: peer,
              fee: (await services().market.shown({ symbol, amount: amount.toString() }))!,
            })),
        ),
    },
  };
}
