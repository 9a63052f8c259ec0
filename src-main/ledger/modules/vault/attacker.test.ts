import { describe, expect, it } from 'vitest';
import { createSeeded } from '../../consensus/testing/seeded.ts';
import { createOverlay } from '../../state/overlay.ts';
import { addressOfName } from '../../testing.ts';
import type { Amount, TokenSymbol } from '../../types.ts';
import { outFor, squareRoot } from '../pool/maths.ts';
import { poolModule } from '../pool/pool.ts';
import { poolAt, poolIdOf, poolKeyOf } from '../pool/state.ts';
import { tradeIn } from '../pool/trade.ts';
import { as, attempt, createBareState, fund } from '../testing/bare-state.ts';
import type { BareState } from '../testing/bare-state.ts';
import { account, balanceOf } from '../value.ts';
import { planMove } from './plan.ts';
import { vaultShareKey, vaultShares } from './state.ts';
import { vaultModule } from './vault.ts';

/*
 * Somebody who may order a block as he likes, has any amount of money, calls the vault himself, deposits and withdraws, and holds
 * pushed prices over several blocks, against people who trade them back whenever that pays. The search keeps what earned most and
 * changes it. What he may keep are the tips, which the vault pays for the call.
 */

const exc = 1_000_000n;
const start = 1_000_000n * exc;
/** Both tokens are worth 2 EXC, in truth. */
const truth = 2n;

type Act =
  | { readonly type: 'swap'; readonly into: boolean; readonly token: 'AAA' | 'BBB'; readonly parts: number }
  | { readonly type: 'call' }
  | { readonly type: 'deposit' | 'withdraw'; readonly parts: number }
  | { readonly type: 'block'; readonly seconds: number };

/** Pools at the true price, and a vault with Ada's money on its way into both. */
function prepare(): BareState {
  const ctx = createBareState(['EXC', 'AAA', 'BBB']);
  for (const name of ['ada', 'eve', 'arb']) {
    fund(ctx, name, 'EXC', start);
    for (const symbol of ['AAA', 'BBB']) fund(ctx, name, symbol, start / truth);
  }
  for (const symbol of ['AAA', 'BBB']) {
    const made = { a: 'EXC', b: symbol, feeBp: 30, amountA: 100_000n * exc, amountB: 50_000n * exc };
    poolModule.messages['pool.create'].run(as(ctx, 'ada'), made);
  }
  vaultModule.messages['vault.create'].run(as(ctx, 'ada'), {
    name: 'Target',
    asset: 'EXC',
    strategies: ['AAA', 'BBB'].map((other) => ({
      other,
      feeBp: 30,
      targetBp: 4500,
      minBp: 0,
      maxBp: 10_000,
    })),
    bounds: {
      follow: 'target',
      minMove: exc / 100n,
      cooldownMs: 1000,
      maxMoveBp: 10_000,
      periodMs: 3_600_000,
      maxLossBp: 200,
      tipBp: 0,
      tipCap: 0n,
    },
  });
  const deposit = { vault: 0, amount: 200_000n * exc, minShares: 0n, deadline: ctx.time };
  vaultModule.messages['vault.deposit'].run(as(ctx, 'ada'), deposit);
  fund(ctx, 'naive', 'EXC', 200_000n * exc);
  ctx.time += 700_000;
  // It has something in both pools, so that it can be made to leave as well as to enter.
  for (let i = 0; i < 30; i++) {
    ctx.time += 1000;
    call(ctx, 'ada');
    trueUp(ctx);
  }
  return ctx;
}

/** The next move of the vault, at the very edge of what it may trade; false: none stood. */
function call(ctx: BareState, who: string): boolean {
  const step = planMove(ctx, 0);
  if (!step) return false;
  const run = (amount: Amount): boolean =>
    attempt(ctx, () =>
      vaultModule.messages['vault.rebalance'].run(as(ctx, who), { vault: 0, ...step, amount }),
    );
  return run((step.amount * 11n) / 10n) || run(step.amount);
}

/** What a mover without bounds would do: it buys for a twentieth of the pool, whatever the price. */
function naiveCall(ctx: BareState): boolean {
  const holder = account(addressOfName('naive'));
  const hops = [{ to: 'AAA', feeBp: 30 }];
  return attempt(ctx, () =>
    tradeIn(ctx, holder, holder, { from: 'EXC', amount: 5000n * exc, hops, minOut: 0n }),
  );
}

const reserves = (
  ctx: BareState,
  symbol: TokenSymbol,
): { readonly key: string; readonly own: Amount; readonly other: Amount } => {
  const key = poolKeyOf('EXC', symbol, 30);
  const pool = poolAt(ctx.state, key);
  return poolIdOf(key).a === 'EXC'
    ? { key, own: pool.reserveA, other: pool.reserveB }
    : { key, own: pool.reserveB, other: pool.reserveA };
};

/** Others trade a pool back to the true price, as far as the fee lets it pay. */
function trueUp(ctx: BareState): void {
  const arb = account(addressOfName('arb'));
  for (const symbol of ['AAA', 'BBB']) {
    const { own, other } = reserves(ctx, symbol);
    const k = own * other;
    const fee = (value: Amount): Amount => (value * 9970n) / 10_000n;
    const wantedOwn = squareRoot(k * truth);
    const cheap = wantedOwn - own;
    const amount = cheap > 0n ? cheap : squareRoot(k / truth) - other;
    if (amount <= 0n) continue;
    const [from, to, reserveIn, reserveOut, price] =
      cheap > 0n ? ['EXC', symbol, own, other, truth] : [symbol, 'EXC', other, own, 1n];
    const out = outFor(amount, reserveIn as Amount, reserveOut as Amount, 30);
    const paid = from === 'EXC' ? amount : amount * truth;
    if (fee(out * (price as bigint)) < fee(paid)) continue;
    const hops = [{ to: to as string, feeBp: 30 }];
    attempt(ctx, () => tradeIn(ctx, arb, arb, { from: from as string, amount, hops, minOut: 0n }));
  }
}

