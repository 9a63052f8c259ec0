import { AppError } from '../../../src-shared/errors.ts';
import { formatAmount, parseAmount } from '../../../src-shared/amount.ts';
import type {
  Credit,
  KnownOffer,
  Offer,
  ServiceManifest,
  ServiceRecords,
  WirePrice,
} from '../../apps/index.ts';
import { hashOfUserId, userIdOfHash } from '../../identity/index.ts';
import type { DeviceId, UserId } from '../../identity/index.ts';
import { decodeTx, fieldsOfMessage, message, sameBytes, servicesView, tokenOf } from '../../ledger/index.ts';
import type { LedgerView, WireMessage } from '../../ledger/index.ts';
import type { Clock } from '../../../src-shared/runtime.ts';
import type { Chains, OpenChain } from '../ledger/chains.ts';
import { fromHex, hex } from '../ledger/shown.ts';
import type { Wallet } from '../ledger/wallet.ts';

/** A provider lets a caller owe so many calls before it wants to be paid. */
const callsOnCredit = 20n;

/** What services have to do with the ledger: the register, prices, payments. Everything works without a network but prices. */
export interface ServiceMarket {
  registered(): Promise<readonly KnownOffer[]>;
  /** A price in whole tokens as units. @throws AppError `chain_unknown`, `token_unknown`, `invalid_argument` */
  units(price: { readonly symbol: string; readonly amount: string } | null): Promise<WirePrice | null>;
  shown(price: WirePrice | null): Promise<{ symbol: string; amount: string } | null>;
  /** @returns hash of the transaction */
  register(manifest: ServiceManifest, peers: readonly string[], days: number): Promise<string>;
  remove(slug: string): Promise<string>;
  /** @throws AppError `not_allowed` for a price that the person's own limit does not let out without a password */
  checkPrice(owner: UserId, price: WirePrice): Promise<void>;
  /**
   * Pays an owner for calls that the computer `peer` answered: all of it, or as much as one transaction may take without a password.
   * @returns the transaction, once it stands in a block, and what it paid
   */
  pay(
    owner: UserId,
    peer: DeviceId,
    symbol: string,
    amount: bigint,
    signal: AbortSignal,
  ): Promise<{ readonly tx: string; readonly amount: bigint }>;
  readonly credit: Credit;
}

/**
 * The largest part of an amount, by halves, that may go out at once.
 * @returns 0: none may
 */
export function partWithin(amount: bigint, may: (part: bigint) => boolean): bigint {
  let part = amount;
  while (part > 0n && !may(part)) part /= 2n;
  return part;
}

const memoFor = (peer: DeviceId): string => `services ${peer}`;

