import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linksAmong, parseDeepLink } from './deep-links.ts';
import { pagePolicy } from './headers.ts';
import { decideNavigation, externalUrl, indexUrl } from './navigation.ts';
import { mayOpen } from './openable.ts';
import { bytesOrigin, isBytesUrl, isPageUrl, pageOrigin } from './origins.ts';
import { findPageFile } from './page-files.ts';
import { decidePermission } from './permissions.ts';
import { isTrustedFrame } from './sender.ts';

/** Addresses that are nearly those of the page. */
const lookalikes = [
  'https://window/',
  'extrachain-app://window.evil/',
  'extrachain-app://evil/window',
  'extrachain-app://evil@window/',
  'extrachain-app://window:80/',
  'extrachain-app:window',
  'extrachain-apps://window/',
  'file:///index.html',
  'about:blank',
  'data:text/html,x',
  'blob:extrachain-app://window/1',
  '',
  'null',
];

describe('origins', () => {
  it('are told apart', () => {
    expect(isPageUrl(`${pageOrigin}/index.html#/files`)).toBe(true);
    expect(isPageUrl(pageOrigin)).toBe(true);
    for (const url of [...lookalikes, `${bytesOrigin}/bytes/x`]) expect(isPageUrl(url), url).toBe(false);
    expect(isBytesUrl(`${bytesOrigin}/bytes/x`)).toBe(true);
    expect(isBytesUrl(`${pageOrigin}/bytes/x`)).toBe(false);
  });
});

describe('navigation', () => {
  it('leaves the window on its page', () => {
    expect(decideNavigation(indexUrl, true)).toBe('stay');
    expect(decideNavigation(`${pageOrigin}/`, true)).toBe('stay');
  });

  it('saves what a link to bytes would show in place of the page', () => {
    expect(decideNavigation(`${bytesOrigin}/bytes/x`, true)).toBe('save');
  });

  it('denies everything else', () => {
    for (const url of [...lookalikes, `${pageOrigin}/other.html`, `${pageOrigin}/?x`]) {
      expect(decideNavigation(url, true), url).toBe('deny');
    }
    for (const url of [...lookalikes, indexUrl, `${bytesOrigin}/bytes/x`, 'https://example.org/']) {
      expect(decideNavigation(url, false), url).toBe('deny');
    }
  });

  it('hands only plain https addresses to the browser', () => {
    expect(externalUrl('https://example.org/a b')).toBe('https://example.org/a%20b');
    for (const url of [
      'http://example.org/',
      'https://good.example@evil.example/',
      'file:///etc/passwd',
      'smb://host/share',
      'ms-msdt:/id',
      'javascript:alert(1)',
      'extrachain://drive/x',
      'not an address',
      `https://example.org/${'x'.repeat(5000)}`,
    ]) {
      expect(externalUrl(url), url).toBe(null);
    }
  });

  it('never hands on another scheme, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl()), (text) => {
        expect(externalUrl(text) ?? 'https://').toMatch(/^https:\/\//);
      }),
      { seed: 5, numRuns: 500 },
    );
  });
});

describe('permissions', () => {
  it('are given for recording, copying and full screen to the page alone', () => {
    for (const permission of ['media', 'display-capture', 'clipboard-sanitized-write', 'fullscreen']) {
      expect(decidePermission({ permission, url: indexUrl, isMainFrame: true })).toBe(true);
      expect(decidePermission({ permission, url: indexUrl, isMainFrame: false })).toBe(false);
      expect(decidePermission({ permission, url: `${bytesOrigin}/bytes/x`, isMainFrame: true })).toBe(false);
      for (const url of lookalikes) {
        expect(decidePermission({ permission, url, isMainFrame: true })).toBe(false);
      }
    }
  });

  it('are denied otherwise, known or not', () => {
    const others = [
      'geolocation',
      'notifications',
      'clipboard-read',
      'usb',
      'openExternal',
      'fileSystem',
      'of-tomorrow',
    ];
    for (const permission of others) {
      expect(decidePermission({ permission, url: indexUrl, isMainFrame: true }), permission).toBe(false);
    }
  });
});

describe('senders', () => {
  it('are the page itself, in our own window', () => {
    expect(isTrustedFrame({ url: indexUrl, parent: null }, true)).toBe(true);
    expect(isTrustedFrame({ url: indexUrl, parent: null }, false)).toBe(false);
    expect(isTrustedFrame({ url: indexUrl, parent: {} }, true)).toBe(false);
    expect(isTrustedFrame(null, true)).toBe(false);
    for (const url of lookalikes) expect(isTrustedFrame({ url, parent: null }, true), url).toBe(false);
  });
});

