import { describe, expect, it } from 'vitest';
import type { WireMessage } from '../../codec/index.ts';
import { day } from '../../codec/token-spec.ts';
import { addressOfName, createTestChain, testGenesis } from '../../testing.ts';
import type { TestChain } from '../../testing.ts';
import { message } from '../index.ts';
import { account, balanceOf } from '../value.ts';
import { nameOfAccount, resolveName } from './views.ts';
import { graceMs, nameClaim, nameRent } from './name.ts';
import { serviceKey, services } from './service.ts';

const exc = 1_000_000n;
const salt = new Uint8Array(32).fill(7);
function run(chain: TestChain, name: string, ...msgs: readonly WireMessage[]): string {
  chain.add(name, msgs);
  const { results } = chain.block();
  expect(chain.faults()).toEqual([]);
  return results[0]?.code ?? 'left out';
}
const commit = (who: string, name: string) =>
  message('name.commit', { hash: nameClaim(name, addressOfName(who), salt) });
const reveal = (name: string, days = 30, kind: 'person' | 'drive' = 'person', target = '') =>
  message('name.reveal', { name, salt, kind, target, days });
const have = (chain: TestChain, name: string): bigint =>
  balanceOf(chain.ledger.state, account(addressOfName(name)), 'EXC');

function funded(): TestChain {
  const chain = createTestChain(testGenesis());
  for (const name of ['ada', 'ben']) {
    chain.add('founder', [
      message('bank.send', { to: addressOfName(name), symbol: 'EXC', amount: 1000n * exc, memo: '' }),
    ]);
  }
  chain.block();
  return chain;
}
const resolve = (chain: TestChain, name: string) =>
  resolveName(chain.ledger.state, name, chain.ledger.last().time);

