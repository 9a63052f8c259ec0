import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger, Service } from '../../../src-shared/runtime.ts';
import type { Published } from '../../api/index.ts';
import { createRequestLimit, visitorOf } from './request-limit.ts';

export interface Gateway extends Service {
  /** `http://HOST:PORT`, known once started. */
  origin(): string;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly cache?: string;
}

const headers = {
  // Only what the gateway itself wrote runs, and only it is spoken to. What a drive holds comes out of the service worker, which
  // gives it a policy of its own.
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "worker-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self'",
    "media-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};
const pages: Readonly<Record<string, readonly [file: string, type: string]>> = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/icons.js': ['icons.js', 'text/javascript; charset=utf-8'],
  '/words.js': ['words.js', 'text/javascript; charset=utf-8'],
  '/sealed.js': ['sealed.js', 'text/javascript; charset=utf-8'],
  '/worker.js': ['worker.js', 'text/javascript; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/icon.svg': ['../../page/icon.svg', 'image/svg+xml'],
};
const maxConnections = 256;
/** Of one visitor: nobody takes all places. A browser opens six; a proxy in front counts as one visitor. */
const connectionsEach = 64;
/** A connection over which nothing has gone for so long is closed, also one whose other side takes in nothing. ms. */
const silentMs = 90_000;
const requestMs = 60_000;

/**
 * Serves public and unlisted drives to browsers. It knows no token and no contract: what is private cannot be asked for. What it
 * sends is sealed under the link's key, which stays in the fragment of the page's address.
 */
export function createGateway(options: {
  readonly host: string;
  readonly port: number;
  readonly published: Published;
  readonly clock: Clock;
  readonly log: Logger;
}): Gateway {
  const { published, log } = options;
  const limit = createRequestLimit(options.clock);
  const server = createServer((request, response) => void answer(request, response));
  server.maxConnections = maxConnections;
  server.requestTimeout = 15_000;
  server.setTimeout(silentMs);
  const open = new Map<string, number>();
  server.on('connection', (socket) => {
    const visitor = visitorOf(socket.remoteAddress ?? '');
    const count = (open.get(visitor) ?? 0) + 1;
    if (count > connectionsEach) return socket.destroy();
    open.set(visitor, count);
    socket.once('close', () => {
      const left = (open.get(visitor) ?? 1) - 1;
      if (left > 0) open.set(visitor, left);
      else open.delete(visitor);
    });
  });

  async function page(file: string, type: string): Promise<Answer> {
    const body = await readFile(path.join(import.meta.dirname, 'page', file));
    return { status: 200, type, body, cache: 'no-cache' };
  }

  async function api(url: URL, access: Uint8Array | null, signal: AbortSignal): Promise<Answer> {
    const [, driveId = '', kind = '', node = '', index = '', id = ''] =
      /^\/api\/(b[a-z2-7]{40,100})(?:\/(folder|file|block)\/([0-9a-f]{32})(?:\/(\d{1,9})\/([0-9a-f]{64}))?)?$/.exec(
        url.pathname,
      ) ?? [];
    const sealed = (body: Uint8Array, cache = 'no-store'): Answer => ({
      status: 200,
      type: 'application/octet-stream',
      body,
      cache,
    });
    if (driveId === '' || (kind === 'block') !== (id !== '')) return notFound;
    if (kind === 'folder') {
      const after = url.searchParams.get('after') ?? '';
      return sealed(await published.folder(driveId, access, node, after, signal));
    }
    if (kind === 'file') return sealed(await published.file(driveId, access, node, signal));
    if (kind === 'block') {
      const block = { file: node, index: Number(index), id };
      const forEver = 'private, max-age=31536000, immutable';
      return sealed(await published.block(driveId, access, block, signal), forEver);
    }
    const { visibility, readSecret } = await published.drive(driveId, access, signal);
    const key = readSecret && Buffer.from(readSecret).toString('base64url');
    return {
      status: 200,
      type: 'application/json',
      body: JSON.stringify({ visibility, key }),
      cache: 'no-store',
    };
  }

  async function route(request: IncomingMessage, signal: AbortSignal): Promise<Answer> {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return plain(405, 'Only GET is answered here.');
    if (!limit.take(request.socket.remoteAddress ?? ''))
      return plain(429, 'Too many requests; wait a little.');
    const target = request.url ?? '/';
    if (!target.startsWith('/') || !URL.canParse(`http://gateway${target}`)) return notFound;
    const url = new URL(`http://gateway${target}`);
    const known = pages[/^\/d\/[a-z2-7]{1,110}$/.test(url.pathname) ? '/' : url.pathname];
    if (known) return page(...known);
    const token = /^Bearer ([A-Za-z0-9_-]{43})$/.exec(request.headers.authorization ?? '')?.[1];
    return api(url, token === undefined ? null : new Uint8Array(Buffer.from(token, 'base64url')), signal);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    let found: Answer;
    try {
      found = await route(request, AbortSignal.any([gone.signal, AbortSignal.timeout(requestMs)]));
    } catch (error) {
      if (gone.signal.aborted) return;
      found = isAppError(error, 'not_found')
        ? notFound
        : plain(503, 'This cannot be had now; try again later.');
      if (found !== notFound) log.debug({ err: error }, 'a request to the gateway failed');
    }
    const { status, type, body, cache = 'no-store' } = found;
    response.writeHead(status, {
      ...headers,
      'content-type': type,
      'content-length': Buffer.byteLength(body),
      'cache-control': cache,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  const origin = (): string => {
    const { port } = server.address() as AddressInfo;
    return `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`;
  };

  return {
    origin,
    start: () =>
      new Promise((resolve, reject) => {
        server.once('error', (cause) =>
          reject(
            new AppError('invalid_argument', `The gateway can't listen on ${options.host}:${options.port}.`, {
              cause,
            }),
          ),
        );
        server.listen(options.port, options.host, resolve);
      }),
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

const plain = (status: number, text: string): Answer => ({
  status,
  type: 'text/plain; charset=utf-8',
  body: `${text}\n`,
});
const notFound = plain(404, 'There is no such drive, or it is not open to you.');
