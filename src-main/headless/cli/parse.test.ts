import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatBytes, formatSeconds, printable } from './format.ts';
import {
  parseHostPort,
  parseMoment,
  parseRate,
  parseSeconds,
  parseSettingValue,
  parseSize,
} from './parse.ts';

const now = Date.parse('2026-11-22T12:00:00.000Z');

describe('sizes', () => {
  it.each([
    ['0', 0],
    ['4096', 4096],
    ['500MB', 500_000_000],
    ['2GB', 2_000_000_000],
    ['2 gb', 2_000_000_000],
    ['1.5GiB', 1_610_612_736],
    ['7k', 7000],
    ['3KiB', 3072],
  ])('%s is %i bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(['', 'MB', '-1', '1e3', '5XB', '1iB', '99999999TB', '0x10', 'NaN'])('%j is none', (text) =>
    expect(() => parseSize(text)).toThrow(),
  );
});

describe('rates', () => {
  it.each([
    ['50Mbit', 6_250_000],
    ['50Mbit/s', 6_250_000],
    ['100kbps', 12_500],
    ['5MB', 5_000_000],
    ['5MB/s', 5_000_000],
    ['off', 'off'],
  ])('%s is %s bytes a second', (text, rate) => expect(parseRate(text)).toBe(rate));

  it.each(['0', '1bit', 'fast', '5MB/h'])('%j is none', (text) => expect(() => parseRate(text)).toThrow());
});

describe('moments', () => {
  it.each([
    ['30d', '2026-12-22T12:00:00.000Z'],
    ['12h', '2026-11-23T00:00:00.000Z'],
    ['90s', '2026-11-22T12:01:30.000Z'],
    ['2026-12-31T23:00Z', '2026-12-31T23:00:00.000Z'],
    ['2026-12-31T23:00:00+02:00', '2026-12-31T21:00:00.000Z'],
    ['2027-01-01', '2027-01-01T00:00:00.000Z'],
  ])('%s is %s', (text, moment) => expect(parseMoment(text, now)).toBe(moment));

  it.each(['', 'tomorrow', '30', '2026-13-01', '99999999999999d', '1 d'])('%j is none', (text) =>
    expect(() => parseMoment(text, now)).toThrow(),
  );
});

describe('other arguments', () => {
  it('reads seconds', () => {
    expect([parseSeconds('90'), parseSeconds('1.5'), parseSeconds('2m')]).toEqual([90, 1.5, 120]);
    for (const text of ['0', '-1', 'x', '']) expect(() => parseSeconds(text)).toThrow();
  });

  it('reads host and port', () => {
    expect(parseHostPort('127.0.0.1:0')).toEqual({ host: '127.0.0.1', port: 0 });
    expect(parseHostPort('[::1]:8080')).toEqual({ host: '::1', port: 8080 });
    for (const text of ['127.0.0.1', ':80', 'a:65536', 'a:b', '::1:80', 'http://a:80'])
      expect(() => parseHostPort(text), text).toThrow();
  });

  it('reads setting values as JSON where they are JSON', () => {
    expect(['true', '5', 'null', '["a"]', 'Laptop', '{"a":1}', '[1]'].map(parseSettingValue)).toEqual([
      true,
      5,
      null,
      ['a'],
      'Laptop',
      '{"a":1}',
      '[1]',
    ]);
  });

  it('answers any text with a value or a usage error', () => {
    const readers = [
      parseSize,
      parseRate,
      (text: string) => parseMoment(text, now),
      parseSeconds,
      parseHostPort,
    ];
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0159.kMGTiBbdhs/-:[]') })),
        (text) => {
          for (const reader of readers) {
            try {
              reader(text);
            } catch (error) {
              expect((error as Error).name).toBe('InvalidArgumentError');
            }
          }
        },
      ),
      { seed: 7, numRuns: 2000 },
    );
  });
});

describe('output for people', () => {
  it('counts in decimal units', () => {
    expect([0, 999, 1000, 999_499, 999_950, 1_234_567, 2e12].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '999 kB',
      '1.0 MB',
      '1.2 MB',
      '2.0 TB',
    ]);
  });

  it('says spans in two units', () => {
    expect([0, 59.9, 60, 3725, 90_061].map(formatSeconds)).toEqual([
      '0 s',
      '59 s',
      '1 min',
      '1 h 2 min',
      '1 d 1 h',
    ]);
  });

  it('lets no name move the cursor or turn the line around', () => {
    expect(printable('a\x1b[2Jb\nc\u202ed')).toBe('a\\u001b[2Jb\\u000ac\\u202ed');
  });
});
