import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AppError } from '../../../src-shared/errors.ts';
import { formatChainLink, parseChainLink } from './chain-link.ts';

const chainId = 'harbour-0123456789abcdef';
const drive = 'bafyreihphg2j6pbjnxepmmkbzjgkumewvef3vsbgl42obst6noauyq3ouy';
const refused = (text: string): string => {
  try {
    parseChainLink(text);
    return 'read';
  } catch (error) {
    return (error as AppError).code;
  }
};

describe('links to networks', () => {
  test('are read as they were written, and so are links to drives that name one', () => {
    const link = { chainId, addresses: ['/ip4/127.0.0.2/tcp/4001'] };
    expect(parseChainLink(formatChainLink(link))).toEqual(link);
    expect(parseChainLink(` ${chainId} `)).toEqual({ chainId, addresses: [] });
    const at = encodeURIComponent('/ip4/127.0.0.2/tcp/4001');
    for (const host of ['drive', 'invite', 'open']) {
      const text = `extrachain://${host}/${drive}?at=${at}&chain=${chainId}#secret.check`;
      expect(parseChainLink(text)).toEqual(link);
    }
  });

  test('cut short, of drives without a network, or of something else: each with its code', () => {
    expect(refused(`extrachain://chain/${chainId.slice(0, -1)}`)).toBe('link_cut_short');
    expect(refused('harbour')).toBe('link_cut_short');
    expect(refused(`extrachain://drive/${drive}`)).toBe('invalid_argument');
    expect(refused(`extrachain://stream/x?chain=${chainId}`)).toBe('invalid_argument');
    expect(refused(`extrachain://chain/${chainId}?at=zzz`)).toBe('invalid_argument');
    fc.assert(fc.property(fc.oneof(fc.string(), fc.webUrl()), (text) => refused(text) !== 'undefined'));
  });
});
