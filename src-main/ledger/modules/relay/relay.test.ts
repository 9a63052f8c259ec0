import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deviceIdOf, makeReceipt } from '../../../identity/index.ts';
import type { Signer } from '../../../identity/index.ts';
import type { WireMessage } from '../../codec/index.ts';
import { addressOfName, createTestChain, signerOf, testGenesis } from '../../testing.ts';
import type { TestChain } from '../../testing.ts';
import { message } from '../index.ts';
import { as, createBareState } from '../testing/bare-state.ts';
import { atMost, frac, minus, plus, times } from '../testing/fractions.ts';
import type { Fraction } from '../testing/fractions.ts';
import { periodMs, periodOf } from '../storage/state.ts';
import { account, balanceOf, pot, supplyOf, tokens } from '../value.ts';
import type { Token } from '../value.ts';
import { relayEmission } from './emission.ts';
import { relayClaim } from './relay.ts';
import { counted, funds, relayShares } from './state.ts';

const exc = 1_000_000n;
const who = addressOfName;
const stream = new Uint8Array(32).fill(7);
const gib = 2 ** 30;
const have = (chain: TestChain, name: string): bigint =>
  balanceOf(chain.ledger.state, account(who(name)), 'EXC');

function run(chain: TestChain, name: string, ...msgs: readonly WireMessage[]): string {
  chain.add(name, msgs);
  const { results } = chain.block();
  expect(chain.faults()).toEqual([]);
  return results[0]?.code ?? 'left out';
}
function skip(chain: TestChain, periods = 1): void {
  const { time } = chain.ledger.last();
  chain.block({ after: (periodOf(time) + periods) * periodMs + 60_000 - time });
}
function funded(): TestChain {
  const chain = createTestChain(testGenesis());
  for (const name of ['ada', 'ben', 'cyd', 'dan']) {
    chain.add('founder', [
      message('bank.send', { to: who(name), symbol: 'EXC', amount: 1000n * exc, memo: '' }),
    ]);
  }
  chain.block();
  return chain;
}

const relay = signerOf('ben/device');
const terms = {
  ...{ stream, price: 1000n, perViewer: 2 * gib, perRelayBp: 5000, minStake: 0n, periods: 10 },
  amount: 100_000n,
};
function receipt(viewer: string, bytes: number, of: { stream?: Uint8Array; from?: Signer } = {}): Uint8Array {
  return makeReceipt(signerOf(viewer), {
    streamId: Buffer.from(of.stream ?? stream).toString('hex'),
    from: deviceIdOf((of.from ?? relay).publicKey),
    ...{ bytes, parts: 1, time: 0 },
  }).signed;
}
function redeem(
  chain: TestChain,
  receipts: readonly Uint8Array[],
  { to = 'ben', device = relay }: { readonly to?: string; readonly device?: Signer } = {},
): WireMessage {
  const sig = device.sign(relayClaim(chain.ledger.chainId, device.publicKey, who(to)));
  return message('relay.redeem', { fund: 0, device: device.publicKey, sig, receipts });
}
/** What a message brought, its fee aside. */
function brought(chain: TestChain, name: string, one: WireMessage): bigint {
  const before = chain.ledger.state.get(relayShares, [...chain.ledger.state.rows(relayShares)][0]?.[0] ?? '');
  expect(run(chain, name, one)).toBe('');
  const after = [...chain.ledger.state.rows(relayShares)].reduce((sum, [, row]) => sum + row.total, 0n);
  return after - (before?.total ?? 0n);
}

