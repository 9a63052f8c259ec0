import { parseAmount } from '../../../src-shared/amount.ts';
import { contractView, fieldsOfMessage, nameRent, payOf, vaultsView } from '../../ledger/index.ts';
import type { LedgerView, MessageFields, MessageType, WireMessage } from '../../ledger/index.ts';
import type { Online } from '../core.ts';
import type { OpenChain } from './chains.ts';
import { baseOf } from './wallet.ts';

/* When the password is asked for again: above a limit of base coin, and for what hands out rights, whoever sits at the computer. */

/** What a message may take from the account, in units of the base coin at the most; `rights`: it hands out power over the account or what it owns. */
export type Leaving = bigint | 'rights';

interface Facts {
  readonly view: LedgerView;
  /** Symbol of the base coin. */
  readonly base: string;
  /** Base units for a name or entry and day. */
  readonly rentPerDay: bigint;
}

const nothing = (): Leaving => 0n;
const rights = (): Leaving => 'rights';
const ofBase = (symbol: string, amount: bigint, { base }: Facts): bigint => (symbol === base ? amount : 0n);

/** Every kind of message stands here: one that is new does not compile until somebody says what it takes. */
const leaving: { readonly [K in MessageType]: (fields: MessageFields<K>, facts: Facts) => Leaving } = {
  'account.rotateKey': rights,
  'account.setQuorum': rights,
  'account.delegateKey': rights,
  'account.revokeKey': nothing,
  'token.create': nothing,
  'token.mint': nothing,
  'token.burn': ({ symbol, amount }, facts) => ofBase(symbol, amount, facts),
  'token.freeze': nothing,
  'token.renounce': nothing,
  'token.handOver': rights,
  'token.setFeeRate': nothing,
  'token.fundFees': ({ amount }) => amount,
  'token.withdrawFees': nothing,
  'bank.send': ({ symbol, amount }, facts) => ofBase(symbol, amount, facts),
  'stake.bond': ({ symbol, amount }, facts) => ofBase(symbol, amount, facts),
  'stake.unbond': nothing,
  'stake.claim': nothing,
  'stake.redelegate': nothing,
  'validator.create': ({ bond }) => bond,
  'validator.edit': nothing,
  'validator.leave': nothing,
  'validator.unjail': nothing,
  'anchor.commit': nothing,
  'anchor.card': nothing,
  'anchor.fork': nothing,
  'directory.publish': ({ days }, { rentPerDay }) => rentPerDay * BigInt(days),
  'directory.remove': nothing,
  'pool.create': ({ a, b, amountA, amountB }, facts) => ofBase(a, amountA, facts) + ofBase(b, amountB, facts),
  'pool.deposit': ({ a, b, maxA, maxB }, facts) => ofBase(a, maxA, facts) + ofBase(b, maxB, facts),
  'pool.withdraw': nothing,
  'pool.claim': nothing,
  'pool.swapIn': ({ from, amount }, facts) => ofBase(from, amount, facts),
  'pool.swapOut': ({ from, maxIn }, facts) => ofBase(from, maxIn, facts),
  'pool.favour': nothing,
  'vault.create': nothing,
  'vault.deposit'({ vault, amount }, facts) {
    const asset = vaultsView(facts.view, null).find((one) => one.number === vault)?.asset;
    return ofBase(asset ?? facts.base, amount, facts);
  },
  'vault.withdraw': nothing,
  'vault.rebalance': nothing,
  'vault.setTargets': nothing,
  'name.commit': nothing,
  'name.reveal': ({ name, days }, { rentPerDay }) => nameRent(rentPerDay, name, days),
  'name.renew': ({ name, days }, { rentPerDay }) => nameRent(rentPerDay, name, days),
  'name.transfer': rights,
  'name.point': nothing,
  'service.register': ({ days }, { rentPerDay }) => rentPerDay * BigInt(days),
  'service.remove': nothing,
  'app.publish': ({ days }, { rentPerDay }) => rentPerDay * BigInt(days),
  'app.renew': ({ days }, { rentPerDay }) => rentPerDay * BigInt(days),
  'app.revoke': nothing,
  'app.review': nothing,
  'app.remove': nothing,
  // A deposit that comes back, put down by the node itself.
  'beacon.commit': nothing,
  'beacon.reveal': nothing,
  'storage.vote': nothing,
  'storage.buyFuel': ({ amount }) => amount,
  'storage.open': (terms) => BigInt(terms.copies) * BigInt(terms.periods) * payOf(terms),
  'storage.accept': ({ contract }, { view }) =>
    contractView(view.state, contract, new Uint8Array(32))?.collateral ?? 0n,
  'storage.claim': nothing,
  'storage.prove': nothing,
  'storage.report': nothing,
  'storage.close': nothing,
  'storage.collect': nothing,
  'relay.fund': ({ amount }) => amount,
  'relay.redeem': nothing,
  'relay.collect': nothing,
  'relay.close': nothing,
};

/** What all messages of a transaction together may take from the account, its fee aside. */
function leavingBy(messages: readonly WireMessage[], facts: Facts): Leaving {
  let sum = 0n;
  for (const one of messages) {
    const of = leaving[one.type as MessageType] as (fields: object, facts: Facts) => Leaving;
    const found = of(fieldsOfMessage(one), facts);
    if (found === 'rights') return found;
    sum += found;
  }
  return sum;
}

/** Whether the password is needed for a transaction: there is one, a limit is set, and it takes more or hands out rights. */
export function needsPassword(
  { identity, settings }: Pick<Online, 'identity' | 'settings'>,
  { genesis }: Pick<OpenChain, 'genesis'>,
  view: LedgerView,
  messages: readonly WireMessage[],
): boolean {
  const limit = settings.get('wallet.passwordAbove');
  if (limit === null || identity.status().protection !== 'password') return false;
  const { rentPerDay } = genesis.params;
  const found = leavingBy(messages, { view, base: baseOf({ genesis }), rentPerDay });
  return found === 'rights' || found > parseAmount(limit, genesis.tokens[0]!.spec.decimals);
}
