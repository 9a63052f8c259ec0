import { AppError } from '../../../src-shared/errors.ts';
import { isSigningKey, verifySignature } from '../../identity/index.ts';
import { byPower, inDomain, maxTime, sameBytes, validatorIdOf } from '../codec/index.ts';
import { validatorSetShape } from '../codec/blocks.ts';
import { amount, bytesOf, flag, record, text, whole } from '../codec/shape.ts';
import type { ValueOf } from '../codec/shape.ts';
import { allParts } from '../codec/token-spec.ts';
import { addressShape } from '../codec/tx.ts';
import type { StateView } from '../state/overlay.ts';
import { bytesKey, keyBytes, numberKey, keyNumber, table } from '../state/table.ts';
import type { Key } from '../state/table.ts';
import type { Address, Amount, Validator, ValidatorId, ValidatorSet } from '../types.ts';
import type { BlockContext } from './context.ts';
import { leaving, leavingOf, leavingOfPrefix, leavingPrefix } from './leaving.ts';
import {
  emptyPool,
  payStake,
  poolKey,
  poolOf,
  pools,
  putStake,
  settleRate,
  stakeKey,
  stakes,
  withReward,
  worthOf,
} from './staking-pools.ts';
import type { Pool } from './staking-pools.ts';
import { move, pot, tokenOf } from './value.ts';

/** Validators, the set of those that vote, and what happens to those that break the rules. */

const validatorShape = record({
  key: bytesOf(32),
  name: text(64, 1),
  commissionBp: whole(allParts),
  /** When the commission was last changed, ms. */
  commissionAt: whole(maxTime),
  /** Earned by commission and not claimed, in base coin. */
  commission: amount,
  jailed: flag,
  jailedUntil: whole(maxTime),
  /** Signed two blocks at one height: out for ever. */
  tombstoned: flag,
  /** Left of its own will. */
  left: flag,
  /** Blocks missed less blocks signed since, never below zero. */
  missed: whole(),
});
export type ValidatorRow = ValueOf<typeof validatorShape>;
/** By the account that runs it. */
export const validators = table('v', 'validators', validatorShape);

/** Whose consensus key that is or was; a key is never used twice. */
export const consensusKeys = table('c', 'consensus keys', addressShape);

/** `last`, `next`, `after`: the sets of the block before the next one, of the next one, and of the one after. */
export const sets = table('e', 'validator sets', validatorSetShape);
export type SetName = 'last' | 'next' | 'after';

const movedShape = record({
  delegator: addressShape,
  to: addressShape,
  shares: amount,
  /** Height of the block in which it moved. */
  since: whole(),
});
/** Stake moved from one validator to another answers for the first one until its time is over. By source, end, number. */
export const moving = table('o', 'redelegations', movedShape);
export const movingKey = (from: Address, end: number, number: number): Key =>
  bytesKey(from) + numberKey(end) + numberKey(number);

/** What a validator's consensus key signs, so that nobody takes another's. */
export const validatorProofBytes = (chainId: string, operator: Address): Uint8Array =>
  inDomain('validator key', Buffer.concat([Buffer.from(chainId, 'latin1'), operator]));

/** @throws AppError `validator_unknown` */
export function validatorOf(state: StateView, operator: Address): ValidatorRow {
  const found = state.get(validators, bytesKey(operator));
  if (found) return found;
  throw new AppError('validator_unknown', 'This account runs no validator.');
}

export const standing = (row: ValidatorRow): boolean => !row.jailed && !row.left && !row.tombstoned;

const baseUnit = (ctx: BlockContext): bigint => 10n ** BigInt(tokenOf(ctx.state, ctx.base).spec.decimals);