describe('files of the page', () => {
  const root = path.resolve('/srv/page');

  it('are found under their folder, with their type', () => {
    expect(findPageFile(root, `${pageOrigin}/`)?.file).toBe(path.join(root, 'index.html'));
    expect(findPageFile(root, `${pageOrigin}/assets/a%20b.js?v=1#x`)).toEqual({
      file: path.join(root, 'assets', 'a b.js'),
      type: 'text/javascript; charset=utf-8',
    });
  });

  it('are nothing else', () => {
    for (const tail of [
      '/../secret.html',
      '/..%2fsecret.html',
      '/%2e%2e/secret.html',
      '/%2e%2e%2fsecret.html',
      '/..%5csecret.html',
      '/assets/%2e%2e/%2e%2e/secret.js',
      '/C:/secret.html',
      '/a%00.html',
      '/%E0%A4%A.html',
      '/%252e%252e/secret.html',
    ]) {
      const found = findPageFile(root, `${pageOrigin}${tail}`);
      // `URL` itself resolves plain dots: what is left lies inside, and does not exist.
      if (found) expect(path.relative(root, found.file), tail).not.toMatch(/^\.\./);
      else expect(found).toBe(null);
    }
    expect(findPageFile(root, `${pageOrigin}/..%2fsecret.html`)).toBe(null);
    expect(findPageFile(root, `${pageOrigin}/..%5csecret.html`)).toBe(null);
    expect(findPageFile(root, `${pageOrigin}/run.exe`)).toBe(null);
    expect(findPageFile(root, `${pageOrigin}/no-ending`)).toBe(null);
    expect(findPageFile(root, 'https://window/index.html')).toBe(null);
  });

  it('stay inside for any address', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '..',
        '.',
        '%2e',
        '%2f',
        '%5c',
        '/',
        '\\',
        '%00',
        'x.js',
        'index.html',
        '%252e',
        ':',
        '//',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const found = findPageFile(root, `${pageOrigin}/${pieces.join('')}`);
        if (found) expect(found.file.startsWith(root + path.sep)).toBe(true);
      }),
      { seed: 6, numRuns: 3000 },
    );
  });
});

describe('links from outside', () => {
  const good = 'extrachain://drive/bafyrei?at=%2Fip4%2F1.2.3.4%2Ftcp%2F4101';

  it('are read', () => {
    expect(parseDeepLink(` ${good}\n`)).toBe(good);
    expect(linksAmong(['/opt/app', '--flag', good, 'EXTRACHAIN://drive/x'])).toEqual([
      good,
      'extrachain://drive/x',
    ]);
    // Every kind of link that the node makes.
    for (const kind of ['drive', 'invite', 'open', 'stream', 'app', 'chain', 'sign', 'tx'])
      expect(parseDeepLink(`extrachain://${kind}/x`)).toBe(`extrachain://${kind}/x`);
  });

  it('are refused when they are not ours, of no known kind, or made to deceive', () => {
    for (const text of [
      'https://drive/x',
      'extrachain://settings/reset',
      'extrachain://drive',
      'extrachain://drive/',
      'extrachain://me@drive/x',
      'extrachain://drive:1/x',
      'extrachain:drive/x',
      `extrachain://drive/${String.fromCodePoint(0x202e)}x`,
      'extrachain://drive/a\nb',
      `extrachain://drive/${'x'.repeat(9000)}`,
      '--extrachain://drive/x',
    ]) {
      expect(parseDeepLink(text), text).toBe(null);
    }
    expect(linksAmong(Array.from({ length: 9 }, () => good))).toHaveLength(4);
  });

  it('never throw, and come out as they would be read again', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `extrachain://drive/${text}`),
        ),
        (text) => {
          const link = parseDeepLink(text);
          if (link !== null) expect(parseDeepLink(link)).toBe(link);
        },
      ),
      { seed: 7, numRuns: 2000 },
    );
  });
});

describe('files to open', () => {
  it('are documents, never programs', () => {
    for (const name of ['a.pdf', 'photo.JPG', 'notes.txt', 'no-ending', 'archive.tar.gz']) {
      expect(mayOpen(name, 0o644, 'linux'), name).toBe(true);
    }
    for (const name of [
      'a.exe',
      'a.PDF.EXE',
      'a.desktop',
      'a.sh',
      'a.lnk',
      'a.app',
      'a.exe.',
      'a.exe ',
      'x.AppImage',
      'a.url',
    ]) {
      expect(mayOpen(name, 0o644, 'win32'), name).toBe(false);
    }
    expect(mayOpen('tool', 0o755, 'linux')).toBe(false);
    expect(mayOpen('photo.jpg', 0o777, 'linux')).toBe(true);
  });
});

it('lets the page load its own files and look at bytes, and nothing of the network', () => {
  // A live stream is put together in memory: such addresses are for video and sound only.
  const [media] = pagePolicy.split('; ').filter((rule) => rule.startsWith('media-src'));
  expect(media).toBe('media-src blob: extrachain-bytes:');
  expect(pagePolicy.replace(media!, '')).not.toMatch(/unsafe|https?:|\*|data:|blob:/);
  for (const rule of [
    "default-src 'none'",
    "object-src 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ]) {
    expect(pagePolicy).toContain(rule);
  }
});