const wealth = (ctx: BareState, name: string): bigint => {
  const holder = account(addressOfName(name));
  return ['AAA', 'BBB'].reduce(
    (sum, symbol) => sum + truth * balanceOf(ctx.state, holder, symbol),
    balanceOf(ctx.state, holder, 'EXC'),
  );
};

const prepared = prepare();
/** The same for every try. */
const world = (): BareState => ({ ...prepared, state: createOverlay(prepared.state) });

/** What the attacker has more at the end than at the beginning; null when the victim never moved. */
function profitOf(acts: readonly Act[], victim: 'vault' | 'naive'): bigint | null {
  let moved = false;
  const ctx = world();
  const eve = account(addressOfName('eve'));
  const before = wealth(ctx, 'eve');
  for (const act of acts) {
    if (act.type === 'swap') {
      const { own, other } = reserves(ctx, act.token);
      const [from, to, reserve] = act.into ? ['EXC', act.token, own] : [act.token, 'EXC', other];
      const amount = ((reserve as bigint) * BigInt(act.parts)) / 10_000n;
      const hops = [{ to: to as string, feeBp: 30 }];
      attempt(ctx, () => tradeIn(ctx, eve, eve, { from: from as string, amount, hops, minOut: 0n }));
    } else if (act.type === 'call') {
      if (victim === 'vault' ? call(ctx, 'eve') : naiveCall(ctx)) moved = true;
    } else if (act.type === 'deposit') {
      const amount = (start * BigInt(act.parts)) / 20_000n;
      const message = { vault: 0, amount, minShares: 0n, deadline: ctx.time };
      attempt(ctx, () => vaultModule.messages['vault.deposit'].run(as(ctx, 'eve'), message));
    } else if (act.type === 'block') {
      ctx.time += act.seconds * 1000;
      trueUp(ctx);
    } else leave(ctx, act.parts);
  }
  leave(ctx, 10_000);
  trueUp(ctx);
  return moved ? wealth(ctx, 'eve') - before : null;
}

function leave(ctx: BareState, parts: number): void {
  const own = ctx.state.get(vaultShares, vaultShareKey(addressOfName('eve'), 0))?.shares ?? 0n;
  const shares = (own * BigInt(parts)) / 10_000n;
  if (shares === 0n) return;
  const message = { vault: 0, shares, minAmount: 0n, deadline: ctx.time };
  attempt(ctx, () => vaultModule.messages['vault.withdraw'].run(as(ctx, 'eve'), message));
}

/** Looks for the sequence that earns most: random ones first, then changes of the best. */
function search(
  victim: 'vault' | 'naive',
  tries: number,
  seed: number,
): { readonly profit: bigint; readonly moves: number } {
  const { next: random, below } = createSeeded(seed);
  const act = (): Act => {
    const kind = below(10);
    // From a hundredth of a percent to all of a pool, small ones as often as large ones.
    const parts = Math.ceil(10_000 ** random());
    if (kind < 4) return { type: 'swap', into: random() < 0.5, token: random() < 0.5 ? 'AAA' : 'BBB', parts };
    if (kind < 7) return { type: 'call' };
    if (kind < 8) return { type: random() < 0.5 ? 'deposit' : 'withdraw', parts };
    return { type: 'block', seconds: random() < 0.8 ? 1 : below(900) + 1 };
  };
  /** A sandwich is where any search would begin. */
  const sandwich = (): Act[] => {
    const parts = Math.ceil(2000 ** random());
    const token = 'AAA' as const;
    const into = random() < 0.7;
    return [
      { type: 'swap', into, token, parts },
      { type: 'call' },
      { type: 'swap', into: !into, token, parts },
    ];
  };
  let best: readonly Act[] = [];
  let profit: bigint | null = null;
  let moves = 0;
  for (let i = 0; i < tries; i++) {
    const acts =
      i < tries / 2 || best.length === 0
        ? [...(random() < 0.5 ? sandwich() : []), ...Array.from({ length: below(7) }, act)]
        : [...best];
    if (acts.length > 0 && i >= tries / 2) {
      const at = below(acts.length);
      if (random() < 0.6) acts[at] = act();
      else if (random() < 0.5) acts.splice(at, 0, act());
      else acts.splice(at, 1);
    }
    const earned = profitOf(acts, victim);
    if (earned === null) continue;
    moves += 1;
    if (profit === null || earned > profit) {
      profit = earned;
      best = acts;
    }
  }
  return { profit: profit ?? 0n, moves };
}

describe('an attacker who orders the block, pushes prices and calls the vault', () => {
  const tries = Number(process.env['EXTRACHAIN_ATTACKS'] ?? 400);

  it('finds no profit with a vault', () => {
    const { profit, moves } = search('vault', tries, 11);
    expect(moves).toBeGreaterThan(tries / 4);
    expect(profit).toBeLessThanOrEqual(0n);
  });

  it('finds it with a mover that has no bounds, so the search can find', () => {
    expect(search('naive', 100, 11).profit).toBeGreaterThan(10n * exc);
  });
});
