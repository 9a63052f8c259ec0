import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeRelayAnswer,
  decodeRelayRequest,
  encodeRelayAnswer,
  encodeRelayRequest,
  mostRelayed,
} from './relay-messages.ts';

const drive = `b${'a'.repeat(58)}`;
const node = '0'.repeat(32);

test('requests and answers are read back', () => {
  for (const request of [
    { t: 'folder', drive, node, after: '' },
    { t: 'folder', drive, node, after: 'ä' },
    { t: 'file', drive, node },
    { t: 'block', drive, node, index: 3, id: 'ab'.repeat(32) },
  ] as const)
    expect(decodeRelayRequest(encodeRelayRequest(request))).toEqual(request);
  for (const answer of [
    { t: 'yes', bytes: 0 },
    { t: 'yes', bytes: mostRelayed },
    { t: 'no', code: 'not_found' },
  ] as const)
    expect(decodeRelayAnswer(encodeRelayAnswer(answer))).toEqual(answer);
});

test('more than may come, another drive than there can be, and foreign bytes end in an error of ours', () => {
  for (const wrong of [
    encodeRelayAnswer({ t: 'yes', bytes: mostRelayed + 1 }),
    encodeRelayAnswer({ t: 'no', code: 'no such code' as never }),
  ])
    expect(() => decodeRelayAnswer(wrong)).toThrow(expect.objectContaining({ code: 'malformed' }));
  for (const wrong of [
    { t: 'file', drive: 'x', node },
    { t: 'file', drive, node: '..' },
    { t: 'folder', drive, node, after: 'x'.repeat(256) },
    { t: 'block', drive, node, index: -1, id: 'ab'.repeat(32) },
    { t: 'block', drive, node, index: 1, id: 'ab' },
  ] as const)
    expect(() => decodeRelayRequest(encodeRelayRequest(wrong))).toThrow(
      expect.objectContaining({ code: 'malformed' }),
    );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const decode of [decodeRelayRequest, decodeRelayAnswer])
        expect(() => decode(bytes)).toThrow(expect.objectContaining({ name: 'AppError' }));
    }),
    { numRuns: 500, seed: 6 },
  );
});
