import { describe, expect, it } from 'vitest';
import { userIdOfHash } from '../../identity/index.ts';
import type { ActorCard, UserId } from '../../identity/index.ts';
import { message, sha256 } from '../../ledger/index.ts';
import { addressOfName, createTestChain, testGenesis } from '../../ledger/testing.ts';
import { createCardWatch } from './card-watch.ts';

/** Cards against a real state machine; clock and network are not there. */
const user = userIdOfHash(addressOfName('founder'));

function setUp(shown: number, held: number) {
  const chain = createTestChain(testGenesis());
  const { ledger } = chain;
  const hash = sha256(new Uint8Array(1));
  chain.add('founder', [message('anchor.card', { number: 5, hash })]);
  expect(chain.block().results.map(({ code }) => code)).toEqual(['']);
  const handlers = new Map<string, (event: object) => void>();
  const told: { userId?: string }[] = [];
  let known = shown;
  let fire = (): void => {};
  const network = {
    on(name: string, handler: (event: object) => void) {
      handlers.set(name, handler);
      return () => handlers.delete(name);
    },
    cards: {
      get: () => ({ number: known }),
      userOf: () => user,
      // What others have.
      find: async () => ({ number: (known = Math.max(known, held)) }),
    },
  };
  const open = {
    record: { provisional: false },
    reader: {
      read: async (look: (view: object) => unknown) => look({ state: ledger.state, ...ledger.last() }),
    },
  };
  const watch = createCardWatch(
    {
      network,
      clock: {
        now: () => ledger.last().time,
        after(_: number, then: () => void) {
          fire = then;
          return () => {};
        },
      },
      events: { emit() {} },
      activity: { add: (one: { userId?: string }) => (told.push(one), one) },
      logger: { debug() {} },
    } as unknown as Parameters<typeof createCardWatch>[0],
    { current: () => open } as unknown as Parameters<typeof createCardWatch>[1],
  );
  const show = async (): Promise<void> => {
    handlers.get('card')?.({ card: { user } as { user: UserId } as ActorCard });
    fire();
    for (let i = 0; i < 4; i++) await new Promise((done) => setImmediate(done));
  };
  return { show, told, watch };
}

describe('cards that others show', () => {
  it('are told of once when they are older than the anchored one and nobody has a newer one', async () => {
    const { show, told, watch } = setUp(4, 4);
    await show();
    await show();
    expect(told).toMatchObject([{ kind: 'problem', userId: user }]);
    watch.stop();
  });

  it.each([
    ['is as new', 5, 5],
    ['is newer', 6, 6],
    ['was replaced by what others have', 4, 5],
  ])('are not told of when the card %s', async (_, shown, held) => {
    const { show, told, watch } = setUp(shown, held);
    await show();
    expect(told).toEqual([]);
    watch.stop();
  });
});
