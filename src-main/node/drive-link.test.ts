import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { create } from 'multiformats/hashes/digest';
import { isAppError } from '../../src-shared/errors.ts';
import { formatDriveLink, parseDriveLink } from './drive-link.ts';

const id = CID.createV1(0x71, create(0x12, new Uint8Array(32).fill(7))).toString();

describe('drive links', () => {
  it('reads what it writes', () => {
    const link = { driveId: id, addresses: ['/ip4/127.0.0.2/tcp/4001', '/ip6/::1/tcp/1'], power: null };
    expect(parseDriveLink(formatDriveLink(link))).toEqual(link);
    const withChain = { ...link, chain: 'harbour-0123456789abcdef' };
    expect(parseDriveLink(formatDriveLink(withChain))).toEqual(withChain);
    expect(parseDriveLink(` ${id}\n`)).toEqual({ driveId: id, addresses: [], power: null });
  });

  it.each([
    { t: 'invite', secret: new Uint8Array(16).fill(3) } as const,
    { t: 'read', secret: new Uint8Array(32).fill(9) } as const,
    { t: 'read', secret: null } as const,
  ])('tells a link that was cut short or altered: %j', (power) => {
    const addresses = ['/ip4/127.0.0.2/tcp/4001/p2p-circuit', '/ip6/::1/tcp/1'];
    const link = { driveId: id, addresses, power, chain: 'harbour-0123456789abcdef' };
    const text = formatDriveLink(link);
    expect(parseDriveLink(text)).toEqual(link);
    const from = text.indexOf(id) + id.length;
    for (let end = from; end < text.length; end++) {
      expect(() => parseDriveLink(text.slice(0, end)), text.slice(0, end)).toThrowError(
        expect.objectContaining({ code: 'link_cut_short' }),
      );
    }
    for (let at = text.indexOf('#') + 1; at < text.length; at++) {
      if (text[at] === '.') continue;
      const altered = `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
      expect(() => parseDriveLink(altered), altered).toThrowError(
        expect.objectContaining({ code: 'link_altered' }),
      );
    }
    const other = text.replace('127.0.0.2', '127.0.0.9');
    const elsewhere = text.replace('harbour-', 'another-');
    for (const altered of [
      other,
      elsewhere,
      text.replace('&chain=harbour-0123456789abcdef', ''),
      `${text}A`,
      `${text}.x`,
    ]) {
      expect(() => parseDriveLink(altered)).toThrowError(expect.objectContaining({ code: 'link_altered' }));
    }
  });

  it.each([
    '',
    'hello',
    'https://example.org/',
    `extrachain://stream/${id}`,
    'extrachain://drive/nope',
    `extrachain://drive/${id}?at=zzz`,
    `extrachain://drive/${id}?chain=No%20Chain`,
  ])('refuses %j with a clear error', (text) =>
    expect(() => parseDriveLink(text)).toThrowError(expect.objectContaining({ code: 'invalid_argument' })),
  );

  it('never throws anything but an AppError', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((s) => `extrachain://drive/${s}`),
          fc.string().map((s) => `extrachain://open/${id}?at=${s}#${s}`),
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
