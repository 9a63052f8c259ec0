import { AppError } from '../../../../src-shared/errors.ts';
import { maxAmount, maxTime, sameBytes } from '../../codec/index.ts';
import { amount, listOf, positiveAmount, record, text, whole } from '../../codec/shape.ts';
import { allParts } from '../../codec/token-spec.ts';
import { symbolShape } from '../../codec/tx.ts';
import { keyNumber, numberKey } from '../../state/table.ts';
import type { Amount } from '../../types.ts';
import { kind } from '../context.ts';
import type { Module, TxContext } from '../context.ts';
import { nextNumber } from '../counters.ts';
import { outFor, partOf } from '../pool/maths.ts';
import { atLeast, checkDeadline } from '../pool/pool.ts';
import { changePosition } from '../pool/rewards.ts';
import { advanced, poolAt, poolIdOf, poolKeyOf } from '../pool/state.ts';
import { removeLiquidity, tradeIn } from '../pool/trade.ts';
import { account, move, pot, tokenOf } from '../value.ts';
import { rebalance } from './rebalance.ts';
import {
  boundsShape,
  maxStrategies,
  placeShape,
  strategiesShape,
  vaultAt,
  vaults,
  vaultShareKey,
  vaultShares,
  virtualShares,
  virtualWorth,
} from './state.ts';
import { idleOf, placeOf, placesOf, worthForDeposit } from './worth.ts';

/** Vaults: who deposits gets shares; anybody may move the liquidity within the declared bounds. */

const deadline = whole(maxTime);
const vaultNumber = whole();

/** Pays the vault what its parts in pools earned by emission, so that it counts. */
function collect(ctx: TxContext, number: number): void {
  const vault = vaultAt(ctx.state, number);
  for (const place of placesOf(ctx, number, vault)) {
    if (place.shares > 0n) changePosition(ctx, pot(`vault/${number}`), place.key, place.pool, 0n);
  }
}

function deposit(ctx: TxContext, number: number, value: Amount, minShares: Amount): void {
  const { state } = ctx;
  collect(ctx, number);
  const vault = vaultAt(state, number);
  const worth = worthForDeposit(idleOf(state, number, vault), placesOf(ctx, number, vault));
  const made = (value * (vault.shares + virtualShares)) / (worth + virtualWorth);
  if (made === 0n)
    throw new AppError('amount_too_small', 'The amount is so small that it would bring no share.');
  if (made + vault.shares > maxAmount) throw new AppError('too_large', 'The vault can not take so much.');
  atLeast(made, minShares, 'The part in the vault');
  move(ctx, account(ctx.sender), pot(`vault/${number}`), vault.asset, value);
  const at = vaultShareKey(ctx.sender, number);
  state.set(vaultShares, at, { shares: (state.get(vaultShares, at)?.shares ?? 0n) + made });
  state.set(vaults, numberKey(number), { ...vault, shares: vault.shares + made });
}

/** Gives back a part of everything the vault has, turned into its token in its pools, at the expense of who leaves. */
function withdraw(ctx: TxContext, number: number, shares: Amount, minAmount: Amount): void {
  const { state } = ctx;
  collect(ctx, number);
  const vault = vaultAt(state, number);
  const at = vaultShareKey(ctx.sender, number);
  const own = state.get(vaultShares, at)?.shares ?? 0n;
  if (shares > own) {
    throw new AppError('shares_exceeded', 'That is more of the vault than the account has.', {
      details: { wanted: shares.toString(), owned: own.toString() },
    });
  }
  const all = vault.shares + virtualShares;
  const holder = pot(`vault/${number}`);
  let value = partOf(shares, idleOf(state, number, vault), all);
  for (const strategy of vault.strategies) {
    const place = placeOf(ctx, number, vault.asset, strategy);
    let sold = partOf(shares, place.loose, all);
    const part = partOf(shares, place.shares, all);
    if (
      partOf(part, place.own, place.pool.shares) > 0n &&
      partOf(part, place.other, place.pool.shares) > 0n
    ) {
      const taken = removeLiquidity(ctx, holder, place.key, part);
      const assetIsA = poolIdOf(place.key).a === vault.asset;
      value += assetIsA ? taken.a : taken.b;
      sold += assetIsA ? taken.b : taken.a;
    }
    const now = placeOf(ctx, number, vault.asset, strategy);
    if (sold === 0n || outFor(sold, now.other, now.own, strategy.feeBp) === 0n) continue;
    const hops = [{ to: vault.asset, feeBp: strategy.feeBp }];
    value += tradeIn(ctx, holder, holder, { from: strategy.other, amount: sold, hops, minOut: 0n });
  }
  atLeast(value, minAmount, 'What comes out');
  state.set(vaultShares, at, own === shares ? null : { shares: own - shares });
  state.set(vaults, numberKey(number), { ...vault, shares: vault.shares - shares });
  move(ctx, holder, account(ctx.sender), vault.asset, value);
}

