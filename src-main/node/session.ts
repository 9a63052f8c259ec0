import path from 'node:path';
import type { NodeOptions } from '../api/index.ts';
import { createContentIo } from '../drive/index.ts';
import { createExchange } from '../exchange/index.ts';
import { createHosting } from '../hosting/index.ts';
import { encodeCard } from '../identity/index.ts';
import { createNetwork } from '../network/index.ts';
import type { Apps } from './apps/app-services.ts';
import { keepAnnounced } from './announcements.ts';
import type { Base, Online } from './core.ts';
import { createDrives, type Drives } from './drives.ts';
import { findHosts, hostKey } from './found-hosts.ts';
import { keepSpaceFree, type FreeSpace } from './free-space.ts';
import { codingRules, hostingTimes, watchHosting } from './hosting-services.ts';
import { createAppData, type AppData } from './apps/app-data.ts';
import { createAccountKeys, type AccountKeys } from './ledger/account-keys.ts';
import { createAnchors, type Anchors } from './ledger/anchors.ts';
import { createChains, type Chains } from './ledger/chains.ts';
import { createLedgerChores, type LedgerChores } from './ledger/ledger-chores.ts';
import { createCardWatch } from './ledger/card-watch.ts';
import { createSigning } from './ledger/signing/signing.ts';
import type { Signing } from './ledger/signing/signing.ts';
import { createWallet, type Wallet } from './ledger/wallet.ts';
import { createLinking, type Linking } from './linking.ts';
import { defaultListen } from './listen.ts';
import { createRevocations, type Revocations } from './revocations.ts';
import { serveInvites } from './sharing/invite-protocol.ts';
import { createDirectory, type Directory } from './sharing/directory.ts';
import { createOpenAccess } from './sharing/open-access.ts';
import { createPeopleSync, type PeopleSync } from './people-sync.ts';
import { createRecovery, type Recovery } from './recovery/recovery.ts';
import { nameOwner, type People } from './people.ts';
import type { createPublished } from './sharing/published.ts';
import { createSharedWithMe, type SharedWithMe } from './sharing/shared-with-me.ts';
import { createReaders } from './sharing/reader-bounds.ts';
import { createRelay, serveRelay, type Relay } from './sharing/relay.ts';
import { createSources } from './sharing/sources.ts';
import { keepInvitations, openDriveKeys, openHostedKeys, opennessOf } from './sharing/upkeep.ts';
import { createViews, type Views } from './sharing/views.ts';
import { createNodeStreams, type NodeStreams } from './stream/stream-services.ts';
import type { TrafficLog } from './traffic-log.ts';
import { createTransfers, type Transfers } from './transfers.ts';

/** Names of people in a recovery record, and how long its network is looked for, ms. */
const mostNamesWritten = 512;
const joinNetworkMs = 60_000;

/** What runs once the keystore is open, and how to end it. */
export interface Session extends Online {
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

/** What a session is made of besides the node's base. */
export interface SessionDeps {
  readonly base: Base;
  readonly options: NodeOptions;
  /** What this program calls itself to others. */
  readonly agent: string;
  readonly people: People;
  readonly trafficLog: TrafficLog;
  /** Asked for later only. */
  apps(): Apps;
  published(): ReturnType<typeof createPublished>;
  /** The session that runs; null once it is about to end. */
  session(): Session | null;
  /** It can be used from now on, though its drives are still opened; null: it came to nothing. */
  begun(session: Session | null): void;
}

/**
 * Starts all that needs the open keystore: network, drives, chains, streams. What was begun is ended when something fails.
 * @throws AppError of the network and of the data folder
 */
export async function openSession(deps: SessionDeps): Promise<void> {
  const { base, options, people, trafficLog, apps } = deps;
  const { dataDir, clock, random, logger, events, db, settings, identity } = base;
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
      ownCard: () => (identity.userId() === null ? null : encodeCard(identity.card())),
      clock,
      logger,
      agent: deps.agent,
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
        (people.given(nameOwner(identity), user)?.name ?? null) !== null ||
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
      accepts: (app) => apps().installed.installs.find(app) !== null,
      quotaOf: (app) => apps().installed.installs.find(app)?.manifest.quota.bytes ?? null,
      chains: () => chains,
      wallet: () => wallet,
    });
    open.serve();
    serveInvites(parts, () => drives);
    serveRelay(parts, () => drives, deps.published);
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
          .catch((error: unknown) => logger.error({ err: error }, 'drives could not be told of a new card'));
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
    const chores = createLedgerChores(
      parts,
      chains,
      wallet,
      keys,
      () => deps.session()?.streams.records ?? null,
    );
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
    const session: Session = {
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
    deps.begun(session);
    // Opened before anybody asks for one; their folders are scanned afterwards.
    await drives.start();
    await appData.start();
    undo.push(apps().standing.start(appData));
    if (!options.offline) {
      await chains.start();
      await streams.start();
      undo.push(() => streams.stop(), apps().installed.follow());
    }
    void streams
      .recover()
      .catch((error: unknown) => logger.warn({ err: error }, 'interrupted recordings could not be finished'));
  } catch (error) {
    deps.begun(null);
    await end();
    throw error;
  }
}
