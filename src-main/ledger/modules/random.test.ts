import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeBlock, decodeBlock, validatorIdOf, voteSignBytes } from '../codec/index.ts';
import type { Genesis, WireMessage } from '../codec/index.ts';
import { day } from '../codec/token-spec.ts';
import { createApplication } from '../execute/application.ts';
import { createTxChecker } from '../execute/tx-checker.ts';
import { openDatabase } from '../../store/index.ts';
import { addressOfName, createTestChain, signerOf, testGenesis } from '../testing.ts';
import type { TestChain } from '../testing.ts';
import type { Evidence, Vote } from '../types.ts';
import { accountOf } from './account.ts';
import { message } from './index.ts';
import { validatorProofBytes } from './validators.ts';
import { validatorsView } from './views.ts';

const seed = 20261126;
const people = ['founder', 'ada', 'ben', 'cyd', 'dan'] as const;
const operators = ['founder', 'ada', 'ben'] as const;
const symbols = ['EXC', 'AAA', 'BBB'] as const;
const exc = 1_000_000n;

/** Short times, so that a few blocks see everything end. */
const genesis: Genesis = testGenesis((one) => ({
  ...one,
  params: {
    ...one.params,
    downtimeBlocks: 10,
    evidenceMs: 600_000,
    jailMs: 60_000,
    minSelfBond: exc,
    maxUnbondingsPerBlock: 2,
    doubleSignBp: 1234,
  },
  tokens: one.tokens.map(({ spec, owner }) => ({
    owner,
    spec: {
      ...spec,
      max: spec.max + 5_000n * exc,
      staking: { unbondingMs: 600_000, rateBp: 777 },
      mining: {
        ...spec.mining,
        schedule: { type: 'halving' as const, perPeriod: 1_000_003n, halveEvery: 3 },
        periodMs: 60_000,
        split: { stakers: 7001, hosts: 999, relays: 1000, liquidity: 0, treasury: 1000 },
      },
    },
  })),
  balances: people.map((name) => ({ address: addressOfName(name), symbol: 'EXC', amount: 200_000n * exc })),
}));

const who = fc.constantFrom(...people);
const operator = fc.constantFrom(...operators);
const symbol = fc.constantFrom(...symbols);
const value = fc.oneof(
  { weight: 3, arbitrary: fc.bigInt({ min: 1n, max: 50n }) },
  { weight: 6, arbitrary: fc.bigInt({ min: 1n, max: 20_000n * exc }) },
  { weight: 1, arbitrary: fc.bigInt({ min: 1n, max: 2n ** 127n }) },
);
const validatorOf = (token: string, name: string) => (token === 'EXC' ? addressOfName(name) : null);

/** A token with one of three kinds of mining. */
const create = (token: string, shape: number, rateBp: number): WireMessage =>
  message('token.create', {
    spec: {
      symbol: token,
      name: token,
      decimals: 2,
      max: 10n ** 24n,
      flags: { mint: true, burn: true, freeze: shape === 1 },
      mining: {
        schedule:
          shape === 0
            ? { type: 'none' }
            : shape === 1
              ? { type: 'fixed', perPeriod: 12_345n, periods: 7 }
              : {
                  type: 'list',
                  stages: [
                    { periods: 2, perPeriod: 99n },
                    { periods: 3, perPeriod: 10n ** 9n },
                  ],
                },
        periodMs: 30_000,
        split: { stakers: 5000, hosts: 0, relays: 0, liquidity: 2500, treasury: 2500 },
        unclaimed: shape === 2 ? 'treasury' : 'unminted',
      },
      staking: { unbondingMs: 90_000, rateBp },
      treasury: addressOfName('dan'),
    },
    initial: 10n ** 12n,
  });