/** Those who would vote: standing, with at least one whole coin, the most powerful ones. May be empty. */
export function electedSet(state: StateView, base: string, max: number): ValidatorSet {
  const unit = 10n ** BigInt(tokenOf(state, base).spec.decimals);
  const candidates: Validator[] = [];
  for (const [operator, row] of state.rows(validators)) {
    if (!standing(row)) continue;
    const power = (state.get(pools, `${base}\0${operator}`)?.tokens ?? 0n) / unit;
    if (power > 0n) candidates.push({ id: validatorIdOf(row.key), key: row.key, power });
  }
  return candidates.sort(byPower).slice(0, max);
}

/** Registers a validator that has no stake yet. @throws AppError `validator_exists`, `key_taken` */
export function addValidator(
  ctx: BlockContext,
  operator: Address,
  {
    key,
    name,
    commissionBp,
  }: { readonly key: Uint8Array; readonly name: string; readonly commissionBp: number },
): void {
  const { state } = ctx;
  if (state.get(validators, bytesKey(operator))) {
    throw new AppError('validator_exists', 'This account runs a validator already.');
  }
  takeKey(ctx, operator, key);
  state.set(validators, bytesKey(operator), {
    key,
    name,
    commissionBp,
    commissionAt: ctx.time,
    commission: 0n,
    jailed: false,
    jailedUntil: 0,
    tombstoned: false,
    left: false,
    missed: 0,
  });
  state.set(pools, poolKey(ctx.base, operator), emptyPool(ctx.time));
}

/** Gives a validator another consensus key: the computer that had the old one is gone. @throws AppError `key_taken`, `invalid_argument` */
export function replaceKey(ctx: BlockContext, operator: Address, key: Uint8Array): void {
  takeKey(ctx, operator, key);
  const row = validatorOf(ctx.state, operator);
  ctx.state.set(validators, bytesKey(operator), { ...row, key });
}

/** Notes whose key it is from now on. A key that was ever another validator's, or this one's before, is refused. */
function takeKey({ state }: BlockContext, operator: Address, key: Uint8Array): void {
  if (!isSigningKey(key)) throw new AppError('invalid_argument', 'This is not a signing key.');
  const id = bytesKey(validatorIdOf(key));
  if (state.get(consensusKeys, id)) {
    throw new AppError('key_taken', 'Another validator uses or used this consensus key.');
  }
  state.set(consensusKeys, id, operator);
}

/** @throws AppError `bad_signature` */
export function checkValidatorProof(
  ctx: BlockContext,
  operator: Address,
  key: Uint8Array,
  proof: Uint8Array,
): void {
  if (!verifySignature(key, validatorProofBytes(ctx.chainId, operator), proof)) {
    throw new AppError('bad_signature', 'The consensus key did not sign for this account.');
  }
}

/** Credits a reward that lies in the pot `rewards`: the commission first, rounded down, the rest to the stakers. */
function spread(ctx: BlockContext, operator: Address, pool: Pool, reward: Amount): Pool | null {
  const row = validatorOf(ctx.state, operator);
  const commission = (reward * BigInt(row.commissionBp)) / BigInt(allParts);
  const after = withReward(pool, reward - commission);
  if (after && commission > 0n) {
    ctx.state.set(validators, bytesKey(operator), { ...row, commission: row.commission + commission });
  }
  return after;
}

/** Brings a validator's pool up to now. @throws AppError `validator_unknown` */
export function settleValidatorPool(ctx: BlockContext, operator: Address): Pool {
  const earning = standing(validatorOf(ctx.state, operator));
  const before = poolOf(ctx.state, ctx.base, operator) ?? emptyPool(ctx.time);
  const pool = settleRate(
    ctx,
    ctx.base,
    before,
    earning,
    (settled, reward) => spread(ctx, operator, settled, reward) ?? settled,
  );
  if (pool !== before) ctx.state.set(pools, poolKey(ctx.base, operator), pool);
  return pool;
}

