import { describe, expect, it } from 'vitest';
import { readAppLink } from './app-link.ts';

const appId = 'abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst';
const link = `extrachain://app/${appId}`;

describe('links to pages of apps', () => {
  it('name an app and a page in it', () => {
    expect(readAppLink(` ${link} `)).toEqual({ appId, path: '', text: link });
    expect(readAppLink(`${link}/room/two%20words?slug=chat#x`)).toMatchObject({
      appId,
      path: 'room/two words',
    });
    expect(readAppLink(`${link}?slug=chat&drive=x`)).toMatchObject({
      path: '',
      text: `${link}?slug=chat&drive=x`,
    });
  });

  it('are nothing else', () => {
    for (const text of [
      '',
      `https://app/${appId}`,
      'extrachain://app/',
      'extrachain://app/short',
      `extrachain://open/${appId}`,
      `${link}/%ff`,
      `${link}/${'x'.repeat(9000)}`,
    ]) {
      expect(readAppLink(text), text.slice(0, 80)).toBeNull();
    }
  });
});
