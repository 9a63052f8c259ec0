import { expect, test } from 'vitest';
import { passwordBits, passwordStrength } from './password-strength.ts';

test('what everybody uses is weak, however it is decorated', () => {
  for (const one of [
    '',
    'a',
    'password',
    'Passwort1',
    'qwertz123',
    '12345678901234567890',
    'aaaaaaaaaaaaaaaaaaaa',
  ])
    expect(passwordStrength(one), one).toBe('weak');
});

test('length counts for more than signs', () => {
  expect(passwordStrength('Tr0ub4dor')).toBe('fair');
  expect(passwordStrength('four lorries of damp sand')).toBe('good');
  expect(passwordBits('four lorries of damp sand')).toBeGreaterThan(passwordBits('X9$kQ!2z'));
});

test('more of anything never makes it weaker', () => {
  for (const start of ['correct horse', 'k4!Zq', 'Straße'])
    for (const more of [' battery', 'x', '7!', 'ß'])
      expect(passwordBits(start + more)).toBeGreaterThanOrEqual(passwordBits(start));
});
