import type { NodeServices } from '../../api/index.ts';
import type { JsonValue, Messages } from '../../apps/index.ts';
import { iso } from '../ledger/shown.ts';

/** The `messages` group of the contract. */
export function createMessageServices(messages: () => Messages): Pick<NodeServices, 'messages'> {
  return {
    messages: {
      send: ({ app, to, body }, signal) => messages().send(app, to, body as JsonValue, signal),
      async *watch({ app }, signal) {
        let dirty = true;
        let wake = (): void => {};
        const off = messages().onMessage(app, () => {
          dirty = true;
          wake();
        });
        const onAbort = (): void => wake();
        signal.addEventListener('abort', onAbort);
        try {
          let after = 0;
          while (!signal.aborted) {
            if (!dirty) await new Promise<void>((resolve) => (wake = resolve));
            dirty = false;
            for (;;) {
              const list = signal.aborted ? [] : messages().inbox(app, after);
              if (list.length === 0) break;
              for (const { time, ...one } of list) {
                after = one.n;
                yield { ...one, time: iso(time) };
              }
            }
          }
        } finally {
          off();
          signal.removeEventListener('abort', onAbort);
        }
      },
      done({ app, n }) {
        messages().done(app, n);
        return { ok: true };
      },
      waiting: ({ app }) => ({ count: messages().waiting(app) }),
    },
  };
}