/** Credits the proposer of the block and its stakers. False: it has no stake any more. */
export function rewardProposer(ctx: BlockContext, reward: Amount): boolean {
  const operator = ctx.state.get(consensusKeys, bytesKey(ctx.proposer));
  if (!operator) return false;
  const after = spread(ctx, operator, settleValidatorPool(ctx, operator), reward);
  if (after) ctx.state.set(pools, poolKey(ctx.base, operator), after);
  return after !== null;
}

const cutOf = (value: Amount, parts: number): Amount => (value * BigInt(parts)) / BigInt(allParts);

/**
 * Burns a part of everything that answers for a validator's offence, rounded down: its stake, what has been leaving it since
 * then, and what moved away from it since then and is still bound.
 * @param height of the offence
 */
function slash(ctx: BlockContext, operator: Address, parts: number, height: number): void {
  const { state, base } = ctx;
  // A change counts two blocks later: what went in the block before the offence still gave it power.
  const since = Math.max(0, height - 1);
  let pool = settleValidatorPool(ctx, operator);
  const bonded = cutOf(pool.tokens, parts);
  move(ctx, pot('bonded'), null, base, bonded);
  pool = { ...pool, tokens: pool.tokens - bonded };
  const own = bytesKey(operator);
  for (const [key] of state.rows(leavingOf, own, own + numberKey(since))) {
    pool = slashLeaving(ctx, pool, key.slice(leavingOfPrefix), parts);
  }
  state.set(pools, poolKey(base, operator), pool);
  for (const [key, row] of state.rows(moving, own)) {
    if (keyNumber(key, 32) > ctx.time && row.since >= since) slashMoved(ctx, row, parts);
  }
}

/** Of one stake that leaves; answers with the pool without it. */
function slashLeaving(ctx: BlockContext, pool: Pool, key: Key, parts: number): Pool {
  const row = ctx.state.get(leaving, key);
  if (!row) return pool;
  const shares = cutOf(row.shares, parts);
  const burned = worthOf(shares, pool.leavingTokens, pool.leavingShares);
  move(ctx, pot('unbonding'), null, ctx.base, burned);
  ctx.state.set(leaving, key, { ...row, shares: row.shares - shares });
  return {
    ...pool,
    leavingTokens: pool.leavingTokens - burned,
    leavingShares: pool.leavingShares - shares,
  };
}

/** Of stake that moved on: from the stake at its new validator, and what is not there any more from what leaves it. */
function slashMoved(ctx: BlockContext, moved: ValueOf<typeof movedShape>, parts: number): void {
  const { state, base } = ctx;
  const { delegator, to } = moved;
  const key = stakeKey(delegator, base, to);
  let pool = settleValidatorPool(ctx, to);
  let wanted = cutOf(moved.shares, parts);
  const stake = state.get(stakes, key);
  if (stake) {
    const paid = payStake(ctx, delegator, base, pool, stake).stake;
    const shares = wanted < stake.shares ? wanted : stake.shares;
    const burned = worthOf(shares, pool.tokens, pool.shares);
    move(ctx, pot('bonded'), null, base, burned);
    pool = { ...pool, tokens: pool.tokens - burned, shares: pool.shares - shares };
    pool = putStake(ctx, key, pool, { ...paid, shares: stake.shares - shares });
    wanted -= shares;
  }
  if (wanted > 0n) {
    for (const [at, row] of state.rows(leaving, leavingPrefix(delegator, base))) {
      if (row.validator === null || !sameBytes(row.validator, to)) continue;
      pool = slashLeaving(ctx, pool, at, parts);
    }
  }
  state.set(pools, poolKey(base, to), pool);
}

/** Punishes who signed what must not be signed at that height, once: slashed and out for ever. */
export function punishDoubleSigning(ctx: BlockContext, id: ValidatorId, height: number): void {
  const operator = ctx.state.get(consensusKeys, bytesKey(id));
  if (!operator) return;
  if (validatorOf(ctx.state, operator).tombstoned) return;
  slash(ctx, operator, ctx.params.doubleSignBp, height);
  const row = validatorOf(ctx.state, operator);
  ctx.state.set(validators, bytesKey(operator), {
    ...row,
    jailed: true,
    tombstoned: true,
    jailedUntil: maxTime,
  });
}

