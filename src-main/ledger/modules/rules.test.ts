import { describe, expect, it } from 'vitest';
import {
  blockId as idOf,
  commitSignBytes,
  decodeHistoryProof,
  decodeTx,
  encodeTx,
  encodeTxBody,
  signTx,
  validatorIdOf,
  voteSignBytes,
} from '../codec/index.ts';
import type { Genesis, TokenSpec, WireMessage } from '../codec/index.ts';
import type { Signer } from '../../identity/index.ts';
import { day } from '../codec/token-spec.ts';
import { addressOfName, createTestChain, signerOf, testGenesis } from '../testing.ts';
import type { TestChain } from '../testing.ts';
import type { Commit, Evidence, Header, Vote } from '../types.ts';
import { rotationBytes } from './account.ts';
import { headSignBytes } from './anchor.ts';
import { message } from './index.ts';
import { validatorOf, validatorProofBytes } from './validators.ts';
import { account, balanceOf, pot, supplyOf } from './value.ts';
import {
  accountView,
  directoryEntry,
  headView,
  holdingsView,
  leavingView,
  searchDirectory,
  stakesView,
  tokenView,
  tokensView,
  validatorsView,
} from './views.ts';

const exc = 1_000_000n;
const who = addressOfName;
const have = (chain: TestChain, name: string, symbol = 'EXC'): bigint =>
  balanceOf(chain.ledger.state, account(who(name)), symbol);
const send = (to: string, amount: bigint, symbol = 'EXC') =>
  message('bank.send', { to: who(to), symbol, amount, memo: '' });
/** Runs one transaction in a block of its own and answers with its code, '' when it went well. */
function run(chain: TestChain, name: string, msgs: readonly WireMessage[], after = 1000): string {
  chain.add(name, msgs);
  const { results } = chain.block({ after });
  expect(chain.faults()).toEqual([]);
  expect(results.length).toBe(1);
  return results[0]?.code ?? 'none';
}
function funded(genesis?: Genesis, validators: readonly string[] = []): TestChain {
  const chain = createTestChain(genesis, validators);
  for (const name of ['ada', 'ben', 'cyd']) chain.add('founder', [send(name, 100_000n * exc)]);
  chain.block();
  return chain;
}

const spec = (changes: Partial<TokenSpec> = {}): TokenSpec => ({
  symbol: 'ADA',
  name: 'Ada’s own',
  decimals: 2,
  max: 1_000_000n,
  flags: { mint: true, burn: true, freeze: true },
  mining: {
    schedule: { type: 'none' },
    periodMs: 10_000,
    split: { stakers: 10_000, hosts: 0, relays: 0, liquidity: 0, treasury: 0 },
    unclaimed: 'unminted',
  },
  staking: { unbondingMs: 5000, rateBp: 0 },
  treasury: who('ada'),
  ...changes,
});

