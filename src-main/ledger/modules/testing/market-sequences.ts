import fc from 'fast-check';
import { day } from '../../codec/token-spec.ts';
import type { StateView } from '../../state/overlay.ts';
import { bytesKey } from '../../state/table.ts';
import type { Key } from '../../state/table.ts';
import { addressOfName } from '../../testing.ts';
import type { Amount, TokenSymbol } from '../../types.ts';
import { bankModule } from '../bank.ts';
import type { Invariant, MessageKind, Module } from '../context.ts';
import { poolModule } from '../pool/pool.ts';
import { poolIdOf, tradingPools } from '../pool/state.ts';
import { appHash, appModule } from '../registry/app.ts';
import { nameClaim, nameModule } from '../registry/name.ts';
import { serviceModule } from '../registry/service.ts';
import { planMove } from '../vault/plan.ts';
import { vaults, vaultShareKey, vaultShares } from '../vault/state.ts';
import { vaultModule } from '../vault/vault.ts';
import { account, balanceOf, frozen, frozenKey, tokens } from '../value.ts';
import { positionKey, positions, poolKeyOf } from '../pool/state.ts';
import { miningModule } from '../mining.ts';
import { relayModule } from '../relay/relay.ts';
import { beaconModule } from '../storage/beacon.ts';
import { storageModule } from '../storage/storage.ts';
import { workModule } from '../storage/work.ts';
import { as, attempt, createBareState, fund } from './bare-state.ts';
import type { BareState } from './bare-state.ts';
import { beginWork, hour, performWork, workDeed } from './work-sequences.ts';
import type { WorkDeed } from './work-sequences.ts';

/*
 * Random sequences of everything that markets, paid storage, the beacon and relays can be asked, by several people, with time passing and tokens frozen. After each step
 * every rule must hold; fast-check shrinks what breaks one to a short trace.
 */

const people = ['ada', 'ben', 'cyd'] as const;
const symbols = ['EXC', 'AAA', 'BBB', 'CCC'] as const;
const fees = [5, 30] as const;
const modules: readonly Module[] = [
  bankModule,
  poolModule,
  vaultModule,
  nameModule,
  serviceModule,
  appModule,
  miningModule,
  beaconModule,
  storageModule,
  workModule,
  relayModule,
];

/** Small ones, ordinary ones, and up to the edge of u128. */
const value: fc.Arbitrary<bigint> = fc.oneof(
  { weight: 2, arbitrary: fc.bigInt({ min: 1n, max: 3000n }) },
  { weight: 8, arbitrary: fc.bigInt({ min: 1n, max: 10n ** 12n }) },
  { weight: 1, arbitrary: fc.bigInt({ min: 1n, max: 2n ** 128n - 1n }) },
);
const symbol = fc.constantFrom(...symbols);
const fee = fc.constantFrom(...fees);
const pair = fc
  .tuple(symbol, symbol, fee)
  .filter(([a, b]) => a !== b)
  .map(([a, b, feeBp]) => ({ a, b, feeBp }));
const hops = fc.array(fc.record({ to: symbol, feeBp: fee }), { minLength: 1, maxLength: 4 });
const latest = 253_402_300_799_999;
const parts = fc.integer({ min: 1, max: 10_000 });

/** Something somebody does. Parts are of what there is, so that most of it can be done. */
export type Deed =
  | { readonly type: string; readonly fields: Readonly<Record<string, unknown>> }
  | {
      readonly type: 'part';
      readonly of: 'pool' | 'vault';
      readonly id: { a: TokenSymbol; b: TokenSymbol; feeBp: number };
      readonly parts: number;
    }
  | { readonly type: 'work'; readonly work: WorkDeed }
  | { readonly type: 'plan' }
  | { readonly type: 'freeze'; readonly symbol: TokenSymbol; readonly frozen: boolean }
  | { readonly type: 'reveal'; readonly name: string }
  | { readonly type: 'time'; readonly ms: number };

const message = <T extends object>(type: string, fields: fc.Arbitrary<T>): fc.Arbitrary<Deed> =>
  fields.map((one) => ({ type, fields: one as Readonly<Record<string, unknown>> }));
