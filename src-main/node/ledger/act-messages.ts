import { formatAmount, parseAmount } from '../../../src-shared/amount.ts';
import type { MarketAct, WalletAct } from '../../../src-shared/contract/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { hashOfUserId } from '../../identity/index.ts';
import {
  maxMessages,
  message,
  sameBytes,
  stakesView,
  validatorProofBytes,
  validatorsView,
} from '../../ledger/index.ts';
import type { Address, LedgerView, WireMessage } from '../../ledger/index.ts';
import type { Online } from '../core.ts';
import type { AccountKeys } from './account-keys.ts';
import type { OpenChain } from './chains.ts';
import type { KeyTerms } from './key-messages.ts';
import type { KeyRecord } from './key-records.ts';
import { decimalsOf, marketMessage } from './market-messages.ts';
import { fromHex, hex, iso } from './shown.ts';
import { tokenSpecOf } from './token-spec.ts';
import { baseOf } from './wallet.ts';

const dayMs = 86_400_000;

type AllowInput = Extract<WalletAct, { act: 'allowKey' }>['input'];
type WantedTerms = NonNullable<AllowInput['terms']>;

const amountOf = (view: LedgerView, symbol: string, text: string): bigint =>
  parseAmount(text, decimalsOf(view, symbol));

/** The account that runs a validator, named by its user id or by the hash of its key. */
function validatorAddress(
  open: OpenChain,
  { state }: LedgerView,
  symbol: string,
  name: string | null,
): Address | null {
  if (symbol !== baseOf(open)) return null;
  const all = validatorsView(state);
  if (name === null) {
    if (all.length === 1) return all[0]!.operator;
    const own = all.find((one) => hex(one.key) === hex(open.validatorKey.publicKey));
    if (own) return own.operator;
    throw new AppError('invalid_argument', 'There are several validators; say with which one.');
  }
  if (/^[0-9a-f]{64}$/.test(name)) {
    const found = all.find((one) => hex(one.id) === name);
    if (found) return found.operator;
    throw new AppError('validator_unknown', 'There is no validator of this id.');
  }
  return hashOfUserId(name);
}

/** Terms as people write them, in the ledger's units. */
export function termsOf(view: LedgerView, { scopes, caps, days }: WantedTerms): KeyTerms {
  return {
    scopes: [...scopes],
    caps: caps.map(({ symbol, amount }) => ({ symbol, amount: amountOf(view, symbol, amount).toString() })),
    expiry: view.time + days * dayMs,
  };
}

/** The same terms as people read them. */
export const shownTerms = (view: LedgerView, { scopes, caps, expiry }: KeyTerms) => ({
  scopes,
  caps: caps.map(({ symbol, amount }) => ({
    symbol,
    amount: formatAmount(BigInt(amount), decimalsOf(view, symbol)),
  })),
  expires: iso(expiry),
});