const act: fc.Arbitrary<WireMessage> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(who, symbol, value)
      .map(([to, token, amount]) =>
        message('bank.send', { to: addressOfName(to), symbol: token, amount, memo: '' }),
      ),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(symbol, operator, value)
      .map(([token, name, amount]) =>
        message('stake.bond', { symbol: token, validator: validatorOf(token, name), amount }),
      ),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(symbol, operator, value)
      .map(([token, name, amount]) =>
        message('stake.unbond', { symbol: token, validator: validatorOf(token, name), amount }),
      ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(operator, operator, value)
      .map(([from, to, amount]) =>
        message('stake.redelegate', { from: addressOfName(from), to: addressOfName(to), amount }),
      ),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(symbol, operator)
      .map(([token, name]) => message('stake.claim', { symbol: token, validator: validatorOf(token, name) })),
  },
  fc.constant(message('validator.unjail', {})),
  fc.constant(message('validator.leave', {})),
  fc
    .tuple(fc.constantFrom('AAA', 'CCC'), fc.nat(2), fc.nat(10_000))
    .map(([token, shape, rateBp]) => create(token, shape, rateBp)),
  fc
    .tuple(symbol, who, value)
    .map(([token, to, amount]) => message('token.mint', { symbol: token, to: addressOfName(to), amount })),
  fc.tuple(symbol, value).map(([token, amount]) => message('token.burn', { symbol: token, amount })),
  fc
    .tuple(symbol, who, fc.boolean())
    .map(([token, of, frozen]) =>
      message('token.freeze', { symbol: token, address: addressOfName(of), frozen }),
    ),
  fc
    .tuple(symbol, fc.bigInt({ min: 1n, max: 1000n }))
    .map(([token, num]) => message('token.setFeeRate', { symbol: token, rate: { num, den: 7n } })),
  fc.tuple(symbol, value).map(([token, amount]) => message('token.fundFees', { symbol: token, amount })),
  fc.tuple(fc.constantFrom('drive', 'stream'), fc.nat(3), fc.nat(3)).map(([kind, id, days]) =>
    message('directory.publish', {
      kind: kind as 'drive' | 'stream',
      id: String(id),
      title: 'A',
      text: 'b',
      link: '',
      days: days + 1,
    }),
  ),
  fc.nat(5).map((number) => message('anchor.card', { number, hash: new Uint8Array(32) })),
);

interface Step {
  readonly after: number;
  readonly txs: readonly {
    readonly from: (typeof people)[number];
    readonly msgs: readonly WireMessage[];
    readonly feeIn: 'EXC' | 'AAA';
  }[];
  readonly silent: readonly string[];
  readonly doubleSigner: string | null;
}
const step: fc.Arbitrary<Step> = fc.record({
  after: fc.oneof(
    fc.integer({ min: 1, max: 2000 }),
    fc.integer({ min: 1, max: 400_000 }),
    fc.constant(2 * day),
  ),
  txs: fc.array(
    fc.record({
      from: who,
      msgs: fc.array(act, { minLength: 1, maxLength: 2 }),
      feeIn: fc.oneof({ weight: 9, arbitrary: fc.constant('EXC' as const) }, fc.constant('AAA' as const)),
    }),
    { maxLength: 6 },
  ),
  silent: fc.subarray(['ada', 'ben']),
  doubleSigner: fc.oneof({ weight: 14, arbitrary: fc.constant(null) }, fc.constantFrom('ada', 'ben')),
});

const consensusName = (name: string): string => `${name}/consensus`;
const idOf = (name: string) => validatorIdOf(signerOf(consensusName(name)).publicKey);

function twoVotes(chain: TestChain, name: string): Evidence {
  const signer = signerOf(consensusName(name));
  const sign = (fill: number): Vote => {
    const vote = {
      type: 'prevote' as const,
      height: chain.ledger.last().height,
      round: 0,
      blockId: new Uint8Array(32).fill(fill),
    };
    return { ...vote, validator: idOf(name), sig: signer.sign(voteSignBytes(chain.ledger.chainId, vote)) };
  };
  return { type: 'duplicateVote', a: sign(1), b: sign(2) };
}

/** Three validators of similar power, so that none is needed for two thirds when it is silent. */
function begin(): TestChain {
  const chain = createTestChain(genesis, operators.map(consensusName), {
    snapshots: { every: 3, keep: 1 },
  });
  for (const name of ['ada', 'ben']) {
    const signer = signerOf(consensusName(name));
    const proof = signer.sign(validatorProofBytes(chain.ledger.chainId, addressOfName(name)));
    chain.add(name, [
      message('validator.create', {
        key: signer.publicKey,
        proof,
        name,
        commissionBp: 1000,
        bond: 1000n * exc,
      }),
    ]);
  }
  chain.block();
  // Something of everything for everybody.
  chain.add('ada', [create('AAA', 1, 500), create('BBB', 2, 0)]);
  for (const name of people) {
    for (const token of ['AAA', 'BBB']) {
      chain.add('ada', [
        message('bank.send', { to: addressOfName(name), symbol: token, amount: 10n ** 11n, memo: '' }),
      ]);
    }
  }
  chain.block();
  for (const name of people) {
    for (const token of ['AAA', 'BBB']) {
      chain.add(name, [message('stake.bond', { symbol: token, validator: null, amount: 10n ** 10n + 7n })]);
    }
    for (const to of operators) {
      chain.add(name, [
        message('stake.bond', { symbol: 'EXC', validator: addressOfName(to), amount: 5000n * exc + 3n }),
      ]);
    }
  }
  expect(chain.block().results.filter(({ ok }) => !ok)).toEqual([]);
  return chain;
}

