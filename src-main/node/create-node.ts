import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createEmitter } from '../../src-shared/emitter.ts';
import { AppError } from '../../src-shared/errors.ts';
import type { Node, NodeEvents, NodeOptions, NodeServices } from '../api/index.ts';
import { createContentIo } from '../drive/index.ts';
import { createExchange } from '../exchange/index.ts';
import { createHosting } from '../hosting/index.ts';
import { createIdentity, encodeCard, type UserId } from '../identity/index.ts';
import { createNetwork } from '../network/index.ts';
import { systemClock } from '../platform/index.ts';
import { createSettings, openDatabase } from '../store/index.ts';
import { createActivityLog } from './activity.ts';
import { createApps } from './apps/app-services.ts';
import { keepAnnounced } from './announcements.ts';
import type { Base, Online } from './core.ts';
import { createDriveServices } from './drive-services.ts';
import { createDrives, type Drives } from './drives.ts';
import { createFileServices } from './file-services.ts';
import { findHosts, hostKey } from './found-hosts.ts';
import { keepSpaceFree, type FreeSpace } from './free-space.ts';
import { createHealth } from './health.ts';
import { codingRules, createHostingServices, hostingTimes, watchHosting } from './hosting-services.ts';
import { createIdentityServices } from './identity-services.ts';
import { createServicesOfCallers } from './apps/service-services.ts';
import { createAppData, createAppDataServices, type AppData } from './apps/app-data.ts';
import { createAccountKeys, type AccountKeys } from './ledger/account-keys.ts';
import { createActMessages } from './ledger/act-messages.ts';
import { createAnchors, type Anchors } from './ledger/anchors.ts';
import { createChainServices } from './ledger/chain-services.ts';
import { createChains, type Chains } from './ledger/chains.ts';
import { createLedgerChores, type LedgerChores } from './ledger/ledger-chores.ts';
import { createDirectoryServices } from './ledger/directory-services.ts';
import { createMarketServices } from './ledger/market-services.ts';
import { createCardWatch } from './ledger/card-watch.ts';
import { createSigningServices } from './ledger/signing-services.ts';
import { createSigning } from './ledger/signing/signing.ts';
import type { Signing } from './ledger/signing/signing.ts';
import { createWalletServices } from './ledger/wallet-services.ts';
import { createWallet, type Wallet } from './ledger/wallet.ts';
import { createLinking, type Linking } from './linking.ts';
import { defaultListen } from './listen.ts';
import { createLogger } from './logger.ts';
import { createNetServices } from './net-services.ts';
import { createRevocations, type Revocations } from './revocations.ts';
import { createNodeSettings } from './settings.ts';
import { serveInvites } from './sharing/invite-protocol.ts';
import { createDirectory, type Directory } from './sharing/directory.ts';
import { createOpenAccess } from './sharing/open-access.ts';
import { createPeopleSync, type PeopleSync } from './people-sync.ts';
import { createRecovery, type Recovery } from './recovery/recovery.ts';
import { createPeople } from './people.ts';
import { createPublished } from './sharing/published.ts';
import { createSharedWithMe, type SharedWithMe } from './sharing/shared-with-me.ts';
import { createReaders } from './sharing/reader-bounds.ts';
import { createRelay, serveRelay, type Relay } from './sharing/relay.ts';
import { createSources } from './sharing/sources.ts';
import { keepInvitations, openDriveKeys, openHostedKeys, opennessOf } from './sharing/upkeep.ts';
import { createViews, type Views } from './sharing/views.ts';
import { createNodeStreams, createStreamServices, type NodeStreams } from './stream/stream-services.ts';
import { createTrafficLog } from './traffic-log.ts';
import { createTransfers, type Transfers } from './transfers.ts';

const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
/** Names of people in a recovery record, and how long its network is looked for, ms. */
const mostNamesWritten = 512;
const joinNetworkMs = 60_000;
const keystoreStates = { none: 'unprotected', password: 'password', keychain: 'keychain' } as const;

