import type { NodeServices } from '../api/index.ts';
import type { Apps } from './apps/app-services.ts';
import type { Base } from './core.ts';
import { createDriveServices } from './drive-services.ts';
import { createFileServices } from './file-services.ts';
import { createHostingServices } from './hosting-services.ts';
import { createIdentityServices } from './identity-services.ts';
import { createAppDataServices } from './apps/app-data.ts';
import { createActMessages } from './ledger/act-messages.ts';
import { createChainServices } from './ledger/chain-services.ts';
import { createDirectoryServices } from './ledger/directory-services.ts';
import { createMarketServices } from './ledger/market-services.ts';
import { createSigningServices } from './ledger/signing-services.ts';
import { createWalletServices } from './ledger/wallet-services.ts';
import { createNetServices } from './net-services.ts';
import { nameOwner, type People } from './people.ts';
import { createStreamServices } from './stream/stream-services.ts';
import type { TrafficLog } from './traffic-log.ts';
import type { Session } from './session.ts';

export interface NodeServicesDeps {
  readonly base: Base;
  readonly people: People;
  readonly trafficLog: TrafficLog;
  readonly apps: Apps;
  readonly doctor: NodeServices['doctor'];
  /** What runs. @throws AppError `keystore_locked`, `shutting_down` */
  readonly online: () => Session;
  /** The same; null while nothing does. */
  readonly session: () => Session | null;
  /** Starts what needs the open keystore. */
  begin(): Promise<void>;
  /** Ends it. */
  end(): Promise<void>;
}

/** All that the contract can ask of the node, but of the node itself and its settings. */
export function createNodeServices(deps: NodeServicesDeps): Omit<NodeServices, 'node' | 'settings'> {
  const { base, people, trafficLog, apps, online, session } = deps;
  const { clock, events, settings, identity } = base;
  const acts = createActMessages({ online, keys: () => online().keys });

  return {
    events,
    doctor: deps.doctor,
    ...createIdentityServices({
      base,
      online,
      linking: () => online().linking,
      async unlocked() {
        await deps.begin();
        for (const event of ['status', 'peers', 'transfers'] as const) events.emit(event, {});
        events.emit('drives', { driveId: null });
      },
      async locking() {
        await deps.end();
        events.emit('status', {});
      },
      async actorChanged() {
        online().network.announceCard();
        await online().drives.actorChanged();
        await online().appData.actorChanged();
        apps.standing.refresh();
        online().names.actorChanged();
        online().recovery.actorChanged();
        events.emit('status', {});
        events.emit('people', {});
      },
      restored: (user) => online().recovery.restored(user),
      async deviceRevoked(device) {
        online().keys.deviceRevoked(device);
        await online().revocations.sweep();
        await online().network.disconnect(device);
      },
    }),
    ...createDriveServices(
      online,
      () => online().drives,
      () => online().views,
      () => online().shared,
      () => online().anchors,
      () => online().chains,
    ),
    ...createFileServices(
      () => online().drives,
      () => online().views,
      () => online().anchors,
    ),
    directory: {
      search: ({ text, limit }) =>
        online()
          .directory.search(text, limit)
          .map((one) => ({ ...one, time: new Date(one.time).toISOString() })),
      ...createDirectoryServices({ online, chains: () => online().chains, wallet: () => online().wallet }),
    },
    people: {
      list: () => [...people.list(nameOwner(identity))],
      name({ user, name }) {
        people.name(nameOwner(identity), user, name, clock.now());
        session()?.names.changed(user);
        events.emit('people', {});
        return { ok: true };
      },
    },
    ...createNetServices(online, base, trafficLog),
    ...createHostingServices({
      online,
      drives: () => online().drives,
      chains: () => online().chains,
      chores: () => online().chores,
    }),
    ...createStreamServices(
      online,
      () => online().drives,
      () => online().streams,
    ),
    ...createAppDataServices(online, () => online().appData),
    ...createChainServices(
      () => online().chains,
      () => settings.get('ledger.fullBytes'),
    ),
    ...createWalletServices({
      online,
      chains: () => online().chains,
      wallet: () => online().wallet,
      keys: () => online().keys,
      acts,
    }),
    ...createSigningServices({
      online,
      chains: () => online().chains,
      wallet: () => online().wallet,
      signing: () => online().signing,
      acts,
    }),
    ...createMarketServices({
      online,
      chains: () => online().chains,
      wallet: () => online().wallet,
      chores: () => online().chores,
    }),
    ...apps.services,
  };
}
