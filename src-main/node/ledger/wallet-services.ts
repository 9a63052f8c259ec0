import { formatAmount } from '../../../src-shared/amount.ts';
import type { AccountKey, Stake, Tx, WalletAct } from '../../../src-shared/contract/index.ts';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { NodeServices } from '../../api/index.ts';
import { hashOfUserId, userIdOfHash } from '../../identity/index.ts';
import {
  decodeTx,
  encodeLedgerProof,
  leavingView,
  stakesView,
  tokenOf,
  tokensView,
  tokenView,
} from '../../ledger/index.ts';
import type { Address, FoundTx, LedgerView, WireMessage } from '../../ledger/index.ts';
import type { Online } from '../core.ts';
import { shownTerms, termsOf } from './act-messages.ts';
import type { ActMessages } from './act-messages.ts';
import type { AccountKeys, AccountKey as KnownKey } from './account-keys.ts';
import type { Chains, OpenChain } from './chains.ts';
import type { KeyRecord } from './key-records.ts';
import { fromHex, hex, iso, shownBalances, shownPreview, shownToken, shownTx } from './shown.ts';
import { needsPassword } from './spending.ts';
import { baseOf } from './wallet.ts';
import type { Wallet } from './wallet.ts';

type Groups = 'wallet' | 'tokens' | 'stakes' | 'transactions';

interface Parts {
  /** Each throws while the keystore is locked. */
  readonly online: () => Online;
  readonly chains: () => Chains;
  readonly wallet: () => Wallet;
  readonly keys: () => AccountKeys;
  readonly acts: ActMessages;
}

