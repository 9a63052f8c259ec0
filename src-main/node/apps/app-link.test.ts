import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import { formatAppLink, isAppLink, parseAppLink } from './app-link.ts';

const appId = 'a'.repeat(51) + 'q';
const drive = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

describe('links of apps', () => {
  it('say what was put into them', () => {
    for (const path of ['', 'room/1', 'ä ö/?#&', '%2f'])
      for (const releases of [
        null,
        { drive, slug: 'tides', channel: 'stable' },
        { drive, slug: 'a', channel: 'beta' },
      ])
        expect(parseAppLink(formatAppLink({ appId, path, releases }))).toEqual({ appId, path, releases });
    expect(isAppLink(`extrachain://app/${appId}`)).toBe(true);
    expect(isAppLink(`extrachain://drive/${drive}`)).toBe(false);
  });

  it('are refused when they say nothing that can be', () => {
    const refuse = (text: string): string => {
      try {
        parseAppLink(text);
        return 'fine';
      } catch (error) {
        return isAppError(error) ? error.code : String(error);
      }
    };
    for (const bad of [
      '',
      'x',
      'https://app/',
      'extrachain://app/',
      'extrachain://app/short',
      `extrachain://app/${appId}?drive=x&slug=a`,
      `extrachain://app/${appId}?drive=${drive}`,
      `extrachain://app/${appId}/%ff`,
      `extrachain://drive/${appId}`,
    ])
      expect([bad, refuse(bad)]).toEqual([bad, 'invalid_argument']);
    expect(refuse(`extrachain://app/${appId}/${'x'.repeat(3000)}`)).toBe('too_large');
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const one of [text, `extrachain://app/${appId}${text}`, `extrachain://app/${text}`])
          expect(refuse(one)).toMatch(/^[a-z_]+$/);
      }),
      { numRuns: 100 },
    );
  });
});
