import { formatAmount } from '../../../src-shared/amount.ts';
import type { MarketAct, Name, Pool, Vault } from '../../../src-shared/contract/index.ts';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { NodeServices } from '../../api/index.ts';
import { hashOfUserId, userIdOfHash } from '../../identity/index.ts';
import {
  baseSymbol,
  contractsView,
  contractView,
  fundsView,
  hostEmission,
  message,
  nameClaim,
  nameOfAccount,
  nameRent,
  nameRow,
  namesOfAccount,
  periodMs,
  poolsView,
  priceBits,
  priceNumber,
  relayEmission,
  sameBytes,
  storageView,
  tokensView,
  vaultsView,
} from '../../ledger/index.ts';
import type { LedgerView, NameRow, PoolView, VaultView, WireMessage } from '../../ledger/index.ts';
import type { Online } from '../core.ts';
import type { Chains, OpenChain } from './chains.ts';
import { decimalsOf, marketMessage, quoteOf } from './market-messages.ts';
import { handIn, type Paying } from './hand-in.ts';
import { measureFile } from './kept-files.ts';
import type { LedgerChores } from './ledger-chores.ts';
import { hex, iso } from './shown.ts';
import type { Wallet } from './wallet.ts';

type Groups = 'pools' | 'vaults' | 'names' | 'storage';

interface Parts {
  readonly online: () => Online;
  readonly chains: () => Chains;
  readonly wallet: () => Wallet;
  readonly chores: () => LedgerChores;
}

const percent = (part: number): number => Math.round(part * 1e6) / 1e4;
const textOf = (view: LedgerView, symbol: string, value: bigint): string =>
  formatAmount(value, decimalsOf(view, symbol));

function shownPool(view: LedgerView, one: PoolView): Pool {
  const a = (value: bigint): string => textOf(view, one.a, value);
  const b = (value: bigint): string => textOf(view, one.b, value);
  // From units of both tokens to whole ones.
  const scale = 10 ** (decimalsOf(view, one.a) - decimalsOf(view, one.b));
  const { row, position } = one;
  return {
    a: one.a,
    b: one.b,
    fee: one.feeBp,
    reserveA: a(row.reserveA),
    reserveB: b(row.reserveB),
    price: priceNumber((row.reserveB << priceBits) / row.reserveA) * scale,
    average: one.average === null ? null : priceNumber(one.average) * scale,
    shares: row.shares.toString(),
    tradedA: a(one.traded.a),
    tradedB: b(one.traded.b),
    position: position && {
      shares: position.shares.toString(),
      a: a(position.a),
      b: b(position.b),
      earnedA: a(position.earnedA),
      earnedB: b(position.earnedB),
    },
  };
}

function shownVault(view: LedgerView, one: VaultView): Vault {
  const { asset, bounds } = one;
  const text = (value: bigint): string => textOf(view, asset, value);
  const place = (number: number): string | null => one.strategies[number - 1]?.other ?? null;
  return {
    vault: one.number,
    owner: userIdOfHash(one.owner),
    name: one.name,
    asset,
    follow: bounds.follow,
    minMove: text(bounds.minMove),
    cooldownSeconds: bounds.cooldownMs / 1000,
    maxMoveBp: bounds.maxMoveBp,
    periodSeconds: bounds.periodMs / 1000,
    maxLossBp: bounds.maxLossBp,
    tipBp: bounds.tipBp,
    tipCap: text(bounds.tipCap),
    worth: text(one.worth),
    idle: text(one.idle),
    shares: one.shares.toString(),
    strategies: one.strategies.map(({ feeBp, ...strategy }, i) => {
      const { worth, nowBp, wantedBp } = one.places[i]!;
      return { ...strategy, fee: feeBp, worth: text(worth), nowBp, wantedBp };
    }),
    position: one.position && { shares: one.position.shares.toString(), worth: text(one.position.worth) },
    moves: one.lastMoves.map((move) => ({
      time: iso(move.time),
      by: userIdOfHash(move.by),
      from: place(move.from),
      to: place(move.to),
      moved: text(move.moved),
      lost: text(move.lost),
      tip: text(move.tip),
      before: text(move.before),
      after: text(move.after),
    })),
    due: one.due,
  };
}

function shownName({ time }: LedgerView, name: string, row: NameRow): Name {
  const owner = userIdOfHash(row.owner);
  return {
    name,
    kind: row.kind,
    target: row.kind === 'person' ? owner : row.target,
    owner,
    paidUntil: iso(row.paidUntil),
    holds: row.paidUntil >= time,
  };
}

