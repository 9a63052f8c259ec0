import { expect, test } from 'vitest';
import { createRequestLimit, visitorOf } from './request-limit.ts';

test('requests of one address are bounded, those of another are not touched by it, and time heals', () => {
  let now = 0;
  const limit = createRequestLimit({ now: () => now, after: () => () => {} });
  const taken = (address: string, tries: number): number =>
    Array.from({ length: tries }, () => limit.take(address)).filter(Boolean).length;
  expect(taken('192.0.2.1', 1000)).toBe(300);
  expect(taken('192.0.2.2', 10)).toBe(10);
  now = 1000;
  expect(taken('192.0.2.1', 1000)).toBe(60);
  now = 1_000_000;
  expect(taken('192.0.2.1', 1000)).toBe(300);
  now = 0;
  expect(taken('192.0.2.1', 10)).toBe(0);
});

test('whoever has one IPv6 address of a network is the same visitor under all of them', () => {
  const one = ['2001:db8:0:7::1', '2001:db8:0:7:ffff:1:2:3', '2001:0db8:0000:0007::', '2001:db8::7:0:0:0:9'];
  expect(new Set(one.map(visitorOf))).toEqual(new Set(['2001:db8:0:7']));
  expect(visitorOf('2001:db8:0:8::1')).not.toBe(visitorOf('2001:db8:0:7::1'));
  expect(visitorOf('::1')).toBe('0:0:0:0');
  expect(visitorOf('fe80::1%eth0')).toBe('fe80:0:0:0');
  expect(visitorOf('::ffff:192.0.2.1')).toBe('192.0.2.1');
  expect(visitorOf('192.0.2.1')).toBe('192.0.2.1');
  const limit = createRequestLimit({ now: () => 0, after: () => () => {} });
  const taken = Array.from({ length: 1000 }, (_, n) => limit.take(`2001:db8:0:7::${n.toString(16)}`));
  expect(taken.filter(Boolean)).toHaveLength(300);
});

test('a range that is malformed is as if it were not there, and none goes beyond the file', async () => {
  const page = new URL('./page/sealed.js', import.meta.url).href;
  const { rangeOf } = (await import(page)) as { rangeOf(header: string | null, size: number): object };
  const all = { range: false, start: 0, end: 100 };
  for (const bad of [
    null,
    '',
    'bytes=',
    'bytes=-5',
    'bytes=5-2',
    'bytes=a-b',
    'bytes=1-2,4-5',
    'items=0-1',
    ' bytes=0-1',
  ])
    expect(rangeOf(bad, 100), String(bad)).toEqual(all);
  expect(rangeOf(`bytes=${'9'.repeat(40)}-`, 100)).toEqual(all);
  expect(rangeOf('bytes=0-', 100)).toEqual({ range: true, start: 0, end: 100 });
  expect(rangeOf('bytes=10-19', 100)).toEqual({ range: true, start: 10, end: 20 });
  expect(rangeOf('bytes=90-400', 100)).toEqual({ range: true, start: 90, end: 100 });
});
