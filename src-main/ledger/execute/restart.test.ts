import { expect, test } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import { openDatabase } from '../../store/index.ts';
import { chainIdOf, decodeGenesis, encodeGenesis } from '../codec/index.ts';
import { accountOf } from '../modules/account.ts';
import { message } from '../modules/index.ts';
import { holdingsView, leavingView, validatorsView } from '../modules/views.ts';
import { validatorProofBytes } from '../modules/validators.ts';
import { addressOfName, createTestChain, signerOf } from '../testing.ts';
import type { TestChain } from '../testing.ts';
import type { SignedHeader } from '../types.ts';
import { createApplication } from './application.ts';
import { genesisFrom, rowsOf } from './restart.ts';
import { createTxChecker } from './tx-checker.ts';

const exc = 1_000_000n;
const who = addressOfName;

/** Two validators, of whom one is lost; stake that leaves; a delegated key; a token. */
function standing(): TestChain {
  const chain = createTestChain(undefined, ['ada/consensus']);
  const key = signerOf('ada/consensus');
  chain.add('founder', [
    message('bank.send', { to: who('ada'), symbol: 'EXC', amount: 50_000n * exc, memo: '' }),
    message('bank.send', { to: who('ben'), symbol: 'EXC', amount: 9000n * exc, memo: '' }),
  ]);
  chain.block();
  chain.add('ada', [
    message('validator.create', {
      key: key.publicKey,
      proof: key.sign(validatorProofBytes(chain.ledger.chainId, who('ada'))),
      name: 'Ada',
      commissionBp: 300,
      bond: 20_000n * exc,
    }),
  ]);
  chain.block();
  const bond = { symbol: 'EXC', validator: who('founder'), amount: 5000n * exc };
  chain.add('ben', [message('stake.bond', bond)]);
  chain.add('ben', [message('stake.unbond', { ...bond, amount: 1000n * exc })]);
  chain.add('ben', [
    message('account.delegateKey', {
      key: signerOf('tablet').publicKey,
      scopes: ['bank'],
      caps: [{ symbol: 'EXC', amount: 5n * exc }],
      expiry: 2_000_000_000_000,
    }),
  ]);
  chain.block();
  chain.block();
  return chain;
}

const code = (run: () => unknown): string => {
  try {
    run();
    return '';
  } catch (error) {
    return isAppError(error) ? error.code : String(error);
  }
};

test('a network that stands still goes on under another name with all that was in it', () => {
  const old = standing();
  const { height, stateRoot, time } = old.ledger.last();
  const restart = { name: 'again', time: time + 86_400_000, operators: [who('founder')], newKey: null };
  const genesis = decodeGenesis(encodeGenesis(genesisFrom(old.ledger, restart)));
  const origin = { name: old.genesis.name, time: old.genesis.time };
  expect(genesis.continues).toEqual({ chainId: old.ledger.chainId, height, stateRoot, origin });
  expect(chainIdOf(genesis)).not.toBe(old.ledger.chainId);

  const chain = createTestChain(genesis, [], { previous: rowsOf(old.db) });
  expect(chain.faults()).toEqual([]);
  expect(chain.ledger.last()).toMatchObject({ height: 0, time: genesis.time });
  expect(chain.ledger.validators().current.map(({ power }) => power)).toEqual([14_000n]);
  expect(validatorsView(chain.ledger.state).map(({ name, left }) => [name, left])).toEqual([
    ['Founder', false],
    ['Ada', true],
  ]);
  for (const name of ['founder', 'ada', 'ben']) {
    expect(holdingsView(chain.ledger.state, who(name), time)).toEqual(
      holdingsView(old.ledger.state, who(name), time),
    );
    expect(accountOf(chain.ledger.state, who(name))).toEqual(accountOf(old.ledger.state, who(name)));
  }

  // What was signed for the old network says nothing here.
  const send = message('bank.send', { to: who('cyd'), symbol: 'EXC', amount: exc, memo: '' });
  const stale = chain.ledger.checkTx(old.tx('ben', [send]));
  expect(stale.ok ? '' : stale.error.code).toBe('wrong_chain');
  chain.add('ben', [send]);
  expect(chain.block().results.map(({ ok }) => ok)).toEqual([true]);
  expect(chain.faults()).toEqual([]);
  chain.block({ after: 15 * 86_400_000 });
  expect(leavingView(chain.ledger.state, who('ben'))).toEqual([]);
  expect(chain.faults()).toEqual([]);
});

