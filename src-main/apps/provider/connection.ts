import type { AppMethodName } from '../../../src-shared/apps/methods/index.ts';
import { appMethods, isAppMethod } from '../../../src-shared/apps/methods/index.ts';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Port } from '../../../src-shared/rpc/index.ts';
import { notGranted } from '../permissions/index.ts';
import type { Session } from '../sessions/index.ts';
import { toProviderError, type ProviderError } from './errors.ts';
import { createRateLimit } from '../rate-limit.ts';
import type { AppHandlers, Call, HandlerDeps, HostedApp } from './types.ts';

/** Bounds of one connection. */
export const connectionLimits = {
  /** Longest message from a page, UTF-16 units: 256 KiB as base64url and some. */
  message: 400_000,
  /** Calls that wait for an answer. */
  openCalls: 64,
  subscriptions: 64,
  /** Calls a second, and how many may come at once. */
  rate: 300,
  burst: 600,
  /** Calls over the rate that are answered before the page is cut off. */
  excess: 2000,
} as const;

/** One page of an app at the other end of a carrier. */
export interface AppConnection {
  readonly session: Session;
  /** Permissions changed: ends subscriptions that lost theirs, and tells the page. */
  permissionsChanged(): void;
  /** Other files are served now: tells the page. */
  filesChanged(): void;
  close(): void;
}

interface Subscription {
  readonly method: AppMethodName;
  readonly stillAllowed: () => boolean;
  stop: () => void;
}

/**
 * Answers a page: JSON-RPC 2.0, one message a frame. What is asked is bounded, checked against the method's schema and
 * against what is granted at that moment, and noted.
 */
