import { describe, expect, it } from 'vitest';
import type { WireMessage } from '../../codec/index.ts';
import { day } from '../../codec/token-spec.ts';
import { addressOfName, createTestChain, testGenesis } from '../../testing.ts';
import type { TestChain } from '../../testing.ts';
import { message } from '../index.ts';
import type { MessageFields } from '../index.ts';
import { appHash } from './app.ts';
import { appsView, appView, reviewsView, revokedReason } from './app-views.ts';

const exc = 1_000_000n;
function funded(): TestChain {
  const chain = createTestChain(testGenesis());
  for (const name of ['ada', 'ben', 'cyd']) {
    const to = addressOfName(name);
    chain.add('founder', [message('bank.send', { to, symbol: 'EXC', amount: 1000n * exc, memo: '' })]);
  }
  chain.block();
  return chain;
}
function run(chain: TestChain, who: string, ...messages: readonly WireMessage[]): string {
  chain.add(who, messages);
  const { results } = chain.block();
  expect(chain.faults()).toEqual([]);
  return results[0]?.code ?? 'left out';
}
const release = (change: Partial<MessageFields<'app.publish'>> = {}) =>
  message('app.publish', {
    slug: 'tides',
    name: 'Tide maps',
    text: 'Times and heights',
    categories: ['places'],
    channel: 'stable',
    version: '1.0.0',
    root: new Uint8Array(32).fill(1),
    link: 'extrachain://drive/x',
    bytes: 1000,
    days: 2,
    ...change,
  });
const id = appHash(addressOfName('ada'), 'tides');
const view = (chain: TestChain) => appView(chain.ledger.state, id);

describe('the register of apps', () => {
  it('takes releases that are newer, under an id that only the publisher can have', () => {
    const chain = funded();
    expect(run(chain, 'ada', release({ days: 0 }))).toBe('invalid_argument');
    expect(run(chain, 'ada', release())).toBe('');
    expect(view(chain)).toMatchObject({ slug: 'tides', releases: [{ channel: 'stable', version: '1.0.0' }] });
    for (const version of ['1.0.0', '0.9.9', '1.0.0-beta.2', '1.0.0+build'])
      expect(run(chain, 'ada', release({ version, days: 0 }))).toBe('version_not_newer');
    expect(run(chain, 'ada', release({ version: '1.0.1', days: 0 }))).toBe('');
    expect(run(chain, 'ada', release({ version: '2.0.0-beta', channel: 'beta', days: 0 }))).toBe('');
    // Ben's app of that slug is another app.
    expect(run(chain, 'ben', release({ version: '9.0.0' }))).toBe('');
    expect(view(chain)?.releases.map((one) => one.version)).toEqual(['2.0.0-beta', '1.0.1']);
    expect(appsView(chain.ledger.state, () => true)).toHaveLength(2);
    for (const version of ['1', '1.0', '01.0.0', '1.0.0-', 'latest'])
      expect(() => release({ version })).toThrow('version');
  });

  it('keeps what was taken back and reviews when the entry ends, and begins anew without losing them', () => {
    const chain = funded();
    expect(run(chain, 'ben', message('app.review', { app: id, stars: 1, text: '', version: '1.0.0' }))).toBe(
      'app_unknown',
    );
    run(chain, 'ada', release());
    expect(run(chain, 'ben', message('app.revoke', { slug: 'tides', version: '1.0.0', reason: '' }))).toBe(
      'app_unknown',
    );
    const revoke = message('app.revoke', { slug: 'tides', version: '1.0.0', reason: 'It leaks.' });
    expect(run(chain, 'ada', revoke)).toBe('');
    expect(run(chain, 'ada', revoke)).toBe('already_exists');
    expect(view(chain)?.releases[0]?.revoked).toBe(true);
    const review = (stars: number, text = '') =>
      message('app.review', { app: id, stars, text, version: '1.0.0' });
    expect(run(chain, 'ada', review(5))).toBe('not_allowed');
    expect(run(chain, 'ben', review(5))).toBe('');
    expect(run(chain, 'ben', review(2, 'Not any more.'))).toBe('');
    expect(run(chain, 'cyd', review(3))).toBe('');
    expect(view(chain)?.rating).toEqual({ count: 2, stars: 5 });
    expect(reviewsView(chain.ledger.state, id, 10)).toMatchObject([{ stars: 3 }, { text: 'Not any more.' }]);

    chain.block({ after: 3 * day });
    expect(view(chain)).toBeNull();
    expect(chain.faults()).toEqual([]);
    expect(run(chain, 'ada', release())).toBe('release_revoked');
    expect(run(chain, 'ada', release({ version: '1.0.1' }))).toBe('');
    expect(view(chain)?.rating).toEqual({ count: 2, stars: 5 });
    expect(revokedReason(chain.ledger.state, id, '1.0.0')).toBe('It leaks.');
    expect(run(chain, 'ben', message('app.renew', { app: id, days: 30 }))).toBe('');
    chain.block({ after: 20 * day });
    expect(view(chain)).not.toBeNull();
    expect(run(chain, 'ada', message('app.remove', { slug: 'tides' }))).toBe('');
    expect(view(chain)).toBeNull();
    expect(run(chain, 'ada', message('app.remove', { slug: 'tides' }))).toBe('app_unknown');
  });

  it('bounds channels', () => {
    const chain = funded();
    for (const at of Array.from({ length: 8 }, (_, i) => i))
      expect(run(chain, 'ada', release({ channel: `c${at}` }))).toBe('');
    expect(run(chain, 'ada', release({ channel: 'c8' }))).toBe('too_many');
  });
});
