import type { DriveMember, DriveVisibility } from '../../../src-shared/contract/index.ts';

/** Whether a text looks like a user ID; the node knows for certain. */
export const isUserId = (text: string): boolean => /^exc1[02-9ac-hj-np-z]{20,100}$/.test(text);

export type Grant = 'reader' | 'editor' | 'manager';

/** What the dialog is about to change: nothing of it happens before it is saved. */
export interface SharePlan {
  /** User to the role they shall have; null: taken out. Also people who are not members yet. */
  readonly roles: ReadonlyMap<string, Grant | null>;
  /** null: stays as it is. */
  readonly visibility: DriveVisibility | null;
}

export type ShareStep =
  | { readonly do: 'share'; readonly user: string; readonly role: Grant; readonly was: string | null }
  | { readonly do: 'unshare'; readonly user: string }
  | { readonly do: 'visibility'; readonly to: DriveVisibility };

/**
 * The steps that bring about a plan, in the order they are done: people are taken out before the drive is opened or closed,
 * so that whoever goes does not come back by a link that was made for others.
 */
export function stepsOf(
  plan: SharePlan,
  members: readonly DriveMember[],
  visibility: DriveVisibility,
): readonly ShareStep[] {
  const roles = new Map(members.map((one) => [one.userId, one.role]));
  const steps: ShareStep[] = [];
  for (const [user, role] of plan.roles)
    if (role === null && roles.has(user)) steps.push({ do: 'unshare', user });
  if (plan.visibility !== null && plan.visibility !== visibility)
    steps.push({ do: 'visibility', to: plan.visibility });
  for (const [user, role] of plan.roles) {
    const was = roles.get(user) ?? null;
    if (role !== null && role !== was) steps.push({ do: 'share', user, role, was });
  }
  return steps;
}
