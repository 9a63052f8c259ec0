import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import { decodeTx, maxTxBytes, signTx, txHash } from '../codec/index.ts';
import type { TxBody, WireMessage } from '../codec/index.ts';
import { createMempool } from '../mempool/index.ts';
import { accountOf } from '../modules/account.ts';
import { message } from '../modules/index.ts';
import { validatorProofBytes } from '../modules/validators.ts';
import { addressOfName, createTestChain, signerOf } from '../testing.ts';
import type { TestChain } from '../testing.ts';
import { factsOf, nextContext } from './block-context.ts';
import { admitTx, prepareTx } from './transaction.ts';

/* Bad input of each kind has a code of its own, the same everywhere: before a block, in a block, as the outcome. */

const exc = 1_000_000n;
const who = addressOfName;
const send = (amount: bigint, memo = ''): WireMessage =>
  message('bank.send', { to: who('cyd'), symbol: 'EXC', amount, memo });

function funded(): TestChain {
  const chain = createTestChain();
  chain.add(
    'founder',
    ['ada', 'ben'].map((name) =>
      message('bank.send', { to: who(name), symbol: 'EXC', amount: 50_000n * exc, memo: '' }),
    ),
  );
  chain.block();
  return chain;
}

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return '';
  } catch (error) {
    return isAppError(error) ? error.code : String(error);
  }
};

test('a transaction that can not stand in a block', () => {
  const chain = funded();
  const { ledger } = chain;
  const body: TxBody = {
    v: 1,
    chainId: ledger.chainId,
    sender: who('ada'),
    nonce: 0,
    validUntil: 100,
    feeAsset: 'EXC',
    feeMax: exc,
    feePayer: null,
    msgs: [send(1n)],
  };
  const signed = (changes: Partial<TxBody> = {}, by = 'ada'): Uint8Array =>
    signTx({ ...body, ...changes }, signerOf(by));
  const code = (tx: Uint8Array): string => {
    const checked = ledger.checkTx(tx);
    return checked.ok ? '' : checked.error.code;
  };
  const good = signed();
  expect(code(good)).toBe('');
  const cases: Readonly<Record<string, Uint8Array>> = {
    malformed: good.subarray(1),
    too_large: new Uint8Array(maxTxBytes + 1),
    message_unknown: signed({ msgs: [{ type: 'bank.steal' }] }),
    bad_signature: good.map((byte, i) => (i === good.length - 1 ? byte ^ 1 : byte)),
    wrong_chain: signed({ chainId: 'other-0123456789abcdef' }),
    tx_expired: signed({ validUntil: ledger.last().height }),
    fee_too_low: signed({ feeMax: 1n }),
    token_unknown: signed({ feeAsset: 'NONE' }),
    key_not_allowed: signed({}, 'ben'),
    underfunded: signed({ sender: who('nobody') }, 'nobody'),
  };
  for (const [expected, tx] of Object.entries(cases)) {
    expect(code(tx), expected).toBe(expected);
  }

  // Out of order: a mempool keeps it for later, a block can't hold it. A proposer leaves it out; who finds it in a block refuses that.
  const later = signed({ nonce: 1 });
  expect(code(later)).toBe('');
  const { height, time } = ledger.last();
  const validators = ledger.validators().current;
  const draft = ledger.propose({
    height: height + 1,
    time: time + 1000,
    proposer: validators[0]!.id,
    lastCommit: ledger.signedHeaderAt(height)!.commit,
    evidence: [],
    txs: [later, good],
    maxBytes: 1_000_000,
  });
  expect(draft.results.map(({ hash }) => hash)).toEqual([txHash(good)]);
  const block = { ...draft.block, header: { ...draft.block.header, time: time + 1001 }, txs: [later] };
  expect(codeOf(() => ledger.execute(block))).toBe('block_invalid');
  expect(chain.block({ txs: [good, later] }).results.map(({ ok }) => ok)).toEqual([true, true]);
  // Played again.
  expect(code(good)).toBe('nonce_too_low');
  expect(ledger.findTx(txHash(good))?.height).toBe(height + 1);
});