describe('accounts', () => {
  it('of several keys want as many signatures as they say, no more, and can come back to one key', () => {
    const chain = funded();
    const signers = ['one', 'two', 'three'].map((name) => signerOf(`quorum ${name}`));
    const bytes = rotationBytes(chain.ledger.chainId, who('ada'));
    const keys = signers
      .map((signer) => ({ key: signer.publicKey, proof: signer.sign(bytes) }))
      .sort((a, b) => Buffer.compare(a.key, b.key));
    const set = (changes: object) => message('account.setQuorum', { threshold: 2, keys, ...changes });
    const wrong = keys.map((one) => ({ ...one, proof: new Uint8Array(64) }));
    expect(run(chain, 'ada', [set({ keys: wrong })])).toBe('bad_signature');
    expect(() => set({ threshold: 4 })).toThrow(/more keys/);
    expect(() => set({ keys: [...keys].reverse() })).toThrow(/order/);
    expect(run(chain, 'ada', [set({})])).toBe('');

    const body = (nonce: number, msgs: readonly WireMessage[]) => ({
      v: 1 as const,
      chainId: chain.ledger.chainId,
      sender: who('ada'),
      nonce,
      validUntil: 1000,
      feeAsset: 'EXC',
      feeMax: exc,
      feePayer: null,
      msgs,
    });
    const check = (tx: Uint8Array): string => {
      const checked = chain.ledger.checkTx(tx);
      return checked.ok ? '' : checked.error.code;
    };
    const next = accountView(chain.ledger.state, who('ada')).nonce;
    const [one, two, three] = signers as [Signer, Signer, Signer];
    const pay = body(next, [send('ben', 5n)]);
    // The key whose hash the address is has no power any more.
    expect(check(signTx(pay, signerOf('ada')))).toBe('key_not_allowed');
    expect(check(signTx(pay, one))).toBe('key_not_allowed');
    expect(check(signTx(pay, [one, two, three]))).toBe('key_not_allowed');
    expect(check(signTx(pay, [one, signerOf('stranger')]))).toBe('key_not_allowed');
    const good = signTx(pay, [three, one]);
    expect(check(good)).toBe('');
    const { body: inner, sigs } = decodeTx(good);
    expect(check(encodeTx(encodeTxBody(inner), [...sigs].reverse()))).toBe('malformed');
    expect(chain.block({ txs: [good] }).results.map(({ ok }) => ok)).toEqual([true]);

    const heir = signerOf('heir');
    const proof = heir.sign(bytes);
    const rotate = message('account.rotateKey', { key: heir.publicKey, proof });
    chain.block({ txs: [signTx(body(next + 1, [rotate]), [two, three])] });
    expect(check(signTx(body(next + 2, [send('ben', 1n)]), [two, three]))).toBe('key_not_allowed');
    expect(check(signTx(body(next + 2, [send('ben', 1n)]), heir))).toBe('');
    expect(chain.faults()).toEqual([]);
  });

  it('are turned over to a new key for good, which has to sign for it', () => {
    const chain = funded();
    const next = signerOf('new key');
    const proof = next.sign(rotationBytes(chain.ledger.chainId, who('ada')));
    const rotate = (sig: Uint8Array) => message('account.rotateKey', { key: next.publicKey, proof: sig });
    expect(run(chain, 'ada', [rotate(next.sign(Uint8Array.of(1)))])).toBe('bad_signature');
    expect(run(chain, 'ada', [rotate(proof)])).toBe('');
    const body = {
      v: 1 as const,
      chainId: chain.ledger.chainId,
      sender: who('ada'),
      nonce: 2,
      validUntil: 99,
      feeAsset: 'EXC',
      feeMax: exc,
      feePayer: null,
      msgs: [send('ben', 1n)],
    };
    expect(chain.ledger.checkTx(signTx(body, signerOf('ada')))).toMatchObject({
      error: { code: 'key_not_allowed' },
    });
    expect(chain.ledger.checkTx(signTx(body, next))).toMatchObject({ ok: true });
  });

  it('take every delegated key back when their root key changes, and lend nobody the power to mint', () => {
    const chain = funded();
    const keys = ['one', 'two'].map((name) => signerOf(`taken ${name}`));
    const lend = keys.map(({ publicKey }) =>
      message('account.delegateKey', {
        ...{ key: publicKey, scopes: ['bank', 'token'], expiry: chain.ledger.last().time + 600_000 },
        caps: [{ symbol: 'EXC', amount: 10n * exc }],
      }),
    );
    const bytes = rotationBytes(chain.ledger.chainId, who('ada'));
    const body = (nonce: number, msgs: readonly WireMessage[]) => ({
      ...{ v: 1 as const, chainId: chain.ledger.chainId, sender: who('ada'), nonce, validUntil: 99 },
      ...{ feeAsset: 'EXC', feeMax: exc, feePayer: null, msgs },
    });
    const check = (nonce: number, one: WireMessage, signer: Signer): string => {
      const checked = chain.ledger.checkTx(signTx(body(nonce, [one]), signer));
      return checked.ok ? '' : checked.error.code;
    };
    expect(run(chain, 'ada', lend)).toBe('');
    expect(check(1, send('ben', 1n), keys[0]!)).toBe('');
    const mint = message('token.mint', { symbol: 'ADA', to: who('ben'), amount: 1n });
    expect(check(1, mint, keys[0]!)).toBe('scope_missing');
    const heir = signerOf('heir of keys');
    const rotate = message('account.rotateKey', { key: heir.publicKey, proof: heir.sign(bytes) });
    expect(run(chain, 'ada', [rotate])).toBe('');
    for (const key of keys) expect(check(2, send('ben', 1n), key)).toBe('key_not_allowed');
    expect(accountView(chain.ledger.state, who('ada')).keys).toEqual([]);
    expect(chain.faults()).toEqual([]);

    chain.block({ txs: [signTx(body(2, lend), heir)] });
    expect(check(3, send('ben', 1n), keys[1]!)).toBe('');
    const members = [signerOf('quorum a'), signerOf('quorum b')]
      .map((one) => ({ key: one.publicKey, proof: one.sign(bytes) }))
      .sort((a, b) => Buffer.compare(a.key, b.key));
    const share = message('account.setQuorum', { threshold: 2, keys: members });
    expect(chain.block({ txs: [signTx(body(3, [share]), heir)] }).results.map(({ ok }) => ok)).toEqual([
      true,
    ]);
    for (const key of keys) expect(check(4, send('ben', 1n), key)).toBe('key_not_allowed');
    expect(chain.faults()).toEqual([]);
  });

  it('lend their powers to keys: by scope, up to a cap, for a time', () => {
    const chain = funded();
    const phone = signerOf('phone');
    const expiry = chain.ledger.last().time + 60_000;
    const lend = message('account.delegateKey', {
      key: phone.publicKey,
      scopes: ['bank'],
      caps: [{ symbol: 'EXC', amount: 10n * exc }],
      expiry,
    });
    expect(run(chain, 'ada', [lend])).toBe('');
    let nonce = 1;
    const code = (msgs: readonly WireMessage[], after = 1000): string => {
      const tx = signTx(
        {
          v: 1,
          chainId: chain.ledger.chainId,
          sender: who('ada'),
          nonce,
          validUntil: 99,
          feeAsset: 'EXC',
          feeMax: exc,
          feePayer: null,
          msgs,
        },
        phone,
      );
      const checked = chain.ledger.checkTx(tx);
      if (!checked.ok) return checked.error.code;
      const { results } = chain.block({ txs: [tx], after });
      expect(chain.faults()).toEqual([]);
      nonce += results.length;
      return results[0]?.code ?? 'left out';
    };
    expect(code([send('ben', 6n * exc)])).toBe('');
    expect(code([send('ben', 6n * exc)])).toBe('cap_exceeded');
    expect(code([message('stake.bond', { symbol: 'EXC', validator: who('founder'), amount: exc })])).toBe(
      'scope_missing',
    );
    expect(code([message('account.revokeKey', { key: phone.publicKey })])).toBe('scope_missing');
    // The fees of both count, those of the failed one too.
    const left = accountView(chain.ledger.state, who('ada')).keys[0]?.caps[0]?.amount ?? 0n;
    expect(left).toBeLessThan(4n * exc);
    expect(left).toBeGreaterThan(3n * exc);
    chain.block({ after: 60_000 });
    expect(code([send('ben', 1n)])).toBe('key_expired');
  });

  it('have their fee paid by a sponsor who signs too', () => {
    const chain = funded();
    const before = have(chain, 'ben');
    chain.add('nobody', [message('anchor.card', { number: 0, hash: new Uint8Array(32) })], {}, 'ben');
    const { results } = chain.block();
    expect(results).toMatchObject([{ ok: true }]);
    expect(have(chain, 'ben')).toBe(before - (results[0]?.fee ?? 0n));
  });
});