export function createServiceMarket(deps: {
  readonly chains: () => Pick<Chains, 'current'>;
  readonly wallet: () => Wallet;
  readonly records: ServiceRecords;
  readonly clock: Clock;
  readonly self: DeviceId;
  /** Whether the person's limit asks for the password before such a transaction. */
  readonly needsPassword: (open: OpenChain, view: LedgerView, messages: readonly WireMessage[]) => boolean;
}): ServiceMarket {
  const { records, clock } = deps;

  function active(): OpenChain {
    const open = deps.chains().current();
    if (open) return open;
    throw new AppError(
      'chain_unknown',
      'Prices and the register of services need a network: create or join one.',
    );
  }

  const decimals = (symbol: string): Promise<number> =>
    active().reader.read(({ state }) => tokenOf(state, symbol).spec.decimals, `token ${symbol}`);

  /** Waits until a transaction stands in a block. @throws AppError what it failed with */
  async function settled(open: OpenChain, hash: Uint8Array, signal: AbortSignal): Promise<void> {
    for (;;) {
      const { height: seen } = open.chain.status();
      const place = (await open.reader.findTx(hash))?.place;
      if (place?.result.ok) return;
      if (place) throw new AppError(place.result.code as AppError['code'], place.result.message);
      await open.chain.waitFor(seen + 1, signal);
    }
  }

  const paymentTo = (owner: UserId, peer: DeviceId, symbol: string, amount: bigint): WireMessage =>
    message('bank.send', { to: hashOfUserId(owner), symbol, amount, memo: memoFor(peer) });

  /** What of an amount may go out in one transaction without a password. */
  const unasked = (
    open: OpenChain,
    owner: UserId,
    peer: DeviceId,
    symbol: string,
    amount: bigint,
  ): Promise<bigint> =>
    open.reader.read(
      (view) =>
        partWithin(amount, (part) => !deps.needsPassword(open, view, [paymentTo(owner, peer, symbol, part)])),
      'a payment of calls',
    );

  return {
    async checkPrice(owner, { symbol, amount }) {
      const open = active();
      const price = BigInt(amount);
      if ((await unasked(open, owner, deps.self, symbol, price)) === price) return;
      throw new AppError(
        'not_allowed',
        'A call costs more than you let out without your password (wallet.passwordAbove).',
      );
    },
    async registered() {
      const open = deps.chains().current();
      if (!open) return [];
      return open.reader.read(
        ({ state, time }) =>
          servicesView(state, time).flatMap(({ owner, slug, row }): KnownOffer[] => {
            const byPeer = new Map<string, string[]>();
            for (const peer of row.peers) {
              const id = peer.slice(peer.lastIndexOf('/') + 1);
              byPeer.set(id, [...(byPeer.get(id) ?? []), ...(peer.includes('/') ? [peer] : [])]);
            }
            return [...byPeer].map(([peer, addresses]) => ({
              owner: userIdOfHash(owner),
              slug,
              title: row.title,
              text: row.text,
              interface: hex(row.schema),
              price: row.price && { symbol: row.price.symbol, amount: row.price.amount.toString() },
              peer,
              addresses,
              source: 'ledger',
            }));
          }),
        'services',
      );
    },
    async units(price) {
      if (!price) return null;
      return {
        symbol: price.symbol,
        amount: parseAmount(price.amount, await decimals(price.symbol)).toString(),
      };
    },
    async shown(price) {
      if (!price) return null;
      const open = deps.chains().current();
      // What an unknown token is worth can't be said in whole ones.
      const places = open ? await decimals(price.symbol).catch(() => 0) : 0;
      return { symbol: price.symbol, amount: formatAmount(BigInt(price.amount), places) };
    },
    async register(manifest, peers, days) {
      const open = active();
      const units = await this.units(manifest.price);
      const made = message('service.register', {
        slug: manifest.slug,
        title: manifest.title,
        text: manifest.text,
        schema: fromHex(manifest.interface.hash),
        peers: peers.slice(0, 8),
        price: units && { symbol: units.symbol, amount: BigInt(units.amount) },
        pool: null,
        days,
      });
      return hex(await deps.wallet().send(open, { messages: [made], feeIn: null }));
    },
    async remove(slug) {
      const made = message('service.remove', { slug });
      return hex(await deps.wallet().send(active(), { messages: [made], feeIn: null }));
    },
    async pay(owner, peer, symbol, amount, signal) {
      const open = active();
      const part = await unasked(open, owner, peer, symbol, amount);
      if (part === 0n)
        throw new AppError('not_allowed', 'Your limit lets nothing out without your password.');
      const made = paymentTo(owner, peer, symbol, part);
      const hash = await deps.wallet().send(open, { messages: [made], feeIn: null });
      await settled(open, hash, signal);
      return { tx: hex(hash), amount: part };
    },
    credit: {
      check(caller, { owner, price, slug }: Offer) {
        if (!price || caller === owner) return;
        const owed = records.owed(owner, caller, price.symbol);
        if (owed + BigInt(price.amount) <= BigInt(price.amount) * callsOnCredit) return;
        throw new AppError('payment_due', `Earlier calls of ${slug} have to be paid first.`, {
          details: { symbol: price.symbol, owed: owed.toString() },
        });
      },
      charge(caller, { owner, price }) {
        if (price && caller !== owner) records.charge(owner, caller, price.symbol, BigInt(price.amount));
      },
      async settle(caller, owner, tx) {
        const open = active();
        let found = await open.reader.findTx(fromHex(tx));
        // It stands in a block of the payer; this node may be a block behind.
        for (let tries = 0; !found?.place && tries < 3; tries += 1) {
          await open.chain.waitFor(open.chain.status().height + 1, AbortSignal.timeout(3000)).catch(() => {});
          found = await open.reader.findTx(fromHex(tx));
        }
        if (!found?.place) throw new AppError('not_found', 'This payment stands in no block yet.');
        const { body } = decodeTx(found.bytes);
        if (!found.place.result.ok || !sameBytes(body.sender, hashOfUserId(caller))) {
          throw new AppError('invalid_argument', 'This transaction pays nothing for the caller.');
        }
        const to = hashOfUserId(owner);
        const sums = new Map<string, bigint>();
        for (const msg of body.msgs) {
          if (msg.type !== 'bank.send') continue;
          const fields = fieldsOfMessage(msg) as {
            to: Uint8Array;
            symbol: string;
            amount: bigint;
            memo: string;
          };
          // Each computer of the owner keeps its own books: a payment counts at one of them.
          if (sameBytes(fields.to, to) && fields.memo === memoFor(deps.self))
            sums.set(fields.symbol, (sums.get(fields.symbol) ?? 0n) + fields.amount);
        }
        const [first] = sums;
        if (!first) throw new AppError('invalid_argument', 'This transaction pays nothing to the provider.');
        const left = records.received(owner, caller, tx, first[0], first[1], clock.now());
        return left > 0n ? left : 0n;
      },
    },
  };
}
