import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeMessage, encodeMessage } from '../messages/index.ts';
import { decodeAnswer, decodeRequest, encodeFrame } from './frames.ts';
import type { ServiceRequest } from './frames.ts';
import { inOrder, rated, unrated } from './choice.ts';
import { canonicalJson, checkInterface, checkManifest, jsonHash } from './interface.ts';

const refused = (work: () => unknown): void =>
  expect(work).toThrow(expect.objectContaining({ name: 'AppError' }));
const adder = {
  name: 'Adder',
  methods: {
    add: {
      params: {
        type: 'object',
        properties: { a: { type: 'number' } },
        required: ['a'],
        additionalProperties: false,
      },
      result: { type: 'number' },
    },
    count: { params: { type: 'integer' }, item: { type: 'integer' }, result: { type: 'string' }, once: true },
  },
};

test('frames of services and messages of apps: any bytes answer with a value or an error', () => {
  const call: ServiceRequest = {
    jsonrpc: '2.0',
    id: 1,
    method: 'call',
    params: {
      owner: 'exc1x',
      service: 'adder',
      interface: '0'.repeat(64),
      method: 'add',
      params: { a: 1 },
      nonce: '0'.repeat(32),
      deadline: 5,
      maxFee: null,
      sig: 'A'.repeat(86),
    },
  };
  const good = encodeFrame(call);
  expect(decodeRequest(good)).toEqual(call);
  const message = {
    id: new Uint8Array(16),
    app: 'a'.repeat(52),
    from: 'exc1a',
    to: 'exc1b',
    time: 5,
    box: new Uint8Array(90),
  };
  const sealed = encodeMessage(message);
  expect(decodeMessage(sealed)).toEqual(message);
  for (const [bytes, decode] of [
    [good, decodeRequest],
    [good, decodeAnswer],
    [sealed, decodeMessage],
  ] as const) {
    for (let at = 0; at < bytes.length; at++) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] as number) ^ (1 << (at % 8));
      try {
        decode(changed);
      } catch (error) {
        expect(error).toMatchObject({ name: 'AppError' });
      }
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.json(), (bytes, json) => {
      for (const decode of [decodeRequest, decodeAnswer, decodeMessage]) {
        refused(() => decode(bytes));
        refused(() => decode(new TextEncoder().encode(json)));
      }
    }),
    { numRuns: 200, seed: 7 },
  );
  refused(() => decodeRequest(new Uint8Array(600_000)));
});

test('an interface: what fits, its one name, and what a stranger may not write into it', () => {
  const checked = checkInterface(adder);
  expect(checked.hash).toBe(
    jsonHash({ methods: { count: adder.methods.count, add: adder.methods.add }, name: 'Adder' }),
  );
  checked.check('add', 'params', { a: 1 });
  expect(() => checked.check('add', 'params', { a: '1' })).toThrow(
    expect.objectContaining({ code: 'invalid_argument' }),
  );
  expect(() => checked.check('add', 'result', 'x')).toThrow(expect.objectContaining({ code: 'malformed' }));
  expect(() => checked.method('toString')).toThrow(expect.objectContaining({ code: 'method_unknown' }));
  expect(checked.method('count')).toEqual({ streams: true, once: true });
  let deep: object = {};
  for (let n = 0; n < 60; n++) deep = { not: deep };
  for (const params of [
    { type: 'string', pattern: '(a+)+$' },
    { properties: { x: { uniqueItems: true } } },
    { $ref: 'https://example.org/x' },
    { $ref: '#/params' },
    { type: 'nothing' },
    { patternProperties: { '(a+)+$': true } },
    deep,
    { enum: ['x'.repeat(70_000)] },
  ]) {
    refused(() => checkInterface({ name: 'x', methods: { m: { params, result: true } } }));
  }
  for (const wrong of [null, 5, [], { name: 'x' }, { name: 'x', methods: {} }, { ...adder, more: 1 }]) {
    refused(() => checkInterface(wrong));
  }
  for (const wrong of [
    {},
    { slug: 'UP', title: 'x', interface: adder },
    { slug: 'x', title: '', interface: adder },
  ]) {
    refused(() => checkManifest(wrong));
  }
  expect(canonicalJson({ b: [1, { d: 1, c: 2 }], a: null })).toBe('{"a":null,"b":[1,{"c":2,"d":1}]}');
});

test('providers are tried by price, then by how fast and how surely they answer', () => {
  const one = (peer: string, more: object) => ({
    peer,
    rating: unrated,
    told: null,
    rtt: null,
    connected: true,
    price: null,
    ...more,
  });
  const names = (list: readonly { peer: string }[]): string => list.map(({ peer }) => peer).join('');
  const slow = one('s', { rtt: 200 });
  const near = one('n', { rtt: 5 });
  const paid = one('p', { rtt: 1, price: { symbol: 'EXC', amount: 5n } });
  const dear = one('d', { rtt: 1, price: { symbol: 'EXC', amount: 50n } });
  let failing = unrated;
  for (let n = 0; n < 10; n++) failing = rated(failing, false, 5);
  const broken = one('b', { rtt: 5, rating: failing });
  expect(names(inOrder([dear, paid, slow, broken, near]))).toBe('nsbpd');
  let good = failing;
  for (let n = 0; n < 30; n++) good = rated(good, true, 4);
  expect(names(inOrder([slow, { ...broken, rating: good }, near]))).toBe('bns');
  // What others say moves a provider that was never tried here, and no crowd of them one that was.
  const blamed = one('x', { rtt: 5, told: { success: 0.2, raters: 3 } });
  const praised = one('y', { rtt: 9, told: { success: 1, raters: 3 } });
  expect(names(inOrder([blamed, praised, near]))).toBe('nyx');
  const crowd = { success: 0, raters: 1000 };
  expect(names(inOrder([one('c', { rtt: 5, rating: good, told: crowd }), slow, broken]))).toBe('csb');
  const friends = { success: 1, raters: 1000 };
  expect(names(inOrder([{ ...broken, told: friends }, near]))).toBe('nb');
});