describe('any sequence of transactions, absences, offences and time', () => {
  it('keeps every invariant after every block, and comes to the same on another computer', () => {
    let good = 0;
    let bad = 0;
    const codes = new Set<string>();
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 25 }), (steps) => {
        const chain = begin();
        const copy = createApplication(
          { db: openDatabase(':memory:'), genesis, checker: createTxChecker() },
          { keepBlocks: null },
        );
        const replay = (height: number): void => {
          const stored = chain.ledger.blockAt(height);
          if (!stored) throw new Error('no block');
          copy.commit(copy.execute(decodeBlock(encodeBlock(stored.block))), stored.commit);
        };
        for (let height = 1; height <= chain.ledger.last().height; height++) replay(height);
        for (const { after, txs, silent, doubleSigner } of steps) {
          for (const { from, msgs, feeIn } of txs)
            chain.add(from, msgs, { feeAsset: feeIn, feeMax: 10n ** 12n });
          const before = new Map(
            people.map((name) => [name, accountOf(chain.ledger.state, addressOfName(name)).nonce]),
          );
          const { current } = chain.ledger.validators();
          const power = (ids: readonly Uint8Array[]): bigint =>
            current
              .filter(({ id }) => ids.some((one) => Buffer.compare(one, id) === 0))
              .reduce((sum, one) => sum + one.power, 0n);
          const mute = silent.map(idOf);
          const quorum = 3n * power(mute) < power(current.map(({ id }) => id));
          const executed = chain.block({
            after,
            silent: quorum ? mute : [],
            evidence: doubleSigner === null ? [] : [twoVotes(chain, doubleSigner)],
          });
          expect(chain.faults()).toEqual([]);
          replay(chain.ledger.last().height);
          expect(copy.last()).toEqual(chain.ledger.last());
          const sent = new Map<string, number>();
          for (const { body } of executed.block.txs.map((tx) => createTxChecker().prepare(tx))) {
            const name = people.find(
              (one) => Buffer.compare(addressOfName(one), body.sender) === 0,
            ) as string;
            sent.set(name, (sent.get(name) ?? 0) + 1);
          }
          for (const name of people) {
            expect(accountOf(chain.ledger.state, addressOfName(name)).nonce).toBe(
              (before.get(name) ?? 0) + (sent.get(name) ?? 0),
            );
          }
          for (const { ok, code } of executed.results) {
            if (ok) good += 1;
            else {
              bad += 1;
              codes.add(code);
            }
          }
        }
        expect(validatorsView(chain.ledger.state).length).toBe(3);
        // From a snapshot instead of from genesis it comes to the same.
        const late = createApplication(
          { db: openDatabase(':memory:'), genesis, checker: createTxChecker() },
          { keepBlocks: null },
        );
        const [snapshot] = chain.ledger.snapshots();
        const trusted = snapshot && chain.ledger.signedHeaderAt(snapshot.height);
        if (!snapshot || !trusted) throw new Error('no snapshot');
        const restore = late.restore(snapshot.manifest, trusted);
        for (const i of restore.chunks.keys()) {
          restore.put(i, chain.ledger.snapshotChunk(snapshot.height, i) ?? new Uint8Array());
        }
        restore.finish();
        for (let height = snapshot.height + 1; height <= chain.ledger.last().height; height++) {
          const stored = chain.ledger.blockAt(height);
          if (stored) late.commit(late.execute(stored.block), stored.commit);
        }
        expect(late.last()).toEqual(chain.ledger.last());
      }),
      { seed, numRuns: 12 },
    );
    // The sequences did something, and met many refusals.
    expect(good).toBeGreaterThan(150);
    expect(bad).toBeGreaterThan(100);
    expect([...codes].sort()).toEqual(
      expect.arrayContaining(['stake_moving', 'symbol_taken', 'underfunded']),
    );
  });
});
