import { randomUUID } from 'node:crypto';
import type { Grant } from '../../../src-shared/apps/index.ts';
import type { Approval } from '../../../src-shared/contract/index.ts';
import { createEmitter } from '../../../src-shared/emitter.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { Clock, Events } from '../../../src-shared/runtime.ts';

/** What the person answered. */
export interface Decision {
  readonly grant: Grant | undefined;
  readonly password: string | undefined;
}

/** What is asked: the rest is filled in. */
export type Question = Pick<Approval, 'appId' | 'appName' | 'kind' | 'text'> &
  Partial<Pick<Approval, 'spends' | 'balancesAfter' | 'fee' | 'discloses' | 'grants' | 'password'>> & {
    /** Looks at a yes before it counts. What it throws goes to the person, and the question stays. */
    readonly check?: (decision: Decision) => void | Promise<void>;
  };

/** Questions of apps that wait for the person. They are shown in our own window or by our own command, never in a page. */
export interface Approvals extends Events<{ changed: Record<string, never> }> {
  list(): Approval[];
  /**
   * Asks, and waits.
   * @param signal the app's page went away: the question is withdrawn
   * @throws AppError `rejected` for a no, for no answer in 10 minutes, and for apps that go on asking after several noes;
   * `rate_limited` when too many wait already, or were withdrawn
   */
  ask(question: Question, signal: AbortSignal): Promise<Decision>;
  /** @throws AppError `not_found`, and what the question's own check throws */
  decide(id: string, allow: boolean, decision: Decision): Promise<void>;
  /** Withdraws all of an app. */
  drop(appId: string): void;
}

/** Questions of one app that wait at a time. */
const mostWaiting = 3;
const lifetime = 600_000;
/** After so many noes within ten minutes an app is not heard any more. */
const mostNoes = 3;
/** So many questions withdrawn within ten minutes count as noes: a page that asks, goes and comes again. */
const mostWithdrawn = 12;

interface Waiting {
  readonly approval: Approval;
  readonly check: Question['check'];
  settle(decision: Decision | null): void;
}

export function createApprovals(clock: Clock): Approvals {
  const events = createEmitter<{ changed: Record<string, never> }>();
  const waiting = new Map<string, Waiting>();
  const noes = new Map<string, number[]>();
  const withdrawn = new Map<string, number[]>();

  /** Times within the last ten minutes, to add to. */
  function recent(times: Map<string, number[]>, appId: string): number[] {
    const found = (times.get(appId) ?? []).filter((time) => time > clock.now() - lifetime);
    times.set(appId, found);
    return found;
  }

  return {
    on: events.on,
    list: () => [...waiting.values()].map(({ approval }) => approval),
    async ask({ check, ...question }, signal) {
      if (signal.aborted) throw new AppError('cancelled', 'The page is gone.');
      if (recent(noes, question.appId).length >= mostNoes) {
        throw new AppError('rejected', 'You said no several times; this app may ask again in ten minutes.');
      }
      if (recent(withdrawn, question.appId).length >= mostWithdrawn) {
        throw new AppError(
          'rate_limited',
          'This app asked again and again and went away; it may ask again in ten minutes.',
        );
      }
      const own = [...waiting.values()].filter(({ approval }) => approval.appId === question.appId);
      if (own.length >= mostWaiting) {
        throw new AppError('rate_limited', 'Several questions of this app wait for an answer already.');
      }
      const approval: Approval = {
        spends: [],
        balancesAfter: [],
        fee: null,
        discloses: [],
        grants: [],
        password: false,
        ...question,
        approvalId: randomUUID(),
        createdAt: new Date(clock.now()).toISOString(),
        expiresAt: new Date(clock.now() + lifetime).toISOString(),
      };
      const { approvalId: id, appId } = approval;
      let end = (): void => {};
      try {
        const decision = await new Promise<Decision | null>((resolve) => {
          const withdraw = (): void => resolve(null);
          const cancel = clock.after(lifetime, withdraw);
          signal.addEventListener('abort', withdraw, { once: true });
          end = () => {
            cancel();
            signal.removeEventListener('abort', withdraw);
          };
          waiting.set(id, { approval, check, settle: resolve });
          events.emit('changed', {});
        });
        if (decision) return decision;
        if (signal.aborted) {
          recent(withdrawn, appId).push(clock.now());
          throw new AppError('cancelled', 'The page is gone.');
        }
        recent(noes, appId).push(clock.now());
        throw new AppError('rejected', 'The person said no.');
      } finally {
        end();
        waiting.delete(id);
        events.emit('changed', {});
      }
    },
    async decide(id, allow, decision) {
      const one = waiting.get(id);
      if (!one) throw new AppError('not_found', 'This question was answered already, or was withdrawn.');
      if (!allow) return one.settle(null);
      await one.check?.(decision);
      one.settle(decision);
    },
    drop(appId) {
      for (const { approval, settle } of waiting.values()) if (approval.appId === appId) settle(null);
    },
  };
}
