import type { AppMessage } from '../apps/methods/index.ts';
import type { Transport, Unsubscribe } from './transport.ts';

/** Messages to the same app of somebody else: end-to-end encrypted, kept until they are delivered (two weeks at the most). */
export interface Messages {
  /** @param body any JSON of up to 64 KiB @returns the message's id */
  send(to: string, body: unknown): Promise<string>;
  /** What waits, then what comes. A message is forgotten once the listener has returned; one that throws gets it again later. */
  watch(listener: (message: AppMessage) => void | Promise<void>): Promise<Unsubscribe>;
}

export function createMessages(transport: Transport): Messages {
  const { request } = transport;
  return {
    send: async (to, body) => (await request('exc_messageSend', { to, body })).id,
    watch: (listener) =>
      transport.subscribe('exc_messageWatch', {}, (message) => {
        void (async () => {
          await listener(message);
          await request('exc_messageDone', { n: message.n });
        })().catch(() => {});
      }),
  };
}