export function connectApp(
  deps: HandlerDeps,
  handlers: AppHandlers,
  app: () => HostedApp,
  session: Session,
  port: Port,
): AppConnection {
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, session.ended.signal]);
  const subscriptions = new Map<string, Subscription>();
  const limit = createRateLimit(deps.clock, connectionLimits.rate, connectionLimits.burst);
  let open = 0;
  let excess = 0;
  let count = 0;

  const { appId } = session;
  const grants = () => deps.records.grants(appId);
  const has: Call['has'] = (name) => name === 'identity' || grants().some((one) => one.name === name);
  const send = (message: object): void => {
    if (!gone.signal.aborted) port.send(JSON.stringify({ jsonrpc: '2.0', ...message }));
  };
  const notify = (method: string, params: unknown): void => send({ method, params });
  const tell = (subscription: string, data: { result: unknown } | { error: ProviderError }): void =>
    notify('message', { type: 'exc_subscription', data: { subscription, ...data } });

  function end(id: string): void {
    const one = subscriptions.get(id);
    subscriptions.delete(id);
    one?.stop();
  }

  const subscribe: Call['subscribe'] = (method, begin, stillAllowed = () => true) => {
    if (subscriptions.size >= connectionLimits.subscriptions) {
      throw new AppError(
        'rate_limited',
        `At most ${connectionLimits.subscriptions} subscriptions at a time.`,
      );
    }
    const id = `s${++count}`;
    const needed = appMethods[method].permissions;
    const one: Subscription = {
      method,
      stillAllowed: () => needed.every(has) && stillAllowed(),
      stop: () => {},
    };
    // A method may have waited for something since its permissions were looked at.
    if (!one.stillAllowed()) throw notGranted(needed.find((name) => !has(name)) ?? 'identity');
    subscriptions.set(id, one);
    one.stop = begin((result) => {
      if (subscriptions.get(id) === one) tell(id, { result });
    });
    return { subscription: id };
  };

  async function run(method: string, given: unknown, depth = 0): Promise<unknown> {
    if (!isAppMethod(method))
      throw new AppError('method_unknown', `There is no method ${method.slice(0, 64)}.`);
    const { permissions, params } = appMethods[method];
    const permission = permissions[0] ?? null;
    let about = '';
    let noted: 'done' | 'refused' | 'failed' = 'done';
    let asked = false;
    try {
      if (!deps.sessions.isOpen(session)) {
        throw new AppError('session_ended', 'This session has ended. Open the app from ExtraChain again.');
      }
      const checkGranted = (): void => {
        const missing = permissions.find((name) => !has(name));
        if (missing) throw notGranted(missing);
      };
      checkGranted();
      const parsed = params.safeParse(given);
      if (!parsed.success) {
        const first = parsed.error.issues[0];
        throw new AppError(
          'invalid_argument',
          `${first?.path.map(String).join('.') || 'params'}: ${first?.message ?? 'not understood'}`.slice(
            0,
            300,
          ),
        );
      }
      const call: Call = {
        app: app(),
        session,
        grants,
        signal,
        has,
        subscribe,
        unsubscribe: end,
        about: (text) => (about = text.slice(0, 200)),
        async ask(question) {
          asked = true;
          const decision = await deps.approvals.ask({ appId, appName: app().name, ...question }, signal);
          // Much may have been taken back while the question stood there.
          checkGranted();
          return decision;
        },
        invoke(inner, innerParams) {
          if (depth > 0) throw new AppError('invalid_argument', 'A call can wrap one other.');
          return run(inner, innerParams, depth + 1);
        },
      };
      return await (handlers[method] as (call: Call, params: unknown) => unknown)(call, parsed.data);
    } catch (error) {
      const refused = isAppError(error, 'not_granted') || isAppError(error, 'rejected');
      noted = refused ? 'refused' : 'failed';
      if (!(error instanceof AppError)) {
        deps.log.error(
          { app: appId, method, error: error instanceof Error ? error.stack : String(error) },
          'a call of an app failed',
        );
      }
      throw error;
    } finally {
      if (permission !== null || asked || noted === 'refused') {
        deps.records.note(appId, { method, permission, about, outcome: noted });
      }
    }
  }

  async function answer(id: number | string, method: string, params: unknown): Promise<void> {
    if (open >= connectionLimits.openCalls) {
      return refuse(
        id,
        new AppError('rate_limited', `At most ${connectionLimits.openCalls} calls at a time.`),
      );
    }
    open += 1;
    try {
      const result = await run(method, params);
      send({ id, result: result ?? null });
    } catch (error) {
      refuse(id, error);
    } finally {
      open -= 1;
    }
  }
  function refuse(id: number | string | null, error: unknown): void {
    send({ id, error: toProviderError(error) });
  }

  function onMessage(message: unknown): void {
    if (gone.signal.aborted) return;
    if (typeof message !== 'string' || message.length > connectionLimits.message) {
      return refuse(
        null,
        new AppError('too_large', `A message is at most ${connectionLimits.message} characters.`),
      );
    }
    const call = parseCall(message);
    if (!call) {
      if (overRate()) return;
      return send({
        id: null,
        error: { code: -32600, message: 'This is no call of JSON-RPC 2.0.', data: { code: 'malformed' } },
      });
    }
    if (overRate()) {
      return refuse(
        call.id,
        new AppError('rate_limited', `At most ${connectionLimits.rate} calls a second.`),
      );
    }
    void answer(call.id, call.method, call.params);
  }
  /** A page that goes on far above the rate is cut off. */
  function overRate(): boolean {
    if (limit.take()) return false;
    excess += 1;
    if (excess > connectionLimits.excess) close();
    return true;
  }

  function close(): void {
    if (gone.signal.aborted) return;
    gone.abort();
    for (const id of [...subscriptions.keys()]) end(id);
    port.close();
  }
  port.onMessage(onMessage);
  port.onClose(close);
  session.ended.signal.addEventListener('abort', () => {
    notify('disconnect', { code: 4100, message: 'This session has ended.' });
    close();
  });
  // The first word is the host's: by this key the page comes back after a lost connection or a reload.
  notify('connect', { key: session.key, chainId: deps.node.chainId() });

  return {
    session,
    permissionsChanged() {
      for (const [id, one] of subscriptions) {
        if (one.stillAllowed()) continue;
        tell(id, {
          error: toProviderError(notGranted(appMethods[one.method].permissions[0] ?? 'identity')),
        });
        end(id);
      }
      notify('sessionChanged', {});
    },
    filesChanged: () => notify('filesChanged', { reload: app().isDeveloped }),
    close,
  };
}

/** @returns null for what is no call with an id */
function parseCall(
  message: string,
): { readonly id: number | string; readonly method: string; readonly params: unknown } | null {
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const { jsonrpc, id, method, params } = value as Record<string, unknown>;
  const named = typeof id === 'number' || (typeof id === 'string' && id.length <= 64);
  if (jsonrpc !== '2.0' || !named || typeof method !== 'string') return null;
  // EIP-1193 lets params be an object or an array; ours are one object.
  const one = Array.isArray(params) ? (params.length <= 1 ? params[0] : null) : params;
  return { id, method, params: one ?? undefined };
}
