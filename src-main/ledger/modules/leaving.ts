import { amount, flag, nullable, record, whole } from '../codec/shape.ts';
import { addressShape } from '../codec/tx.ts';
import { bytesKey, numberKey, table } from '../state/table.ts';
import type { Key } from '../state/table.ts';
import type { Address, TokenSymbol } from '../types.ts';

/** Stake on its way out. By account, token and number, so that an account's are found together. */
export const leaving = table(
  'l',
  'leaving stakes',
  record({
    validator: nullable(addressShape),
    /** Of the pool's leaving shares. */
    shares: amount,
    /** When it is free, ms. */
    end: whole(),
    /** Height of the block in which it began to leave: it does not answer for later offences. */
    since: whole(),
  }),
);
export const leavingPrefix = (address: Address, symbol: TokenSymbol): Key =>
  `${bytesKey(address)}${symbol}\0`;

/** The same by their end: the account, token and number follow in the key. */
export const leavingQueue = table('q', 'ends of leaving stakes', flag);
export const queueKey = (end: number, key: Key): Key => numberKey(end) + key;

/** Those that leave a validator, by it and by the block in which they began: the rest of the key is theirs. */
export const leavingOf = table('x', 'leaving stakes by validator', flag);
export const leavingOfKey = (validator: Address, since: number, key: Key): Key =>
  bytesKey(validator) + numberKey(since) + key;
/** Where the key of the stake begins in one of `leavingOf`. */
export const leavingOfPrefix = 40;
