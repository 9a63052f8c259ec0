import { AppError } from '../../../src-shared/errors.ts';
import { bytesOf, nullable, positiveAmount, record, text, whole } from '../codec/shape.ts';
import { allParts, day } from '../codec/token-spec.ts';
import { addressShape, symbolShape } from '../codec/tx.ts';
import { genesisValidators, sameBytes } from '../codec/index.ts';
import type { Genesis } from '../codec/index.ts';
import { bytesKey, keyBytes, keyNumber, numberKey, table } from '../state/table.ts';
import type { Key } from '../state/table.ts';
import type { StateView } from '../state/overlay.ts';
import type { Address, Amount, TokenSymbol } from '../types.ts';
import { kind } from './context.ts';
import type { BlockContext, Module, TxContext } from './context.ts';
import { nextNumber } from './counters.ts';
import { leaving, leavingOf, leavingOfKey, leavingPrefix, leavingQueue, queueKey } from './leaving.ts';
import { settleMining } from './mining.ts';
import {
  earnedOf,
  emptyPool,
  payStake,
  poolKey,
  poolOf,
  pools,
  putStake,
  settleTokenPool,
  sharesFor,
  sharesOf,
  stakeKey,
  stakes,
  worthOf,
} from './staking-pools.ts';
import type { Pool, PoolOf, Stake } from './staking-pools.ts';
import {
  addValidator,
  checkValidatorProof,
  countSignatures,
  electedSet,
  electValidators,
  lastStanding,
  moving,
  movingKey,
  replaceKey,
  rewardProposer,
  sameSet,
  settleValidatorPool,
  sets,
  standing,
  validatorOf,
  validators,
} from './validators.ts';
import { account, balanceOf, move, pot, tokenOf } from './value.ts';

/** Staking of every token that allows it, and the making of validators. */

const maxLeavingEach = 16;
/** Stakes bound to one validator while they lie with another; slashing looks at each. */
const maxMovingEach = 256;
/** Commission changes at most so much in a day. */
const maxCommissionStep = 100;

/** Until when stake that came to a validator can't be moved on; by staker and validator. */
const arrivals = table('r', 'arrivals of redelegations', whole());

/** Brings the pool up to now; checks that the token can be staked there. */
function settled(ctx: BlockContext, symbol: TokenSymbol, of: PoolOf): Pool {
  const token = tokenOf(ctx.state, symbol);
  if (!token.spec.staking) throw new AppError('staking_off', `${symbol} can't be staked.`);
  if ((symbol === ctx.base) !== (of !== null)) {
    throw new AppError(
      'invalid_argument',
      symbol === ctx.base
        ? `${symbol} is staked with a validator.`
        : `Only ${ctx.base} is staked with validators.`,
    );
  }
  return of === null ? settleTokenPool(ctx, symbol) : settleValidatorPool(ctx, of);
}

const unbondingOf = (ctx: BlockContext, symbol: TokenSymbol): number =>
  tokenOf(ctx.state, symbol).spec.staking?.unbondingMs ?? 0;

/** @throws AppError `stake_unknown` */
function stakeOf(state: StateView, key: Key): Stake {
  const stake = state.get(stakes, key);
  if (stake) return stake;
  throw new AppError('stake_unknown', 'The account has no stake there.');
}

/** Adds stake that lies in the pot `bonded` already. */
function enter(
  ctx: BlockContext,
  address: Address,
  symbol: TokenSymbol,
  of: PoolOf,
  before: Pool,
  value: Amount,
): Amount {
  const key = stakeKey(address, symbol, of);
  const known = ctx.state.get(stakes, key);
  const shares = sharesFor(value, before.tokens, before.shares);
  const { stake } = known
    ? payStake(ctx, address, symbol, before, known)
    : { stake: { shares: 0n, paid: before.acc, fraction: 0n } };
  let pool = { ...before, tokens: before.tokens + value, shares: before.shares + shares };
  pool = putStake(ctx, key, pool, { ...stake, shares: stake.shares + shares });
  ctx.state.set(pools, poolKey(symbol, of), pool);
  return shares;
}