test('what may not wait: valid for too long, too far ahead; and an offer counts as far as it is backed', () => {
  const chain = funded();
  const { ledger } = chain;
  const next = ledger.last().height + 1;
  const check = (changes: Partial<TxBody>, name = 'ada') =>
    ledger.checkTx(chain.tx(name, [send(1n)], { nonce: 0, ...changes }));
  const code = (changes: Partial<TxBody>): string => {
    const checked = check(changes);
    return checked.ok ? '' : checked.error.code;
  };
  expect(code({ validUntil: next + 10_000 })).toBe('');
  expect(code({ validUntil: next + 10_001 })).toBe('tx_expired');
  expect(code({ nonce: 64 })).toBe('');
  expect(code({ nonce: 65 })).toBe('nonce_too_high');
  // In a block neither matters.
  const long = chain.tx('ada', [send(1n)], { nonce: 0, validUntil: next + 1_000_000 });
  expect(chain.block({ txs: [long] }).results).toMatchObject([{ ok: true }]);

  const rate = (feeMax: bigint, name = 'ada'): bigint => {
    const checked = check({ feeMax, nonce: name === 'ada' ? 1 : 0 }, name);
    if (!checked.ok) throw checked.error;
    expect(checked.info.committedNonce).toBe(name === 'ada' ? 1 : 0);
    return checked.info.feeRate;
  };
  const simulated = ledger.simulate(chain.tx('ada', [send(1n)], { nonce: 1, feeMax: exc }));
  const due = simulated.fee.amount;
  expect(rate(2n * due)).toBeGreaterThan(rate(due));
  const most = rate(10_000n * due);
  // Encoded amounts are of one length, so these differ in nothing but the offer.
  expect(most).toBe(rate(9_000n * due));
  expect(most).toBeLessThanOrEqual(8n * rate(due) + 8n);
  // Somebody who has three fees can not offer eight.
  chain.add('founder', [
    message('bank.send', { to: who('poor'), symbol: 'EXC', amount: 3n * due, memo: '' }),
  ]);
  chain.block();
  expect(rate(10_000n * due, 'poor')).toBeLessThanOrEqual(most / 2n);
});

test('what pays the validators for many must be enough for all of them: a fund, a pool, what a key may spend', () => {
  const chain = funded();
  const { ledger } = chain;
  const names = ['dan', 'eve', 'fay'];
  const spec = {
    ...{ symbol: 'TEA', name: 'Tea', decimals: 0, max: 10n ** 30n },
    flags: { mint: false, burn: false, freeze: false },
    mining: {
      schedule: { type: 'none' as const },
      periodMs: 1000,
      split: { stakers: 10_000, hosts: 0, relays: 0, liquidity: 0, treasury: 0 },
      unclaimed: 'unminted' as const,
    },
    staking: null,
    treasury: who('ada'),
  };
  const give = (name: string, symbol: string, amount: bigint): WireMessage =>
    message('bank.send', { to: who(name), symbol, amount, memo: '' });
  chain.add('ada', [
    message('token.create', { spec, initial: 10n ** 24n }),
    message('token.setFeeRate', { symbol: 'TEA', rate: { num: 1n, den: 1n } }),
    ...names.map((name) => give(name, 'TEA', 10n ** 20n)),
  ]);
  const lent = signerOf('lent key');
  chain.block();
  const inTea = { feeAsset: 'TEA', feeMax: 10n ** 20n, nonce: 0 };
  const msgs = (name: string): WireMessage[] => [give(name, 'TEA', 1n)];
  const fee = ledger.simulate(chain.tx('ben', msgs('dan'))).fee.amount;

  const taken = (txs: readonly Uint8Array[]): string[] => {
    const waiting = createMempool({ check: (tx) => ledger.checkTx(tx), onDropped: () => {} });
    return txs.map((tx) => codeOf(() => waiting.add(tx)));
  };
  const three = (): Uint8Array[] => names.map((name) => chain.tx(name, msgs(name), inTea));
  chain.add('ada', [message('token.fundFees', { symbol: 'TEA', amount: fee + fee / 2n })]);
  chain.block();
  expect(taken(three())).toEqual(['', 'underfunded', 'underfunded']);

  chain.add('ada', [
    message('token.setFeeRate', { symbol: 'TEA', rate: null }),
    message('pool.create', { a: 'EXC', b: 'TEA', feeBp: 30, amountA: 2n * fee + 1n, amountB: 10n ** 9n }),
  ]);
  chain.block();
  expect(taken(three())).toEqual(['', '', 'underfunded']);

  const cap = { symbol: 'EXC', amount: fee + fee / 2n };
  const expiry = ledger.last().time + 600_000;
  const terms = { key: lent.publicKey, scopes: ['anchor'], caps: [cap], expiry };
  chain.add('ada', [message('account.delegateKey', terms)]);
  chain.block();
  const card = (nonce: number): Uint8Array => {
    const root = decodeTx(
      chain.tx('ada', [message('anchor.card', { number: nonce, hash: new Uint8Array(32) })], { nonce }),
    );
    return signTx(root.body, lent);
  };
  const { nonce } = accountOf(ledger.state, who('ada'));
  expect(taken([card(nonce), card(nonce + 1)])).toEqual(['', 'underfunded']);
  expect(chain.faults()).toEqual([]);
});

