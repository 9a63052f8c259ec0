import { z } from './zod.ts';
import { count, done, time, userId } from './common.ts';
import { command, query, subscription } from '../rpc/contract.ts';

const app = z.string().regex(/^[a-z2-7]{52}$/);

export const appMessage = z.object({
  /** Names it to `done`. */
  n: count,
  id: z.string(),
  from: userId,
  time,
  /** Any JSON. */
  body: z.unknown(),
});

/** Messages between the same app of two people, end-to-end encrypted and kept by the sender until they are delivered. */
export const messages = {
  send: command(z.object({ app, to: userId, body: z.unknown() }), z.object({ id: z.string() })),
  /** What waits for the app, then what comes. Each stays until `done` names it. */
  watch: subscription(z.object({ app }), appMessage),
  done: command(z.object({ app, n: count }), done),
  /** How many of that app are still on their way. */
  waiting: query(z.object({ app }), z.object({ count })),
};
