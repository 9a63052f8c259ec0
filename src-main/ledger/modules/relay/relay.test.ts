import { describe, expect, it } from 'vitest';
import { deviceIdOf, makeReceipt } from '../../../identity/index.ts';
import type { Signer } from '../../../identity/index.ts';
import type { WireMessage } from '../../codec/index.ts';
import { addressOfName, createTestChain, signerOf, testGenesis } from '../../testing.ts';
import type { TestChain } from '../../testing.ts';
import { message } from '../index.ts';
import { periodMs, periodOf } from '../storage/state.ts';
import { account, balanceOf } from '../value.ts';
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
  it('pay for what viewers signed that they got, once, and give back the rest', () => {
    const chain = funded();
    const before = have(chain, 'ada');
    expect(run(chain, 'ada', message('relay.fund', terms))).toBe('');
    expect(before - have(chain, 'ada')).toBeGreaterThanOrEqual(100_000n);
    const one = receipt('viewer 1', gib);
    expect(brought(chain, 'ben', redeem(chain, [one, receipt('viewer 2', gib / 2)]))).toBe(1500n);
    // The same again, and what it stands for by a newer one.
    expect(run(chain, 'ben', redeem(chain, [one]))).toBe('amount_too_small');
    expect(brought(chain, 'ben', redeem(chain, [receipt('viewer 1', gib + gib / 4)]))).toBe(250n);
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
    expect(brought(chain, 'ben', redeem(chain, [receipt('viewer 1', 100 * gib)]))).toBe(2000n);
    skip(chain);
    expect(run(chain, 'ben', redeem(chain, [receipt('viewer 1', 100 * gib)]))).toBe('amount_too_small');
    // A period gives 10,000 and what was not taken before, an account gets half of a period's share.
    const many = Array.from({ length: 32 }, (_, i) => receipt(`made up ${i}`, 2 * gib));
    expect(brought(chain, 'ben', redeem(chain, many))).toBe(5000n);
    expect(run(chain, 'ben', redeem(chain, [receipt('another', gib)]))).toBe('amount_too_small');
    // With as many accounts as he likes he takes what the periods so far give, and no more.
    let taken = 7000n;
    for (const name of ['cyd', 'dan', 'founder']) {
      const device = signerOf(`${name}/device`);
      const own = many.map((_, i) => receipt(`${name} made up ${i}`, 2 * gib, { from: device }));
      chain.add(name, [redeem(chain, own, { to: name, device })]);
      chain.block();
      const total = [...chain.ledger.state.rows(relayShares)].reduce((sum, [, row]) => sum + row.total, 0n);
      expect(total).toBeGreaterThanOrEqual(taken);
      taken = total;
    }
    expect(taken).toBe(20_000n);
    expect(chain.faults()).toEqual([]);
  });

  it('pay only accounts with something at stake where the fund says so', () => {
    const chain = funded();
    run(chain, 'ada', message('relay.fund', { ...terms, minStake: 50n * exc }));
    const one = redeem(chain, [receipt('viewer 1', gib)]);
    expect(run(chain, 'ben', one)).toBe('stake_short');
    const bond = message('stake.bond', { symbol: 'EXC', validator: who('founder'), amount: 50n * exc });
    expect(run(chain, 'ben', bond)).toBe('');
    expect(brought(chain, 'ben', one)).toBe(1000n);
  });
});

function redeemFields(chain: TestChain) {
  const sig = relay.sign(relayClaim(chain.ledger.chainId, relay.publicKey, who('ben')));
  return { device: relay.publicKey, sig, receipts: [receipt('viewer 1', gib)] };
}
