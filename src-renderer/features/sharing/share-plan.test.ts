import { expect, test } from 'vitest';
import { stepsOf } from './share-plan.ts';
import type { SharePlan } from './share-plan.ts';

const since = '2026-11-22T10:00:00.000Z';
const members = [
  { userId: 'me', role: 'owner', since, opened: true },
  { userId: 'ann', role: 'reader', since, opened: true },
  { userId: 'bob', role: 'editor', since, opened: false },
] as const;
const plan = (
  roles: [string, 'reader' | 'editor' | 'manager' | null][],
  visibility: SharePlan['visibility'] = null,
) => ({
  roles: new Map(roles),
  visibility,
});

test('what is as it was is no step', () => {
  expect(stepsOf(plan([]), members, 'private')).toEqual([]);
  expect(stepsOf(plan([['ann', 'reader']], 'private'), members, 'private')).toEqual([]);
  expect(stepsOf(plan([['nobody', null]]), members, 'private')).toEqual([]);
});

test('people go first, then the drive opens, then people come', () => {
  const steps = stepsOf(
    plan(
      [
        ['cy', 'reader'],
        ['ann', 'manager'],
        ['bob', null],
      ],
      'unlisted',
    ),
    members,
    'private',
  );
  expect(steps).toEqual([
    { do: 'unshare', user: 'bob' },
    { do: 'visibility', to: 'unlisted' },
    { do: 'share', user: 'cy', role: 'reader', was: null },
    { do: 'share', user: 'ann', role: 'manager', was: 'reader' },
  ]);
});