/** Takes stake out of its pool; the tokens stay in the pot `bonded`. */
function exit(
  ctx: BlockContext,
  address: Address,
  symbol: TokenSymbol,
  of: PoolOf,
  before: Pool,
  value: Amount,
): Pool {
  const key = stakeKey(address, symbol, of);
  const known = stakeOf(ctx.state, key);
  const shares = sharesOf(value, known.shares, before.tokens, before.shares);
  const { stake } = payStake(ctx, address, symbol, before, known);
  const pool = { ...before, tokens: before.tokens - value, shares: before.shares - shares };
  return putStake(ctx, key, pool, { ...stake, shares: stake.shares - shares });
}

function bond(ctx: TxContext, symbol: TokenSymbol, of: PoolOf, value: Amount): void {
  const pool = settled(ctx, symbol, of);
  if (of !== null) mayGrow(ctx, of);
  move(ctx, account(ctx.sender), pot('bonded'), symbol, value);
  enter(ctx, ctx.sender, symbol, of, pool, value);
}

/** @throws AppError `validator_jailed`, `validator_tombstoned` */
function mayGrow(ctx: BlockContext, operator: Address): void {
  const row = validatorOf(ctx.state, operator);
  if (row.tombstoned)
    throw new AppError(
      'validator_tombstoned',
      'This validator signed two blocks at one height and is out for ever.',
    );
  if (row.jailed) throw new AppError('validator_jailed', 'This validator is jailed.');
}

function startLeaving(ctx: TxContext, symbol: TokenSymbol, of: PoolOf, value: Amount): void {
  const { state } = ctx;
  const prefix = leavingPrefix(ctx.sender, symbol);
  if ([...state.rows(leaving, prefix)].length >= maxLeavingEach) {
    throw new AppError(
      'too_many',
      `At most ${maxLeavingEach} stakes of one token leave at a time; wait for one to end.`,
    );
  }
  const pool = exit(ctx, ctx.sender, symbol, of, settled(ctx, symbol, of), value);
  const shares = sharesFor(value, pool.leavingTokens, pool.leavingShares);
  move(ctx, pot('bonded'), pot('unbonding'), symbol, value);
  state.set(pools, poolKey(symbol, of), {
    ...pool,
    leavingTokens: pool.leavingTokens + value,
    leavingShares: pool.leavingShares + shares,
  });
  const end = ctx.time + unbondingOf(ctx, symbol);
  const key = prefix + numberKey(nextNumber(state, 'departures'));
  state.set(leaving, key, { validator: of, shares, end, since: ctx.height });
  state.set(leavingQueue, queueKey(end, key), true);
  if (of !== null) state.set(leavingOf, leavingOfKey(of, ctx.height, key), true);
}

/** Pays out stakes whose time is over, oldest first, at most so many in a block. */
function endLeaving(ctx: BlockContext): void {
  const { state } = ctx;
  const due: Key[] = [];
  for (const [key] of state.rows(leavingQueue)) {
    if (keyNumber(key, 0) > ctx.time || due.length >= ctx.params.maxUnbondingsPerBlock) break;
    due.push(key);
  }
  for (const queued of due) {
    const key = queued.slice(8);
    const row = state.get(leaving, key);
    state.set(leavingQueue, queued, null);
    state.set(leaving, key, null);
    if (!row) continue;
    if (row.validator !== null) state.set(leavingOf, leavingOfKey(row.validator, row.since, key), null);
    const address = keyBytes(key.slice(0, 32));
    const symbol = key.slice(32, key.indexOf('\0', 32));
    const pool = poolOf(state, symbol, row.validator) ?? emptyPool(ctx.time);
    const value = worthOf(row.shares, pool.leavingTokens, pool.leavingShares);
    move(ctx, pot('unbonding'), account(address), symbol, value);
    state.set(pools, poolKey(symbol, row.validator), {
      ...pool,
      leavingTokens: pool.leavingTokens - value,
      leavingShares: pool.leavingShares - row.shares,
    });
  }
}

