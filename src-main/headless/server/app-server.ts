import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import path from 'node:path';
import { WebSocketServer } from 'ws';
import writeFileAtomic from 'write-file-atomic';
import type { Logger, Service } from '../../../src-shared/runtime.ts';
import type { AppHost } from '../../apps/index.ts';
import { appOfHost, appSubprotocol, isOwnOrigin } from './app-guard.ts';
import { webSocketPort } from './web-socket-port.ts';

export interface AppServerOptions {
  /** Keeps the port from start to start, so that what pages store in the browser is found again. */
  readonly dataDir: string;
  readonly host: AppHost;
  readonly log: Logger;
}

export interface AppServer extends Service {
  readonly port: () => number;
  /** The page of an app; `secret` opens it once, `place` is where in the app. */
  urlOf(appId: string, secret: string, place: string): string;
}

const maxConnections = 256;
/** Longest message of a page, bytes: what the provider takes, if every unit took three. */
const maxPayload = 1_200_000;

/**
 * Serves every installed app under an origin of its own, `http://<appId>.localhost:PORT`, and its provider over a WebSocket there.
 * Browsers take these names for this computer without asking anybody. Every other name is refused.
 */
export function createAppServer({ dataDir, host, log }: AppServerOptions): AppServer {
  const portFile = path.join(dataDir, 'apps.port');
  const server = createServer((request, response) => void answer(request, response));
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(appSubprotocol) ? appSubprotocol : false),
  });
  const portOf = (): number => (server.address() as AddressInfo).port;
  const hostOf = (appId: string): string => `${appId}.localhost:${portOf()}`;
  const socketOf = (appId: string): string => `ws://${hostOf(appId)}/_extrachain/rpc`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const appId = appOfHost(request.headers.host, portOf());
    if (appId === null || !host.hosts(appId)) {
      response.writeHead(403, { 'content-type': 'text/plain', 'x-content-type-options': 'nosniff' });
      return void response.end('403\n');
    }
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    try {
      const hasBody = request.method === 'PUT' || request.method === 'POST';
      const answered = await host.serve(
        appId,
        new Request(new URL(request.url ?? '/', `http://${hostOf(appId)}`), {
          method: request.method ?? 'GET',
          headers: passedOn(request.headers),
          signal: gone.signal,
          ...(hasBody && { body: Readable.toWeb(request) as never, duplex: 'half' as const }),
        }),
        socketOf(appId),
      );
      response.writeHead(answered.status, Object.fromEntries(answered.headers));
      if (answered.body) await pipeline(Readable.fromWeb(answered.body as never), response);
      else response.end();
    } catch (error) {
      // Too late for an answer: a cut connection tells the reader that these were not all bytes.
      if (!gone.signal.aborted) log.warn({ error: String(error) }, 'answering a page of an app failed');
      response.destroy();
    }
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const appId = appOfHost(request.headers.host, portOf());
    const known = appId !== null && host.hosts(appId) && request.url === '/_extrachain/rpc';
    if (!known || !isOwnOrigin(request.headers.origin, appId, portOf())) {
      socket.end('HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    const said = (prefix: string): string =>
      offered.find((name) => name.startsWith(prefix))?.slice(prefix.length) ?? '';
    const session = host.enter(appId, said('token.'));
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', () => {});
      // Told by a code: a refused upgrade looks to a page like a node that is away.
      if (!session) return webSocket.close(4401, 'no session');
      const network = said('network.');
      host.connect(
        session,
        webSocketPort(webSocket),
        network === 'closed' || network === 'open' ? network : 'unknown',
      );
    });
  }

  const listen = (wanted: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(wanted, '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });

  return {
    async start() {
      server.on('upgrade', upgrade);
      server.maxConnections = maxConnections;
      const before = Number(await readFile(portFile, 'utf8').catch(() => '0'));
      await listen(Number.isInteger(before) && before > 1023 && before < 65_536 ? before : 0).catch(() =>
        listen(0),
      );
      if (portOf() !== before) await writeFileAtomic(portFile, `${portOf()}\n`, { mode: 0o600 });
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await closed;
    },
    port: portOf,
    urlOf: (appId, secret, place) =>
      `http://${hostOf(appId)}/#${String(new URLSearchParams({ exc: secret, ...(place !== '' && { to: place }) }))}`,
  };
}

/** What of a page's headers concerns its answer. */
function passedOn(headers: IncomingMessage['headers']): Record<string, string> {
  const names = [
    'range',
    'content-range',
    'service-worker',
    'sec-fetch-site',
    'sec-fetch-mode',
    'sec-fetch-dest',
  ] as const;
  return Object.fromEntries(
    names.flatMap((name) => (typeof headers[name] === 'string' ? [[name, headers[name]]] : [])),
  );
}