describe('relay funds', () => {
  it('pay for what viewers signed that they got, once, burn a tenth of it, and give back the rest', () => {
    const chain = funded();
    const before = have(chain, 'ada');
    expect(run(chain, 'ada', message('relay.fund', terms))).toBe('');
    expect(before - have(chain, 'ada')).toBeGreaterThanOrEqual(100_000n);
    const one = receipt('viewer 1', gib);
    const supply = supplyOf(chain.ledger.state, 'EXC');
    expect(brought(chain, 'ben', redeem(chain, [one, receipt('viewer 2', gib / 2)]))).toBe(1350n);
    expect(supply - supplyOf(chain.ledger.state, 'EXC')).toBe(150n);
    // The same again, and what it stands for by a newer one.
    expect(run(chain, 'ben', redeem(chain, [one]))).toBe('amount_too_small');
    expect(brought(chain, 'ben', redeem(chain, [receipt('viewer 1', gib + gib / 4)]))).toBe(225n);
    expect(run(chain, 'ben', message('relay.close', { fund: 0, rows: 10 }))).toBe('contract_running');
    skip(chain, 11);
    expect(run(chain, 'ben', redeem(chain, [receipt('viewer 3', gib)]))).toBe('contract_ended');
    expect(run(chain, 'ben', message('relay.close', { fund: 0, rows: 2 }))).toBe('invalid_argument');
    const owner = have(chain, 'ada');
    expect(run(chain, 'ben', message('relay.close', { fund: 0, rows: 3 }))).toBe('');
    expect(have(chain, 'ada') - owner).toBe(100_000n - 1750n);
    for (const rows of [funds, counted, relayShares])
      expect([...chain.ledger.state.rows<unknown>(rows)]).toEqual([]);
    expect(run(chain, 'ben', message('relay.close', { fund: 0, rows: 3 }))).toBe('contract_unknown');
  });

  it('take no receipt that is another’s, forged, or made out by its own device', () => {
    const chain = funded();
    run(chain, 'ada', message('relay.fund', terms));
    const good = receipt('viewer 1', gib);
    expect(run(chain, 'cyd', redeem(chain, [good]))).toBe('bad_signature');
    expect(run(chain, 'ada', redeem(chain, [good], { to: 'ada' }))).toBe('not_allowed');
    const forged = Uint8Array.from(good);
    forged[forged.length - 1]! ^= 1;
    expect(run(chain, 'ben', redeem(chain, [forged]))).toBe('bad_signature');
    const others = [
      receipt('viewer 1', gib, { stream: new Uint8Array(32) }),
      receipt('viewer 1', gib, { from: signerOf('cyd/device') }),
      receipt('ben/device', gib),
    ];
    for (const one of others) expect(run(chain, 'ben', redeem(chain, [one]))).toBe('proof_invalid');
    expect(run(chain, 'ben', redeem(chain, [new Uint8Array(40)]))).toBe('malformed');
    expect(run(chain, 'ben', message('relay.redeem', { ...redeemFields(chain), fund: 4 }))).toBe(
      'contract_unknown',
    );
  });

  it('bound what making viewers up brings: by viewer, by account, by period, and by stake', () => {
    const chain = funded();
    run(chain, 'ada', message('relay.fund', terms));
    // A viewer counts for two GiB an hour, whatever it signs, and what is over is paid never.
    expect(brought(chain, 'ben', redeem(chain, [receipt('viewer 1', 100 * gib)]))).toBe(1800n);
    skip(chain);
    expect(run(chain, 'ben', redeem(chain, [receipt('viewer 1', 100 * gib)]))).toBe('amount_too_small');
    // A period gives 10,000 and what was not taken before, an account gets half of a period's share.
    const many = Array.from({ length: 32 }, (_, i) => receipt(`made up ${i}`, 2 * gib));
    expect(brought(chain, 'ben', redeem(chain, many))).toBe(4500n);
    expect(run(chain, 'ben', redeem(chain, [receipt('another', gib)]))).toBe('amount_too_small');
    // With as many accounts as he likes he takes what the periods so far give, and no more.
    let taken = 6300n;
    for (const name of ['cyd', 'dan', 'founder']) {
      const device = signerOf(`${name}/device`);
      const own = many.map((_, i) => receipt(`${name} made up ${i}`, 2 * gib, { from: device }));
      chain.add(name, [redeem(chain, own, { to: name, device })]);
      chain.block();
      const total = [...chain.ledger.state.rows(relayShares)].reduce((sum, [, row]) => sum + row.total, 0n);
      expect(total).toBeGreaterThanOrEqual(taken);
      taken = total;
    }
    expect(taken).toBe(18_000n);
    expect(chain.faults()).toEqual([]);
  });

  it('let nobody shut others out by viewers that he makes up', () => {
    const chain = funded();
    const small = { ...terms, amount: 900n * exc, perRelayBp: 100, perViewer: 2 ** 40 };
    expect(run(chain, 'ada', message('relay.fund', small))).toBe('');
    const made = (from: number) =>
      Array.from({ length: 32 }, (_, i) => receipt(`made up ${from + i}`, gib / 128));
    expect(run(chain, 'ben', redeem(chain, made(0)))).toBe('');
    // One in a hundred of the coins, so one in a hundred of the places: 40.
    expect(run(chain, 'ben', redeem(chain, made(32)))).toBe('too_many');
    expect(run(chain, 'ben', redeem(chain, made(32).slice(0, 8)))).toBe('');
    expect(run(chain, 'ben', redeem(chain, made(40).slice(0, 1)))).toBe('too_many');
    // More of a viewer who is there already is paid for.
    expect(run(chain, 'ben', redeem(chain, [receipt('made up 0', gib)]))).toBe('');
    const device = signerOf('cyd/device');
    const honest = redeem(chain, [receipt('a viewer', gib, { from: device })], { to: 'cyd', device });
    expect(run(chain, 'cyd', honest)).toBe('');
  });

  it('pay only accounts with something at stake where the fund says so', () => {
    const chain = funded();
    run(chain, 'ada', message('relay.fund', { ...terms, minStake: 50n * exc }));
    const one = redeem(chain, [receipt('viewer 1', gib)]);
    expect(run(chain, 'ben', one)).toBe('stake_short');
    const bond = message('stake.bond', { symbol: 'EXC', validator: who('founder'), amount: 50n * exc });
    expect(run(chain, 'ben', bond)).toBe('');
    expect(brought(chain, 'ben', one)).toBe(900n);
  });
});

