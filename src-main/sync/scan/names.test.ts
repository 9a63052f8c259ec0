import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareUtf8, driveName, foldName, localName, type FsTraits } from './names.ts';

const plain: FsTraits = { caseInsensitive: false, windows: false };
const folding: FsTraits = { caseInsensitive: true, windows: false };
const windows: FsTraits = { caseInsensitive: true, windows: true };
const nothing = (): boolean => false;
const among =
  (...names: string[]) =>
  (candidate: string): boolean =>
    names.some((name) => foldName(name) === foldName(candidate));

test('a file system that can hold a name gets it as it is', () => {
  for (const name of ['CON', 'a:b', 'end. ', 'ÄB', 'new\nline']) {
    expect(localName(name, plain, among(name))).toBe(name);
  }
});

test('names that differ by case only stand side by side where case is ignored', () => {
  expect(localName('Read.me', folding, nothing)).toBe('Read.me');
  expect(localName('Read.me', folding, among('READ.ME'))).toBe('Read (2).me');
  expect(localName('Read.me', folding, among('read.me', 'read (2).me'))).toBe('Read (3).me');
  expect(localName('.hidden', folding, among('.HIDDEN'))).toBe('.hidden (2)');
});

test.each([
  ['CON', '_CON'],
  ['con.txt', '_con.txt'],
  ['COM¹', '_COM¹'],
  ['lpt9.tar.gz', '_lpt9.tar.gz'],
  ['console', 'console'],
  ['a<b>c:d"e|f?g*h\\i', 'a_b_c_d_e_f_g_h_i'],
  ['bell\u0007', 'bell_'],
  ['end.', 'end_'],
  ['end. .', 'end___'],
])('Windows gets %j as %j', (name, expected) => {
  expect(localName(name, windows, nothing)).toBe(expected);
});

test('whatever the name, Windows gets one it can hold that is not taken', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((name) => !name.includes('/')),
      fc.array(fc.string({ minLength: 1, maxLength: 4 })),
      (name, others) => {
        const taken = among(...others, name);
        const made = localName(name, windows, taken);
        expect(taken(made)).toBe(false);
        // eslint-disable-next-line no-control-regex -- what Windows forbids
        expect(made).not.toMatch(/[<>:"|?*\\\u0000-\u001f]|[. ]$/);
      },
    ),
    { seed: 20261122 },
  );
});

test('no file of a member comes to lie in the folder of the engine where case does not count', () => {
  const free = (): boolean => false;
  for (const name of ['.EXTRACHAIN', '.ExtraChain', '.extrachain']) {
    expect(localName(name, { caseInsensitive: true, windows: false }, free).toLowerCase()).not.toBe(
      '.extrachain',
    );
  }
  expect(localName('.EXTRACHAIN', { caseInsensitive: false, windows: false }, free)).toBe('.EXTRACHAIN');
});

test('the drive gets names in NFC, of at most 255 bytes', () => {
  expect(driveName('a\u0308')).toBe('ä');
  expect(driveName('x'.repeat(255))).toHaveLength(255);
  expect(() => driveName('ä'.repeat(128))).toThrow(expect.objectContaining({ code: 'name_unsupported' }));
});

test('strings are ordered as their UTF-8 bytes are', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      const bytes = Buffer.compare(Buffer.from(a.toWellFormed()), Buffer.from(b.toWellFormed()));
      expect(Math.sign(compareUtf8(a.toWellFormed(), b.toWellFormed()))).toBe(bytes);
    }),
    { seed: 20261122 },
  );
});