test('candidates that became impossible leave a block to those behind them, as far as it has room', () => {
  const chain = funded();
  const { ledger } = chain;
  // The first takes all that the sender has; what follows it waited rightly and can't pay any more.
  const { fee } = ledger.simulate(chain.tx('ben', [send(1n)]));
  chain.block();
  const first = chain.tx('ben', [send(50_000n * exc - fee.amount)]);
  const doomed = Array.from({ length: 300 }, () => chain.tx('ben', [send(1n)]));
  const good = Array.from({ length: 3 }, () => chain.tx('ada', [send(1n)]));
  const room = 2 * first.length + 200;
  const propose = (maxBytes: number) =>
    ledger.propose({
      ...{ height: ledger.last().height + 1, time: ledger.last().time + 1000 },
      proposer: ledger.validators().current[0]!.id,
      lastCommit: ledger.signedHeaderAt(ledger.last().height)!.commit,
      ...{ evidence: [], txs: [first, ...doomed, ...good], maxBytes },
    });
  expect(propose(10 * room).block.txs).toEqual([first, ...good]);
  expect(propose(room).block.txs).toEqual([first, good[0]]);
});

test('a transaction that does more than fits into a block', () => {
  const chain = funded();
  // No genesis has so little room that one transaction could not fit; the rule stands for kinds of messages to come.
  const facts = factsOf(chain.genesis);
  const small = { ...facts, params: { ...facts.params, maxBlockWeight: 300 } };
  const ctx = nextContext(small, chain.ledger.state, chain.ledger.last());
  const tx = prepareTx(chain.tx('ada', [send(1n)]));
  expect(codeOf(() => admitTx(ctx, tx, false))).toBe('tx_too_heavy');
  expect(codeOf(() => admitTx(nextContext(facts, chain.ledger.state, chain.ledger.last()), tx, false))).toBe(
    '',
  );
});

test('what a message may not do', () => {
  const chain = funded();
  const outcome = (name: string, msgs: readonly WireMessage[]): string => {
    chain.add(name, msgs);
    return chain.block().results.at(-1)!.code;
  };
  const token = (symbol: string) =>
    message('token.create', {
      initial: 1000n,
      spec: {
        symbol,
        name: symbol,
        decimals: 2,
        max: 1000n,
        flags: { mint: false, burn: false, freeze: false },
        mining: {
          schedule: { type: 'none' },
          periodMs: 86_400_000,
          split: { stakers: 10_000, hosts: 0, relays: 0, liquidity: 0, treasury: 0 },
          unclaimed: 'unminted',
        },
        staking: null,
        treasury: who('ada'),
      },
    });
  expect(outcome('ada', [token('SUN')])).toBe('');
  expect(outcome('ada', [message('stake.bond', { symbol: 'SUN', validator: null, amount: 5n })])).toBe(
    'staking_off',
  );
  const bond = { symbol: 'EXC', validator: who('founder'), amount: 9000n * exc };
  expect(outcome('ada', [message('stake.bond', bond)])).toBe('');
  const unbond = message('stake.unbond', { ...bond, amount: exc });
  expect(
    outcome(
      'ada',
      Array.from({ length: 16 }, () => unbond),
    ),
  ).toBe('');
  expect(outcome('ada', [unbond])).toBe('too_many');
  expect(outcome('founder', [message('validator.unjail', {})])).toBe('not_jailed');

  const key = signerOf('ben/consensus');
  const create = (name: string, by = key) =>
    message('validator.create', {
      key: by.publicKey,
      proof: by.sign(validatorProofBytes(chain.ledger.chainId, who(name))),
      name,
      commissionBp: 0,
      bond: 1000n * exc,
    });
  expect(outcome('ben', [create('ben')])).toBe('');
  expect(outcome('ada', [create('ada')])).toBe('key_taken');
  expect(outcome('ben', [create('ben', signerOf('another'))])).toBe('validator_exists');

  // Slashing looks at each stake that moved away from a validator: only so many are bound at a time.
  const move = message('stake.redelegate', { from: who('founder'), to: who('ben'), amount: exc });
  for (let n = 0; n < 256; n += 16) {
    expect(
      outcome(
        'ada',
        Array.from({ length: 16 }, () => move),
      ),
    ).toBe('');
  }
  expect(outcome('ada', [move])).toBe('too_many_leaving');
  expect(chain.faults()).toEqual([]);
});

test('every code is in the list that is published', async () => {
  const root = path.resolve(import.meta.dirname, '../../..');
  const codes = await readFile(path.join(root, 'src-shared/errors.ts'), 'utf8');
  const listed = await readFile(path.join(root, 'docs/ledger.md'), 'utf8');
  const from = codes.indexOf("'wrong_chain'");
  const all = [...codes.slice(from, codes.indexOf('// the ledger: blocks')).matchAll(/^ {2}'([a-z_]+)',/gmu)];
  // What refuses bundles and installs, and requests for keys, are no transactions.
  const bundles = codes.slice(codes.indexOf("'app_blocked'"), codes.indexOf("'contract_unknown'"));
  const missing = all
    .map(([, code]) => code!)
    .filter(
      (code) =>
        code !== 'request_changed' && !bundles.includes(`'${code}'`) && !listed.includes(`\`${code}\``),
    );
  expect(all.length).toBeGreaterThan(60);
  expect(missing).toEqual([]);
});
