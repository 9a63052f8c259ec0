import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../store/index.ts';
import { decodeBlock, encodeBlock } from '../codec/index.ts';
import { accountOf } from '../modules/account.ts';
import { message } from '../modules/index.ts';
import { account, balanceOf, supplyOf } from '../modules/value.ts';
import { addressOfName, createTestChain, testGenesis } from '../testing.ts';
import type { TestChain } from '../testing.ts';
import type { Block } from '../types.ts';
import { createApplication } from './application.ts';
import { createTxChecker } from './tx-checker.ts';

const exc = 1_000_000n;
const balance = (chain: TestChain, name: string, symbol = 'EXC'): bigint =>
  balanceOf(chain.ledger.state, account(addressOfName(name)), symbol);
const send = (to: string, amount: bigint, memo = '') =>
  message('bank.send', { to: addressOfName(to), symbol: 'EXC', amount, memo });

describe('a chain', () => {
  it('begins as its genesis says', () => {
    const chain = createTestChain();
    expect(balance(chain, 'founder')).toBe(999_990_000n * exc);
    expect(supplyOf(chain.ledger.state, 'EXC')).toBe(1_000_000_000n * exc);
    expect(chain.ledger.validators().current).toEqual([expect.objectContaining({ power: 10_000n })]);
    expect(chain.ledger.last()).toMatchObject({ height: 0, blockId: chain.ledger.genesisHash });
    expect(chain.faults()).toEqual([]);
  });

  it('moves money, and pays the fee to the proposer’s validator', () => {
    const chain = createTestChain();
    chain.add('founder', [send('ada', 5n * exc, 'for lunch')]);
    chain.add('founder', [send('ben', 7n * exc)]);
    const { results } = chain.block();
    expect(results).toEqual([expect.objectContaining({ ok: true }), expect.objectContaining({ ok: true })]);
    expect(balance(chain, 'ada')).toBe(5n * exc);
    expect(balance(chain, 'ben')).toBe(7n * exc);
    const fees = results.reduce((sum, { fee }) => sum + fee, 0n);
    expect(balance(chain, 'founder')).toBe(999_990_000n * exc - 12n * exc - fees);
    expect(accountOf(chain.ledger.state, addressOfName('founder')).nonce).toBe(2);
    expect(chain.faults()).toEqual([]);
    // Thousands of transactions for the price of one coin.
    expect(fees).toBeLessThan(exc / 500n);
  });

  it('lets a failed transaction pay, and changes nothing else but its nonce', () => {
    const chain = createTestChain();
    chain.add('founder', [send('ada', 5n * exc)]);
    chain.block();
    chain.add('ada', [send('ben', 1n * exc), send('ben', 100n * exc)]);
    const [result] = chain.block().results;
    expect(result).toMatchObject({ ok: false, code: 'underfunded' });
    expect(balance(chain, 'ada')).toBe(5n * exc - (result?.fee ?? 0n));
    expect(balance(chain, 'ben')).toBe(0n);
    expect(accountOf(chain.ledger.state, addressOfName('ada')).nonce).toBe(1);
    expect(chain.faults()).toEqual([]);
  });

  it('says by a code of its own why it refuses a transaction', () => {
    const chain = createTestChain();
    chain.add('founder', [send('ada', 5n * exc)]);
    chain.block();
    const code = (tx: Uint8Array): string => {
      const answer = chain.ledger.checkTx(tx);
      return answer.ok ? 'ok' : answer.error.code;
    };
    const msgs = [send('ben', 1n)];
    const altered = chain.tx('ada', msgs, { nonce: 0 });
    altered[altered.length - 1] = (altered.at(-1) as number) ^ 1;
    expect(code(chain.tx('ada', msgs, { nonce: 0 }))).toBe('ok');
    expect(code(chain.tx('ada', msgs, { nonce: 5 }))).toBe('ok');
    expect(code(altered)).toBe('bad_signature');
    expect(code(chain.tx('founder', msgs, { nonce: 0 }))).toBe('nonce_too_low');
    expect(code(chain.tx('ada', msgs, { nonce: 0, validUntil: 1 }))).toBe('tx_expired');
    expect(code(chain.tx('ada', msgs, { nonce: 0, feeMax: 10n }))).toBe('fee_too_low');
    expect(code(chain.tx('ada', msgs, { nonce: 0, chainId: 'other-0123456789abcdef' }))).toBe('wrong_chain');
    expect(code(chain.tx('ada', msgs, { nonce: 0, feeAsset: 'NONE' }))).toBe('token_unknown');
    expect(code(chain.tx('nobody', msgs, { nonce: 0 }))).toBe('underfunded');
    expect(code(chain.tx('ada', msgs, { sender: addressOfName('ben'), nonce: 0 }))).toBe('key_not_allowed');
    expect(code(chain.tx('ada', [{ type: 'bank.steal' }], { nonce: 0 }))).toBe('message_unknown');
    expect(code(chain.tx('ada', [{ type: 'bank.send' }], { nonce: 0 }))).toBe('malformed');
    expect(code(new Uint8Array(100_000))).toBe('too_large');
    expect(code(Uint8Array.of(1, 2, 3))).toBe('malformed');
  });

  it('checks many signatures beforehand, each with its own answer', async () => {
    const chain = createTestChain();
    const txs = Array.from({ length: 100 }, (_, nonce) => chain.tx('founder', [send('ada', exc)], { nonce }));
    const wrong = (txs[70] as Uint8Array).slice();
    wrong[wrong.length - 1] = (wrong.at(-1) as number) ^ 1;
    const all = [...txs.slice(0, 70), wrong, Uint8Array.of(1), ...txs.slice(70)];
    const expected = all.map((_, i) => i !== 70 && i !== 71);
    expect(await chain.ledger.verifyTxs(all)).toEqual(expected);
    expect(await chain.ledger.verifyTxs(all)).toEqual(expected);
    // What was found wrong before is left out, not looked at again.
    expect(chain.block({ txs: all }).block.txs).toEqual(txs);
  });

  it('leaves out of a proposal what may not stand there, and refuses a block that has it', () => {
    const chain = createTestChain();
    const good = chain.tx('founder', [send('ada', exc)], { nonce: 0 });
    const next = chain.tx('founder', [send('ada', exc)], { nonce: 1 });
    const gap = chain.tx('founder', [send('ada', exc)], { nonce: 3 });
    const poor = chain.tx('nobody', [send('ada', exc)], { nonce: 0 });
    const executed = chain.block({ txs: [poor, good, gap, good, next] });
    expect(executed.block.txs).toEqual([good, next]);
  });

  it('refuses a block that is altered anywhere', () => {
    const maker = createTestChain();
    const other = createTestChain();
    maker.add('founder', [send('ada', exc)]);
    const { block } = maker.block();
    const refused = (changed: Block, why: RegExp): void => {
      expect(() => other.ledger.execute(changed)).toThrow(why);
    };
    const { header } = block;
    const wrong = new Uint8Array(32).fill(9);
    for (const name of ['prev', 'historyRoot', 'validatorsHash', 'nextValidatorsHash'] as const) {
      refused({ ...block, header: { ...header, [name]: wrong } }, new RegExp(name));
    }
    for (const name of ['lastCommitHash', 'evidenceHash', 'txRoot'] as const) {
      refused({ ...block, header: { ...header, [name]: wrong } }, new RegExp(name));
    }
    refused({ ...block, header: { ...header, stateRoot: wrong } }, /another state/);
    refused({ ...block, header: { ...header, resultsRoot: wrong } }, /another state/);
    refused({ ...block, header: { ...header, proposer: wrong } }, /proposer/);
    refused({ ...block, header: { ...header, height: 2 } }, /height 2/);
    refused({ ...block, header: { ...header, time: other.genesis.time } }, /time/);
    refused({ ...block, header: { ...header, chainId: 'other-0123456789abcdef' } }, /another chain/);
    refused({ ...block, txs: [] }, /txRoot/);
    refused({ ...block, txs: [Uint8Array.of(1)] }, /transaction 0/);
    const executed = other.ledger.execute(decodeBlock(encodeBlock(block)));
    expect(executed.blockId).toEqual(maker.ledger.last().blockId);
    expect(other.ledger.execute(block)).toBe(executed);
  });

  it('is the same after it was closed and opened, and will not open another', () => {
    const db = openDatabase(':memory:');
    const genesis = testGenesis();
    const chain = createTestChain(genesis, [], { db });
    chain.add('founder', [send('ada', exc)]);
    chain.block();
    chain.block();
    const deps = { db, genesis, checker: createTxChecker() };
    const again = createApplication(deps, { keepBlocks: null });
    expect(again.last()).toEqual(chain.ledger.last());
    expect(again.state.get).toBeTypeOf('function');
    const other = { ...genesis, name: 'other' };
    expect(() => createApplication({ ...deps, genesis: other }, { keepBlocks: null })).toThrow(
      /another chain/,
    );
    db.prepare("UPDATE state SET value = x'00' WHERE key = (SELECT min(key) FROM state)").run();
    expect(() => createApplication(deps, { keepBlocks: null })).toThrow(/not the one/);
  });

  it('finds blocks, transactions and an account’s own, and drops old bodies', () => {
    const chain = createTestChain(testGenesis(), [], { keepBlocks: 3 });
    chain.add('founder', [send('ada', exc)]);
    const first = chain.block();
    for (let n = 0; n < 3; n++) {
      chain.add('founder', [send('ada', exc)]);
      chain.block();
    }
    const [hash] = first.results.map((one) => one.hash);
    const { ledger } = chain;
    expect(ledger.accountTxs(addressOfName('ada'), null, 2)).toEqual([
      { height: 4, index: 0 },
      { height: 3, index: 0 },
    ]);
    expect(ledger.accountTxs(addressOfName('ada'), { height: 3, index: 0 }, 2)).toEqual([
      { height: 2, index: 0 },
      { height: 1, index: 0 },
    ]);
    expect(ledger.findTx(hash as Uint8Array)).toMatchObject({ height: 1, index: 0, result: { ok: true } });
    chain.block();
    expect(ledger.firstHeight()).toBe(2);
    expect(ledger.findTx(hash as Uint8Array)).toBeNull();
    expect(ledger.blockAt(1)).toBeNull();
    expect(ledger.signedHeaderAt(1)?.header).toEqual(first.block.header);
  });
});
