import { z } from './zod.ts';
import { done, nothing, userId, watchedList } from './common.ts';
import { command, query, subscription } from '../rpc/contract.ts';

export const person = z.object({ userId, name: z.string() });
export type Person = z.infer<typeof person>;

/** What this person calls others: user IDs are anonymous. Known to this person's computers, told to nobody else. */
export const people = {
  list: query(nothing, z.array(person)),
  /** Key `userId`. */
  watch: subscription(nothing, watchedList(person)),
  /** null: forgets the name. */
  name: command(z.object({ user: userId, name: z.string().trim().min(1).max(64).nullable() }), done),
};
