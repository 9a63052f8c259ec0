import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { contract } from '../../src-shared/contract/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import { implement } from '../../src-shared/rpc/index.ts';
import { createDownloads, createHandlers } from '../api/index.ts';
import type { NodeOptions } from '../api/index.ts';
import { createLogger, createNode } from '../node/index.ts';
import { createLogFile, keepCrashReports, lockFolder, systemClock, tuneProcess } from '../platform/index.ts';
import { createGateway } from './gateway/index.ts';
import { createAppServer, createLoopbackServer } from './server/index.ts';
import { appsDir, buildMissingWindow, windowDir } from './window-build.ts';

/** Printed once everything answers. */
export interface Ready {
  readonly ready: true;
  readonly peerId: string;
  readonly userId: string | null;
  readonly addresses: readonly string[];
  /** The page, with the token in the fragment. */
  readonly ui: string;
  /** Where browsers of others find public and unlisted drives; null: no gateway. */
  readonly gateway: string | null;
}

export interface DaemonOptions extends Omit<NodeOptions, 'offline'> {
  readonly ui: { readonly host: string; readonly port: number };
  readonly gateway?: { readonly host: string; readonly port: number } | undefined;
  readonly onReady: (ready: Ready) => void;
}

/** A stop that takes longer is cut short, ms. What is on disk is sound at any moment. */
const stopLimit = 4_500;
/** How long the process may go on once everything has stopped, ms: time for the last words on stderr. */
const lingerLimit = 100;

/**
 * Runs a node with its loopback server until SIGTERM, SIGINT or the `shutdown` call.
 * @throws AppError `locked` when another daemon runs on the data folder; whatever keeps the node from starting
 */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { dataDir, ui, gateway: gatewayAt, onReady, ...nodeOptions } = options;
  tuneProcess();
  await mkdir(dataDir, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw new AppError(
      'permission_denied',
      `Can't make the data folder ${dataDir}: ${(cause as Error).message}.`,
      {
        cause,
      },
    );
  });
  const lock = lockFolder(dataDir);
  // Not before: a process that is refused must end by itself, and on a signal.
  const shutdown = createShutdown();
  /** What to undo, in reverse order. */
  const undo: (() => Promise<void> | void)[] = [() => lock.release(), shutdown.dispose];
  try {
    const logFile = createLogFile(dataDir);
    undo.push(() => logFile.close());
    undo.push(keepCrashReports(dataDir, process.version));
    const node = await createNode({ dataDir, logFile, shippedApps: appsDir, ...nodeOptions });
    undo.push(() => node.stop());
    await node.start();
    const downloads = createDownloads({
      clock: systemClock,
      random: randomBytes,
      origin: () => server.bytesOrigin(),
    });
    const log = createLogger(options.logLevel, logFile);
    const apps = createAppServer({ dataDir, host: node.appHost, log });
    undo.push(() => apps.stop());
    await apps.start();
    const handlers = createHandlers(node, {
      clock: systemClock,
      downloads,
      shutdown: shutdown.request,
      openApp: ({ appId, secret, path }) => apps.urlOf(appId, secret, path),
    });
    const server = createLoopbackServer({
      ...ui,
      dataDir,
      implementation: implement(contract, handlers),
      windowDir,
      bytes: (request) => downloads.serve(request),
      clock: systemClock,
      log,
    });
    undo.push(() => server.stop());
    await server.start();
    const gateway = gatewayAt
      ? createGateway({
          ...gatewayAt,
          published: node.published,
          clock: systemClock,
          log,
        })
      : null;
    if (gateway) {
      undo.push(() => gateway.stop());
      await gateway.start();
    }
    if (!shutdown.asked()) {
      onReady({
        ready: true,
        peerId: node.peerId,
        userId: node.userId(),
        addresses: node.addresses(),
        ui: server.pageUrl(),
        gateway: gateway?.origin() ?? null,
      });
    }
    undo.push(buildMissingWindow());
    await shutdown.requested;
  } finally {
    const late = setTimeout(() => {
      process.stderr.write('extrachain: stopping took too long and was cut short\n');
      process.exit(process.exitCode ?? 0);
    }, stopLimit).unref();
    for (const step of undo.reverse()) await step();
    clearTimeout(late);
    // Debounced timers of libp2p outlive its stop by up to two seconds; nothing of ours is left to wait for.
    setTimeout(() => process.exit(process.exitCode ?? 0), lingerLimit).unref();
  }
}

/** Asked for by a signal or a call; a signal during the start counts too. */
function createShutdown() {
  let asked = false;
  let resolve!: () => void;
  const requested = new Promise<void>((done) => (resolve = done));
  const request = () => {
    asked = true;
    resolve();
  };
  process.on('SIGTERM', request);
  process.on('SIGINT', request);
  // Keeps the process alive whatever else is going on.
  const alive = setInterval(() => {}, 2 ** 30);
  return {
    request,
    requested,
    asked: () => asked,
    dispose() {
      clearInterval(alive);
      process.removeListener('SIGTERM', request);
      process.removeListener('SIGINT', request);
    },
  };
}