/**
 * Counts who signed the block before. A counter rises by one for a block missed and falls by one for a block signed, so it
 * runs away only for who misses more than half; at `downtimeBlocks` the validator is slashed and jailed. The last one standing
 * is spared: without it there would be no chain.
 */
export function countSignatures(ctx: BlockContext): void {
  const { state } = ctx;
  for (const id of ctx.signed) {
    const operator = state.get(consensusKeys, bytesKey(id));
    const row = operator && validatorOf(state, operator);
    if (row && row.missed > 0) state.set(validators, bytesKey(operator), { ...row, missed: row.missed - 1 });
  }
  for (const id of ctx.missed) {
    const operator = state.get(consensusKeys, bytesKey(id));
    const row = operator && validatorOf(state, operator);
    if (!row || !standing(row)) continue;
    if (row.missed + 1 < ctx.params.downtimeBlocks || lastStanding(ctx, operator)) {
      state.set(validators, bytesKey(operator), {
        ...row,
        missed: Math.min(row.missed + 1, ctx.params.downtimeBlocks),
      });
      continue;
    }
    slash(ctx, operator, ctx.params.downtimeBp, ctx.height - 1);
    state.set(validators, bytesKey(operator), {
      ...validatorOf(state, operator),
      missed: 0,
      jailed: true,
      jailedUntil: ctx.time + ctx.params.jailMs,
    });
  }
}

/** True when no other validator could make blocks. */
export function lastStanding(ctx: BlockContext, operator: Address): boolean {
  const own = bytesKey(operator);
  const unit = baseUnit(ctx);
  for (const [other, row] of ctx.state.rows(validators)) {
    if (other === own || !standing(row)) continue;
    if ((poolOf(ctx.state, ctx.base, keyBytes(other))?.tokens ?? 0n) >= unit) return false;
  }
  return true;
}

/** Whether this block changed who stands or with how many whole coins. */
function powersChanged(ctx: BlockContext): boolean {
  const unit = baseUnit(ctx);
  const stands = (row: ValidatorRow | null): boolean => row !== null && standing(row);
  const power = (pool: Pool | null): bigint => (pool?.tokens ?? 0n) / unit;
  for (const [, before, after] of ctx.state.touched(validators)) {
    if (stands(before) !== stands(after)) return true;
  }
  for (const [key, before, after] of ctx.state.touched(pools)) {
    if (key.startsWith(`${ctx.base}\0`) && power(before) !== power(after)) return true;
  }
  return false;
}

/** Moves the sets on by one block. Nobody elected: those who vote go on, as a chain needs somebody. */
export function electValidators(ctx: BlockContext): void {
  const { state } = ctx;
  const next = state.get(sets, 'next');
  const after = state.get(sets, 'after');
  if (!next || !after) throw new AppError('corrupt', 'The ledger has lost its validator sets.');
  // Most blocks change nobody's power: then those elected before still are, and not all validators are read.
  const changed = ctx.height <= 1 || powersChanged(ctx);
  const elected = changed ? electedSet(state, ctx.base, ctx.params.maxValidators) : after;
  const put = (name: SetName, before: ValidatorSet | null, set: ValidatorSet): void => {
    if (!before || !sameSet(before, set)) state.set(sets, name, set);
  };
  put('last', state.get(sets, 'last'), next);
  put('next', next, after);
  put('after', after, elected.length > 0 ? elected : after);
}

export function sameSet(a: ValidatorSet, b: ValidatorSet): boolean {
  if (a === b) return true;
  return (
    a.length === b.length &&
    a.every((one, i) => one.power === b[i]?.power && sameBytes(one.id, (b[i] as Validator).id))
  );
}
