import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeviceId } from '../../identity/index.ts';
import { userIdOfHash } from '../../identity/index.ts';
import type { WireMessage } from '../../ledger/index.ts';
import { accountView } from '../../ledger/index.ts';
import { addressOfName, createTestChain, signerOf, testGenesis } from '../../ledger/testing.ts';
import type { TestChain } from '../../ledger/testing.ts';
import { openDatabase } from '../../store/index.ts';
import { createAccountKeys } from './account-keys.ts';
import type { AccountKeys } from './account-keys.ts';
import { decodeKeyAnswer, encodeKeyRequest } from './key-messages.ts';

/** Questions for keys on a real state machine and a real database; only clock and network are not there. */

const phone = 'phone id' as DeviceId;
const terms = { scopes: ['bank.send'], caps: [{ symbol: 'EXC', amount: '5000000' }], expiry: 2 ** 45 };
const user = userIdOfHash(addressOfName('founder'));
let chain: TestChain;
let keys: AccountKeys;
let tick: (() => void) | null;
let answer: (stream: object) => Promise<void>;
let revokedAt: number | null;
let waiting: readonly object[];
let open: Parameters<AccountKeys['list']>[0];

/** What this computer answers the phone. */
async function ask(name: string, wanted: object = terms): Promise<unknown> {
  const { publicKey: key } = signerOf(name);
  const question = { t: 'ask' as const, chainId: chain.ledger.chainId, key, terms: { ...terms, ...wanted } };
  let said: unknown;
  await answer({
    peer: phone,
    read: async () => encodeKeyRequest(question),
    send: async (frame: Uint8Array) => void (said = decodeKeyAnswer(frame)),
    close: async () => undefined,
  });
  return said;
}
function allow(name: string): void {
  const record = keys.asked(open, phone, signerOf(name).publicKey);
  const told = keys.allowMessage(record, record.terms);
  keys.allowing(record);
  chain.add('founder', [told]);
  expect(chain.block().results.map(({ code }) => code)).toEqual(['']);
  keys.allowed(record, told);
}
/** Lets it look once for what is to be taken back. */
async function turn(): Promise<void> {
  const run = tick;
  tick = null;
  run?.();
  await new Promise((done) => setImmediate(done));
  await new Promise((done) => setImmediate(done));
  chain.block();
}
const inLedger = () => accountView(chain.ledger.state, addressOfName('founder')).keys.length;

beforeEach(() => {
  chain = createTestChain(testGenesis());
  [tick, revokedAt, waiting] = [null, null, []];
  const { ledger } = chain;
  open = {
    record: { chainId: ledger.chainId, provisional: false },
    delegatedKey: signerOf('this computer'),
    reader: {
      read: async (look: (view: object) => unknown) => look({ state: ledger.state, ...ledger.last() }),
    },
  } as unknown as typeof open;
  const node = {
    db: openDatabase(':memory:'),
    clock: {
      now: () => ledger.last().time,
      after(_: number, then: () => void) {
        tick = then;
        return () => (tick = null);
      },
    },
    events: { emit() {} },
    activity: { add: () => ({}) },
    logger: { debug() {} },
    network: {
      peers: () => [],
      cards: { userOf: () => user },
      handle(_: string, __: object, handler: typeof answer) {
        answer = handler;
      },
    },
    identity: {
      deviceId: 'desk id',
      userId: () => user,
      status: () => ({ linked: false }),
      devices: () => [{ deviceId: phone, name: 'phone', revokedAt }],
    },
  };
  const wallet = {
    user: () => user,
    waiting: async () => waiting,
    async send(_: unknown, { messages }: { messages: readonly WireMessage[] }) {
      chain.add('founder', messages);
      return new Uint8Array(32);
    },
  };
  keys = createAccountKeys(
    node as unknown as Parameters<typeof createAccountKeys>[0],
    { list: () => [open] } as unknown as Parameters<typeof createAccountKeys>[1],
    wallet as unknown as Parameters<typeof createAccountKeys>[2],
  );
});
afterEach(() => keys.stop());

describe('keys of a computer', () => {
  it('are all taken back with it, whatever it asked for since', async () => {
    await ask('first');
    allow('first');
    await ask('second');
    allow('second');
    await ask('third');
    expect(inLedger()).toBe(2);
    revokedAt = 1;
    keys.deviceRevoked(phone);
    await turn();
    await turn();
    expect(inLedger()).toBe(0);
    await turn();
    expect(await keys.list(open)).toEqual([]);
  });

  it('are taken back also when the ledger was told after the computer was cut off', async () => {
    await ask('first');
    const record = keys.asked(open, phone, signerOf('first').publicKey);
    const told = keys.allowMessage(record, terms);
    keys.allowing(record);
    revokedAt = 1;
    keys.deviceRevoked(phone);
    // It waits in the mempool: not there yet is not gone.
    waiting = [{}];
    await turn();
    chain.add('founder', [told]);
    chain.block();
    keys.allowed(record, told);
    expect(inLedger()).toBe(1);
    waiting = [];
    await turn();
    await turn();
    expect(inLedger()).toBe(0);
  });

  it('are named by the one who says yes: another key asked for meanwhile is not allowed', async () => {
    await ask('first');
    await ask('second');
    const of = (name: string) => () => keys.asked(open, phone, signerOf(name).publicKey);
    expect(of('first')).toThrow(expect.objectContaining({ code: 'request_changed' }));
    expect(of('second')().terms).toEqual(terms);
    keys.deny(open, phone);
    expect(of('first')).toThrow(expect.objectContaining({ code: 'not_found' }));
  });

  it('remember the terms that were signed, not those asked for since', async () => {
    await ask('first');
    const record = keys.asked(open, phone, signerOf('first').publicKey);
    const told = keys.allowMessage(record, record.terms);
    await ask('first', { caps: [{ symbol: 'EXC', amount: '9000000' }] });
    keys.allowed(record, told);
    expect(await ask('first')).toEqual({ t: 'asked', state: 'allowed' });
    expect((await keys.list(open))[0]?.terms).toEqual(terms);
  });

  it('are shown as asked for again on other terms, and taken back all at once by the name of their computer', async () => {
    await ask('first');
    allow('first');
    await ask('first', { caps: [] });
    await ask('second');
    allow('second');
    expect((await keys.list(open)).map(({ state }) => state).sort()).toEqual(['active', 'active', 'asked']);
    const view = { state: chain.ledger.state, ...chain.ledger.last() } as unknown as Parameters<
      AccountKeys['revokeMessages']
    >[1];
    const back = keys.revokeMessages(open, view, 'phone');
    expect(back).toHaveLength(2);
    chain.add('founder', back);
    chain.block();
    keys.revoking(open, 'phone');
    // Not until they are gone does a question count again.
    expect(await ask('second')).toEqual({ t: 'asked', state: 'denied' });
    await turn();
    expect(await keys.list(open)).toEqual([]);
    expect(await ask('second')).toEqual({ t: 'asked', state: 'waiting' });
  });
});