const limits = { minShares: fc.constant(0n), deadline: fc.constant(latest) };

const slugs = fc.constantFrom('map', 'chat');
const versions = fc.constantFrom('1.0.0', '1.1.0-beta', '1.1.0', '2.0.0');
const appDeed: fc.Arbitrary<Deed> = fc.oneof(
  message(
    'app.publish',
    fc.record({
      slug: slugs,
      name: fc.constant('An app'),
      text: fc.constant('It does something.'),
      categories: fc.constant(['tools']),
      channel: fc.constantFrom('stable', 'beta'),
      version: versions,
      root: fc.constant(new Uint8Array(32)),
      link: fc.constant('extrachain://drive'),
      bytes: fc.nat(),
      days: fc.integer({ min: 0, max: 30 }),
    }),
  ),
  message(
    'app.review',
    fc.record({
      app: fc.tuple(fc.constantFrom(...people), slugs).map(([who, one]) => appHash(addressOfName(who), one)),
      stars: fc.integer({ min: 1, max: 5 }),
      text: fc.constantFrom('', 'Good'),
      version: versions,
    }),
  ),
  message('app.revoke', fc.record({ slug: slugs, version: versions, reason: fc.constant('') })),
  message('app.remove', fc.record({ slug: slugs })),
);

const marketDeeds: fc.MaybeWeightedArbitrary<Deed>[] = [
  {
    weight: 3,
    arbitrary: message(
      'pool.create',
      fc.tuple(pair, value, value).map(([id, amountA, amountB]) => ({ ...id, amountA, amountB })),
    ),
  },
  {
    weight: 4,
    arbitrary: message(
      'pool.deposit',
      fc
        .tuple(pair, fc.record({ maxA: value, maxB: value, ...limits }))
        .map(([id, rest]) => ({ ...id, ...rest })),
    ),
  },
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.constantFrom('pool' as const, 'vault' as const), pair, parts)
      .map(([of, id, share]): Deed => ({ type: 'part', of, id, parts: share })),
  },
  { weight: 1, arbitrary: message('pool.claim', pair) },
  {
    weight: 1,
    arbitrary: message(
      'pool.favour',
      pair.map((id) => ({ ...id, symbol: id.a })),
    ),
  },
  {
    weight: 8,
    arbitrary: message(
      'pool.swapIn',
      fc.record({
        from: symbol,
        amount: value,
        hops,
        minOut: fc.constant(0n),
        deadline: fc.constant(latest),
      }),
    ),
  },
  {
    weight: 4,
    arbitrary: message(
      'pool.swapOut',
      fc.record({
        from: symbol,
        hops,
        out: value,
        maxIn: fc.constant(2n ** 128n - 1n),
        deadline: fc.constant(latest),
      }),
    ),
  },
  {
    weight: 4,
    arbitrary: message(
      'vault.deposit',
      fc.record({
        vault: fc.nat(1),
        amount: value,
        minShares: fc.constant(0n),
        deadline: fc.constant(latest),
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: message(
      'vault.rebalance',
      fc.record({ vault: fc.nat(1), from: fc.nat(3), to: fc.nat(3), amount: value }),
    ),
  },
  { weight: 6, arbitrary: fc.constant<Deed>({ type: 'plan' }) },
  {
    weight: 1,
    arbitrary: message(
      'vault.setTargets',
      fc.record({ vault: fc.nat(1), targets: fc.array(fc.nat(5000), { minLength: 2, maxLength: 2 }) }),
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom('aaa', 'bbbb').map((name): Deed => ({ type: 'reveal', name })) },
  {
    weight: 1,
    arbitrary: message(
      'name.renew',
      fc.record({ name: fc.constantFrom('aaa', 'bbbb'), days: fc.integer({ min: 1, max: 9 }) }),
    ),
  },
  {
    weight: 1,
    arbitrary: message(
      'name.transfer',
      fc.record({ name: fc.constantFrom('aaa', 'bbbb'), to: fc.constantFrom(...people).map(addressOfName) }),
    ),
  },
  { weight: 3, arbitrary: appDeed },
  {
    weight: 1,
    arbitrary: fc
      .tuple(symbol, fc.boolean())
      .map(([one, on]): Deed => ({ type: 'freeze', symbol: one, frozen: on })),
  },
  {
    weight: 4,
    arbitrary: fc
      .oneof(
        { weight: 2, arbitrary: fc.integer({ min: 1, max: 5000 }) },
        { weight: 2, arbitrary: fc.integer({ min: 1, max: 1_500_000 }) },
        { weight: 4, arbitrary: fc.constant(hour) },
        { weight: 1, arbitrary: fc.constant(20 * day) },
      )
      .map((ms): Deed => ({ type: 'time', ms })),
  },
];
const work: fc.Arbitrary<Deed> = workDeed(people).map((one) => ({ type: 'work', work: one }));
const stepsOf = (deed: fc.Arbitrary<Deed>) =>
  fc.array(fc.record({ who: fc.constantFrom(...people), deed }), {
    minLength: 5,
    maxLength: 60,
    size: 'max',
  });
/** What the sequences are made of: markets alone, which so get far, or all modules together. */
const worlds = {
  markets: stepsOf(fc.oneof(...marketDeeds)),
  all: stepsOf(fc.oneof(...marketDeeds, { weight: 45, arbitrary: work })),
};
export type World = keyof typeof worlds;

const kinds = new Map<string, MessageKind<unknown>>(modules.flatMap((one) => Object.entries(one.messages)));

/** Everybody has something of everything; AAA emits for liquidity, CCC can be frozen; two pools older than a window, and a vault. */
function begin(): BareState {
  const ctx = createBareState(symbols);
  const change = (name: TokenSymbol, spec: object): void => {
    const token = ctx.state.get(tokens, name)!;
    ctx.state.set(tokens, name, { ...token, createdAt: ctx.time, spec: { ...token.spec, ...spec } });
  };
  change('AAA', {
    mining: {
      schedule: { type: 'fixed', perPeriod: 1_000_003n, periods: null },
      periodMs: 60_000,
      split: { stakers: 0, hosts: 3000, relays: 1000, liquidity: 6000, treasury: 0 },
      unclaimed: 'unminted',
    },
  });
  change('CCC', { flags: { mint: false, burn: false, freeze: true } });
  for (const name of people) for (const one of symbols) fund(ctx, name, one, 10n ** 15n);
  for (const b of ['AAA', 'BBB'] as const) {
    const first = { a: 'EXC', b, feeBp: 30, amountA: 10n ** 12n, amountB: 10n ** 11n };
    poolModule.messages['pool.create'].run(as(ctx, 'ada'), first);
  }
  const terms = { targetBp: 4000, minBp: 0, maxBp: 8000, feeBp: 30 };
  vaultModule.messages['vault.create'].run(as(ctx, 'ada'), {
    name: 'Movers',
    asset: 'EXC',
    strategies: [
      { ...terms, other: 'AAA' },
      { ...terms, other: 'BBB' },
    ],
    bounds: {
      follow: 'usage',
      minMove: 1000n,
      cooldownMs: 1000,
      maxMoveBp: 10_000,
      periodMs: 60_000,
      maxLossBp: 300,
      tipBp: 5,
      tipCap: 10n ** 9n,
    },
  });
  beginWork(ctx, ['ada', 'ben'], (name, type, fields) => send(ctx, name, type, fields));
  ctx.time += 700_000;
  ctx.height += 1;
  return ctx;
}

const send = (ctx: BareState, who: string, type: string, fields: object): boolean =>
  attempt(ctx, () => kinds.get(type)?.run(as(ctx, who), fields));

function pass(ctx: BareState, ms: number): void {
  ctx.time += ms;
  ctx.height += 1;
  nameModule.beginBlock(ctx);
  beaconModule.beginBlock(ctx);
}

/** Does what was drawn; false: it was refused. @throws what is no refusal: a defect */
function perform(ctx: BareState, who: string, { ...one }: Deed): boolean {
  const run = (type: string, fields: object): boolean => send(ctx, who, type, fields);
  if (one.type === 'time') {
    pass(ctx, (one as { ms: number }).ms);
    return true;
  }
  if (one.type === 'freeze') {
    const { symbol: name, frozen: on } = one as { symbol: TokenSymbol; frozen: boolean };
    ctx.state.set(frozen, frozenKey(name, addressOfName(who)), on ? true : null);
    return true;
  }
  if (one.type === 'plan') {
    const step = planMove(ctx, 0);
    return step !== null && run('vault.rebalance', { vault: 0, ...step });
  }
  if (one.type === 'work') {
    const { work } = one as { work: WorkDeed };
    return performWork(
      ctx,
      who,
      work,
      (name, type, fields) => send(ctx, name, type, fields),
      (ms) => pass(ctx, ms),
      people,
    );
  }
  if (one.type === 'reveal') {
    const { name } = one as { name: string };
    const salt = new Uint8Array(32);
    const hash = nameClaim(name, addressOfName(who), salt);
    if (run('name.commit', { hash })) return true;
    return run('name.reveal', { name, salt, kind: 'person', target: '', days: 3 });
  }
  if (one.type === 'part') {
    const {
      of,
      id,
      parts: share,
    } = one as Extract<Deed, { type: 'part' }> & { id: { a: string; b: string; feeBp: number } };
    const me = addressOfName(who);
    const all =
      of === 'pool'
        ? ctx.state.get(positions, positionKey(account(me), poolKeyOf(id.a, id.b, id.feeBp)))?.shares
        : ctx.state.get(vaultShares, vaultShareKey(me, 0))?.shares;
    const shares = ((all ?? 0n) * BigInt(share)) / 10_000n;
    if (shares === 0n) return false;
    return of === 'pool'
      ? run('pool.withdraw', { ...id, shares, minA: 0n, minB: 0n, deadline: latest })
      : run('vault.withdraw', { vault: 0, shares, minAmount: 0n, deadline: latest });
  }
  return run(one.type, (one as { fields: object }).fields);
}

/** Product of the reserves and shares of each pool. */
function measures(state: StateView): ReadonlyMap<Key, { readonly k: Amount; readonly shares: Amount }> {
  return new Map(
    [...state.rows(tradingPools)].map(([key, { reserveA, reserveB, shares }]) => [
      key,
      { k: reserveA * reserveB, shares },
    ]),
  );
}

const faultsOf = (ctx: BareState): readonly string[] =>
  modules.flatMap(({ name, invariants }) =>
    Object.entries(invariants).flatMap(([rule, find]: [string, Invariant]) => {
      const fault = find(ctx.state, ctx);
      return fault === null ? [] : [`${name}: ${rule}: ${fault}`];
    }),
  );

/** What came of the sequences: how many deeds were done and how many refused. */
export interface Outcome {
  done: number;
  refused: number;
  /** Times that each kind of message went through. */
  readonly kinds: Map<string, number>;
}

/**
 * Runs so many sequences and checks after every step that all invariants hold and that no share of any pool became worth less.
 * @throws with a short trace and the seed that replays it
 */
export function checkSequences(world: World, runs: number, seed: number): Outcome {
  const outcome: Outcome = { done: 0, refused: 0, kinds: new Map() };
  fc.assert(
    fc.property(worlds[world], (all) => {
      const ctx = begin();
      let before = measures(ctx.state);
      for (const { who, deed: one } of all) {
        if (!perform(ctx, who, one)) {
          outcome.refused += 1;
          continue;
        }
        outcome.done += 1;
        const work = one.type === 'work' ? (one as { work: WorkDeed }).work : null;
        const name = work === null ? one.type : work.type === 'message' ? work.of : work.type;
        outcome.kinds.set(name, (outcome.kinds.get(name) ?? 0) + 1);
        const faults = faultsOf(ctx);
        if (faults.length > 0) throw new Error(faults.join('; '));
        const after = measures(ctx.state);
        for (const [key, then] of after) {
          const was = before.get(key);
          if (was && then.k * was.shares * was.shares < was.k * then.shares * then.shares) {
            throw new Error(`a share of ${JSON.stringify(poolIdOf(key))} became worth less`);
          }
        }
        before = after;
      }
    }),
    { seed, numRuns: runs },
  );
  return outcome;
}

/** Everything somebody has of each token, after taking all of it out of pools and the vault. */
function takeOut(ctx: BareState, who: string): ReadonlyMap<TokenSymbol, Amount> {
  const me = addressOfName(who);
  for (const [key] of ctx.state.rows(tradingPools)) {
    const shares = ctx.state.get(positions, positionKey(account(me), key))?.shares ?? 0n;
    const id = poolIdOf(key);
    if (shares > 0n) {
      attempt(ctx, () =>
        poolModule.messages['pool.withdraw'].run(as(ctx, who), {
          ...id,
          shares,
          minA: 0n,
          minB: 0n,
          deadline: latest,
        }),
      );
    }
  }
  for (const [key] of ctx.state.rows(vaults)) {
    const shares = ctx.state.get(vaultShares, bytesKey(me) + key)?.shares ?? 0n;
    const fields = { vault: 0, shares, minAmount: 0n, deadline: latest };
    if (shares > 0n) attempt(ctx, () => vaultModule.messages['vault.withdraw'].run(as(ctx, who), fields));
  }
  return new Map(symbols.map((one) => [one, balanceOf(ctx.state, account(me), one)]));
}

/**
 * One person alone, in one block, with one pool and a vault over it: whatever is tried, nothing comes out of which there is more of
 * one token and no less of any other.
 * @throws with a short trace and the seed that replays it
 */
export function checkNoFreeMoney(runs: number, seed: number): void {
  const id = { a: 'EXC', b: 'AAA', feeBp: 30 };
  const alone: fc.Arbitrary<Deed> = fc.oneof(
    message(
      'pool.swapIn',
      fc.tuple(fc.boolean(), value).map(([into, amount]) => ({
        from: into ? 'EXC' : 'AAA',
        amount,
        hops: [{ to: into ? 'AAA' : 'EXC', feeBp: 30 }],
        minOut: 0n,
        deadline: latest,
      })),
    ),
    message(
      'pool.swapOut',
      fc.tuple(fc.boolean(), value).map(([into, out]) => ({
        from: into ? 'EXC' : 'AAA',
        out,
        hops: [{ to: into ? 'AAA' : 'EXC', feeBp: 30 }],
        maxIn: 2n ** 128n - 1n,
        deadline: latest,
      })),
    ),
    message(
      'pool.deposit',
      fc.tuple(value, value).map(([maxA, maxB]) => ({ ...id, maxA, maxB, minShares: 0n, deadline: latest })),
    ),
    message(
      'vault.deposit',
      value.map((amount) => ({ vault: 0, amount, minShares: 0n, deadline: latest })),
    ),
    fc
      .tuple(fc.constantFrom('pool' as const, 'vault' as const), parts)
      .map(([of, share]): Deed => ({ type: 'part', of, id, parts: share })),
  );
  fc.assert(
    fc.property(fc.array(alone, { minLength: 1, maxLength: 25, size: 'max' }), (deeds) => {
      const ctx = begin();
      // Somebody else's money is in the vault and, through it, in the pool.
      kinds
        .get('vault.deposit')
        ?.run(as(ctx, 'ada'), { vault: 0, amount: 10n ** 12n, minShares: 0n, deadline: latest });
      perform(ctx, 'ada', { type: 'plan' });
      ctx.time += 2000;
      // What emission has let out by now is settled, so that the rest of the block earns nothing.
      kinds.get('pool.claim')?.run(as(ctx, 'ada'), id);
      const before = takeOut(ctx, 'ben');
      for (const one of deeds) perform(ctx, 'ben', one);
      const after = takeOut(ctx, 'ben');
      const gains = symbols.map((one) => (after.get(one) as bigint) - (before.get(one) as bigint));
      if (gains.every((one) => one >= 0n) && gains.some((one) => one > 0n)) {
        throw new Error(`something for nothing: ${gains.join(', ')}`);
      }
    }),
    { seed, numRuns: runs },
  );
}
