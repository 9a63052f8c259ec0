import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isAppError } from '../../src-shared/errors.ts';
import { createSigner, userIdOf } from '../identity/index.ts';
import { openDatabase } from '../store/index.ts';
import { decodeNames, encodeNames } from './people-messages.ts';
import { createPeople } from './people.ts';
import type { NameGiven } from './people.ts';

const users = [1, 2, 3].map((n) => userIdOf(createSigner(new Uint8Array(32).fill(n)).publicKey));
const given: fc.Arbitrary<NameGiven> = fc.record({
  user: fc.constantFrom(...users),
  name: fc.option(fc.constantFrom('Ada', 'Ben', 'Cleo')),
  time: fc.nat({ max: 4 }),
});

it('ends in the same names on every computer, whatever arrives in which order', () => {
  fc.assert(
    fc.property(fc.array(given, { maxLength: 20 }), fc.array(fc.nat(), { maxLength: 20 }), (names, order) => {
      const [one, two] = [createPeople(openDatabase(':memory:')), createPeople(openDatabase(':memory:'))];
      one.merge('me', names);
      const shuffled = names
        .map((each, i) => [order[i] ?? 0, each] as const)
        .sort(([a], [b]) => a - b)
        .map(([, each]) => each);
      for (const each of shuffled) two.merge('me', [each]);
      expect(two.page('me', '', 10)).toEqual(one.page('me', '', 10));
      expect(one.merge('me', two.page('me', '', 10))).toEqual([]);
    }),
    { seed: 41, numRuns: 100 },
  );
});

it('keeps the names of each identity apart, and an edit counts though the clock goes back', () => {
  const people = createPeople(openDatabase(':memory:'));
  const [user] = users as [string];
  people.name('', user, 'Before', 5);
  people.adopt('me');
  expect([people.list(''), people.list('me')]).toEqual([[], [{ userId: user, name: 'Before' }]]);
  people.name('me', user, 'Later', 1);
  people.name('other', user, 'Elsewhere', 1);
  expect(people.list('me')).toEqual([{ userId: user, name: 'Later' }]);
  const word = people.given('me', user)!;
  people.name('me', user, null, 2);
  // What another computer still says of before does not bring it back.
  expect(people.merge('me', [word])).toEqual([]);
  expect(people.list('me')).toEqual([]);
  expect(() => people.name('me', 'exc1nobody', 'X', 1)).toThrow(
    expect.objectContaining({ code: 'invalid_argument' }),
  );
});

it('names travel as they were written; foreign and damaged bytes end in an error of ours', () => {
  const frame = encodeNames(users.map((user, n) => ({ user, name: n === 1 ? null : `Name ${n}`, time: n })));
  expect(encodeNames(decodeNames(frame))).toEqual(frame);
  const tries = (bytes: Uint8Array): void => {
    try {
      decodeNames(bytes);
    } catch (error) {
      expect(isAppError(error)).toBe(true);
    }
  };
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (bytes, at, flip) => {
        tries(bytes);
        const damaged = Uint8Array.from(frame);
        damaged[at % frame.length]! ^= flip;
        tries(damaged);
      },
    ),
    { seed: 42, numRuns: 1000 },
  );
  const many = Array.from({ length: 300 }, () => ({ user: users[0]!, name: 'x', time: 1 }));
  expect(() => decodeNames(encodeNames(many))).toThrow(expect.objectContaining({ code: 'malformed' }));
});