/** Turns what people want done into the ledger's messages. */
export function createActMessages({
  online,
  keys,
}: {
  readonly online: () => Online;
  readonly keys: () => AccountKeys;
}) {
  /** Keys of computers are a matter of one's own account. */
  function ofOwn(sender: Address): void {
    const user = online().identity.userId();
    if (user !== null && sameBytes(hashOfUserId(user), sender)) return;
    throw new AppError('unsupported', 'Keys of single computers are for accounts of one person.');
  }

  /**
   * The messages of an act, by the contract's words for it. Does nothing but look.
   * @param sender the account they are of
   * @throws AppError what the act's words can't mean here
   */
  function messagesOf(
    open: OpenChain,
    view: LedgerView,
    sender: Address,
    { act, input }: WalletAct,
  ): WireMessage[] {
    switch (act) {
      case 'send': {
        const { to, symbol, memo } = input;
        const amount = amountOf(view, symbol, input.amount);
        return [message('bank.send', { to: hashOfUserId(to), symbol, amount, memo })];
      }
      case 'createToken': {
        const { decimals, supply } = input;
        const spec = tokenSpecOf({ ...input, treasury: sender });
        return [message('token.create', { spec, initial: parseAmount(supply, decimals) })];
      }
      case 'mint': {
        const { symbol, to } = input;
        const amount = amountOf(view, symbol, input.amount);
        return [message('token.mint', { symbol, to: to === null ? sender : hashOfUserId(to), amount })];
      }
      case 'burn': {
        const { symbol } = input;
        return [message('token.burn', { symbol, amount: amountOf(view, symbol, input.amount) })];
      }
      case 'freeze': {
        const { symbol, user, frozen } = input;
        return [message('token.freeze', { symbol, address: hashOfUserId(user), frozen })];
      }
      case 'renounce':
        return [message('token.renounce', { symbol: input.symbol, power: input.right })];
      case 'handOver':
        return [message('token.handOver', { symbol: input.symbol, to: hashOfUserId(input.to) })];
      case 'setFeeRate': {
        const { symbol } = input;
        const { decimals } = open.genesis.tokens[0]!.spec;
        const rate =
          input.rate === null
            ? null
            : { num: amountOf(view, symbol, input.rate), den: 10n ** BigInt(decimals) };
        return [message('token.setFeeRate', { symbol, rate })];
      }
      case 'fundFees':
      case 'withdrawFees': {
        const amount = amountOf(view, baseOf(open), input.amount);
        return [
          message(act === 'fundFees' ? 'token.fundFees' : 'token.withdrawFees', {
            symbol: input.symbol,
            amount,
          }),
        ];
      }
      case 'bond':
      case 'unbond': {
        const { symbol } = input;
        const validator = validatorAddress(open, view, symbol, input.validator);
        const amount = amountOf(view, symbol, input.amount);
        return [message(act === 'bond' ? 'stake.bond' : 'stake.unbond', { symbol, validator, amount })];
      }
      case 'claim': {
        const own = stakesView(view.state, sender, view.time);
        const wanted = input.symbol;
        const claims = own.filter((one) => (wanted === null || one.symbol === wanted) && one.reward > 0n);
        if (claims.length === 0)
          throw new AppError('stake_unknown', `Nothing was earned by staking ${wanted ?? 'any token'} yet.`);
        // What is above the bound of one transaction waits for the next claim, and goes on earning.
        return claims
          .slice(0, maxMessages)
          .map(({ symbol, validator }) => message('stake.claim', { symbol, validator }));
      }
      case 'redelegate': {
        const { symbol } = input;
        const [from, to] = [input.from, input.to].map((name) => validatorAddress(open, view, symbol, name));
        if (!from || !to) {
          throw new AppError('invalid_argument', 'Only the base coin is staked with validators.');
        }
        const amount = amountOf(view, symbol, input.amount);
        return [message('stake.redelegate', { from, to, amount })];
      }
      case 'createValidator': {
        const { decimals } = open.genesis.tokens[0]!.spec;
        const proof = open.validatorKey.sign(validatorProofBytes(open.record.chainId, sender));
        return [
          message('validator.create', {
            key: open.validatorKey.publicKey,
            proof,
            name: input.name === '' ? deviceName(online()) : input.name,
            commissionBp: input.commission,
            bond: parseAmount(input.selfBond, decimals),
          }),
        ];
      }
      case 'allowKey':
        ofOwn(sender);
        return [keys().allowMessage(...allowing(open, view, input))];
      case 'revokeKey':
        ofOwn(sender);
        return keys().revokeMessages(open, view, input.key);
      case 'leaveValidator':
        return [message('validator.leave', {})];
      case 'unjail':
        return [message('validator.unjail', {})];
      default:
        return [marketMessage(view, sender, online().clock.now(), { act, input } as MarketAct)];
    }
  }

  /** What a computer asked for and what is allowed, once it is sure that somebody saw just that. */
  function allowing(open: OpenChain, view: LedgerView, input: AllowInput): [KeyRecord, KeyTerms] {
    const record = keys().asked(open, input.device, fromHex(input.key));
    // Terms of one's own say themselves what is signed.
    if (input.terms) return [record, termsOf(view, input.terms)];
    const { scopes, caps, expires } = shownTerms(view, record.terms);
    const { shown } = input;
    if (
      JSON.stringify([scopes, caps, expires]) !== JSON.stringify([shown.scopes, shown.caps, shown.expires])
    ) {
      throw new AppError('request_changed', 'This computer asks for something else by now; look again.');
    }
    return [record, record.terms];
  }

  return { messagesOf };
}
export type ActMessages = ReturnType<typeof createActMessages>;

const deviceName = ({ settings, identity }: Online): string =>
  settings.get('device.name') || identity.devices().find((one) => one.thisDevice)?.name || 'Validator';