function redelegate(ctx: TxContext, from: Address, to: Address, value: Amount): void {
  const { state, base, sender } = ctx;
  if (sameBytes(from, to))
    throw new AppError('invalid_argument', 'The stake is with this validator already.');
  const arrived = bytesKey(sender) + bytesKey(from);
  if ((state.get(arrivals, arrived) ?? 0) > ctx.time) {
    throw new AppError(
      'stake_moving',
      'Stake that was moved here can not be moved on before its time is over.',
    );
  }
  state.set(arrivals, arrived, null);
  mayGrow(ctx, to);
  let count = 0;
  for (const [key] of state.rows(moving, bytesKey(from))) {
    if (keyNumber(key, 32) <= ctx.time) state.set(moving, key, null);
    else count += 1;
  }
  if (count >= maxMovingEach) {
    throw new AppError(
      'too_many_leaving',
      'Too much stake is moving away from this validator; unbond, or try later.',
    );
  }
  const pool = exit(ctx, sender, base, from, settled(ctx, base, from), value);
  state.set(pools, poolKey(base, from), pool);
  const shares = enter(ctx, sender, base, to, settled(ctx, base, to), value);
  const end = ctx.time + unbondingOf(ctx, base);
  state.set(moving, movingKey(from, end, nextNumber(state, 'moves')), {
    delegator: sender,
    to,
    shares,
    since: ctx.height,
  });
  state.set(arrivals, bytesKey(sender) + bytesKey(to), end);
}

function claim(ctx: TxContext, symbol: TokenSymbol, of: PoolOf): void {
  const { state, sender } = ctx;
  const pool = settled(ctx, symbol, of);
  const key = stakeKey(sender, symbol, of);
  const own = of !== null && sameBytes(of, sender);
  const known = own ? state.get(stakes, key) : stakeOf(state, key);
  if (known) state.set(stakes, key, payStake(ctx, sender, symbol, pool, known).stake);
  if (!own) return;
  const row = validatorOf(state, sender);
  move(ctx, pot('rewards'), account(sender), symbol, row.commission);
  state.set(validators, bytesKey(sender), { ...row, commission: 0n });
}

/**
 * In the state of a chain that stood still: those named go on as validators, with the keys the genesis gives them, all others have left; heights of
 * the old chain say nothing in the new one. @throws AppError `invalid_argument` when the genesis names others, or other stakes, than the state knows
 */
function restartStaking(ctx: BlockContext, genesis: Genesis): void {
  const { state } = ctx;
  const named = new Set(genesis.validators.map(({ operator }) => bytesKey(operator)));
  for (const [operator, row] of [...state.rows(validators)]) {
    const goesOn = named.delete(operator) && !row.tombstoned;
    state.set(validators, operator, {
      ...row,
      missed: 0,
      ...(goesOn ? { jailed: false, jailedUntil: 0, left: false } : { left: true }),
    });
  }
  for (const { operator, key } of genesis.validators) {
    const row = state.get(validators, bytesKey(operator));
    if (row && !row.left && !sameBytes(row.key, key)) replaceKey(ctx, operator, key);
  }
  for (const [key] of [...state.rows(leavingOf)]) state.set(leavingOf, key, null);
  for (const [key, row] of [...state.rows(leaving)]) {
    state.set(leaving, key, { ...row, since: 0 });
    if (row.validator !== null) state.set(leavingOf, leavingOfKey(row.validator, 0, key), true);
  }
  for (const [key, row] of [...state.rows(moving)]) state.set(moving, key, { ...row, since: 0 });
  const elected = electedSet(state, ctx.base, ctx.params.maxValidators);
  if (named.size > 0 || !sameSet(elected, genesisValidators(genesis))) {
    throw new AppError(
      'invalid_argument',
      'The genesis names other validators, or other stakes, than the chain it continues.',
    );
  }
  state.set(sets, 'last', null);
  for (const name of ['next', 'after']) state.set(sets, name, elected);
}

const symbol = symbolShape;
const validator = nullable(addressShape);
const commissionBp = whole(allParts);

