import { describe, expect, it } from 'vitest';
import { isAppError } from '../../src-shared/errors.ts';
import { withoutNames } from './resolve-names.ts';

const resolve = (name: string) => {
  const kind = name === 'photos' ? ('drive' as const) : ('person' as const);
  return { name, kind, target: `id of ${name}`, owner: 'o', paidUntil: '', holds: true };
};

describe('names in what is asked for', () => {
  it('give way to what they stand for, also inside of an act that is looked at', async () => {
    expect(await withoutNames({ user: '@ada', role: 'reader' }, resolve)).toEqual({
      user: 'id of ada',
      role: 'reader',
    });
    expect(await withoutNames({ act: 'send', input: { to: '@ada', memo: '@ada' } }, resolve)).toEqual({
      act: 'send',
      input: { to: 'id of ada', memo: '@ada' },
    });
    expect(await withoutNames({ link: '@photos' }, resolve)).toEqual({ link: 'id of photos' });
  });

  it('leave alone what is none', async () => {
    for (const input of [
      { user: 'exc1abc' },
      { to: 'a@b' },
      { memo: '@ada' },
      { user: '@A' },
      null,
      'x',
      [1],
    ]) {
      expect(await withoutNames(input, resolve)).toBe(input);
    }
  });

  it('refuse a drive where a person is meant', async () => {
    const error = await withoutNames({ to: '@photos' }, resolve).catch((one: unknown) => one);
    expect(isAppError(error, 'invalid_argument')).toBe(true);
  });
});
