import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { silentLogger } from '../../../src-shared/runtime.ts';
import { createSigner, deviceIdOf } from '../../identity/index.ts';
import type { FrameStream, Network } from '../../network/index.ts';
import { callBytes, encodeFrame, openBytes } from './frames.ts';
import type { ServiceAnswer, ServiceRequest } from './frames.ts';
import { checkInterface } from './interface.ts';
import { createOffers } from './offers.ts';
import { createServiceServer } from './server.ts';

const clock = { now: () => Date.now(), after: () => () => {} };
const methods = { count: { params: true, item: { type: 'integer' }, result: true } };
const definition = checkInterface({ name: 'Counter', methods });

/** A server, and one caller's end of a stream to it. */
function world() {
  const device = createSigner(new Uint8Array(randomBytes(32)));
  const self = deviceIdOf(createSigner(new Uint8Array(randomBytes(32))).publicKey);
  let serve: (stream: FrameStream) => Promise<void> = async () => {};
  const network = {
    peerId: self,
    cards: { userOf: () => 'exc1caller' },
    handle: (_: string, __: object, handler: typeof serve) => (serve = handler),
    unhandle() {},
    penalise() {},
  } as unknown as Network;
  const offers = createOffers(() => {});
  const credit = { check() {}, charge() {}, settle: async () => 0n };
  createServiceServer({ network, offers, credit, device: () => device, clock, logger: silentLogger });
  const frames: Uint8Array[] = [];
  let wake = (): void => {};
  let heard: (answer: ServiceAnswer) => void = () => {};
  const stream = {
    peer: deviceIdOf(device.publicKey),
    async read() {
      while (frames.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return frames.shift()!;
    },
    async send(bytes: Uint8Array) {
      heard(JSON.parse(Buffer.from(bytes).toString()) as ServiceAnswer);
      await new Promise((resolve) => setImmediate(resolve));
    },
    abort() {},
    async close() {},
  } as unknown as FrameStream;
  void serve(stream);
  const key = createSigner(new Uint8Array(randomBytes(32)));
  const send = (message: ServiceRequest): void => {
    frames.push(encodeFrame(message));
    wake();
  };
  const opened = {
    ...{ user: 'exc1caller', app: null, key: Buffer.from(key.publicKey).toString('hex') },
    expires: Date.now() + 60_000,
  };
  const vouched = Buffer.from(device.sign(openBytes(self, opened))).toString('base64url');
  send({ jsonrpc: '2.0', id: 0, method: 'open', params: { v: 1, ...opened, sig: vouched } });
  return {
    offers,
    cancel: (id: number) => send({ jsonrpc: '2.0', method: 'cancel', params: { id } }),
    /** Calls, and resolves with the first answer to that call that `wanted` takes. */
    call(id: number, wanted: (answer: ServiceAnswer) => boolean): Promise<ServiceAnswer> {
      const unsigned = {
        ...{
          owner: 'exc1owner',
          service: 'counter',
          interface: definition.hash,
          method: 'count',
          params: {},
        },
        ...{ nonce: randomBytes(16).toString('hex'), deadline: Date.now() + 60_000, maxFee: null },
      };
      const sig = Buffer.from(key.sign(callBytes(self, unsigned))).toString('base64url');
      return new Promise((resolve) => {
        heard = (answer) => {
          const of = 'method' in answer ? answer.params.id : answer.id;
          if (of === id && wanted(answer)) resolve(answer);
        };
        send({ jsonrpc: '2.0', id, method: 'call', params: { ...unsigned, sig } });
      });
    },
    until: (id: number) =>
      new Promise<void>((resolve) => {
        heard = (answer) => {
          if ('error' in answer && answer.id === id) resolve();
        };
      }),
  };
}

it('gives back the place of a call that its caller left in the middle', async () => {
  const { offers, call, cancel, until } = world();
  let left = 0;
  offers.add({
    ...{ owner: 'exc1owner', slug: 'counter', title: 'Counter', text: '', interface: definition },
    ...{ price: null, app: null },
    async *run() {
      try {
        for (let n = 0; ; n += 1) yield n;
      } finally {
        left += 1;
      }
    },
  });
  // One person may have 64 calls under way.
  for (let id = 1; id <= 70; id += 1) {
    expect(await call(id, () => true)).toMatchObject({ method: 'item', params: { value: 0 } });
    const ended = until(id);
    cancel(id);
    await ended;
  }
  expect(left).toBe(70);
});

it('answers at most so many calls of one person at a time', async () => {
  const { offers, call } = world();
  offers.add({
    ...{ owner: 'exc1owner', slug: 'counter', title: 'Counter', text: '', interface: definition },
    ...{ price: null, app: null },
    async *run(_, signal) {
      yield 0;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return null;
    },
  });
  for (let id = 1; id <= 63; id += 1) expect(await call(id, () => true)).toMatchObject({ method: 'item' });
  await call(64, () => true);
  expect(await call(65, () => true)).toMatchObject({ error: { data: { code: 'rate_limited' } } });
});