export const stakingModule = {
  name: 'stake',
  messages: {
    'stake.bond': kind({
      shape: record({ symbol, validator, amount: positiveAmount }),
      weight: 1000,
      delegable: true,
      run: (ctx, message) => bond(ctx, message.symbol, message.validator, message.amount),
    }),
    'stake.unbond': kind({
      shape: record({ symbol, validator, amount: positiveAmount }),
      weight: 1500,
      delegable: true,
      run: (ctx, message) => startLeaving(ctx, message.symbol, message.validator, message.amount),
    }),
    'stake.redelegate': kind({
      shape: record({ from: addressShape, to: addressShape, amount: positiveAmount }),
      weight: 3000,
      delegable: true,
      run: (ctx, message) => redelegate(ctx, message.from, message.to, message.amount),
    }),
    'stake.claim': kind({
      shape: record({ symbol, validator }),
      weight: 600,
      delegable: true,
      run: (ctx, message) => claim(ctx, message.symbol, message.validator),
    }),
    'validator.create': kind({
      shape: record({
        key: bytesOf(32),
        proof: bytesOf(64),
        name: text(64, 1),
        commissionBp,
        bond: positiveAmount,
      }),
      weight: 20_000,
      delegable: true,
      run(ctx, message) {
        if (message.bond < ctx.params.minSelfBond) {
          throw new AppError('bond_too_small', 'A new validator needs a larger stake of its own.', {
            details: { minimum: ctx.params.minSelfBond.toString() },
          });
        }
        checkValidatorProof(ctx, ctx.sender, message.key, message.proof);
        addValidator(ctx, ctx.sender, message);
        bond(ctx, ctx.base, ctx.sender, message.bond);
      },
    }),
    'validator.edit': kind({
      shape: record({ name: text(64, 1), commissionBp }),
      weight: 500,
      delegable: true,
      run(ctx, message) {
        settleValidatorPool(ctx, ctx.sender);
        const row = validatorOf(ctx.state, ctx.sender);
        const changes = message.commissionBp !== row.commissionBp;
        if (
          changes &&
          (Math.abs(message.commissionBp - row.commissionBp) > maxCommissionStep ||
            ctx.time < row.commissionAt + day)
        ) {
          throw new AppError(
            'commission_invalid',
            'The commission changes once a day, by one in a hundred at most.',
          );
        }
        ctx.state.set(validators, bytesKey(ctx.sender), {
          ...row,
          ...message,
          commissionAt: changes ? ctx.time : row.commissionAt,
        });
      },
    }),
    'validator.leave': kind({
      shape: record({}),
      weight: 500,
      delegable: true,
      run(ctx) {
        if (lastStanding(ctx, ctx.sender)) {
          throw new AppError(
            'last_validator',
            'The last validator can not leave: there would be no more blocks.',
          );
        }
        settleValidatorPool(ctx, ctx.sender);
        const row = validatorOf(ctx.state, ctx.sender);
        ctx.state.set(validators, bytesKey(ctx.sender), { ...row, left: true });
      },
    }),
    'validator.unjail': kind({
      shape: record({}),
      weight: 500,
      delegable: true,
      run(ctx) {
        const row = validatorOf(ctx.state, ctx.sender);
        if (row.tombstoned) {
          throw new AppError(
            'validator_tombstoned',
            'This validator signed two blocks at one height and is out for ever.',
          );
        }
        if (!row.jailed && !row.left)
          throw new AppError('not_jailed', 'The validator is neither jailed nor has it left.');
        if (row.jailed && ctx.time < row.jailedUntil) {
          throw new AppError('validator_jailed', 'The validator is still jailed.', {
            details: { until: row.jailedUntil },
          });
        }
        settleValidatorPool(ctx, ctx.sender);
        // What it missed stays counted: else who leaves and comes back in time would never be jailed for absence.
        ctx.state.set(validators, bytesKey(ctx.sender), { ...row, jailed: false, left: false });
      },
    }),
  },

  beginBlock(ctx) {
    countSignatures(ctx);
    settleMining(ctx, ctx.base, (part) => rewardProposer(ctx, part));
    endLeaving(ctx);
  },

  endBlock(ctx) {
    const fees = balanceOf(ctx.state, pot('fees'), ctx.base);
    if (fees > 0n) {
      move(ctx, pot('fees'), pot('rewards'), ctx.base, fees);
      if (!rewardProposer(ctx, fees)) {
        move(ctx, pot('rewards'), account(tokenOf(ctx.state, ctx.base).spec.treasury), ctx.base, fees);
      }
    }
  },

  dueAt(state) {
    for (const [key] of state.rows(leavingQueue)) return keyNumber(key, 0);
    return null;
  },

  genesis(ctx, genesis) {
    for (const one of genesis.validators) {
      addValidator(ctx, one.operator, one);
      move(ctx, account(one.operator), pot('bonded'), ctx.base, one.bond);
      enter(ctx, one.operator, ctx.base, one.operator, emptyPool(ctx.time), one.bond);
    }
    const first = genesisValidators(genesis);
    for (const name of ['next', 'after']) ctx.state.set(sets, name, first);
  },

  restart: restartStaking,

  invariants: {
    'the pots of bonded and leaving stake hold what the pools say'(state) {
      const sums = new Map<string, Amount>();
      const add = (key: string, value: Amount): void => void sums.set(key, (sums.get(key) ?? 0n) + value);
      for (const [key, pool] of state.rows(pools)) {
        const token = key.slice(0, key.indexOf('\0'));
        add(`bonded ${token}`, pool.tokens);
        add(`unbonding ${token}`, pool.leavingTokens);
        if (pool.tokens > pool.shares || pool.leavingTokens > pool.leavingShares) {
          return `a share of ${token} is worth more than one`;
        }
      }
      for (const [key, value] of sums) {
        const [name, token] = key.split(' ') as ['bonded' | 'unbonding', string];
        if (balanceOf(state, pot(name), token) !== value) return `${key}: pools ${value}`;
      }
      return null;
    },
    'the shares of stakes and of leaving stakes are the shares of their pools'(state) {
      const sums = new Map<string, Amount>();
      const add = (key: string, value: Amount): void => void sums.set(key, (sums.get(key) ?? 0n) + value);
      for (const [key, stake] of state.rows(stakes)) add(`in ${key.slice(32)}`, stake.shares);
      for (const [key, row] of state.rows(leaving)) {
        add(`out ${poolKey(key.slice(32, key.indexOf('\0', 32)), row.validator)}`, row.shares);
        if (state.get(leavingQueue, queueKey(row.end, key)) === null) return 'a leaving stake has no end';
        if (row.validator !== null && !state.get(leavingOf, leavingOfKey(row.validator, row.since, key)))
          return 'a leaving stake is not listed with its validator';
      }
      for (const [key, pool] of state.rows(pools)) {
        if ((sums.get(`in ${key}`) ?? 0n) !== pool.shares) return `stakes of ${key.slice(0, 4)}`;
        if ((sums.get(`out ${key}`) ?? 0n) !== pool.leavingShares)
          return `leaving stakes of ${key.slice(0, 4)}`;
      }
      return null;
    },
    'the pot of rewards holds exactly what is owed, to the fraction of a unit'(state) {
      const owed = new Map<TokenSymbol, bigint>();
      const add = (token: string, value: bigint): void =>
        void owed.set(token, (owed.get(token) ?? 0n) + value);
      for (const [key, pool] of state.rows(pools)) add(key.slice(0, key.indexOf('\0')), pool.rem);
      for (const [key, stake] of state.rows(stakes)) {
        const token = key.slice(32, key.indexOf('\0', 32));
        const pool = state.get(pools, key.slice(32));
        if (!pool) return 'a stake has no pool';
        add(token, earnedOf(pool, stake));
      }
      for (const [token, value] of owed) {
        let whole = value;
        if (state.get(pools, poolKey(token, null)) === null) {
          for (const [, row] of state.rows(validators)) whole += row.commission << 64n;
        }
        const held = balanceOf(state, pot('rewards'), token) << 64n;
        if (held !== whole) return `${token}: held ${held}, owed ${whole}`;
      }
      return null;
    },
    'the set after next is the elected one'(state, { params, base }) {
      const elected = electedSet(state, base, params.maxValidators);
      const after = state.get(sets, 'after') ?? [];
      if (elected.length === 0) return after.length > 0 ? null : 'nobody is in the set';
      const text = (set: typeof elected): string =>
        set.map(({ id, power }) => `${Buffer.from(id).toString('hex')} ${power}`).join();
      return text(elected) === text(after) ? null : `elected ${elected.length}, set ${after.length}`;
    },
    'who is out is not elected'(state) {
      for (const [, row] of state.rows(validators)) {
        if (row.tombstoned && standing(row)) return row.name;
      }
      return null;
    },
  },
} satisfies Module;

/** Apart from staking's own end of a block: whatever keeps rewards from being shared out, the validator sets have to move on. */
export const electionModule = {
  name: 'election',
  messages: {},
  endBlock: electValidators,
  invariants: {},
} satisfies Module;