describe('tokens', () => {
  it('have powers that are renounced for good, and owners', () => {
    const chain = funded();
    expect(run(chain, 'ada', [message('token.create', { spec: spec(), initial: 500n })])).toBe('');
    expect(run(chain, 'ben', [message('token.create', { spec: spec(), initial: 5n })])).toBe('symbol_taken');
    expect(run(chain, 'ben', [message('token.mint', { symbol: 'ADA', to: who('ben'), amount: 5n })])).toBe(
      'not_owner',
    );
    expect(run(chain, 'ada', [message('token.mint', { symbol: 'ADA', to: who('ben'), amount: 100n })])).toBe(
      '',
    );
    expect(
      run(chain, 'ada', [message('token.mint', { symbol: 'ADA', to: who('ben'), amount: 10n ** 6n })]),
    ).toBe('max_exceeded');
    const freeze = (frozen: boolean) =>
      message('token.freeze', { symbol: 'ADA', address: who('ben'), frozen });
    expect(run(chain, 'ada', [freeze(true)])).toBe('');
    expect(run(chain, 'ben', [send('cyd', 1n, 'ADA')])).toBe('token_frozen');
    expect(run(chain, 'ada', [message('token.renounce', { symbol: 'ADA', power: 'freeze' })])).toBe('');
    expect(run(chain, 'ben', [send('cyd', 1n, 'ADA')])).toBe('');
    expect(run(chain, 'ada', [freeze(true)])).toBe('flag_renounced');
    expect(run(chain, 'ben', [message('token.burn', { symbol: 'ADA', amount: 9n })])).toBe('');
    expect(supplyOf(chain.ledger.state, 'ADA')).toBe(591n);
    expect(run(chain, 'ada', [message('token.handOver', { symbol: 'ADA', to: who('ben') })])).toBe('');
    expect(run(chain, 'ada', [message('token.mint', { symbol: 'ADA', to: who('ada'), amount: 1n })])).toBe(
      'not_owner',
    );
    expect(tokensView(chain.ledger.state, chain.ledger.last().time).map((one) => one.spec.symbol)).toEqual([
      'EXC',
      'ADA',
    ]);
  });

  it('pay fees by their rate from the fund that their owner keeps', () => {
    const chain = funded();
    run(chain, 'ada', [message('token.create', { spec: spec(), initial: 100_000n })]);
    run(chain, 'ada', [send('cyd', 50_000n, 'ADA')]);
    const inAda = { feeAsset: 'ADA', feeMax: 10_000n, nonce: 0 };
    const msgs = [message('anchor.card', { number: 1, hash: new Uint8Array(32) })];
    const check = () => chain.ledger.checkTx(chain.tx('cyd', msgs, inAda));
    expect(check()).toMatchObject({ error: { code: 'fee_asset_unusable' } });
    run(chain, 'ada', [message('token.setFeeRate', { symbol: 'ADA', rate: { num: 3n, den: 2n } })]);
    expect(check()).toMatchObject({ error: { code: 'fee_fund_empty' } });
    run(chain, 'ada', [message('token.fundFees', { symbol: 'ADA', amount: 2000n })]);
    const treasury = have(chain, 'ada', 'ADA');
    chain.add('cyd', msgs, inAda);
    const [result] = chain.block().results;
    expect(chain.faults()).toEqual([]);
    const fund = balanceOf(chain.ledger.state, pot('feeFund/ADA'), 'EXC');
    expect(result).toMatchObject({ ok: true, fee: ((2000n - fund) * 3n + 1n) / 2n });
    expect(have(chain, 'ada', 'ADA')).toBe(treasury + (result?.fee ?? 0n));
    expect(run(chain, 'cyd', [message('token.withdrawFees', { symbol: 'ADA', amount: fund })])).toBe(
      'not_owner',
    );
    expect(run(chain, 'ada', [message('token.withdrawFees', { symbol: 'ADA', amount: fund })])).toBe('');
  });

  it('are mined by schedule, to those who stake', () => {
    const chain = funded();
    const mining = { ...spec().mining, schedule: { type: 'fixed' as const, perPeriod: 1000n, periods: 3 } };
    run(chain, 'ada', [message('token.create', { spec: spec({ mining }), initial: 300n })]);
    run(chain, 'ada', [send('ben', 100n, 'ADA')], 1);
    const bond = (amount: bigint) => message('stake.bond', { symbol: 'ADA', validator: null, amount });
    chain.add('ada', [bond(100n)]);
    chain.add('ben', [bond(100n)]);
    chain.block({ after: 1 });
    const state = () => chain.ledger.state;
    const reward = (name: string) => stakesView(state(), who(name), chain.ledger.last().time)[0]?.reward;
    chain.block({ after: 10_000 });
    // Nothing is minted yet, but everybody can see what is coming.
    expect(tokenView(state(), 'ADA', chain.ledger.last().time)).toMatchObject({ supply: 300n, due: 1000n });
    expect(reward('ada')).toBe(500n);
    chain.block({ after: 100_000 });
    expect(run(chain, 'ben', [message('stake.claim', { symbol: 'ADA', validator: null })])).toBe('');
    // What was let out while nobody staked, in the first 2 ms, was not minted.
    expect(supplyOf(state(), 'ADA')).toBe(3300n);
    expect(have(chain, 'ben', 'ADA')).toBe(1500n);
    expect(reward('ada')).toBe(1500n);
    expect(
      run(chain, 'ada', [message('stake.unbond', { symbol: 'ADA', validator: null, amount: 100n })]),
    ).toBe('');
    expect(have(chain, 'ada', 'ADA')).toBe(100n + 1500n);
    expect(leavingView(state(), who('ada'))).toMatchObject([{ amount: 100n }]);
    chain.block({ after: 5000 });
    expect(leavingView(state(), who('ada'))).toEqual([]);
    expect(have(chain, 'ada', 'ADA')).toBe(1700n);
    expect(chain.faults()).toEqual([]);
  });
});

