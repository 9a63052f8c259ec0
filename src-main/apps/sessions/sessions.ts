import type { Clock, RandomBytes } from '../../../src-shared/runtime.ts';

export type Carrier = 'browser' | 'desktop';

/** A page of an app that may talk to the node. */
export interface Session {
  readonly id: string;
  readonly appId: string;
  readonly carrier: Carrier;
  readonly startedAt: number;
  expiresAt: number;
  /** What its page presents when it connects again. */
  readonly key: string;
  /** Ends everything that is open in it. */
  readonly ended: AbortController;
}

/** Sessions: begun by the person who opens the app, ended by time, by the person, or by a new start of the node. */
export interface Sessions {
  /** A secret that is good once, shortly, for one page of the app. */
  invite(appId: string): string;
  /**
   * Turns such a secret into a session, or finds the session that a page had.
   * @returns null for a secret that is used up, too old, or of another app
   */
  enter(appId: string, secret: string): Session | null;
  /** For a carrier that knows by itself which app is at the other end. */
  begin(appId: string, carrier: Carrier): Session;
  prolong(session: Session): void;
  isOpen(session: Session): boolean;
  list(appId?: string): readonly Session[];
  /** @returns whether there was such a one */
  end(id: string): boolean;
  endAll(appId?: string): void;
}

/** How long a launch waits for its page, ms. */
const inviteLifetime = 60_000;
/** How long a session lasts that nobody prolongs, ms. */
export const sessionLifetime = 24 * 3_600_000;
const mostInvites = 64;
const mostSessions = 64;

export function createSessions(clock: Clock, random: RandomBytes): Sessions {
  const invites = new Map<string, { readonly appId: string; readonly until: number }>();
  const sessions = new Map<string, Session>();
  const byKey = new Map<string, Session>();
  const cancels = new Map<Session, () => void>();
  const secret = (): string => Buffer.from(random(32)).toString('base64url');

  function drop(session: Session): void {
    sessions.delete(session.id);
    byKey.delete(session.key);
    cancels.get(session)?.();
    cancels.delete(session);
    session.ended.abort();
  }
  function prune(): void {
    const now = clock.now();
    for (const [token, { until }] of invites) {
      if (until >= now && invites.size < mostInvites) break;
      invites.delete(token);
    }
    for (const session of sessions.values()) {
      if (session.expiresAt <= now || sessions.size > mostSessions) drop(session);
    }
  }
  /** What is open in a session ends with it: calls under way, what they ask the person, and subscriptions. */
  function endInTime(session: Session): void {
    const left = Math.max(1, session.expiresAt - clock.now());
    cancels.set(
      session,
      clock.after(left, () => {
        // It may have been prolonged meanwhile, or the clock was set back.
        if (session.expiresAt <= clock.now()) drop(session);
        else endInTime(session);
      }),
    );
  }
  const isOpen = (session: Session): boolean =>
    sessions.get(session.id) === session && session.expiresAt > clock.now();

  function begin(appId: string, carrier: Carrier): Session {
    prune();
    const now = clock.now();
    const session: Session = {
      id: Buffer.from(random(16)).toString('base64url'),
      appId,
      carrier,
      startedAt: now,
      expiresAt: now + sessionLifetime,
      key: secret(),
      ended: new AbortController(),
    };
    sessions.set(session.id, session);
    byKey.set(session.key, session);
    endInTime(session);
    return session;
  }

  return {
    invite(appId) {
      prune();
      const token = secret();
      invites.set(token, { appId, until: clock.now() + inviteLifetime });
      return token;
    },
    enter(appId, given) {
      // Looked up in a map of 32 random bytes: how long that takes tells nothing that could be used.
      const invite = invites.get(given);
      if (invite) {
        if (invite.appId !== appId) return null;
        invites.delete(given);
        return invite.until < clock.now() ? null : begin(appId, 'browser');
      }
      const known = byKey.get(given);
      return known && known.appId === appId && isOpen(known) ? known : null;
    },
    begin,
    prolong(session) {
      session.expiresAt = clock.now() + sessionLifetime;
    },
    isOpen,
    list: (appId) => [...sessions.values()].filter((one) => (!appId || one.appId === appId) && isOpen(one)),
    end(id) {
      const session = sessions.get(id);
      if (session) drop(session);
      return session !== undefined;
    },
    endAll(appId) {
      for (const session of sessions.values()) if (!appId || session.appId === appId) drop(session);
    },
  };
}
