import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src-shared/runtime.ts';
import { createSigner, deviceIdOf } from '../../identity/index.ts';
import type { DeviceId, Signer } from '../../identity/index.ts';
import type { FrameStream, Network } from '../../network/index.ts';
import { openDatabase } from '../../store/index.ts';
import { receiptBytes } from './frames.ts';
import type { Receipt, Use } from './frames.ts';
import { createServiceRatings, decodeRatingAnswer, decodeRatingQuestion } from './ratings.ts';
import { createServiceRecords } from './records.ts';

const clock = { now: () => 1_800_000_000_000, after: () => () => {} };
const hash = 'ab'.repeat(32);
type Handler = (stream: FrameStream) => Promise<void>;

/** Computers of people who are all connected to each other. */
function world() {
  const nodes = new Map<DeviceId, { user: string; handler: Handler }>();
  const asked: string[] = [];
  const penalised: string[] = [];
  function add(user: string, shares = true) {
    const device: Signer = createSigner(new Uint8Array(randomBytes(32)));
    const peer = deviceIdOf(device.publicKey);
    const records = createServiceRecords(openDatabase(':memory:'));
    const network = {
      peerId: peer,
      cards: { userOf: (id: DeviceId) => nodes.get(id)?.user ?? null },
      handle: (_: string, __: object, handler: Handler) => nodes.set(peer, { user, handler }),
      unhandle: () => nodes.delete(peer),
      penalise: (id: string) => penalised.push(id),
      peers: () =>
        [...nodes].flatMap(([peerId, one]) => (peerId === peer ? [] : [{ peerId, userId: one.user }])),
      async open(to: DeviceId) {
        asked.push(`${user} ${nodes.get(to)!.user}`);
        let toThem: Uint8Array | null = null;
        let answer: Uint8Array | null = null;
        return {
          send: async (frame: Uint8Array) => void (toThem = frame),
          async read() {
            const there = {
              peer,
              read: async () => toThem,
              send: async (frame: Uint8Array) => void (answer = frame),
              async close() {},
            };
            await nodes.get(to)!.handler(there as never);
            return answer;
          },
          async close() {},
          abort() {},
        };
      },
    } as unknown as Network;
    const ratings = createServiceRatings({
      ...{ network, records, clock, logger: silentLogger, user: () => user },
      ...{ device: () => device, shares: () => shares },
    });
    return { user, device, peer, records, ratings };
  }
  return { add, asked, penalised, nodes };
}
type Node = ReturnType<ReturnType<typeof world>['add']>;

function receiptFor(caller: Node, provider: Node, more: Partial<Receipt> = {}): Receipt {
  const body = {
    ...{
      owner: provider.user,
      service: 'adder',
      interface: hash,
      method: 'add',
      caller: caller.user,
      app: null,
    },
    ...{ nonce: '0'.repeat(32), params: hash, result: hash, items: 0, fee: null, time: clock.now() },
    ...more,
  };
  return { ...body, sig: Buffer.from(provider.device.sign(receiptBytes(body))).toString('base64url') };
}
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

/** A call that went like this, and the provider's word for it. */
async function rate(caller: Node, provider: Node, success: number): Promise<void> {
  caller.ratings.noteCall(provider.peer, receiptFor(caller, provider));
  while (caller.records.use(caller.user, provider.peer, hash) === null) await settle();
  caller.records.rate(provider.peer, hash, { success, ms: 5, calls: 9 }, clock.now());
}

