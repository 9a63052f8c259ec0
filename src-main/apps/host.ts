import type { Port } from '../../src-shared/rpc/index.ts';
import type { Service } from '../../src-shared/runtime.ts';
import { createApprovals, type Approvals } from './approvals/index.ts';
import { serveApp, type OriginDeps } from './origin/index.ts';
import type { PermissionRecords } from './permissions/index.ts';
import {
  connectApp,
  createAppHandlers,
  type AppBytes,
  type AppConnection,
  type HandlerDeps,
  type HostedApp,
} from './provider/index.ts';
import { createSessions, type Session, type Sessions } from './sessions/index.ts';

export interface AppHostDeps
  extends Omit<HandlerDeps, 'sessions' | 'approvals' | 'bytes'>, Pick<OriginDeps, 'app' | 'read'> {
  readonly records: PermissionRecords;
  /** Makes what answers for bytes under an address of an app's origin. */
  makeBytes(origin: string): AppBytes;
}

/** Whether a browser keeps pages from connecting elsewhere by ways that no request takes. */
export type Confinement = 'closed' | 'open' | 'unknown';

/** Runs installed apps: their origins, their sessions, and what they may do. One a node; carriers ask it. */
export interface AppHost extends Service {
  readonly approvals: Approvals;
  readonly sessions: Sessions;
  /** Whether an app of this id is installed. */
  hosts(appId: string): boolean;
  /** Answers for an app's origin. Never throws. @param socket the carrier's WebSocket; null: it has none */
  serve(appId: string, request: Request, socket: string | null): Promise<Response>;
  /** What the person allowed an app of camera and microphone. */
  media(appId: string): { readonly camera: boolean; readonly microphone: boolean };
  /** A secret that opens one page of the app, once, within a minute. */
  invite(appId: string): string;
  /** A page presents that secret, or the key of its session. @returns null when neither is good */
  enter(appId: string, secret: string): Session | null;
  /** Serves the page at the other end of a carrier. */
  connect(session: Session, port: Port, confinement?: Confinement): void;
  confinementOf(session: Session): Confinement;
  /** Another version is installed now, or none: open pages are told, or ended. */
  appChanged(appId: string): void;
}

/** Questions and pages are dropped when the app goes; permissions take effect between two calls. */
export function createAppHost(deps: AppHostDeps): AppHost {
  const { clock, random, records } = deps;
  const sessions = createSessions(clock, random);
  const approvals = createApprovals(clock);
  const connections = new Set<AppConnection>();
  const confinements = new WeakMap<Session, Confinement>();
  const bytes = new Map<string, AppBytes>();

  const bytesOf = (appId: string): AppBytes => {
    let found = bytes.get(appId);
    if (!found) bytes.set(appId, (found = deps.makeBytes('/_extrachain')));
    return found;
  };
  const handlers = createAppHandlers({ ...deps, sessions, approvals, bytes: bytesOf });
  function media(appId: string) {
    const names = new Set(records.grants(appId).map(({ name }) => name));
    return { camera: names.has('camera'), microphone: names.has('microphone') };
  }
  const origin: OriginDeps = {
    app: deps.app,
    read: deps.read,
    bytes: bytesOf,
    granted: media,
    log: deps.log,
  };
  const of = (appId: string) => [...connections].filter(({ session }) => session.appId === appId);
  let stopFollowing = (): void => {};
  let cancelFlush = (): void => {};
  const flush = (): void => {
    records.flush();
    cancelFlush = clock.after(5000, flush);
  };

  return {
    approvals,
    sessions,
    start: () => {
      stopFollowing = records.on('changed', ({ appId, less }) => {
        // Addresses were given out under what was granted then: those that are still allowed are asked for again.
        if (less) bytes.delete(appId);
        for (const one of of(appId)) one.permissionsChanged();
      });
      cancelFlush = clock.after(5000, flush);
      return Promise.resolve();
    },
    stop: () => {
      stopFollowing();
      cancelFlush();
      sessions.endAll();
      for (const one of connections) one.close();
      records.flush();
      return Promise.resolve();
    },
    hosts: (appId) => deps.app(appId) !== null,
    serve: (appId, request, socket) => serveApp(origin, appId, request, socket),
    media,
    invite: (appId) => sessions.invite(appId),
    enter: (appId, secret) => (deps.app(appId) ? sessions.enter(appId, secret) : null),
    connect(session, port, confinement = 'unknown') {
      confinements.set(session, confinement);
      // The last version that was there: it goes away only together with its sessions.
      let known = deps.app(session.appId)!;
      const app = (): HostedApp => (known = deps.app(session.appId) ?? known);
      const one = connectApp({ ...deps, sessions, approvals, bytes: bytesOf }, handlers, app, session, {
        ...port,
        onClose: (listener) =>
          port.onClose(() => {
            connections.delete(one);
            listener();
          }),
      });
      connections.add(one);
    },
    confinementOf: (session) => confinements.get(session) ?? 'unknown',
    appChanged(appId) {
      if (deps.app(appId)) {
        for (const one of of(appId)) one.filesChanged();
        return;
      }
      approvals.drop(appId);
      sessions.endAll(appId);
      bytes.delete(appId);
    },
  };
}
