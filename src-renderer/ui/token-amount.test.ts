import { expect, test } from 'vitest';
import { amountParts, amountText, lessText } from './token-amount.ts';

test('amounts are grouped and cut, never rounded up', () => {
  expect(amountParts('1234567.9999', 'en-GB')).toEqual({ sign: '', whole: '1,234,567', fraction: '.999' });
  expect(amountParts('-40', 'en-GB')).toEqual({ sign: '\u2212', whole: '40', fraction: '.000' });
  expect(amountParts('+0.5', 'en-GB')).toEqual({ sign: '+', whole: '0', fraction: '.500' });
  expect(amountParts('5', 'en-GB', 0)).toEqual({ sign: '', whole: '5', fraction: '' });
  expect(amountText('340282366920938463463.374607431768211455', 'de-DE')).toBe(
    '340.282.366.920.938.463.463,374607431768211455',
  );
  expect(amountText('0.000001', 'en-GB')).toBe('0.000001');
});

test('takes one amount from another without losing a digit', () => {
  expect(lessText('999990000', '0.000563')).toBe('999989999.999437');
  expect(lessText('1', '1')).toBe('0');
  expect(lessText('0.5', '0.7')).toBe('0');
  expect(lessText('340282366920938463463374607431.768211455', '0.000000001')).toBe(
    '340282366920938463463374607431.768211454',
  );
  expect(lessText('10', '0')).toBe('10');
});
