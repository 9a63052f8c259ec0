import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { create } from 'multiformats/hashes/digest';
import { isAppError } from '../../src-shared/errors.ts';
import { formatDriveLink, parseDriveLink } from './drive-link.ts';

const id = CID.createV1(0x71, create(0x12, new Uint8Array(32).fill(7))).toString();

describe('drive links', () => {
  it('reads what it writes', () => {
    const link = { driveId: id, addresses: ['/ip4/127.0.0.2/tcp/4001', '/ip6/::1/tcp/1'] };
    expect(parseDriveLink(formatDriveLink(link))).toEqual(link);
    expect(parseDriveLink(` ${id}\n`)).toEqual({ driveId: id, addresses: [] });
  });

  it.each([
    '',
    'hello',
    'https://example.org/',
    `extrachain://stream/${id}`,
    'extrachain://drive/nope',
    `extrachain://drive/${id}?at=zzz`,
  ])('refuses %j with a clear error', (text) =>
    expect(() => parseDriveLink(text)).toThrowError(expect.objectContaining({ code: 'invalid_argument' })),
  );

  it('never throws anything but an AppError', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((s) => `extrachain://drive/${s}`),
        ),
        (text) => {
          try {
            parseDriveLink(text);
          } catch (error) {
            expect(isAppError(error)).toBe(true);
          }
        },
      ),
    );
  });
});
