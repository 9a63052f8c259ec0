import type { Activity } from '../../../src-shared/contract/index.ts';
import type { Strings } from '../strings.ts';

/** Kinds of activity that a person who does something else is told of; files coming and going are not. */
const worth: ReadonlySet<string> = new Set([
  'conflict',
  'problem',
  'member',
  'device',
  'fork',
  'held',
  'live',
  'app',
]);

export interface Notice {
  readonly title: string;
  readonly body: string;
}

/** Whether somebody not looking at the window is to be told. */
export const isWorthANotice = (activity: Pick<Activity, 'kind'>): boolean => worth.has(activity.kind);

/**
 * One notice for what happened within a short time.
 * @param names of drives, by id
 * @returns null for nothing
 */
export function noticeOf(
  happened: readonly Pick<Activity, 'driveId' | 'message'>[],
  names: ReadonlyMap<string, string>,
  strings: Strings,
): Notice | null {
  const [first] = happened;
  if (!first) return null;
  const ids = new Set(happened.map((one) => one.driveId));
  const name = first.driveId === null ? undefined : names.get(first.driveId);
  const title = ids.size === 1 && name !== undefined ? name : 'ExtraChain';
  const messages = [...new Set(happened.map((one) => one.message))];
  if (messages.length <= 3) return { title, body: messages.join('\n') };
  return { title, body: [strings.events(happened.length), ...messages.slice(0, 2)].join('\n') };
}
