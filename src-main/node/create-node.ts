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
import { createIdentity, encodeCard } from '../identity/index.ts';
import { createNetwork } from '../network/index.ts';
import { systemClock } from '../platform/index.ts';
import { createSettings, openDatabase } from '../store/index.ts';
import { createActivityLog } from './activity.ts';
import type { Base, Online } from './core.ts';
import { createDriveServices } from './drive-services.ts';
import { createDrives, type Drives } from './drives.ts';
import { createFileServices } from './file-services.ts';
import { createHealth } from './health.ts';
import { createHostingServices, hostingTimes, watchHosting } from './hosting-services.ts';
import { createIdentityServices } from './identity-services.ts';
import { createLinking, type Linking } from './linking.ts';
import { defaultListen } from './listen.ts';
import { createLogger } from './logger.ts';
import { createNetServices } from './net-services.ts';
import { createNodeSettings } from './settings.ts';
import { serveInvites } from './sharing/invite-protocol.ts';
import { createOpenAccess } from './sharing/open-access.ts';
import { createPublished } from './sharing/published.ts';
import { createSources } from './sharing/sources.ts';
import { keepSharing } from './sharing/upkeep.ts';
import { createViews, type Views } from './sharing/views.ts';
import { createTransfers, type Transfers } from './transfers.ts';

const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
const keystoreStates = { none: 'unprotected', password: 'password', keychain: 'keychain' } as const;

/** What runs once the keystore is open, and how to end it. */
interface Session extends Online {
  readonly drives: Drives;
  readonly linking: Linking;
  readonly transfers: Transfers;
  readonly views: Views;
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
  );
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
        ownCard,
        clock,
        logger,
        agent: `extrachain/${version}`,
      });
      const content = createContentIo({ logger });
      undo.push(() => content.stop());
      const open = createOpenAccess({ network, clock, random, drive: (id) => drives.opened(id) });
      undo.push(() => open.stop());
      const exchange = createExchange(
        { network, clock, logger, random },
        { bulk: () => settings.get('net.bulk'), open },
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
        quota: () => settings.get('hosting.quota'),
        times: () => hostingTimes(settings),
      });
      const sources = createSources(network);
      const parts: Online = { ...base, network, exchange, content, hosting, open, sources };
      const drives: Drives = createDrives(parts);
      open.serve();
      serveInvites(parts, () => drives);
      const linking = createLinking(parts);
      const transfers = createTransfers(parts, drives);
      undo.push(
        () => linking.stop(),
        () => transfers.stop(),
        identity.on('card', () => {
          network.announceCard();
          drives.refreshMembers();
          events.emit('status', {});
        }),
        network.on('peerConnected', () => events.emit('peers', {})),
        network.on('peerDisconnected', () => events.emit('peers', {})),
        exchange.on('members', ({ driveId }) => events.emit('drives', { driveId })),
        watchHosting(parts),
      );
      if (!options.offline) {
        await network.start();
        undo.push(() => network.stop());
      }
      await exchange.start();
      undo.push(() => exchange.stop());
      await hosting.start();
      undo.push(() => hosting.stop());
      const views = createViews(parts);
      undo.push(
        () => drives.stop(),
        () => views.stop(),
        keepSharing(parts, drives),
      );
      session = { ...parts, drives, linking, transfers, views, end };
      // Opened before anybody asks for one; their folders are scanned afterwards.
      await drives.start();
    } catch (error) {
      session = null;
      await end();
      throw error;
    }
  }

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
        events.emit('status', {});
      },
      async deviceRevoked(device) {
        for (const { drive } of online().drives.list()) {
          const role = drive.ownRole();
          if (role === 'owner' || role === 'manager') await drive.revokeDevice(device);
        }
        await online().network.disconnect(device);
      },
    }),
    ...createDriveServices(
      online,
      () => online().drives,
      () => online().views,
    ),
    ...createFileServices(
      () => online().drives,
      () => online().views,
    ),
    ...createNetServices(online, base),
    ...createHostingServices(online, () => online().drives),
  };

  return {
    ...services,
    get peerId() {
      return identity.deviceId;
    },
    userId: () => (identity.status().state === 'open' ? identity.userId() : null),
    addresses: () => session?.network.addresses() ?? [],
    published: createPublished({
      drives: () => online().drives,
      views: () => online().views,
      exchange: () => online().exchange,
      random,
    }),
    node: {
      status: () => ({
        peerId: identity.deviceId,
        userId: identity.userId(),
        addresses: [...(session?.network.addresses() ?? [])],
        peers: session?.network.peers().length ?? 0,
        drives: session?.drives.list().length ?? 0,
        chain: { id: null, height: 0 },
        version,
        uptime: (performance.now() - startedAt) / 1000,
        keystore: session === null ? 'locked' : keystoreStates[identity.status().protection],
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
        return { key, value: now };
      },
    },
    async start() {
      health.start();
      await identity.start({ password: options.password });
      await begin();
    },
    async stop() {
      stopping = true;
      health.stop();
      await session?.end();
      session = null;
      await identity.stop();
      db.close();
    },
  };
}