describe('validators', () => {
  const params = { downtimeBlocks: 10, jailMs: 60_000, minSelfBond: 1000n * exc };
  const genesis = testGenesis((one) => ({ ...one, params: { ...one.params, ...params } }));
  const signer = signerOf('ada/consensus');
  const id = validatorIdOf(signer.publicKey);
  const create = (chain: TestChain, bond: bigint) =>
    message('validator.create', {
      key: signer.publicKey,
      proof: signer.sign(validatorProofBytes(chain.ledger.chainId, who('ada'))),
      name: 'Ada',
      commissionBp: 1000,
      bond,
    });
  function withTwo(): TestChain {
    const chain = funded(genesis, ['ada/consensus']);
    expect(run(chain, 'ada', [create(chain, 4000n * exc)])).toBe('');
    return chain;
  }

  it('join two blocks after, and leave so', () => {
    const chain = funded(genesis, ['ada/consensus']);
    expect(run(chain, 'ada', [create(chain, 10n)])).toBe('bond_too_small');
    const powers = () => chain.ledger.validators().next.map(({ power }) => power);
    expect(run(chain, 'ada', [create(chain, 4000n * exc)])).toBe('');
    const made = chain.ledger.last().height;
    // The block after the next is the first that they decide.
    expect(chain.ledger.validators().current.length).toBe(1);
    expect(powers()).toEqual([10_000n, 4000n]);
    chain.block();
    expect(chain.ledger.validators().current.length).toBe(2);
    expect(chain.ledger.validatorsAt(made + 2)?.length).toBe(2);
    expect(chain.ledger.validatorsAt(made + 1)?.length).toBe(1);
    expect(run(chain, 'ada', [create(chain, 4000n * exc)])).toBe('validator_exists');
    expect(run(chain, 'ben', [create(chain, 4000n * exc)])).toBe('bad_signature');
    expect(run(chain, 'ada', [message('validator.leave', {})])).toBe('');
    expect(powers()).toEqual([10_000n]);
    expect(run(chain, 'founder', [message('validator.leave', {})])).toBe('last_validator');
    expect(run(chain, 'ada', [message('validator.unjail', {})])).toBe('');
    expect(powers()).toEqual([10_000n, 4000n]);
    expect(run(chain, 'ada', [message('validator.edit', { name: 'A', commissionBp: 1050 })])).toBe(
      'commission_invalid',
    );
    chain.block({ after: day });
    expect(run(chain, 'ada', [message('validator.edit', { name: 'A', commissionBp: 1050 })])).toBe('');
  });

  it('share fees and rewards with those who stake with them, less their commission', () => {
    const chain = withTwo();
    const bond = message('stake.bond', { symbol: 'EXC', validator: who('ada'), amount: 12_000n * exc });
    expect(run(chain, 'ben', [bond])).toBe('');
    const before = stakesView(chain.ledger.state, who('ben'), chain.ledger.last().time)[0]?.reward ?? 0n;
    chain.add('cyd', [send('ben', 1n)]);
    const [result] = chain.block({ proposer: id }).results;
    const after = stakesView(chain.ledger.state, who('ben'), chain.ledger.last().time)[0]?.reward ?? 0n;
    const fee = result?.fee ?? 0n;
    const part = ((fee - fee / 10n) * 3n) / 4n;
    // Less than a unit may wait in the remainder of the pool's division.
    expect([part, part - 1n]).toContain(after - before);
    const earned = validatorOf(chain.ledger.state, who('ada')).commission;
    expect(earned).toBeGreaterThanOrEqual(fee / 10n);
    chain.add('ada', [message('stake.claim', { symbol: 'EXC', validator: who('ada') })]);
    // By the other proposer, so that the fee of the claim itself earns Ada nothing.
    chain.block({ proposer: validatorIdOf(signerOf('founder/consensus').publicKey) });
    expect(validatorOf(chain.ledger.state, who('ada')).commission).toBe(0n);
  });

  it('are jailed for absence, lose a hundredth, and come back', () => {
    const chain = withTwo();
    chain.block();
    const before = supplyOf(chain.ledger.state, 'EXC');
    for (let n = 0; n < 11; n++) chain.block({ silent: [id] });
    expect(chain.faults()).toEqual([]);
    expect(validatorsView(chain.ledger.state).find((one) => one.name === 'Ada')).toMatchObject({
      jailed: true,
      tokens: 3960n * exc,
    });
    expect(supplyOf(chain.ledger.state, 'EXC')).toBe(before - 40n * exc);
    chain.block();
    expect(chain.ledger.validators().current.length).toBe(1);
    expect(run(chain, 'ada', [message('validator.unjail', {})])).toBe('validator_jailed');
    expect(
      run(chain, 'ben', [message('stake.bond', { symbol: 'EXC', validator: who('ada'), amount: 5n })]),
    ).toBe('validator_jailed');
    expect(run(chain, 'ada', [message('validator.unjail', {})], 60_000)).toBe('');
    expect(chain.ledger.validators().next.length).toBe(2);
  });

  it('do not shake off what they missed by leaving and coming back', () => {
    const chain = withTwo();
    chain.block();
    for (let n = 0; n < 11; n++) {
      if (n % 4 === 3) chain.add('ada', [message('validator.leave', {}), message('validator.unjail', {})]);
      chain.block({ silent: [id] });
    }
    expect(chain.faults()).toEqual([]);
    expect(validatorOf(chain.ledger.state, who('ada')).jailed).toBe(true);
  });

  const vote = (chain: TestChain, height: number, fill: number, round = 0): Vote => {
    const facts = { type: 'precommit' as const, height, round, blockId: new Uint8Array(32).fill(fill) };
    return { ...facts, validator: id, sig: signer.sign(voteSignBytes(chain.ledger.chainId, facts)) };
  };

  it('are out for ever for two votes of one round; what left or moved away pays, too', () => {
    const chain = withTwo();
    const bond = (amount: bigint) => message('stake.bond', { symbol: 'EXC', validator: who('ada'), amount });
    expect(run(chain, 'ben', [bond(10_000n * exc)])).toBe('');
    expect(
      run(chain, 'ben', [
        message('stake.unbond', { symbol: 'EXC', validator: who('ada'), amount: 2000n * exc }),
      ]),
    ).toBe('');
    const move = (from: string, to: string) =>
      message('stake.redelegate', { from: who(from), to: who(to), amount: 3000n * exc });
    expect(run(chain, 'ben', [move('ada', 'founder')])).toBe('');
    expect(run(chain, 'ben', [move('founder', 'ada')])).toBe('stake_moving');
    const evidence = (changes: Partial<Vote> = {}): Evidence => ({
      type: 'duplicateVote',
      a: vote(chain, 3, 1),
      b: { ...vote(chain, 3, 2), ...changes },
    });
    const code = (one: Evidence): string => {
      try {
        chain.ledger.checkEvidence(one);
        return '';
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(code(evidence({ sig: new Uint8Array(64) }))).toBe('evidence_invalid');
    expect(code({ type: 'duplicateVote', a: vote(chain, 3, 1), b: vote(chain, 3, 2, 1) })).toBe(
      'evidence_invalid',
    );
    expect(code({ type: 'duplicateVote', a: vote(chain, 99, 1), b: vote(chain, 99, 2) })).toBe(
      'evidence_invalid',
    );
    expect(code(evidence())).toBe('');

    chain.block({ evidence: [evidence()] });
    expect(chain.faults()).toEqual([]);
    const { state } = chain.ledger;
    const { time } = chain.ledger.last();
    expect(validatorsView(state).find(({ name }) => name === 'Ada')).toMatchObject({
      tombstoned: true,
      tokens: 9000n * exc - 450n * exc,
    });
    expect(leavingView(state, who('ben'))).toMatchObject([{ amount: 1900n * exc }]);
    expect(
      stakesView(state, who('ben'), time)
        .map(({ amount }) => amount)
        .sort(),
    ).toEqual([2850n * exc, 4750n * exc]);
    expect(holdingsView(state, who('ben'), time)[0]).toMatchObject({
      staked: 7600n * exc,
      unbonding: 1900n * exc,
    });
    expect(code(evidence())).toBe('evidence_invalid');
    expect(run(chain, 'ada', [message('validator.unjail', {})])).toBe('validator_tombstoned');
    expect(chain.ledger.validators().next.length).toBe(1);
    chain.block({ after: 15 * day });
    expect(leavingView(state, who('ben'))).toEqual([]);
    expect(chain.faults()).toEqual([]);
  });

  it('cost nothing for stake that had begun to leave or moved away before the offence', () => {
    const chain = withTwo();
    const ben = who('ben');
    const amount = 1000n * exc;
    const at = (fields: object) => ({ symbol: 'EXC', validator: who('ada'), amount, ...fields });
    expect(run(chain, 'ben', [message('stake.bond', at({ amount: 9n * amount }))])).toBe('');
    expect(run(chain, 'ben', [message('stake.unbond', at({}))])).toBe('');
    const move = { from: who('ada'), to: who('founder'), amount };
    expect(run(chain, 'ben', [message('stake.redelegate', move)])).toBe('');
    // Two blocks later its power is gone; what goes in the block before the offence still counted in it.
    chain.block();
    expect(run(chain, 'ben', [message('stake.unbond', at({ amount: 2n * amount }))])).toBe('');
    const height = chain.ledger.last().height + 1;
    chain.block();
    chain.block({
      evidence: [{ type: 'duplicateVote', a: vote(chain, height, 1), b: vote(chain, height, 2) }],
    });
    expect(validatorOf(chain.ledger.state, who('ada')).tombstoned).toBe(true);
    expect(leavingView(chain.ledger.state, ben).map((one) => one.amount)).toEqual([amount, 1900n * exc]);
    const stakes = stakesView(chain.ledger.state, ben, chain.ledger.last().time);
    expect(stakes.map((one) => one.amount).sort()).toEqual([amount, 4750n * exc]);
    expect(chain.faults()).toEqual([]);
  });

  it('are punished for a certificate over a history that never was, but not for another block of the same history', () => {
    const chain = withTwo();
    for (let n = 0; n < 4; n++) chain.block();
    const height = 4;
    const actual = chain.ledger.signedHeaderAt(height)?.header as Header;
    const attack = (changes: Partial<Header>): Evidence => {
      const header = { ...actual, ...changes };
      const blank: Commit = { height, round: 3, blockId: idOf(header), signatures: [] };
      const sig = signer.sign(commitSignBytes(chain.ledger.chainId, blank));
      const commit = { ...blank, signatures: [{ validator: id, sig }] };
      const path = decodeHistoryProof(chain.ledger.proveHistory(height, height + 1));
      return { type: 'lightAttack', header, commit, actual, path };
    };
    expect(() => chain.ledger.checkEvidence(attack({ stateRoot: new Uint8Array(32) }))).toThrow(
      /contradicts nothing/,
    );
    const evidence = attack({ validatorsHash: new Uint8Array(32) });
    chain.ledger.checkEvidence(evidence);
    const { block } = chain.block({ evidence: [evidence] });
    expect(block.evidence.length).toBe(1);
    expect(validatorOf(chain.ledger.state, who('ada')).tombstoned).toBe(true);
    expect(chain.faults()).toEqual([]);
  });

  it('can not be punished after the time for it', () => {
    const chain = withTwo();
    const evidence: Evidence = { type: 'duplicateVote', a: vote(chain, 2, 1), b: vote(chain, 2, 2) };
    chain.block({ after: 15 * day });
    chain.block();
    expect(() => chain.ledger.checkEvidence(evidence)).toThrow(/too long ago/);
  });
});

describe('anchors', () => {
  it('keep the newest head of a chain, and remember that it was forked', () => {
    const chain = funded();
    const writer = signerOf('writer');
    const head = (seq: number, fill: number) => {
      const fields = { writer: writer.publicKey, incarnation: 1, seq, head: new Uint8Array(32).fill(fill) };
      return { ...fields, sig: writer.sign(headSignBytes(fields)) };
    };
    const commit = (fill: number, heads: ReturnType<typeof head>[]) =>
      message('anchor.commit', { root: new Uint8Array(32).fill(fill), count: 3, heads });
    const known = () => headView(chain.ledger.state, writer.publicKey, 1);
    expect(run(chain, 'ada', [commit(1, [head(5, 1)])])).toBe('');
    expect(run(chain, 'ada', [commit(1, [])])).toBe('already_exists');
    expect(run(chain, 'ada', [commit(2, [head(4, 1)])])).toBe('head_outdated');
    expect(run(chain, 'ada', [commit(2, [{ ...head(6, 1), seq: 7 }])])).toBe('bad_signature');
    expect(run(chain, 'ben', [commit(2, [head(6, 1)])])).toBe('');
    expect(known()).toMatchObject({ seq: 6, forked: false });
    expect(run(chain, 'cyd', [message('anchor.fork', { a: head(3, 1), b: head(3, 2) })])).toBe('');
    expect(known()).toMatchObject({ seq: 6, forked: true });
    expect(run(chain, 'ada', [message('anchor.card', { number: 2, hash: new Uint8Array(32) })])).toBe('');
    expect(run(chain, 'ada', [message('anchor.card', { number: 2, hash: new Uint8Array(32) })])).toBe(
      'card_outdated',
    );
  });
});

describe('the directory', () => {
  it('shows what pays rent, to who looks for it, and lets go of what does not', () => {
    const chain = funded();
    const entry = (title: string, days: number) =>
      message('directory.publish', {
        kind: 'drive',
        id: 'd1',
        title,
        text: 'Rivers and mountains',
        link: 'extrachain://open/d1',
        days,
      });
    const before = have(chain, 'ada');
    expect(run(chain, 'ada', [entry('Photos', 2)])).toBe('');
    expect(before - have(chain, 'ada')).toBeGreaterThan(chain.genesis.params.rentPerDay * 2n);
    expect(searchDirectory(chain.ledger.state, 'photos RIVERS', 10)).toMatchObject([{ id: 'd1' }]);
    expect(searchDirectory(chain.ledger.state, 'riv phot', 10)).toMatchObject([{ id: 'd1' }]);
    expect(searchDirectory(chain.ledger.state, '', 10)).toMatchObject([{ id: 'd1' }]);
    expect(searchDirectory(chain.ledger.state, 'lakes', 10)).toEqual([]);
    expect(run(chain, 'ben', [entry('Mine', 1)])).toBe('not_owner');
    expect(run(chain, 'ada', [entry('Pictures', 1)])).toBe('');
    expect(searchDirectory(chain.ledger.state, 'photos', 10)).toEqual([]);
    chain.block({ after: 2.5 * day });
    expect(directoryEntry(chain.ledger.state, 'drive', 'd1')?.title).toBe('Pictures');
    chain.block({ after: day });
    expect(directoryEntry(chain.ledger.state, 'drive', 'd1')).toBeNull();
    expect(run(chain, 'ada', [message('directory.remove', { kind: 'drive', id: 'd1' })])).toBe('not_found');
    expect(chain.faults()).toEqual([]);
  });
});