export const vaultModule = {
  name: 'vault',
  messages: {
    'vault.create': kind({
      shape: record({
        name: text(64, 1),
        asset: symbolShape,
        strategies: strategiesShape,
        bounds: boundsShape,
      }),
      weight: 20_000,
      delegable: true,
      run(ctx, { name, asset, strategies, bounds }) {
        tokenOf(ctx.state, asset);
        for (const { other, feeBp } of strategies) {
          if (other === asset)
            throw new AppError('invalid_argument', `A pool of ${asset} needs another token.`);
          advanced(poolAt(ctx.state, poolKeyOf(asset, other, feeBp)), ctx.time);
        }
        const moved = { movedAt: 0, periodFrom: ctx.time, periodMoved: 0n, moves: 0 };
        const made = { owner: ctx.sender, shares: 0n, createdAt: ctx.time, ...moved };
        const number = nextNumber(ctx.state, 'vaults');
        ctx.state.set(vaults, numberKey(number), { ...made, name, asset, strategies, bounds });
      },
    }),
    'vault.deposit': kind({
      shape: record({ vault: vaultNumber, amount: positiveAmount, minShares: amount, deadline }),
      weight: 3000,
      delegable: true,
      run(ctx, message) {
        checkDeadline(ctx, message.deadline);
        deposit(ctx, message.vault, message.amount, message.minShares);
      },
    }),
    'vault.withdraw': kind({
      shape: record({ vault: vaultNumber, shares: positiveAmount, minAmount: amount, deadline }),
      weight: 5000,
      delegable: true,
      run(ctx, message) {
        checkDeadline(ctx, message.deadline);
        withdraw(ctx, message.vault, message.shares, message.minAmount);
      },
    }),
    'vault.rebalance': kind({
      shape: record({ vault: vaultNumber, from: placeShape, to: placeShape, amount: positiveAmount }),
      weight: 5000,
      delegable: true,
      run(ctx, { vault, ...step }) {
        rebalance(ctx, vault, step);
      },
    }),
    /** The owner may aim elsewhere, between the least and the most that were declared. */
    'vault.setTargets': kind({
      shape: record({ vault: vaultNumber, targets: listOf(whole(allParts), maxStrategies, 1) }),
      weight: 500,
      delegable: true,
      run(ctx, message) {
        const vault = vaultAt(ctx.state, message.vault);
        if (!sameBytes(vault.owner, ctx.sender)) {
          throw new AppError('not_owner', 'Only the owner of the vault can do that.');
        }
        if (message.targets.length !== vault.strategies.length) {
          throw new AppError('invalid_argument', `The vault has ${vault.strategies.length} pools.`);
        }
        const strategies = vault.strategies.map((one, i) => ({
          ...one,
          targetBp: message.targets[i] as number,
        }));
        for (const [i, { minBp, targetBp, maxBp }] of strategies.entries()) {
          if (targetBp < minBp || targetBp > maxBp) {
            throw new AppError(
              'allocation_exceeded',
              'A target is not between the least and the most of its pool.',
              {
                details: { place: i + 1, minBp, maxBp },
              },
            );
          }
        }
        if (strategies.reduce((sum, { targetBp }) => sum + targetBp, 0) > allParts) {
          throw new AppError('allocation_exceeded', 'The targets are more than all of the vault.');
        }
        ctx.state.set(vaults, numberKey(message.vault), { ...vault, strategies });
      },
    }),
  },
  invariants: {
    'the shares of a vault are those of its depositors'(state) {
      const sums = new Map<number, Amount>();
      for (const [at, { shares }] of state.rows(vaultShares)) {
        const number = keyNumber(at, 32);
        sums.set(number, (sums.get(number) ?? 0n) + shares);
      }
      for (const [key, vault] of state.rows(vaults)) {
        if ((sums.get(keyNumber(key, 0)) ?? 0n) !== vault.shares) return vault.name;
      }
      return null;
    },
  },
} satisfies Module;