describe('emission for relays', () => {
  const hour = 1_000_000n;
  /** A token all of whose emission is for relays. */
  const create = message('token.create', {
    spec: {
      ...{ symbol: 'AIR', name: 'Air', decimals: 0, max: 10n ** 12n, staking: null, treasury: who('dan') },
      flags: { mint: false, burn: false, freeze: false },
      mining: {
        schedule: { type: 'fixed', perPeriod: hour, periods: null },
        periodMs,
        split: { stakers: 0, hosts: 0, relays: 10_000, liquidity: 0, treasury: 0 },
        unclaimed: 'unminted',
      },
    },
    initial: 1n,
  });
  const collect = message('relay.collect', { symbol: 'AIR' });
  const bond = message('stake.bond', { symbol: 'EXC', validator: who('founder'), amount: 100n * exc });
  const air = (chain: TestChain, name: string): bigint =>
    balanceOf(chain.ledger.state, account(who(name)), 'AIR');
  const shown = (chain: TestChain, name: string, viewers: readonly string[], bytes: number): WireMessage => {
    const device = signerOf(`${name}/device`);
    const receipts = viewers.map((viewer) => receipt(viewer, bytes, { from: device }));
    return redeem(chain, receipts, { to: name, device });
  };

  it('goes by what burnt with their pay, a tenth of a period at the most, to those with stake', () => {
    const chain = funded();
    expect(run(chain, 'dan', create)).toBe('');
    expect(run(chain, 'ada', message('relay.fund', { ...terms, perRelayBp: 10_000 }))).toBe('');
    for (const name of ['ben', 'cyd']) expect(run(chain, name, bond)).toBe('');
    skip(chain);
    expect(run(chain, 'ben', shown(chain, 'ben', ['one', 'two'], gib))).toBe('');
    expect(run(chain, 'cyd', shown(chain, 'cyd', ['three'], gib / 4))).toBe('');
    // Paid, but nothing at stake: it counts for no emission.
    expect(run(chain, 'dan', shown(chain, 'dan', ['four'], gib))).toBe('');
    const view = () => ({ state: chain.ledger.state, time: chain.ledger.last().time, base: 'EXC' });
    const waits = (name: string): bigint => relayEmission.collectable(view(), who(name), 'AIR');
    expect(waits('ben')).toBe(0n);
    skip(chain);
    const due = waits('ben');
    expect(waits('dan')).toBe(0n);
    expect(run(chain, 'ben', message('relay.collect', { symbol: 'EXC' }))).toBe('not_allowed');
    expect(run(chain, 'ben', message('relay.collect', { symbol: 'NONE' }))).toBe('token_unknown');
    for (const name of ['ben', 'cyd', 'dan']) expect(run(chain, name, collect)).toBe('');
    // Of about two hours' emission a 24th, of which ben burnt 200 and cyd 25 of 225: both above a tenth, so a tenth each.
    const share =
      balanceOf(chain.ledger.state, pot('relay work'), 'AIR') + air(chain, 'ben') + air(chain, 'cyd');
    expect(share).toBeGreaterThan(hour / 16n);
    expect(air(chain, 'ben')).toBe(share / 10n);
    expect(air(chain, 'ben') - due).toBeLessThan(due / 50n);
    expect(air(chain, 'cyd')).toBe(share / 10n);
    expect(air(chain, 'dan')).toBe(1n);
    expect(run(chain, 'ben', collect)).toBe('');
    expect(air(chain, 'ben')).toBe(share / 10n);
    // What nobody took is there again, in time.
    skip(chain, 40);
    expect(relayEmission.overdue(view(), who('ben'), 12)).toEqual([]);
    const second = shown(chain, 'ben', ['five'], gib);
    expect(run(chain, 'ada', message('relay.fund', terms))).toBe('');
    expect(run(chain, 'ben', { ...second, fund: 1 })).toBe('');
    skip(chain, 14);
    expect(relayEmission.overdue(view(), who('ben'), 12)).toEqual(['AIR']);
    expect(run(chain, 'ben', collect)).toBe('');
    expect(balanceOf(chain.ledger.state, pot('relay work'), 'AIR')).toBeGreaterThan(hour);
  });

  it('brings who makes viewers up no more than what he burns earns others, and costs him a tenth of what he pays himself', () => {
    const chain = funded();
    expect(run(chain, 'dan', create)).toBe('');
    // The funds of ada, who is honest, and of cyd, who pays himself: ben relays for her, eve is cyd with another account.
    const fund = { ...terms, amount: 1_000_000n, perRelayBp: 10_000, perViewer: 2 ** 50 };
    expect(run(chain, 'ada', message('relay.fund', { ...fund, price: 100n }))).toBe('');
    expect(run(chain, 'cyd', message('relay.fund', { ...fund, price: 10_000n }))).toBe('');
    const others = Array.from({ length: 11 }, (_, i) => `relay ${i}`);
    for (const name of [...others, 'eve'])
      run(
        chain,
        'founder',
        message('bank.send', { to: who(name), symbol: 'EXC', amount: 200n * exc, memo: '' }),
      );
    for (const name of [...others, 'eve']) expect(run(chain, name, bond)).toBe('');
    skip(chain);
    for (const name of others)
      expect(run(chain, name, shown(chain, name, [`of ${name}`], 10 * gib))).toBe('');
    const before = supplyOf(chain.ledger.state, 'EXC');
    const made = shown(chain, 'eve', ['made up'], 10 * gib);
    expect(run(chain, 'eve', { ...made, fund: 1 })).toBe('');
    expect(before - supplyOf(chain.ledger.state, 'EXC')).toBe(10_000n);
    skip(chain);
    for (const name of [...others, 'eve']) expect(run(chain, name, collect)).toBe('');
    const sum = [...others, 'eve'].reduce((all, name) => all + air(chain, name), 0n);
    const share = sum + balanceOf(chain.ledger.state, pot('relay work'), 'AIR');
    // With nine tenths of all that burnt he gets a tenth.
    expect(air(chain, 'eve')).toBe(share / 10n);
    // Of what honest ones earned, each burnt 100 of 11,100.
    expect(air(chain, others[0]!)).toBe((share * 100n) / 11_100n);
  });

  it('comes to what a slow model in exact fractions says', () => {
    const names = ['ada', 'ben', 'cyd'];
    const step = fc.oneof(
      fc.record({
        type: fc.constant('work' as const),
        who: fc.nat(2),
        burnt: fc.bigInt({ min: 1n, max: 10n ** 6n }),
      }),
      fc.record({ type: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 5 * periodMs }) }),
      fc.record({ type: fc.constant('collect' as const), who: fc.nat(2) }),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.bigInt({ min: 1n, max: 10n ** 12n }),
        (steps, perPeriod) => {
          const ctx = createBareState(['EXC', 'AIR']);
          const token = ctx.state.get(tokens, 'AIR')!;
          const split = { stakers: 0, hosts: 0, relays: 3333, liquidity: 0, treasury: 6667 };
          const mining: Token['spec']['mining'] = {
            ...{
              schedule: { type: 'fixed', perPeriod, periods: null },
              periodMs: 60_000,
              split,
              unclaimed: 'unminted',
            },
          };
          ctx.state.set(tokens, 'AIR', { ...token, createdAt: ctx.time, spec: { ...token.spec, mining } });
          const born = ctx.time;
          // The model: fractions, all work ever done, and each period's share as it was made.
          const work = new Map<number, Map<number, bigint>>();
          const shares = new Map<number, { all: Fraction; left: Fraction }>();
          const got = names.map(() => frac(0n));
          const upTo = names.map(() => -1);
          let waits = frac(0n);
          let settled = 0;
          let shared: number | null = null;
          let roundings = 0n;
          for (const one of steps) {
            const period = periodOf(ctx.time);
            if (one.type === 'time') ctx.time += one.ms;
            else if (one.type === 'work') {
              relayEmission.note(ctx, who(names[one.who]!), period, one.burnt);
              const of = work.get(period) ?? new Map<number, bigint>();
              work.set(period, of.set(one.who, (of.get(one.who) ?? 0n) + one.burnt));
            } else {
              relayEmission.collect(as(ctx, names[one.who]!), 'AIR');
              const last = period - 1;
              shared ??= Math.max(periodOf(born) - 1, last - 32);
              if (last > shared) {
                waits = plus(
                  waits,
                  frac(3333n * perPeriod * BigInt(ctx.time - born - settled), 10_000n * 60_000n),
                );
                settled = ctx.time - born;
                for (const [at, { left }] of [...shares]) {
                  if (at > last - 32) continue;
                  waits = plus(waits, left);
                  shares.delete(at);
                }
                for (let at = Math.max(shared + 1, last - 31); at <= last; at++) {
                  if (!work.has(at)) continue;
                  const part = times(waits, frac(1n, 24n));
                  shares.set(at, { all: part, left: part });
                  waits = minus(waits, part);
                }
                shared = last;
              }
              for (const [at, share] of shares) {
                const own = work.get(at)?.get(one.who);
                if (own === undefined || at <= upTo[one.who]!) continue;
                const total = [...work.get(at)!.values()].reduce((sum, more) => sum + more, 0n);
                const earned = times(share.all, frac(own, total));
                const most = times(share.all, frac(1n, 10n));
                const paid = atMost(earned, most) ? earned : most;
                got[one.who] = plus(got[one.who]!, paid);
                share.left = minus(share.left, paid);
              }
              upTo[one.who] = last;
              roundings += 40n;
            }
            for (const [i, name] of names.entries()) {
              const off = minus(frac(balanceOf(ctx.state, account(who(name)), 'AIR')), got[i]!);
              expect(atMost(off, frac(roundings)) && atMost(minus(frac(0n), off), frac(roundings))).toBe(
                true,
              );
            }
            for (const find of Object.values(relayEmission.invariants))
              expect(find(ctx.state, ctx)).toBe(null);
          }
        },
      ),
      { seed: 20261127, numRuns: 150 },
    );
  });
});

function redeemFields(chain: TestChain) {
  const sig = relay.sign(relayClaim(chain.ledger.chainId, relay.publicKey, who('ben')));
  return { device: relay.publicKey, sig, receipts: [receipt('viewer 1', gib)] };
}