/** Pools, vaults and names of the active network, as the contract has them. */
export function createMarketServices({ online, chains, wallet, chores }: Parts): Pick<NodeServices, Groups> {
  const active = (): Promise<OpenChain> => chains().get(null);
  const own = (): Uint8Array => hashOfUserId(wallet().user());
  const read = async <T>(look: (view: LedgerView) => T, subject: string): Promise<T> =>
    (await active()).reader.read(look, subject);

  /** The account in use; null: there is no identity yet. */
  function ownOrNull(): Uint8Array | null {
    try {
      return own();
    } catch (error) {
      if (isAppError(error, 'no_identity')) return null;
      throw error;
    }
  }

  const hand = (
    open: OpenChain,
    make: (view: LedgerView) => WireMessage,
    paying: Paying,
  ): Promise<{ hash: string }> => handIn({ online: online(), wallet: wallet() }, open, make, paying);

  async function perform(act: MarketAct): Promise<{ hash: string }> {
    const now = online().clock.now();
    return hand(await active(), (view) => marketMessage(view, own(), now, act), act.input);
  }

  /** The same for each name, so that a claim that was interrupted can be revealed later. */
  const saltOf = (open: OpenChain, name: string): Uint8Array =>
    online().identity.deviceSecret(`name ${open.record.chainId} ${name}`);

  const claim: NodeServices['names']['claim'] = async (input, signal) => {
    const open = await active();
    const { name, kind, target, days } = input;
    const feeIn = input.feeIn ?? null;
    const salt = saltOf(open, name);
    const reveal = message('name.reveal', {
      name,
      salt,
      kind,
      target: kind === 'person' ? '' : target,
      days,
    });
    const taken = await open.reader.read(({ state, time }) => {
      const row = nameRow(state, name);
      return row !== null && row.paidUntil >= time;
    }, 'name');
    if (taken) throw new AppError('name_taken', `The name ${name} is taken.`);
    try {
      // A claim of before may still be open.
      return await hand(open, () => reveal, input);
    } catch (error) {
      if (!isAppError(error, 'claim_unknown')) throw error;
    }
    const commit = message('name.commit', { hash: nameClaim(name, own(), salt) });
    const claimed = await wallet().send(open, { messages: [commit], feeIn });
    for (;;) {
      const { height } = await open.reader.read((view) => ({ height: view.height }), 'height');
      const place = (await open.reader.findTx(claimed))?.place;
      if (place && !place.result.ok) {
        throw new AppError(place.result.code as AppError['code'], place.result.message);
      }
      if (place) break;
      await open.chain.waitFor(height + 1, signal);
    }
    return hand(open, () => reveal, input);
  };

  return {
    pools: {
      list: () => read((view) => poolsView(view, ownOrNull()).map((one) => shownPool(view, one)), 'pools'),
      quote: (input) =>
        read((view) => {
          const found = quoteOf(view, input);
          return {
            from: input.from,
            to: input.to,
            in: textOf(view, input.from, found.in),
            out: textOf(view, input.to, found.out),
            impact: percent(found.impact),
            fee: percent(found.fee),
            path: found.hops.map(({ to, feeBp }) => ({ to, fee: feeBp })),
          };
        }, 'pools'),
      swap: (input) => perform({ act: 'swap', input }),
      create: (input) => perform({ act: 'poolCreate', input }),
      deposit: (input) => perform({ act: 'poolDeposit', input }),
      withdraw: (input) => perform({ act: 'poolWithdraw', input }),
      claim: (input) => perform({ act: 'poolClaim', input }),
      favour: (input) => perform({ act: 'poolFavour', input }),
    },
    vaults: {
      list: () => read((view) => vaultsView(view, ownOrNull()).map((one) => shownVault(view, one)), 'vaults'),
      create: (input) => perform({ act: 'vaultCreate', input }),
      deposit: (input) => perform({ act: 'vaultDeposit', input }),
      withdraw: (input) => perform({ act: 'vaultWithdraw', input }),
      rebalance: (input) => perform({ act: 'vaultMove', input }),
      setTargets: (input) => perform({ act: 'vaultTargets', input }),
    },
    names: {
      claim,
      renew: (input) => perform({ act: 'nameRenew', input }),
      transfer: (input) => perform({ act: 'nameTransfer', input }),
      point: (input) => perform({ act: 'namePoint', input }),
      resolve: ({ name }) =>
        read((view) => {
          const row = nameRow(view.state, name);
          if (!row) throw new AppError('name_unknown', `Nobody has the name ${name}.`);
          if (row.paidUntil < view.time) throw new AppError('name_expired', `The rent of ${name} is over.`);
          return shownName(view, name, row);
        }, 'name'),
      async price({ name, days }) {
        const { params, tokens } = (await active()).genesis;
        const base = tokens[0]!.spec.symbol;
        return read(
          (view) => ({
            price: textOf(view, base, nameRent(params.rentPerDay, name, days)),
            symbol: base,
            free: nameRow(view.state, name) === null,
          }),
          'name',
        );
      },
      own: () =>
        read(
          (view) => namesOfAccount(view.state, own()).map(({ name, ...row }) => shownName(view, name, row)),
          'own names',
        ),
      async of({ users }) {
        // Names are for showing: where there is no network there are none.
        const open = chains().current();
        if (!open?.ledger) return {};
        return open.reader.read(({ state, time }) => {
          const found = users.flatMap((user) => {
            const name = nameOfAccount(state, hashOfUserId(user), time);
            return name === null ? [] : [[user, name] as const];
          });
          return Object.fromEntries(found);
        }, 'names');
      },
    },
    storage: {
      fuel: (input) => perform({ act: 'storageFuel', input }),
      status: () =>
        read((view) => {
          const { quota, price, period, host } = storageView(view.state, view.time, ownOrNull());
          const base = baseSymbol(view.state);
          return {
            fuel: Number(quota) / 2 ** 30,
            price: textOf(view, base, price),
            symbol: base,
            period,
            ends: iso((period + 1) * periodMs),
            host: host && { copies: host.slots, settled: host.settled },
          };
        }, 'storage'),
      async contracts() {
        const open = await active();
        return open.reader.read((view) => {
          const base = baseSymbol(view.state);
          return contractsView(view.state, ownOrNull()).map((one) => ({
            contract: one.number,
            owner: userIdOfHash(one.owner),
            root: hex(one.root),
            bytes: one.bytes,
            copies: one.copies,
            hosts: one.hosts.map((host) => userIdOfHash(host)),
            pay: textOf(view, base, one.pay),
            collateral: textOf(view, base, one.collateral),
            until: iso(one.until * periodMs),
            kept: one.slot && {
              paid: textOf(view, base, one.slot.paid),
              missed: one.slot.missed,
              inRow: one.slot.inRow,
              file: chores().fileOf(open.record.chainId, one.number),
            },
          }));
        }, 'storage contracts');
      },
      earnings: () =>
        read((view) => {
          const me = own();
          const base = baseSymbol(view.state);
          const paid = contractsView(view.state, me).reduce((sum, { slot }) => sum + (slot?.paid ?? 0n), 0n);
          const relays = fundsView(view.state, me).reduce((sum, one) => sum + one.paid, 0n);
          return tokensView(view.state, view.time)
            .map(({ spec: { symbol } }) => ({
              symbol,
              paid: textOf(view, symbol, symbol === base ? paid : 0n),
              waiting: textOf(view, symbol, hostEmission.collectable({ ...view, base }, me, symbol)),
              relays: textOf(view, symbol, symbol === base ? relays : 0n),
              relaysWaiting: textOf(view, symbol, relayEmission.collectable({ ...view, base }, me, symbol)),
            }))
            .filter((one) => one.symbol === base || one.waiting !== '0' || one.relaysWaiting !== '0');
        }, 'storage earnings'),
      async proofs() {
        const open = await active();
        const all = chores().proofs(open.record.chainId);
        return open.reader.read((view) => {
          const base = baseSymbol(view.state);
          return all.map(({ hash, period, copies, bytes, pay }) => ({
            ...{ period, copies, bytes, hash: hex(hash) },
            time: iso(period * periodMs),
            pay: textOf(view, base, pay),
          }));
        }, 'storage proofs');
      },
      async measure({ file }) {
        const { root, bytes } = await measureFile(file);
        return { root: hex(root), bytes };
      },
      open: (input) => perform({ act: 'storageOpen', input }),
      async keep({ contract, file, ...paying }) {
        const open = await active();
        const measured = await measureFile(file);
        await open.reader.read((view) => {
          const found = contractView(view.state, contract, own());
          if (!found) throw new AppError('contract_unknown', `There is no storage contract ${contract}.`);
          if (found.bytes !== measured.bytes || !sameBytes(found.root, measured.root)) {
            throw new AppError('bad_hash', 'The file is not the one of the contract.');
          }
        }, 'storage contracts');
        const sent = await hand(open, () => message('storage.accept', { contract }), paying);
        chores().keep(open.record.chainId, contract, file);
        return sent;
      },
      close: (input) => perform({ act: 'storageClose', input }),
      collect: (input) => perform({ act: 'storageCollect', input }),
      vote: (input) => perform({ act: 'storageVote', input }),
      report: (input) => perform({ act: 'storageReport', input }),
      relayFund: (input) => perform({ act: 'relayFund', input }),
      relayClose: (input) => perform({ act: 'relayClose', input }),
      relayCollect: (input) => perform({ act: 'relayCollect', input }),
      relayFunds: () =>
        read((view) => {
          const text = (value: bigint): string => textOf(view, baseSymbol(view.state), value);
          return fundsView(view.state, ownOrNull()).map((one) => ({
            fund: one.number,
            stream: hex(one.stream),
            payer: userIdOfHash(one.payer),
            price: text(one.price),
            amount: text(one.amount),
            left: text(one.left),
            until: iso(one.until * periodMs),
            paid: text(one.paid),
          }));
        }, 'relay funds'),
    },
  };
}
