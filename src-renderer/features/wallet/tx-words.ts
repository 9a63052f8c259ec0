import {
  ArrowDownLeft,
  ArrowLeftRight,
  ArrowUpRight,
  AtSign,
  Droplets,
  Fuel,
  Coins,
  Settings2,
  Sprout,
} from '@lucide/vue';
import type { Component } from 'vue';
import type { Tx, TxMessage } from '../../../src-shared/contract/index.ts';

/** How one message of a transaction looks to the person whose wallet this is. */
export interface Deed {
  readonly icon: Component;
  /** Key of a sentence; `who` names the other side where it has one. */
  readonly word: string;
  readonly who: string | null;
  /** With a minus when it left, with a plus when it came; without a sign when it is the person's before and after. */
  readonly amount: string | null;
  readonly symbol: string | null;
}

const icons: Readonly<Record<string, Component>> = {
  'token.create': Coins,
  'token.mint': Coins,
  'stake.bond': Sprout,
  'stake.unbond': Sprout,
  'stake.claim': Sprout,
  'stake.redelegate': Sprout,
  'pool.swapIn': ArrowLeftRight,
  'pool.swapOut': ArrowLeftRight,
  'pool.create': Droplets,
  'pool.deposit': Droplets,
  'pool.withdraw': Droplets,
  'pool.claim': Droplets,
  'vault.deposit': Droplets,
  'vault.withdraw': Droplets,
  'vault.rebalance': Droplets,
  'name.commit': AtSign,
  'name.reveal': AtSign,
  'name.renew': AtSign,
  'storage.buyFuel': Fuel,
  'storage.collect': Coins,
  'relay.redeem': Coins,
  'relay.collect': Coins,
};
const known = new Set([
  'token.create',
  'token.mint',
  'token.burn',
  'stake.bond',
  'stake.unbond',
  'stake.claim',
  'stake.redelegate',
  'validator.create',
  'validator.leave',
  'anchor.commit',
  'anchor.card',
  'account.delegateKey',
  'account.revokeKey',
  'pool.swapIn',
  'pool.swapOut',
  'pool.create',
  'pool.deposit',
  'pool.withdraw',
  'pool.claim',
  'vault.create',
  'vault.deposit',
  'vault.withdraw',
  'vault.rebalance',
  'name.commit',
  'name.reveal',
  'name.renew',
  'name.transfer',
  'app.publish',
  'app.review',
  'app.revoke',
  'storage.buyFuel',
  'storage.open',
  'storage.accept',
  'storage.claim',
  'storage.prove',
  'storage.collect',
  'relay.fund',
  'relay.redeem',
  'relay.collect',
  'relay.close',
  'beacon.commit',
  'beacon.reveal',
]);

/** What leaves the account with its message. */
const gives = new Set([
  'pool.swapIn',
  'pool.create',
  'pool.deposit',
  'vault.deposit',
  'storage.buyFuel',
  'relay.fund',
  'stake.bond',
  'token.burn',
  'validator.create',
]);
/** What comes into it. The rest, as stake on its way back, is neither. */
const brings = new Set(['pool.swapOut', 'pool.withdraw', 'vault.withdraw', 'token.create', 'token.mint']);
const signOf = (type: string): string => (gives.has(type) ? '-' : brings.has(type) ? '+' : '');

/** @param user whose wallet it is */
export function deedOf(one: TxMessage, user: string): Deed {
  if (one.type === 'bank.send') {
    const out = one.from === user;
    return {
      icon: out ? ArrowUpRight : ArrowDownLeft,
      word: out ? 'wallet.did.sent' : 'wallet.did.received',
      who: out ? one.to : one.from,
      amount: one.amount === null ? null : `${out ? '-' : '+'}${one.amount}`,
      symbol: one.symbol,
    };
  }
  return {
    icon: icons[one.type] ?? Settings2,
    word: known.has(one.type) ? `wallet.did.${one.type.replace('.', '_')}` : 'wallet.did.other',
    who: null,
    amount: one.amount === null ? null : signOf(one.type) + one.amount,
    symbol: one.symbol,
  };
}

/** The first deed stands for the transaction; others are counted. */
export const firstDeed = (tx: Tx, user: string): Deed | null =>
  tx.messages[0] ? deedOf(tx.messages[0], user) : null;
