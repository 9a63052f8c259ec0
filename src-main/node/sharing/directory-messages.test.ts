import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSigner, deviceIdOf } from '../../identity/index.ts';
import {
  announce,
  decodeDirectory,
  encodeDirectory,
  isSigned,
  readAnnouncement,
} from './directory-messages.ts';

const signer = createSigner(new Uint8Array(32).fill(7));
const device = deviceIdOf(signer.publicKey);
const driveId = `b${'a'.repeat(58)}`;
const said = {
  driveId,
  name: 'Old films',
  files: 3,
  bytes: 5_000_000,
  time: 1_795_000_000_000,
  addresses: [`/ip4/127.0.0.2/tcp/1/p2p/${device}`],
};
const signed = announce(signer, said);

describe('announcements of public drives', () => {
  test('are read as they were written, and signed by the device they name', () => {
    const read = readAnnouncement(signed);
    expect(read).toMatchObject({ ...said, device });
    expect(isSigned(read)).toBe(true);
  });

  test('altered anywhere they are refused, or not signed', () => {
    fc.assert(
      fc.property(fc.nat(signed.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bytes = Uint8Array.from(signed);
        bytes[at] = (bytes[at] as number) ^ flip;
        try {
          expect(isSigned(readAnnouncement(bytes))).toBe(false);
        } catch (error) {
          expect(error).toMatchObject({ name: 'AppError' });
        }
      }),
      { numRuns: 300, seed: 4 },
    );
  });

  test('with a name that could pass for another, or addresses of another device, are malformed', () => {
    for (const wrong of [
      { name: 'a\u202eb' },
      { name: 'x'.repeat(256) },
      { addresses: ['/ip4/127.0.0.2/tcp/1/p2p/12D3KooWSsMmj5GDmKVjBesqKuQ2eeywqYmssGsYLAS6RQuEbNcS'] },
      { driveId: 'nothing' },
      { files: -1 },
    ]) {
      const bytes = announce(signer, { ...said, ...wrong });
      expect(() => readAnnouncement(bytes)).toThrow(expect.objectContaining({ code: 'malformed' }));
    }
  });
});

test('questions and answers are read back; foreign bytes end in an error of ours', () => {
  for (const message of [
    { t: 'ask', list: '', after: 0 },
    { t: 'have', list: 'ab', upTo: 9, announcements: [signed] },
  ] as const)
    expect(decodeDirectory(encodeDirectory(message))).toEqual(message);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (const decode of [decodeDirectory, readAnnouncement])
        expect(() => decode(bytes)).toThrow(expect.objectContaining({ name: 'AppError' }));
    }),
    { numRuns: 500, seed: 5 },
  );
});
