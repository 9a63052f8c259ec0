import { AppError } from '../../../../src-shared/errors.ts';
import { hashIn, sameBytes } from '../../codec/index.ts';
import { bytesOf, positiveAmount, record } from '../../codec/shape.ts';
import { bytesKey, keyBytes, numberKey } from '../../state/table.ts';
import type { Address, Amount, Hash } from '../../types.ts';
import { kind } from '../context.ts';
import type { BlockContext, Module } from '../context.ts';
import { poolOf } from '../staking-pools.ts';
import { standing, validatorOf, validators } from '../validators.ts';
import { account, balanceOf, move, pot, tokenOf } from '../value.ts';
import {
  beaconCommits,
  beaconReveals,
  claimsOpen,
  fuelPriceOf,
  fuelPrices,
  fuelVotes,
  keptSeeds,
  periodOf,
  periodsBegun,
  seedOf,
  seeds,
} from './state.ts';

/*
 * Randomness that nobody chose: validators put down the hash of a secret in one period and reveal it in the next; the seed of the
 * period after that is the hash of all of them. They are shown when no claims are made any more. A block hash would not do, as whoever makes a block can try many. Who sees that the seed
 * would be bad for him can keep his secret, once, at the price of his deposit.
 */

/** What an operator puts down with a hash, in whole base coins; burned when the secret is not revealed. */
const depositCoins = 10n;
const deposit = (ctx: BlockContext): Amount =>
  depositCoins * 10n ** BigInt(tokenOf(ctx.state, ctx.base).spec.decimals);

export const beaconHash = (operator: Address, secret: Uint8Array): Hash =>
  hashIn('beacon secret', Buffer.concat([operator, secret]));

/** At the first block of a period: makes its seed, burns the deposits of who kept his secret, moves the price of fuel. */
function beginPeriod(ctx: BlockContext, period: number): void {
  const { state } = ctx;
  const revealed = [...state.rows(beaconReveals)];
  const before = state.get(periodsBegun, '')?.period ?? period - 1;
  const parts = revealed.flatMap(([operator, secret]) => [keyBytes(operator), secret]);
  // A chain that stood still for several periods has one seed for all of them.
  const seed = hashIn('beacon', Buffer.concat([seedOf(state, before), ...parts]));
  for (const [operator] of revealed) state.set(beaconReveals, operator, null);
  for (const [operator, row] of state.rows(beaconCommits)) {
    if (row.period >= period - 1) continue;
    move(ctx, pot('beacon'), null, ctx.base, row.deposit);
    state.set(beaconCommits, operator, null);
  }
  for (let one = Math.max(before + 1, period - keptSeeds + 1); one <= period; one++)
    state.set(seeds, numberKey(one), seed);
  for (const [key] of [...state.rows(seeds)]) {
    if (key < numberKey(period - keptSeeds + 1)) state.set(seeds, key, null);
  }
  movePrice(ctx, period);
  state.set(periodsBegun, '', { period, at: ctx.time });
}

/** The price goes to the median of what validators want, by their stake, by an eighth in a period at most. */
function movePrice(ctx: BlockContext, period: number): void {
  const { state, base } = ctx;
  const votes: { readonly price: Amount; readonly weight: Amount }[] = [];
  for (const [operator, { price }] of state.rows(fuelVotes)) {
    const row = state.get(validators, operator);
    if (!row || !standing(row)) {
      state.set(fuelVotes, operator, null);
      continue;
    }
    const weight = poolOf(state, base, keyBytes(operator))?.tokens ?? 0n;
    if (weight > 0n) votes.push({ price, weight });
  }
  if (votes.length === 0) return;
  votes.sort((a, b) => (a.price < b.price ? -1 : a.price > b.price ? 1 : 0));
  const all = votes.reduce((sum, { weight }) => sum + weight, 0n);
  let sum = 0n;
  const median = votes.find(({ weight }) => 2n * (sum += weight) >= all)?.price as Amount;
  const now = fuelPriceOf(state);
  const step = now / 8n > 0n ? now / 8n : 1n;
  const next = median > now + step ? now + step : median < now - step ? now - step : median;
  state.set(fuelPrices, '', { price: next > 0n ? next : 1n, period });
}

/** @throws AppError `not_validator` */
function checkOperator(ctx: BlockContext, operator: Address): void {
  const row = ctx.state.get(validators, bytesKey(operator));
  if (row && standing(row)) return;
  throw new AppError('not_validator', 'Only who runs a validator can do that.');
}

export const beaconModule = {
  name: 'beacon',
  messages: {
    'beacon.commit': kind({
      shape: record({ hash: bytesOf(32) }),
      weight: 500,
      delegable: true,
      run(ctx, { hash }) {
        checkOperator(ctx, ctx.sender);
        const key = bytesKey(ctx.sender);
        if (ctx.state.get(beaconCommits, key)) {
          throw new AppError('already_exists', 'The last secret has to be revealed first.');
        }
        move(ctx, account(ctx.sender), pot('beacon'), ctx.base, deposit(ctx));
        ctx.state.set(beaconCommits, key, { period: periodOf(ctx.time), hash, deposit: deposit(ctx) });
      },
    }),
    'beacon.reveal': kind({
      shape: record({ secret: bytesOf(32) }),
      weight: 500,
      delegable: true,
      run(ctx, { secret }) {
        const key = bytesKey(ctx.sender);
        const row = ctx.state.get(beaconCommits, key);
        if (!row || row.period !== periodOf(ctx.time) - 1) {
          throw new AppError('claim_unknown', 'There is no secret of the period before to reveal.');
        }
        if (claimsOpen(ctx.time)) {
          throw new AppError('claim_too_new', 'Secrets are shown in the second half of a period.');
        }
        if (!sameBytes(beaconHash(ctx.sender, secret), row.hash)) {
          throw new AppError('bad_hash', 'This is not the secret whose hash was put down.');
        }
        ctx.state.set(beaconCommits, key, null);
        ctx.state.set(beaconReveals, key, secret);
        move(ctx, pot('beacon'), account(ctx.sender), ctx.base, row.deposit);
      },
    }),
    /** What a validator wants a GiB and period of fuel to cost. */
    'storage.vote': kind({
      shape: record({ price: positiveAmount }),
      weight: 500,
      delegable: true,
      run(ctx, { price }) {
        validatorOf(ctx.state, ctx.sender);
        checkOperator(ctx, ctx.sender);
        ctx.state.set(fuelVotes, bytesKey(ctx.sender), { price });
      },
    }),
  },
  beginBlock(ctx) {
    const period = periodOf(ctx.time);
    if ((ctx.state.get(periodsBegun, '')?.period ?? -1) < period) beginPeriod(ctx, period);
  },
  invariants: {
    'the pot of the beacon holds the deposits'(state, { base }) {
      let sum = 0n;
      for (const [, row] of state.rows(beaconCommits)) sum += row.deposit;
      const held = balanceOf(state, pot('beacon'), base);
      return held === sum ? null : `held ${held}, deposits ${sum}`;
    },
  },
} satisfies Module;
