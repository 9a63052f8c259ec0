import { appMessage } from '../../contract/messages.ts';
import { z } from '../../contract/zod.ts';
import { method, ok, watching } from './frame.ts';

export type AppMessage = z.infer<typeof appMessage>;

/** Messages to the same app of somebody else, end-to-end encrypted, kept until they are delivered. */
export const messageMethods = {
  /** Up to 64 KiB of JSON; the receiver learns the person's user id. */
  exc_messageSend: method(
    ['messages'],
    z.object({ to: z.string().min(1).max(128), body: z.unknown() }),
    z.object({ id: z.string() }),
  ),
  /** What waits, then what comes. Each comes again at the next start until `exc_messageDone` names it. */
  exc_messageWatch: watching(['messages'], z.object({}).default({}), appMessage),
  exc_messageDone: method(['messages'], z.object({ n: z.int().nonnegative() }), ok),
};
