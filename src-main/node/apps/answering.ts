import { AppError } from '../../../src-shared/errors.ts';
import type { RandomBytes } from '../../../src-shared/runtime.ts';
import type { Caller, JsonValue, OfferedCall } from '../../apps/index.ts';

/** What goes to whoever answers. */
export type Asked =
  | {
      readonly kind: 'call';
      readonly call: string;
      readonly method: string;
      readonly params: JsonValue;
      readonly caller: Caller;
    }
  | { readonly kind: 'cancelled'; readonly call: string };

export type ReplyStep =
  | { readonly kind: 'item'; readonly value: JsonValue }
  | { readonly kind: 'result'; readonly value: JsonValue }
  | { readonly kind: 'error'; readonly message: string };

interface Waiting {
  readonly app: string | null;
  step(step: ReplyStep): void;
}

/** Parts of an answer that wait for a slow caller. */
const mostParts = 1000;

/** Brings calls to who answers them, a program or an app's page, and the replies back. */
export function createAnswering(random: RandomBytes) {
  const waiting = new Map<string, Waiting>();
  return {
    /** @param ask hands a call on; false when nobody is there any more */
    async *run(
      { method, params, caller }: OfferedCall,
      app: string | null,
      ask: (asked: Asked) => boolean,
      signal: AbortSignal,
    ): AsyncGenerator<JsonValue, JsonValue> {
      const call = Buffer.from(random(16)).toString('base64url');
      const steps: ReplyStep[] = [];
      let wake = (): void => {};
      let answered = false;
      const onAbort = (): void => wake();
      waiting.set(call, {
        app,
        step(step) {
          if (steps.length >= mostParts) {
            throw new AppError('rate_limited', 'The caller does not take the parts of the answer so fast.');
          }
          steps.push(step);
          if (step.kind !== 'item') waiting.delete(call);
          wake();
        },
      });
      signal.addEventListener('abort', onAbort);
      try {
        if (!ask({ kind: 'call', call, method, params, caller })) {
          throw new AppError('unreachable', 'What answers this service has gone.');
        }
        for (;;) {
          const step = steps.shift();
          if (signal.aborted) throw signal.reason;
          if (!step) {
            await new Promise<void>((resolve) => (wake = resolve));
            continue;
          }
          if (step.kind === 'item') {
            yield step.value;
            continue;
          }
          answered = true;
          if (step.kind === 'result') return step.value;
          throw new AppError('service_failed', step.message);
        }
      } finally {
        signal.removeEventListener('abort', onAbort);
        waiting.delete(call);
        if (!answered) ask({ kind: 'cancelled', call });
      }
    },
    /**
     * @param app whose answer it is
     * @throws AppError `not_found` when nobody waits for it
     */
    reply(call: string, app: string | null, step: ReplyStep): void {
      const one = waiting.get(call);
      if (!one || one.app !== app) {
        throw new AppError('not_found', 'Nobody waits for an answer to this call.', { details: { call } });
      }
      one.step(step);
    },
  };
}
