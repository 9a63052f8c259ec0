import type { NodeServices } from '../../api/index.ts';
import type { AppHost } from '../../apps/index.ts';
import { createAppAccess } from './access.ts';
import { createAppInstalls, type AppInstalls } from './install-services.ts';
import { createStandingServices, type StandingServices } from './standing-services.ts';

/** Apps of this node: what is installed, what runs it, and what the contract says of both. */
export interface Apps {
  readonly services: Pick<NodeServices, 'apps'>;
  readonly installed: AppInstalls;
  readonly host: AppHost;
  /** Services that apps offer without an open page. */
  readonly standing: StandingServices;
}

type Access = Parameters<typeof createAppAccess>[0];

/** Puts the parts together: the store and installs; permissions, sessions and approvals. */
export function createApps(
  parts: Omit<Parameters<typeof createAppInstalls>[0], 'grants' | 'services'> &
    Pick<Access, 'services' | 'callers' | 'chainId'>,
): Apps {
  const { base, online, services, callers, chainId } = parts;
  const installed = createAppInstalls({
    ...parts,
    grants: { grantAtInstall: (appId, grants) => access.grantAtInstall(appId, grants) },
  });
  const { installs } = installed;
  const access = createAppAccess({
    base,
    online,
    services,
    callers,
    chainId,
    installed: {
      find(appId) {
        const record = installs.find(appId);
        if (!record) return null;
        const { manifest, version, source } = record;
        return {
          appId,
          name: manifest.name,
          version,
          manifest,
          isDeveloped: source === 'dev',
          read: (file) => installs.read(appId, file),
        };
      },
      read: (appId, file) => installs.read(appId, file),
      resolve: (app) => installed.idOf(app),
      checkRunnable: (appId) => installed.checkRunnable(appId),
    },
  });
  installs.on('files', ({ appId }) => access.host.appChanged(appId));
  installs.on('removed', ({ appId, keepData }) => {
    access.host.appChanged(appId);
    if (!keepData) access.forget(appId);
  });
  const standing = createStandingServices({
    base,
    records: access.records,
    installed: {
      list: () => installs.list(),
      on(listener) {
        const off = [base.events.on('apps', listener), installs.on('files', listener)];
        return () => off.forEach((stop) => stop());
      },
      read: (appId, file) => installs.read(appId, file),
      checkRunnable: (appId) => installed.checkRunnable(appId),
    },
  });
  return {
    installed,
    standing,
    host: access.host,
    services: { apps: { ...installed.calls, ...access.calls } },
  };
}
