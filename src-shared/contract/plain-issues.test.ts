import { expect, test } from 'vitest';
import { z } from './zod.ts';

test('what is wrong with an input is said in plain sentences, a schema’s own first', () => {
  const said = (schema: z.ZodType, value: unknown): string | undefined =>
    schema.safeParse(value).error?.issues[0]?.message;
  expect(said(z.string().min(1), '')).toBe('It is empty.');
  expect(said(z.string().max(3), 'four')).toBe('It may have 3 characters at the most.');
  expect(said(z.array(z.string()).min(1), [])).toBe('There has to be at least 1 of it.');
  expect(said(z.number().int().max(9), 10)).toBe('It may be 9 at the most.');
  expect(said(z.object({ a: z.boolean() }), { a: 'yes' })).toBe('It has to be true or false.');
  expect(said(z.object({ a: z.string() }), {})).toBe('It is missing.');
  expect(said(z.enum(['a', 'b', 'c']), 'd')).toBe('It has to be a, b or c.');
  expect(said(z.strictObject({}), { more: 1 })).toBe('It has fields that are not known: more.');
  expect(said(z.string().regex(/^a$/), 'b')).toBe('It is not written as it has to be.');
  expect(said(z.string().regex(/^a$/, 'It is an a.'), 'b')).toBe('It is an a.');
});
