import { describe, expect, it } from 'vitest';
import { decodeTx } from '../../ledger/index.ts';
import { signedBytes } from '../provider/index.ts';
import { parseSignIn, signInText, type SignIn } from './sign-in.ts';

const app = 'a'.repeat(52);
const full: SignIn = {
  domain: app,
  address: `exc1${'q'.repeat(58)}`,
  statement: 'Sign in to leave a comment.',
  uri: `exc-app://${app}/`,
  chainId: 'home-0123abcd',
  nonce: 'n0nce123',
  issuedAt: '2026-11-26T22:00:00.000Z',
  expirationTime: '2026-11-27T22:00:00.000Z',
  notBefore: '2026-11-26T22:00:00.000Z',
  requestId: 'r-1',
  resources: ['https://example.org/a', 'extrachain://drive/x'],
};
const { domain, address, uri, chainId, nonce, issuedAt } = full;
const least: SignIn = { domain, address, uri, chainId, nonce, issuedAt };

describe('a sign-in', () => {
  it('is laid out as EIP-4361 says', () => {
    expect(signInText(least)).toBe(
      `${app} wants you to sign in with your ExtraChain account:\n${address}\n\n\n` +
        `URI: exc-app://${app}/\nVersion: 1\nChain ID: home-0123abcd\nNonce: n0nce123\nIssued At: 2026-11-26T22:00:00.000Z`,
    );
  });

  it('is read back as it was written, with every field and with none', () => {
    expect(parseSignIn(signInText(full))).toEqual(full);
    expect(parseSignIn(signInText(least))).toEqual(least);
  });

  it.each([
    ['a line break in the statement', { statement: 'a\nURI: exc-app://evil/' }],
    ['a letter outside of ASCII', { statement: 'sígn' }],
    ['a carriage return', { requestId: 'a\rb' }],
  ])('is not written with %s', (_, change) => {
    expect(() => signInText({ ...full, ...change })).toThrow(/printable/);
  });

  it.each([
    ['nothing', () => ''],
    ['another domain than its URI', (text: string) => text.replace(app, 'b'.repeat(52))],
    ['a domain of the web', (text: string) => text.replaceAll(app, 'example.org')],
    ['another version', (text: string) => text.replace('Version: 1', 'Version: 2')],
    ['a missing nonce', (text: string) => text.replace(/Nonce: .*\n/, '')],
    ['a short nonce', (text: string) => text.replace(/Nonce: .*/, 'Nonce: abc')],
    ['a nonce twice', (text: string) => text.replace(/(Nonce: .*\n)/, '$1$1')],
    ['fields in another order', (text: string) => text.replace(/(Chain ID: .*\n)(Nonce: .*\n)/, '$2$1')],
    ['a time that is none', (text: string) => text.replace(/Issued At: .*/, 'Issued At: yesterday')],
    ['a statement of two lines', (text: string) => text.replace('Sign in to', 'Sign in\nto')],
    ['more after its end', (text: string) => `${text}\nTo: somebody`],
    ['an empty line at its end', (text: string) => `${text}\n`],
    ['a line of Windows', (text: string) => text.replace('Version: 1', 'Version: 1\r')],
    ['a resource that is no address', (text: string) => text.replace('- https://example.org/a', '- nothing')],
    ['no account', (text: string) => text.replace(address, '0x1234')],
    ['space before a field', (text: string) => text.replace('URI:', ' URI:')],
    ['a letter that looks like another', (text: string) => text.replace('Nonce: n', 'Nonce: п')],
    ['a length without end', (text: string) => `${text}\n${'- https://example.org/\n'.repeat(2000)}`],
  ])('is not read from %s', (_, change) => {
    expect(() => parseSignIn(change(signInText(full)))).toThrow(
      expect.objectContaining({ code: 'malformed' }),
    );
  });

  it('can be no transaction, nor what a transaction is signed over', () => {
    for (const bytes of [
      new TextEncoder().encode(signInText(full)),
      signedBytes(app, new TextEncoder().encode(signInText(full))),
    ]) {
      expect(() => decodeTx(bytes)).toThrow();
      expect(Buffer.from(bytes).toString('latin1')).not.toMatch(/^extrachain ledger /);
    }
    // Whatever an app has signed, what is signed begins with the words that are for apps alone.
    const forged = signedBytes(app, new TextEncoder().encode('extrachain ledger tx v1\0'));
    expect(Buffer.from(forged).toString('latin1')).toMatch(/^extrachain app message v1\0/);
  });
});