test('only that very state is continued, by validators it knows', () => {
  const old = standing();
  const { time } = old.ledger.last();
  const from = (operators: readonly Uint8Array[]) =>
    genesisFrom(old.ledger, { name: 'again', time, operators, newKey: null });
  expect(code(() => from([who('ben')]))).toBe('validator_unknown');
  const genesis = from([who('founder'), who('ada')]);
  const begin = (changed: typeof genesis) =>
    code(() => createTestChain(changed, [], { previous: rowsOf(old.db) }));
  expect(begin(genesis)).toBe('');
  const [first, ...rest] = genesis.validators;
  expect(begin({ ...genesis, validators: [{ ...first!, bond: 77n * exc }, ...rest] })).toBe(
    'invalid_argument',
  );
  // The old network went on by a block here.
  old.block();
  expect(createTestChain(genesis, [], { previous: rowsOf(old.db) }).ledger.founded()).toBe(false);
  expect(
    code(() => genesisFrom(createTestChain().ledger, { name: 'x', time, operators: [], newKey: null })),
  ).toBe('not_found');
});

test('who did not follow the old network begins with a snapshot of the first block', async () => {
  const old = standing();
  const { time } = old.ledger.last();
  const genesis = genesisFrom(old.ledger, {
    name: 'again',
    time,
    operators: [who('founder')],
    newKey: null,
  });
  const chain = createTestChain(genesis, [], {
    previous: rowsOf(old.db),
    snapshots: { every: 1000, keep: 3 },
  });
  const fresh = createApplication(
    { db: openDatabase(':memory:'), genesis, checker: createTxChecker() },
    { keepBlocks: null, snapshots: null },
  );
  expect(fresh.founded()).toBe(false);
  expect(fresh.validators().current).toEqual(chain.ledger.validators().current);
  const early = fresh.checkTx(
    chain.tx('ben', [message('account.revokeKey', { key: signerOf('tablet').publicKey })]),
  );
  expect(early.ok ? '' : early.error.code).toBe('catching_up');
  for (let n = 0; n < 3; n++) chain.block();
  await chain.ledger.settled();
  const [info] = chain.ledger.snapshots();
  expect(info?.height).toBe(1);
  const restore = fresh.restore(info!.manifest, chain.ledger.signedHeaderAt(1) as SignedHeader);
  for (const i of restore.chunks.keys()) restore.put(i, chain.ledger.snapshotChunk(1, i) as Uint8Array);
  restore.finish();
  expect(fresh.founded()).toBe(true);
  for (let height = 2; height <= 3; height++) {
    const stored = chain.ledger.blockAt(height)!;
    fresh.commit(fresh.execute(stored.block), stored.commit);
  }
  expect(fresh.last()).toEqual(chain.ledger.last());
});

test('whose computer is gone goes on with the key of another, never with one that was used', () => {
  const old = standing();
  const { time } = old.ledger.last();
  const from = (key: Uint8Array) =>
    genesisFrom(old.ledger, {
      name: 'again',
      time,
      operators: [who('founder')],
      newKey: { operator: who('founder'), key },
    });
  const fresh = signerOf('founder/another computer').publicKey;
  const chain = createTestChain(from(fresh), ['founder/another computer'], { previous: rowsOf(old.db) });
  expect(chain.ledger.validators().current.map(({ key }) => key)).toEqual([fresh]);
  expect(chain.faults()).toEqual([]);
  chain.add('ben', [message('bank.send', { to: who('cyd'), symbol: 'EXC', amount: exc, memo: '' })]);
  expect(chain.block().results.map(({ ok }) => ok)).toEqual([true]);
  expect(chain.faults()).toEqual([]);
  const taken = signerOf('ada/consensus').publicKey;
  expect(code(() => createTestChain(from(taken), [], { previous: rowsOf(old.db) }))).toBe('key_taken');
});
