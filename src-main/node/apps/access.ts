import {
  createAppHost,
  createPermissionRecords,
  type AppHost,
  type AppNode,
  type HostedApp,
  type PermissionRecords,
} from '../../apps/index.ts';
import { grant as grantSchema, isAboutFolder } from '../../../src-shared/apps/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { createDownloads, previewType, type NodeServices } from '../../api/index.ts';
import type { Base, Online } from '../core.ts';
import { createAppNode } from './app-node.ts';
import { iso } from '../shown-values.ts';

/** What is installed, as far as running it needs. */
export interface Installed {
  /** null: no such app is installed. */
  find(appId: string): HostedApp | null;
  /** A file of its bundle, checked against its hash; null: there is no such file. */
  read(appId: string, path: string): Promise<Uint8Array | null>;
  /** By id, slug, or name of the ledger. @throws AppError `not_found`, `invalid_argument` when several have that slug */
  resolve(app: string): string;
  /** @throws AppError `app_not_installed`, `release_revoked`, `app_blocked` */
  checkRunnable(appId: string): void;
}

export interface AppAccess {
  readonly host: AppHost;
  readonly records: PermissionRecords;
  /** What the contract says of permissions, sessions and approvals. */
  readonly calls: Pick<
    NodeServices['apps'],
    | 'permissions'
    | 'grant'
    | 'revoke'
    | 'sessions'
    | 'endSession'
    | 'deeds'
    | 'approvals'
    | 'decide'
    | 'launch'
  >;
  /** Grants what an install grants. */
  grantAtInstall(
    appId: string,
    grants: readonly { readonly name: string; readonly caveats?: unknown }[],
  ): void;
  /** Forgets what an app was granted and did. */
  forget(appId: string): void;
}

/** How long an address that an app was given stays good after its last use, ms, and how many there may be. */
const addresses = { lifetime: 3_600_000, most: 5000 };

/** Lets installed apps run: puts the host together with what the node does for the person. */
export function createAppAccess({
  base,
  online,
  services,
  installed,
  chainId,
  callers,
}: {
  readonly base: Base;
  readonly online: () => Online;
  readonly services: () => Pick<
    NodeServices,
    'drives' | 'files' | 'wallet' | 'transactions' | 'streams' | 'collections' | 'messages'
  >;
  readonly callers: AppNode['services'];
  readonly installed: Installed;
  readonly chainId: () => string | null;
}): AppAccess {
  const { clock, random, logger: log, events } = base;
  const records = createPermissionRecords(base.db, clock);
  const host = createAppHost({
    node: createAppNode({ services, callers, online, chainId }),
    records,
    app: (appId) => installed.find(appId),
    read: (appId, path) => installed.read(appId, path),
    makeBytes: (origin) => createDownloads({ clock, random, origin: () => origin, ...addresses }),
    previewType,
    clock,
    random,
    log,
  });
  host.approvals.on('changed', () => events.emit('approvals', {}));
  const { sessions, approvals } = host;

  function appOf(appId: string): HostedApp {
    const app = installed.find(appId);
    if (!app) throw new AppError('app_not_installed', 'That app is not installed.');
    return app;
  }
  const shown = (appId: string) => records.shown(appId, appOf(appId).manifest.permissions);

  return {
    host,
    records,
    calls: {
      permissions: async ({ app }) => shown(installed.resolve(app)),
      async grant({ app, grant }) {
        const appId = installed.resolve(app);
        const { required, optional } = appOf(appId).manifest.permissions;
        if (![...required, ...optional].some(({ name }) => name === grant.name)) {
          throw new AppError('invalid_argument', `The manifest of this app does not name ${grant.name}.`);
        }
        if (isAboutFolder(grant.name) && grant.caveats.drive === undefined) {
          throw new AppError('invalid_argument', `${grant.name} is for one folder: name a drive and a path.`);
        }
        records.grant(appId, grant);
        return shown(appId);
      },
      async revoke({ app, name, caveats }) {
        const appId = installed.resolve(app);
        if (name === 'identity') {
          throw new AppError('not_allowed', 'Every app has an account of its own; remove the app instead.');
        }
        records.revoke(appId, name, caveats);
        return shown(appId);
      },
      async sessions({ app }) {
        const appId = app === undefined ? undefined : installed.resolve(app);
        return sessions.list(appId).map((one) => ({
          sessionId: one.id,
          appId: one.appId,
          carrier: one.carrier,
          scopes: ['extrachain:app', ...(chainId() === null ? [] : [`extrachain:${chainId()}`])],
          confinement: host.confinementOf(one),
          startedAt: iso(one.startedAt),
          expiresAt: iso(one.expiresAt),
        }));
      },
      endSession({ sessionId }) {
        if (!sessions.end(sessionId)) throw new AppError('not_found', 'That session has ended already.');
        return { ok: true };
      },
      async deeds({ app, limit }) {
        return records.deeds(app === undefined ? null : installed.resolve(app), limit);
      },
      approvals: () => approvals.list(),
      async decide({ approvalId, allow, grant, password }) {
        await approvals.decide(approvalId, allow, { grant, password });
        return { ok: true };
      },
      async launch({ app, path }) {
        const appId = installed.resolve(app);
        installed.checkRunnable(appId);
        const { name } = appOf(appId);
        // Without a person there is no account to run it for.
        online().identity.card();
        return { appId, name, secret: host.invite(appId), path };
      },
    },
    grantAtInstall(appId, grants) {
      for (const one of grants) records.grant(appId, grantSchema.parse(one));
    },
    forget: (appId) => records.forget(appId),
  };
}