describe('ratings of providers', () => {
  it('come from people who called them, once a person, and the middle one counts', async () => {
    const { add, asked } = world();
    const asker = add('exc1asker');
    const provider = add('exc1provider');
    const about = [{ peer: provider.peer, owner: provider.user }];
    for (const [name, success] of [
      ['one', 0.9],
      ['two', 0.8],
      ['liar', 0],
    ] as const)
      await rate(add(`exc1${name}`), provider, success);
    // A second computer of somebody who told already, one of the asker's own, and one that never called.
    await rate(add('exc1one'), provider, 0.1);
    await rate(add('exc1asker'), provider, 0.1);
    add('exc1idle').records.rate(provider.peer, hash, { success: 0, ms: 5, calls: 9 }, clock.now());
    await rate(add('exc1quiet', true), provider, 0.7);
    asked.length = 0;
    await asker.ratings.ask(hash, about);
    expect(asker.ratings.told(provider.peer, hash)).toEqual({ success: 0.75, raters: 4 });
    expect(asked.sort()).toEqual(
      ['idle', 'liar', 'one', 'quiet', 'two'].map((name) => `exc1asker exc1${name}`),
    );
    // The same is asked once.
    await asker.ratings.ask(hash, about);
    expect(asked).toHaveLength(5);
    expect(asker.ratings.told(provider.peer, 'cd'.repeat(32))).toBeNull();
  });

  it('are not told by who does not want to', async () => {
    const { add } = world();
    const asker = add('exc1asker');
    const provider = add('exc1provider');
    const silent = add('exc1silent', false);
    silent.records.keepUse(silent.user, provider.peer, {
      ...{ owner: provider.user, service: 'adder', interface: hash, caller: silent.user, day: 1 },
      sig: 'A'.repeat(86),
    });
    await asker.ratings.ask(hash, [{ peer: provider.peer, owner: provider.user }]);
    expect(asker.ratings.told(provider.peer, hash)).toBeNull();
  });

  it('count for nothing with a word that is made up, stale, of another or for oneself', async () => {
    const { add, penalised } = world();
    const asker = add('exc1asker');
    const provider = add('exc1provider');
    const honest = add('exc1honest');
    await rate(honest, provider, 0.2);
    const word = honest.records.use(honest.user, provider.peer, hash)!;
    const forged: (Use | { caller: string })[] = [
      { ...word, caller: 'exc1forger' },
      { ...word, day: word.day - 100, caller: 'exc1forger' },
      word,
      { ...word, sig: 'A'.repeat(86) },
    ];
    for (const use of forged) {
      const forger = add('exc1forger');
      forger.records.keepUse('exc1forger', provider.peer, use as Use);
      forger.records.rate(provider.peer, hash, { success: 1, ms: 1, calls: 9 }, clock.now());
      await asker.ratings.ask(hash, [{ peer: provider.peer, owner: provider.user }]);
      forger.ratings.stop();
    }
    expect(asker.ratings.told(provider.peer, hash)).toEqual({ success: 0.2, raters: 1 });
    // A provider's word is had with its own receipt alone, and for the person whom it names.
    const thief = add('exc1thief');
    thief.ratings.noteCall(provider.peer, receiptFor(honest, provider));
    thief.ratings.noteCall(provider.peer, { ...receiptFor(thief, provider), method: 'other' });
    await settle();
    expect(thief.records.use(thief.user, provider.peer, hash)).toBeNull();
    expect(penalised).toEqual([]);
  });

  it('cost who is not understood: any bytes answer with an error', async () => {
    const { add, nodes, penalised } = world();
    const asker = add('exc1asker');
    const provider = add('exc1provider');
    const odd = add('exc1odd');
    nodes.get(odd.peer)!.handler = async (stream) => {
      await stream.send(Buffer.from('{"ratings":[{"peer":"x","success":7}]}'));
    };
    await asker.ratings.ask(hash, [{ peer: provider.peer, owner: provider.user }]);
    expect(penalised).toEqual([odd.peer]);
    const question = { v: 1, ask: 'ratings', interface: hash, peers: ['x'] };
    const bytes = Buffer.from(JSON.stringify(question));
    expect(decodeRatingQuestion(bytes)).toEqual(question);
    for (const wrong of [
      { ...question, peers: [] },
      { ...question, peers: Array.from({ length: 33 }, () => 'x') },
      { ...question, ask: 'all' },
      { ...question, more: 1 },
    ]) {
      const frame = Buffer.from(JSON.stringify(wrong));
      expect(() => decodeRatingQuestion(frame)).toThrow(expect.objectContaining({ code: 'malformed' }));
      expect(() => decodeRatingAnswer(frame)).toThrow(expect.objectContaining({ code: 'malformed' }));
    }
    for (let at = 0; at < bytes.length; at++) {
      const changed = Uint8Array.from(bytes);
      changed[at] = changed[at]! ^ 0x80;
      expect(() => decodeRatingQuestion(changed)).toThrow(expect.objectContaining({ code: 'malformed' }));
    }
  });
});
