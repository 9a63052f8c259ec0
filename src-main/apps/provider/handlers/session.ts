import type { AppSession } from '../../../../src-shared/apps/methods/index.ts';
import { appMethods, isAppMethod } from '../../../../src-shared/apps/methods/index.ts';
import type { PermissionName, PermissionRequest } from '../../../../src-shared/apps/index.ts';
import { isAboutFolder, permissionNames } from '../../../../src-shared/apps/index.ts';
import { AppError } from '../../../../src-shared/errors.ts';
import { mayCount, notGranted } from '../../permissions/index.ts';
import { appAccount } from '../account-keys.ts';
import type { AppHandlers, Call, HandlerDeps, HostedApp } from '../types.ts';

const appScope = 'extrachain:app';

type Names =
  | 'wallet_createSession'
  | 'wallet_getSession'
  | 'wallet_revokeSession'
  | 'wallet_invokeMethod'
  | 'exc_requestPermissions'
  | 'exc_unsubscribe'
  | 'exc_notify'
  | 'exc_openLink';

/** Sessions in the shape of CAIP-25, permissions, notices and links. */
export function sessionHandlers({ node, records, sessions }: HandlerDeps): Pick<AppHandlers, Names> {
  const granted = ({ has }: Call): PermissionName[] => permissionNames.filter(has);

  function shown(call: Call): AppSession {
    const { app, session } = call;
    const methods = Object.entries(appMethods)
      .filter(([, { permissions }]) => permissions.every(call.has))
      .map(([name]) => name);
    const chain = node.chainId();
    const own = appAccount(node, app.appId).address;
    const scope = (id: string, accounts: readonly string[]) => [
      id,
      {
        methods,
        notifications: ['message', 'sessionChanged'],
        accounts: accounts.map((one) => `${id}:${one}`),
      },
    ];
    return {
      sessionId: session.id,
      sessionScopes: Object.fromEntries([
        scope(appScope, [own]),
        ...(chain === null
          ? []
          : [scope(`extrachain:${chain}`, call.has('identity.shared') ? [node.userId()] : [])]),
      ]) as AppSession['sessionScopes'],
      expiry: new Date(session.expiresAt).toISOString(),
      sessionProperties: {
        appId: app.appId,
        name: app.name,
        version: app.version,
        permissions: granted(call),
      },
    };
  }

  /** Asks once for all of these that are not granted; folders are asked for by picking them. */
  async function request(call: Call, wanted: readonly PermissionName[]): Promise<void> {
    const asked = [...new Set(wanted)].filter((name) => !call.has(name) && !isAboutFolder(name));
    if (asked.length === 0) return;
    const requests = asked.map((name) => {
      const declared = declaredOf(call.app, name);
      if (!declared) throw notGranted(name, `The manifest of this app does not name ${name}.`);
      return declared;
    });
    await call.ask({ kind: 'permission', text: '', grants: requests });
    for (const { name, caveats } of requests) records.grant(call.app.appId, { name, caveats });
  }

  return {
    async wallet_createSession(call, { requiredScopes, optionalScopes }) {
      const needed = permissionsOf(requiredScopes, true);
      const liked = permissionsOf(optionalScopes, false).filter((name) => declaredOf(call.app, name));
      await request(call, needed);
      await request(call, liked).catch((error: unknown) => {
        if (!(error instanceof AppError) || error.code !== 'rejected') throw error;
      });
      sessions.prolong(call.session);
      return shown(call);
    },
    wallet_getSession: (call) => shown(call),
    wallet_revokeSession(call) {
      // After the answer has gone out.
      setImmediate(() => sessions.end(call.session.id));
      return { ok: true };
    },
    wallet_invokeMethod(call, { scope, request: inner }) {
      const chain = node.chainId();
      if (scope !== appScope && scope !== `extrachain:${chain}`) {
        throw new AppError('not_granted', 'This session has no such scope.');
      }
      return call.invoke(inner.method, inner.params);
    },
    async exc_requestPermissions(call, { permissions }) {
      await request(call, permissions);
      return { permissions: granted(call) };
    },
    exc_unsubscribe(call, { subscription }) {
      call.unsubscribe(subscription);
      return { ok: true };
    },
    exc_notify(call, { title, body }) {
      const { appId, name } = call.app;
      if (!mayCount(call.grants(), 'notifications', records.used(appId, 'notifications').times)) {
        throw new AppError('rate_limited', 'This app has shown all the notices it may show in a day.');
      }
      records.use(appId, 'notifications', '', '1');
      call.about(title);
      node.notify(name, title, body);
      return { ok: true };
    },
    async exc_openLink(call, { link }) {
      if (!/^(extrachain:|https:\/\/)\S+$/.test(link) || !URL.canParse(link)) {
        throw new AppError('invalid_argument', 'A link begins with extrachain: or https://.');
      }
      // As it is opened: letters of other alphabets that look like ours show as what they are.
      const { href } = new URL(link);
      call.about(href);
      await call.ask({
        kind: 'link',
        text: href,
        discloses: link.startsWith('https:') ? ['websiteLearns'] : [],
      });
      return { ok: true };
    },
  };
}

/** What the manifest says of a permission; undefined: it does not name it. */
export function declaredOf(app: HostedApp, name: PermissionName): PermissionRequest | undefined {
  const { required, optional } = app.manifest.permissions;
  return [...required, ...optional].find((one) => one.name === name);
}

/** What the methods of scopes need. @throws AppError `method_unknown` where all are needed */
function permissionsOf(
  scopes: Readonly<Record<string, { readonly methods: readonly string[] }>>,
  strict: boolean,
): PermissionName[] {
  return Object.values(scopes).flatMap(({ methods }) =>
    methods.flatMap((name) => {
      if (isAppMethod(name)) return [...appMethods[name].permissions];
      if (strict) throw new AppError('method_unknown', `There is no method ${name.slice(0, 64)}.`);
      return [];
    }),
  );
}
