import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createEmitter } from '../../src-shared/emitter.ts';
import { AppError } from '../../src-shared/errors.ts';
import type { Node, NodeEvents, NodeOptions } from '../api/index.ts';
import { createIdentity } from '../identity/index.ts';
import { systemClock } from '../platform/index.ts';
import { createSettings, openDatabase } from '../store/index.ts';
import { createActivityLog } from './activity.ts';
import { createApps } from './apps/app-services.ts';
import type { Base } from './core.ts';
import { createHealth } from './health.ts';
import { createServicesOfCallers } from './apps/service-services.ts';
import type { Chains } from './ledger/chains.ts';
import { createLogger } from './logger.ts';
import { createNodeSettings } from './settings.ts';
import { createPeople } from './people.ts';
import { createPublished } from './sharing/published.ts';
import { createTrafficLog } from './traffic-log.ts';
import { createNodeServices } from './node-services.ts';
import { openSession, type Session } from './session.ts';

const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
const keystoreStates = { none: 'unprotected', password: 'password', keychain: 'keychain' } as const;

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

  async function begin(): Promise<void> {
    if (session || identity.status().state === 'locked') return;
    await openSession({
      base,
      options,
      agent: `extrachain/${version}`,
      people,
      trafficLog,
      apps: () => apps,
      published: () => published,
      session: () => session,
      begun(one) {
        session = one;
      },
    });
  }

  async function end(): Promise<void> {
    const ending = session;
    session = null;
    await ending?.end();
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
  const services = createNodeServices({
    base,
    people,
    trafficLog,
    apps,
    doctor: health.doctor,
    online,
    session: () => session,
    begin,
    end,
  });

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