describe('names', () => {
  it('are claimed blindly, revealed in a later block, and paid by their length and days', () => {
    const chain = funded();
    expect(run(chain, 'ada', reveal('harbour'))).toBe('claim_unknown');
    expect(run(chain, 'ada', commit('ada', 'harbour'), reveal('harbour'))).toBe('claim_too_new');
    expect(run(chain, 'ada', commit('ada', 'harbour'))).toBe('');
    expect(run(chain, 'ada', commit('ada', 'harbour'))).toBe('already_exists');
    // Ben saw the claim and copies it: it is bound to Ada's account.
    expect(run(chain, 'ben', reveal('harbour'))).toBe('claim_unknown');
    const before = have(chain, 'ada');
    expect(run(chain, 'ada', reveal('harbour'))).toBe('');
    expect(before - have(chain, 'ada')).toBeGreaterThan(
      nameRent(chain.genesis.params.rentPerDay, 'harbour', 30),
    );
    expect(resolve(chain, 'harbour')).toMatchObject({ kind: 'person', owner: addressOfName('ada') });
    expect(nameOfAccount(chain.ledger.state, addressOfName('ada'), chain.ledger.last().time)).toBe('harbour');
    expect(run(chain, 'ben', commit('ben', 'harbour'))).toBe('');
    expect(run(chain, 'ben', reveal('harbour'))).toBe('name_taken');
    expect(nameRent(10n, 'abc', 2)).toBe(320n);
    for (const bad of ['ab', 'Ada', 'ada-', 'a_b', 'ädä', 'a'.repeat(33), ''])
      expect(() => reveal(bad)).toThrow('a name of 3 to 32');
    expect(() => reveal('harbour', 1, 'drive', '')).toThrow('points at');
    expect(() => reveal('harbour', 1, 'person', 'x')).toThrow('points at');
  });

  it('are handed on, turned elsewhere and renewed, and end by themselves', () => {
    const chain = funded();
    run(chain, 'ada', commit('ada', 'photos'));
    expect(run(chain, 'ada', reveal('photos', 10, 'drive', 'bafydrive'))).toBe('');
    expect(run(chain, 'ben', message('name.transfer', { name: 'photos', to: addressOfName('ben') }))).toBe(
      'not_owner',
    );
    expect(run(chain, 'ben', message('name.point', { name: 'photo', kind: 'app', target: 'x' }))).toBe(
      'name_unknown',
    );
    expect(run(chain, 'ada', message('name.point', { name: 'photos', kind: 'person', target: '' }))).toBe('');
    expect(nameOfAccount(chain.ledger.state, addressOfName('ada'), chain.ledger.last().time)).toBe('photos');
    expect(run(chain, 'ada', message('name.transfer', { name: 'photos', to: addressOfName('ben') }))).toBe(
      '',
    );
    expect(nameOfAccount(chain.ledger.state, addressOfName('ada'), chain.ledger.last().time)).toBeNull();
    expect(nameOfAccount(chain.ledger.state, addressOfName('ben'), chain.ledger.last().time)).toBe('photos');
    expect(run(chain, 'ada', message('name.renew', { name: 'photos', days: 3650 }))).toBe('too_far_ahead');
    expect(run(chain, 'ada', message('name.renew', { name: 'photos', days: 10 }))).toBe('');
    chain.block({ after: 20 * day });
    // Over, but nobody else's yet.
    expect(resolve(chain, 'photos')).toBeNull();
    expect(run(chain, 'ben', message('name.point', { name: 'photos', kind: 'app', target: 'x' }))).toBe(
      'name_expired',
    );
    run(chain, 'ada', commit('ada', 'photos'));
    expect(run(chain, 'ada', reveal('photos'))).toBe('name_taken');
    expect(run(chain, 'ben', message('name.renew', { name: 'photos', days: 1 }))).toBe('');
    expect(resolve(chain, 'photos')?.owner).toEqual(addressOfName('ben'));
    chain.block({ after: graceMs + 2 * day });
    expect(chain.faults()).toEqual([]);
    expect(run(chain, 'ben', message('name.renew', { name: 'photos', days: 1 }))).toBe('name_unknown');
    expect(nameOfAccount(chain.ledger.state, addressOfName('ben'), chain.ledger.last().time)).toBeNull();
    run(chain, 'ada', commit('ada', 'photos'));
    expect(run(chain, 'ada', reveal('photos'))).toBe('');
    // A claim is open for a day.
    run(chain, 'ada', commit('ada', 'later'));
    chain.block({ after: day + 1 });
    expect(run(chain, 'ada', reveal('later'))).toBe('claim_unknown');
  });
});

describe('services', () => {
  it('stand in the registry while their rent is paid', () => {
    const chain = funded();
    const service = {
      slug: 'translate',
      title: 'Translations',
      text: 'of short texts',
      schema: new Uint8Array(32),
      peers: ['/ip4/127.0.0.1/tcp/1'],
      price: { symbol: 'EXC', amount: 5n },
      pool: null,
      days: 2,
    };
    const nowhere = { a: 'EXC', b: 'AAA', feeBp: 30 };
    expect(run(chain, 'ada', message('service.register', { ...service, pool: nowhere }))).toBe(
      'pool_unknown',
    );
    expect(
      run(chain, 'ada', message('service.register', { ...service, price: { symbol: 'ZZ', amount: 1n } })),
    ).toBe('token_unknown');
    expect(run(chain, 'ada', message('service.register', service))).toBe('');
    expect(run(chain, 'ada', message('service.register', { ...service, title: 'Better', days: 1 }))).toBe('');
    const row = () => chain.ledger.state.get(services, serviceKey(addressOfName('ada'), 'translate'));
    expect(row()?.title).toBe('Better');
    expect(run(chain, 'ben', message('service.remove', { slug: 'translate' }))).toBe('not_found');
    chain.block({ after: 2 * day });
    expect(row()).not.toBeNull();
    chain.block({ after: 1.5 * day });
    expect(row()).toBeNull();
    expect(chain.faults()).toEqual([]);
    expect(run(chain, 'ada', message('service.register', service))).toBe('');
    expect(run(chain, 'ada', message('service.remove', { slug: 'translate' }))).toBe('');
  });
});