/** What runs once the keystore is open, and how to end it. */
interface Session extends Online {
  readonly drives: Drives;
  readonly linking: Linking;
  readonly revocations: Revocations;
  readonly directory: Directory;
  readonly relay: Relay;
  readonly transfers: Transfers;
  readonly views: Views;
  readonly chains: Chains;
  readonly wallet: Wallet;
  readonly keys: AccountKeys;
  readonly signing: Signing;
  readonly anchors: Anchors;
  readonly chores: LedgerChores;
  readonly shared: SharedWithMe;
  readonly recovery: Recovery;
  readonly names: PeopleSync;
  readonly freeSpace: FreeSpace;
  readonly streams: NodeStreams;
  readonly appData: AppData;
  end(): Promise<void>;
}

/**
 * Builds a node: the one place that puts all layers together. Nothing listens or runs before `start`.
 * @throws AppError when the data folder can't be used
 */
export async function createNode(options: NodeOptions): Promise<Node> {
  const { dataDir } = options;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const clock = systemClock;
  const random = (n: number): Uint8Array => randomBytes(n);
  const logger = createLogger(options.logLevel, options.logFile);
  const events = createEmitter<NodeEvents>((error) => logger.error({ err: error }, 'a listener failed'));
  const db = openDatabase(path.join(dataDir, 'node.db'));
  const settings = createNodeSettings(createSettings(db, { log: logger }));
  const deviceName = settings.get('device.name') || os.hostname() || 'computer';
  const identity = createIdentity({
    files: dataDir,
    clock,
    random,
    deviceName,
    log: logger,
    ...(options.keychain && { keychain: options.keychain }),
  });
  const base: Base = {
    dataDir,
    clock,
    random,
    logger,
    events,
    activity: createActivityLog(clock),
    db,
    settings,
    identity,
  };
  const health = createHealth(
    base,
    () => session,
    () => session?.drives ?? null,
    () => session?.recovery.keepers() ?? null,
  );
  const people = createPeople(db);
  const trafficLog = createTrafficLog(db, clock);
  const startedAt = performance.now();
  let session: Session | null = null;
  let stopping = false;

  function online(): Session {
    if (session) return session;
    if (stopping) throw new AppError('shutting_down', 'The node is stopping.');
    throw new AppError('keystore_locked', 'The keystore is locked; give its password first.');
  }

  function ownCard(): Uint8Array | null {
    return identity.userId() === null ? null : encodeCard(identity.card());
  }

  /** Whose names for people are shown. */
  const nameOwner = (): UserId => (identity.status().state === 'open' ? identity.userId() : null) ?? '';

  async function begin(): Promise<void> {
    if (session || identity.status().state === 'locked') return;
    const undo: (() => Promise<void> | void)[] = [];
    const end = async (): Promise<void> => {
      for (const step of undo.splice(0).reverse()) await step();
    };
    try {
      const key = await identity.devicePrivateKey();
      const network = await createNetwork({
        deviceSeed: key.raw.subarray(0, 32),
        db,
        listen: options.offline ? [] : options.listen.length > 0 ? options.listen : await defaultListen(),
        bootstrap: options.offline ? [] : options.bootstrap,
        mdns: options.mdns && !options.offline && settings.get('net.mdns'),
        relay: settings.get('net.relay'),
        limits: { up: settings.get('net.bandwidth.up'), down: settings.get('net.bandwidth.down') },
        gossip: true,
        ownCard,
        clock,
        logger,
        agent: `extrachain/${version}`,
      });
      /** The seam of hosting to the ledger: there once networks are. */
      let paying: LedgerChores | null = null;
      const content = createContentIo({ logger });
      undo.push(() => content.stop());
      const open = createOpenAccess({
        network,
        clock,
        random,
        drive: (id) => drives.opened(id),
        hosted: (id) => hosting.openHosted(id),
      });
      undo.push(() => open.stop());
      const readers = createReaders(settings, clock);
      undo.push(() => readers.stop());
      const exchange = createExchange(
        { network, clock, logger, random },
        { bulk: () => settings.get('net.bulk'), open, readers },
      );
      const hosting = createHosting({
        dir: path.join(dataDir, 'hosting'),
        network,
        exchange,
        clock,
        logger,
        random,
        signer: identity.deviceSigner,
        card: (user) => encodeCard(identity.card(user)),
        learnOwnCard: async (user, signal) => {
          identity.acceptCard(await network.cards.find(user, signal));
        },
        quota: () => settings.get('hosting.quota'),
        asks: () => paying?.paidHosts.asks() ?? null,
        strangerShare: () => settings.get('hosting.strangerShare'),
        isKnown: (user) =>
          user === identity.userId() ||
          (people.given(nameOwner(), user)?.name ?? null) !== null ||
          drives.list().some(({ drive }) => drive.roleOf(user) !== null),
        openness: opennessOf,
        pays: (drive) => paying?.paidDrives.asksMet(drive) ?? null,
        find: (drive, signal) => findHosts(network, drive, signal),
        times: () => hostingTimes(settings),
        codingRules: () => codingRules(settings),
      });
      const sources = createSources(network);
      const parts: Online = { ...base, network, exchange, content, hosting, open, sources, readers };
      const drives: Drives = createDrives(parts, () => appData.users());
      const appData: AppData = createAppData(parts, {
        refreshMembers: () => drives.refreshMembers(),
        accepts: (app) => apps.installed.installs.find(app) !== null,
        quotaOf: (app) => apps.installed.installs.find(app)?.manifest.quota.bytes ?? null,
        chains: () => chains,
        wallet: () => wallet,
      });
      open.serve();
      serveInvites(parts, () => drives);
      serveRelay(
        parts,
        () => drives,
        () => published,
      );
      const shared = createSharedWithMe(parts, () => drives);
      undo.push(() => shared.stop());
      const names = createPeopleSync(parts, people);
      undo.push(() => names.stop());
      const revocations = createRevocations(parts, function* () {
        yield* drives.list();
        yield* appData.collections.list();
      });
      const directory = createDirectory(parts, drives);
      const linking = createLinking(parts);
      const transfers = createTransfers(parts, drives);
      undo.push(
        () => revocations.stop(),
        () => directory.stop(),
        () => linking.stop(),
        () => transfers.stop(),
        identity.on('card', () => {
          void revocations
            .sweep()
            .catch((error: unknown) =>
              logger.error({ err: error }, 'drives could not be told of a new card'),
            );
          network.announceCard();
          drives.refreshMembers();
          events.emit('status', {});
        }),
        network.on('peerConnected', () => events.emit('peers', {})),
        network.on('peerDisconnected', () => events.emit('peers', {})),
        exchange.on('members', ({ driveId }) => events.emit('drives', { driveId })),
        watchHosting(parts),
        trafficLog.follow(
          () => network.traffic(),
          () => network.peerTraffic(),
        ),
      );
      if (!options.offline) {
        await network.start();
        undo.push(() => network.stop());
      }
      await exchange.start();
      undo.push(() => exchange.stop());
      await hosting.start();
      undo.push(() => hosting.stop());
      const chains = createChains(parts, {
        networkOfOthers: (signal) => keys.networkOfOthers(signal),
        needsState: (chainId) => chores.needsState(chainId),
        relayedFunds: (chainId) => chores.relayedFunds(chainId),
      });
      undo.push(() => chains.stop());
      const wallet = createWallet(parts, chains);
      const keys = createAccountKeys(parts, chains, wallet);
      const signing = createSigning(parts, chains, wallet);
      const cardWatch = createCardWatch(parts, chains);
      const anchors = createAnchors({ node: parts, drives, chains, wallet, keys });
      const chores = createLedgerChores(parts, chains, wallet, keys, () => session?.streams.records ?? null);
      paying = chores;
      const recovery = createRecovery(parts, {
        drives: () => drives,
        network() {
          const inUse = chains.current();
          return inUse && !inUse.record.provisional ? chains.linkOf(inUse) : null;
        },
        names: (user) => people.page(user, '', mostNamesWritten),
        found: {
          drives: (user, device, notices) => shared.recovered(user, device, notices),
          names(user, given) {
            if (people.merge(user, given).length > 0) events.emit('people', {});
          },
          async network(link) {
            if (chains.current()?.record.provisional === false) return;
            await chains.join(link, 'full', AbortSignal.timeout(joinNetworkMs));
          },
        },
      });
      undo.push(
        () => recovery.stop(),
        () => anchors.stop(),
        () => chores.stop(),
        () => cardWatch.stop(),
        () => signing.stop(),
        () => keys.stop(),
        () => wallet.stop(),
      );
      const views = createViews(parts);
      undo.push(
        () => drives.stop(),
        () => appData.stop(),
        () => views.stop(),
        keepInvitations(parts, drives),
        keepAnnounced(parts, function* () {
          yield* openDriveKeys(drives);
          yield* openHostedKeys(hosting);
          if (settings.get('hosting.quota') !== null) yield hostKey(network.peerId);
          yield* recovery.announced();
        }),
      );
      const freeSpace = keepSpaceFree(parts, drives);
      undo.push(() => freeSpace.stop());
      const streams = createNodeStreams(parts, () => drives);
      session = {
        ...parts,
        drives,
        revocations,
        directory,
        relay: createRelay(parts),
        linking,
        transfers,
        views,
        chains,
        wallet,
        keys,
        signing,
        anchors,
        chores,
        shared,
        recovery,
        names,
        freeSpace,
        streams,
        appData,
        end,
      };
      // Opened before anybody asks for one; their folders are scanned afterwards.
      await drives.start();
      await appData.start();
      undo.push(apps.standing.start(appData));
      if (!options.offline) {
        await chains.start();
        await streams.start();
        undo.push(() => streams.stop(), apps.installed.follow());
      }
      void streams
        .recover()
        .catch((error: unknown) =>
          logger.warn({ err: error }, 'interrupted recordings could not be finished'),
        );
    } catch (error) {
      session = null;
      await end();
      throw error;
    }
  }

  const published = createPublished({
    drives: () => online().drives,
    views: () => online().views,
    exchange: () => online().exchange,
    random,
    relay: () => online().relay,
    readers: () => online().readers,
  });

  const apps = createApps({
    base,
    online,
    drives: () => online().drives,
    views: () => online().views,
    chains: () => online().chains,
    wallet: () => online().wallet,
    services: () => services,
    callers: createServicesOfCallers(() => online().appData.services),
    chainId: () => session?.chains.current()?.record.chainId ?? null,
  });
  const acts = createActMessages({ online, keys: () => online().keys });

  const services: Omit<NodeServices, 'node' | 'settings'> = {
    events,
    doctor: health.doctor,
    ...createIdentityServices({
      base,
      online,
      linking: () => online().linking,
      async unlocked() {
        await begin();
        for (const event of ['status', 'peers', 'transfers'] as const) events.emit(event, {});
        events.emit('drives', { driveId: null });
      },
      async locking() {
        const ending = session;
        session = null;
        await ending?.end();
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
      list: () => [...people.list(nameOwner())],
      name({ user, name }) {
        people.name(nameOwner(), user, name, clock.now());
        session?.names.changed(user);
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

  return {
    ...services,
    get peerId() {
      return identity.deviceId;
    },
    userId: () => (identity.status().state === 'open' ? identity.userId() : null),
    addresses: () => session?.network.addresses() ?? [],
    published,
    appHost: apps.host,
    node: {
      status: () => ({
        peerId: identity.deviceId,
        userId: identity.userId(),
        addresses: [...(session?.network.addresses() ?? [])],
        peers: session?.network.peers().length ?? 0,
        drives: session?.drives.list().length ?? 0,
        chain: chainOf(session?.chains ?? null),
        version,
        uptime: (performance.now() - startedAt) / 1000,
        keystore: session === null ? 'locked' : keystoreStates[identity.status().protection],
        linked: identity.status().linked,
      }),
      transfers: () => session?.transfers.list() ?? [],
      activity: (count) => base.activity.last(count),
    },
    settings: {
      all: () => settings.all(),
      get: ({ key }) => ({ key, value: settings.read(key) }),
      set({ key, value }) {
        const now = settings.write(key, value);
        if (key.startsWith('net.bandwidth.')) {
          session?.network.setLimits({
            up: settings.get('net.bandwidth.up'),
            down: settings.get('net.bandwidth.down'),
          });
        }
        if (key === 'free.below') session?.freeSpace.look();
        return { key, value: now };
      },
    },
    async start() {
      health.start();
      await apps.installed.start(options.shippedApps ?? null);
      await apps.host.start();
      await identity.start({ password: options.password });
      await begin();
    },
    async stop() {
      stopping = true;
      health.stop();
      await apps.host.stop();
      await session?.end();
      session = null;
      await apps.installed.stop();
      await identity.stop();
      db.close();
    },
  };
}

/** The active network, for the node's status. */
function chainOf(chains: Chains | null): { id: string | null; height: number } {
  const current = chains?.current() ?? null;
  return current
    ? { id: current.record.chainId, height: current.chain.status().height }
    : { id: null, height: 0 };
}
