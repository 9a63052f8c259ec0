import { describe, expect, it } from 'vitest';
import type { WireMessage } from '../../ledger/index.ts';
import { message } from '../../ledger/index.ts';
import { addressOfName, createTestChain, signerOf, testGenesis } from '../../ledger/testing.ts';
import { needsPassword } from './spending.ts';

const exc = 1_000_000n;
const chain = createTestChain(testGenesis());
const { genesis, state } = chain.ledger;
type View = Parameters<typeof needsPassword>[2];
const view = { state, ...chain.ledger.last() } as unknown as View;
const to = addressOfName('ben');
const send = (coins: bigint, symbol = 'EXC') =>
  message('bank.send', { to, symbol, amount: coins * exc, memo: '' });
const handOver = message('token.handOver', { symbol: 'ADA', to });

function asks(
  messages: readonly WireMessage[],
  limit: string | null = '10',
  protection: string = 'password',
): boolean {
  const node = { settings: { get: () => limit }, identity: { status: () => ({ protection }) } };
  return needsPassword(node as unknown as Parameters<typeof needsPassword>[0], { genesis }, view, messages);
}

describe('the limit above which the password is asked for', () => {
  it('counts all base coin that may leave by one transaction, whatever it leaves for', () => {
    expect(asks([send(10n)])).toBe(false);
    expect(asks([send(6n), send(5n)])).toBe(true);
    expect(asks([send(500n, 'ADA')])).toBe(false);
    const swap = (from: string) => ({ from, hops: [{ to: from === 'EXC' ? 'ADA' : 'EXC', feeBp: 30 }] });
    const large = 11n * exc;
    const sellIn = (from: string) =>
      message('pool.swapIn', { ...swap(from), deadline: 1, amount: large, minOut: 1n });
    expect(asks([sellIn('EXC')])).toBe(true);
    expect(asks([sellIn('ADA')])).toBe(false);
    expect(asks([message('pool.swapOut', { ...swap('EXC'), deadline: 1, out: 1n, maxIn: large })])).toBe(
      true,
    );
    const pair = { a: 'ADA', b: 'EXC', feeBp: 30 };
    expect(asks([message('pool.create', { ...pair, amountA: 1n, amountB: large })])).toBe(true);
    expect(asks([message('pool.create', { ...pair, amountA: large, amountB: 1n })])).toBe(false);
    expect(asks([message('storage.buyFuel', { amount: large })])).toBe(true);
    const terms = { root: new Uint8Array(32), bytes: 2 ** 30, price: exc, collateral: 0n, host: null };
    expect(asks([message('storage.open', { ...terms, copies: 2, periods: 5 })])).toBe(false);
    expect(asks([message('storage.open', { ...terms, copies: 2, periods: 6 })])).toBe(true);
    // A vault nobody knows here might be one of base coin.
    const deposit = { vault: 7, amount: large, minShares: 0n, deadline: 1 };
    expect(asks([message('vault.deposit', deposit)])).toBe(true);
    expect(asks([message('stake.bond', { symbol: 'EXC', validator: to, amount: large })])).toBe(true);
    expect(asks([send(9n), message('storage.buyFuel', { amount: 2n * exc })])).toBe(true);
  });

  it('is asked for always where rights are handed out, and never without a limit or a password', () => {
    const signer = signerOf('phone');
    const key = signer.publicKey;
    const lend = message('account.delegateKey', { key, scopes: ['bank'], caps: [], expiry: 1 });
    const rotate = message('account.rotateKey', { key, proof: new Uint8Array(64) });
    const transfer = message('name.transfer', { name: 'somebody', to });
    for (const one of [lend, rotate, handOver, transfer]) {
      expect(asks([one])).toBe(true);
      expect(asks([send(1n), one])).toBe(true);
      expect(asks([one], null)).toBe(false);
      expect(asks([one], '10', 'keychain')).toBe(false);
    }
    expect(asks([message('account.revokeKey', { key })])).toBe(false);
  });
});
