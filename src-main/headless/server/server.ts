import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import path from 'node:path';
import { WebSocketServer } from 'ws';
import writeFileAtomic from 'write-file-atomic';
import { AppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger, Service } from '../../../src-shared/runtime.ts';
import { serve } from '../../../src-shared/rpc/index.ts';
import type { Implementation } from '../../../src-shared/rpc/index.ts';
import { apiFileName } from './api-file.ts';
import {
  isAllowedHost,
  isAllowedOrigin,
  isToken,
  pageHeaders,
  sharedWithPage,
  subprotocol,
  tokenOf,
} from './guard.ts';
import { createPageFiles } from './page-files.ts';
import { maxPayload, webSocketPort } from './web-socket-port.ts';

export interface ServerOptions {
  /** A loopback host. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Where `api.json` goes. */
  readonly dataDir: string;
  readonly implementation: Implementation;
  /** Where the built window lies; the plain status page is served while it is missing. */
  readonly windowDir?: string;
  /** Answers requests for users' bytes, on an origin of their own. */
  readonly bytes: (request: Request) => Promise<Response>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface LoopbackServer extends Service {
  /** `http://HOST:PORT`, known once started. */
  origin(): string;
  /** The page's address with the token in its fragment, which browsers never send. */
  pageUrl(): string;
  /** The other origin, for users' bytes. */
  bytesOrigin(): string;
}

const maxConnections = 256;

/**
 * Serves the contract (WebSocket `/rpc`) and the page on one loopback port, and users' bytes on a second one. Both
 * answer only to loopback names; the contract only to who knows the token.
 */
export function createLoopbackServer(options: ServerOptions): LoopbackServer {
  const { host, log } = options;
  const token = randomBytes(32).toString('base64url');
  const apiFile = path.join(options.dataDir, apiFileName);
  const bytesPortFile = path.join(options.dataDir, 'bytes.port');
  const page = createPageFiles(options.windowDir ?? null);
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  });
  const main = createHttpServer((request, response) => void answerPage(request, response));
  const bytes = createHttpServer((request, response) => void answerBytes(request, response));
  const sessions = new Set<Promise<void>>();

  const portOf = (server: Server) => (server.address() as AddressInfo).port;
  const originOf = (server: Server) => `http://${host.includes(':') ? `[${host}]` : host}:${portOf(server)}`;

  async function answerPage(request: IncomingMessage, response: ServerResponse) {
    const headers = pageHeaders(request.headers.host ?? '', originOf(bytes));
    if (!isAllowedHost(request.headers.host, host, portOf(main))) return refuse(response, 403);
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405);
    const file = await page.get((request.url ?? '').split('?')[0]!);
    if (!file) return refuse(response, 404);
    response.writeHead(200, { ...headers, 'content-type': file.type, 'content-length': file.body.length });
    response.end(request.method === 'HEAD' ? undefined : file.body);
  }

  async function answerBytes(request: IncomingMessage, response: ServerResponse) {
    if (!isAllowedHost(request.headers.host, host, portOf(bytes))) return refuse(response, 403);
    const forPage = sharedWithPage(request.headers.origin, host, portOf(main));
    if (request.method === 'OPTIONS') {
      response.writeHead(forPage ? 204 : 403, forPage ?? {});
      return void response.end();
    }
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    try {
      const answer = await options.bytes(
        new Request(new URL(request.url ?? '/', originOf(bytes)), {
          method: request.method ?? 'GET',
          headers: rangesOf(request.headers),
          signal: gone.signal,
          ...((request.method === 'PUT' || request.method === 'POST') && {
            body: Readable.toWeb(request) as never,
            duplex: 'half' as const,
          }),
        }),
      );
      response.writeHead(answer.status, { ...Object.fromEntries(answer.headers), ...forPage });
      if (answer.body) await pipeline(Readable.fromWeb(answer.body as never), response);
      else response.end();
    } catch (error) {
      // Too late for an answer: a cut connection tells the reader that these were not all bytes.
      if (!gone.signal.aborted) log.warn({ error: String(error) }, 'sending bytes failed');
      response.destroy();
    }
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer) {
    const { authorization, origin } = request.headers;
    const protocols = request.headers['sec-websocket-protocol'];
    socket.on('error', () => socket.destroy());
    const port = portOf(main);
    if (!isAllowedHost(request.headers.host, host, port) || !isAllowedOrigin(origin, host, port)) {
      return refuseUpgrade(socket, '403 Forbidden');
    }
    if (request.url !== '/rpc') return refuseUpgrade(socket, '404 Not Found');
    const given = tokenOf({
      ...(authorization === undefined ? {} : { authorization }),
      ...(protocols === undefined ? {} : { protocols }),
    });
    if (!isToken(given, token)) return refuseUpgrade(socket, '401 Unauthorized');
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const session = serve(options.implementation, webSocketPort(webSocket), {
        clock: options.clock,
        onInternalError: (error, call) =>
          log.error({ call, error: error instanceof Error ? error.stack : String(error) }, 'a call failed'),
      });
      sessions.add(session);
      void session.finally(() => sessions.delete(session));
    });
  }

  /**
   * A page that outlives a restart of this program, as its own port is a fixed one, may talk to the port that it was told of when it was
   * loaded and to no other: that one is kept from start to start.
   */
  async function listenForBytes(): Promise<void> {
    if (options.port === 0) return listen(bytes, host, 0);
    const before = Number(await readFile(bytesPortFile, 'utf8').catch(() => '0'));
    const isPort = Number.isInteger(before) && before > 1023 && before < 65_536;
    await listen(bytes, host, isPort ? before : 0).catch(() => listen(bytes, host, 0));
    if (portOf(bytes) !== before) await writeFileAtomic(bytesPortFile, `${portOf(bytes)}\n`, { mode: 0o600 });
  }

  return {
    async start() {
      main.on('upgrade', upgrade);
      for (const server of [main, bytes]) server.maxConnections = maxConnections;
      await listen(main, host, options.port);
      await listenForBytes();
      const api = { url: originOf(main), token, pid: process.pid };
      await writeFileAtomic(apiFile, `${JSON.stringify(api)}\n`, { mode: 0o600 });
    },
    async stop() {
      await rm(apiFile, { force: true });
      const closing = [main, bytes].map((server) => new Promise((resolve) => server.close(resolve)));
      for (const socket of sockets.clients) socket.close(1001);
      await Promise.race([
        Promise.all(sessions),
        new Promise<void>((resolve) => options.clock.after(1000, resolve)),
      ]);
      for (const socket of sockets.clients) socket.terminate();
      for (const server of [main, bytes]) server.closeAllConnections();
      await Promise.all(closing);
    },
    origin: () => originOf(main),
    pageUrl: () => `${originOf(main)}/#token=${token}`,
    bytesOrigin: () => originOf(bytes),
  };
}

/** Which part is asked for or sent; nothing else of what a page says concerns the bytes. */
function rangesOf(headers: IncomingMessage['headers']): Record<string, string> {
  const { range, 'content-range': part } = headers;
  return { ...(range !== undefined && { range }), ...(part !== undefined && { 'content-range': part }) };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const message =
        error.code === 'EADDRINUSE'
          ? `Another program already listens on ${host}:${port}; choose another --ui.`
          : `Can't listen on ${host}:${port}: ${error.message}.`;
      reject(new AppError('invalid_argument', message, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
}

function refuse(response: ServerResponse, status: number) {
  response.writeHead(status, { 'content-type': 'text/plain', 'x-content-type-options': 'nosniff' });
  response.end(`${status}\n`);
}

function refuseUpgrade(socket: Duplex, status: string) {
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}