export function createWalletServices({
  online,
  chains,
  wallet,
  keys,
  acts,
}: Parts): Pick<NodeServices, Groups> {
  const { messagesOf } = acts;
  const active = (): Promise<OpenChain> => chains().get(null);
  const addressOr = (user: string | null): Address => hashOfUserId(user ?? wallet().user());

  const shownKey = (view: LedgerView, one: KnownKey): AccountKey => ({
    device: one.device,
    name:
      online()
        .identity.devices()
        .find(({ deviceId }) => deviceId === one.device)?.name ?? '',
    key: hex(one.key),
    ...shownTerms(view, one.terms),
    state: one.state,
    own: one.device === online().identity.deviceId,
  });

  /**
   * Signs and hands in an act, with the password above the limit set for it.
   * @param before is told what will be signed
   */
  async function perform(
    act: WalletAct,
    before?: (open: OpenChain, messages: readonly WireMessage[]) => void,
  ): Promise<{ hash: string }> {
    const open = await active();
    const { password, feeIn } = act.input;
    const { messages, asks } = await open.reader.read((view) => {
      const made = messagesOf(open, view, addressOr(null), act);
      return { messages: made, asks: needsPassword(online(), open, view, made) };
    }, `act ${act.act}`);
    if (asks) await online().identity.checkPassword(password ?? '');
    before?.(open, messages);
    const hash = await wallet().send(open, { messages, feeIn: feeIn ?? null });
    return { hash: hex(hash) };
  }

  /** Transactions as they are shown. */
  const shownTxs = (open: OpenChain, found: readonly FoundTx[]): Promise<Tx[]> =>
    open.reader.read((view) => found.map((one) => shownTx(view, baseOf(open), one)), 'txs');

  /** A transaction by its hash, in a block or waiting. @throws AppError `not_found` */
  async function find(open: OpenChain, hash: string): Promise<FoundTx> {
    const own = (await wallet().waiting(open)).find((one) => hex(decodeTx(one.bytes).hash) === hash);
    const found = (await open.reader.findTx(fromHex(hash))) ?? own;
    if (found) return found;
    throw new AppError('not_found', 'There is no such transaction here.');
  }

  return {
    wallet: {
      address: () => ({ userId: wallet().user() }),
      balance: async ({ user }) => {
        const address = addressOr(user);
        return (await active()).reader.read(
          (view) => shownBalances(view, address),
          `balance ${hex(address)}`,
        );
      },
      send: (input) => perform({ act: 'send', input }),
      async history({ user, before, limit }) {
        const open = await active();
        const address = addressOr(user);
        const own = hex(address) === hex(addressOr(null));
        const from = before === null ? null : { height: before, index: 0 };
        const placed = await open.reader.accountTxs(address, from, limit);
        const known = new Set(placed.map((one) => hex(decodeTx(one.bytes).hash)));
        const waiting = before === null && own ? await wallet().waiting(open) : [];
        return shownTxs(open, [
          ...waiting.filter((one) => !known.has(hex(decodeTx(one.bytes).hash))),
          ...placed,
        ]);
      },
      async chart({ symbol, points }) {
        const open = await active();
        return chains()
          .balanceHistory.points(open.record.chainId, wallet().user(), symbol, points)
          .map(({ time, amount }) => ({ time: iso(time), amount }));
      },
      async earned() {
        const open = await active();
        return chains()
          .earnings.list(open.record.chainId, wallet().user())
          .map((one) => ({ ...one, hours: one.hours.map(({ time, pay }) => ({ time: iso(time), pay })) }));
      },
      async proof({ user, symbol }) {
        const { reader } = await active();
        return { proof: base64url(encodeLedgerProof(await reader.proveBalance(addressOr(user), symbol))) };
      },
      async keys() {
        const open = await active();
        const found = await keys().list(open);
        const shown = await open.reader.read((view) => found.map((one) => shownKey(view, one)), 'keys shown');
        return { root: !online().identity.status().linked, keys: shown };
      },
      async askKey(terms) {
        const open = await active();
        keys().ask(open, await open.reader.read((view) => termsOf(view, terms), 'key terms'));
        return { ok: true };
      },
      async allowKey(input) {
        let record: KeyRecord | null = null;
        let told: WireMessage | null = null;
        const sent = await perform({ act: 'allowKey', input }, (open, messages) => {
          record = keys().asked(open, input.device, fromHex(input.key));
          told = messages[0]!;
          keys().allowing(record);
        });
        if (record && told) keys().allowed(record, told);
        return sent;
      },
      async denyKey({ device }) {
        keys().deny(await active(), device);
        return { ok: true };
      },
      async revokeKey(input) {
        let used: OpenChain | null = null;
        const sent = await perform({ act: 'revokeKey', input }, (open) => (used = open));
        if (used) keys().revoking(used, input.key);
        return sent;
      },
      async preview(act) {
        const open = await active();
        const address = addressOr(null);
        return wallet().simulate(
          open,
          (view) => ({
            messages: messagesOf(open, view, addressOr(null), act),
            feeIn: act.input.feeIn ?? null,
          }),
          (view, simulation, { messages }) =>
            shownPreview(view, address, simulation, needsPassword(online(), open, view, messages)),
        );
      },
    },

    tokens: {
      create: (input) => perform({ act: 'createToken', input }),
      async list() {
        const open = await active();
        return open.reader.read(
          (view) => tokensView(view.state, view.time).map((one) => shownToken(view, baseOf(open), one)),
          'tokens',
        );
      },
      async show({ symbol }) {
        const open = await active();
        return open.reader.read((view) => {
          const found = tokenView(view.state, symbol, view.time);
          if (found) return shownToken(view, baseOf(open), found);
          throw new AppError('token_unknown', `There is no token ${symbol}.`);
        }, `token ${symbol}`);
      },
      mint: (input) => perform({ act: 'mint', input }),
      burn: (input) => perform({ act: 'burn', input }),
      freeze: (input) => perform({ act: 'freeze', input }),
      renounce: (input) => perform({ act: 'renounce', input }),
      handOver: (input) => perform({ act: 'handOver', input }),
      setFeeRate: (input) => perform({ act: 'setFeeRate', input }),
      fundFees: (input) => perform({ act: 'fundFees', input }),
      withdrawFees: (input) => perform({ act: 'withdrawFees', input }),
    },

    stakes: {
      bond: (input) => perform({ act: 'bond', input }),
      unbond: (input) => perform({ act: 'unbond', input }),
      claim: (input) => perform({ act: 'claim', input }),
      redelegate: (input) => perform({ act: 'redelegate', input }),
      status: async ({ user }) => {
        const address = addressOr(user);
        return (await active()).reader.read((view) => shownStakes(view, address), `stakes ${hex(address)}`);
      },
      async createValidator(input) {
        const sent = await perform({ act: 'createValidator', input });
        // It votes from the height on at which its key is in the set.
        await chains().setRole((await active()).record.chainId, 'validator');
        return sent;
      },
      leaveValidator: (input) => perform({ act: 'leaveValidator', input }),
      unjail: (input) => perform({ act: 'unjail', input }),
    },

    transactions: {
      async show({ hash, proof }) {
        const open = await active();
        const found = await find(open, hash);
        const [tx] = await shownTxs(open, [found]);
        const made =
          proof && found.place ? encodeLedgerProof(await open.reader.proveTx(fromHex(hash))) : null;
        return { ...tx!, proof: made && base64url(made) };
      },
      async wait({ hash }, signal) {
        const open = await active();
        const wanted = fromHex(hash);
        let dropped: AppError | null = null;
        const off = open.chain.on('dropped', (one) => {
          if (hex(one.hash) === hash)
            dropped = new AppError(one.code, 'The transaction left without getting into a block.');
        });
        try {
          for (;;) {
            const { height: seen } = open.chain.status();
            const place = (await open.reader.findTx(wanted))?.place;
            if (place) {
              const { ok, code, message: why } = place.result;
              return { hash, height: place.height, ok, code, message: why };
            }
            if (dropped !== null) throw dropped as AppError;
            await open.chain.waitFor(seen + 1, signal);
          }
        } catch (error) {
          if (isAppError(error, 'cancelled') && dropped !== null) throw dropped as AppError;
          throw error;
        } finally {
          off();
        }
      },
    },
  };
}

/** The stakes of an account, those on their way back among them. */
function shownStakes({ state, time }: LedgerView, address: Address): Stake[] {
  const place = (symbol: string, validator: Address | null) => `${symbol} ${validator ? hex(validator) : ''}`;
  const leaving = leavingView(state, address);
  const rows = new Map(
    stakesView(state, address, time).map((one) => [place(one.symbol, one.validator), one]),
  );
  // All of it may be on its way back.
  for (const { symbol, validator } of leaving) {
    const key = place(symbol, validator);
    if (!rows.has(key)) rows.set(key, { symbol, validator, amount: 0n, reward: 0n });
  }
  return [...rows].map(([key, one]) => {
    const { decimals } = tokenOf(state, one.symbol).spec;
    const text = (value: bigint): string => formatAmount(value, decimals);
    const validator = one.validator && userIdOfHash(one.validator);
    return {
      symbol: one.symbol,
      validator,
      amount: text(one.amount),
      rewards: text(one.reward),
      unbonding: leaving
        .filter((part) => place(part.symbol, part.validator) === key)
        .map((part) => ({
          symbol: one.symbol,
          validator,
          amount: text(part.amount),
          until: iso(part.end),
        })),
    };
  });
}

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
