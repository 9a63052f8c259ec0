import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Clock, RandomBytes } from '../../src-shared/runtime.ts';
import type { ByteSource } from './node-services.ts';
import { createReceptions } from './receptions.ts';
import type { Reception, Unfinished } from './receptions.ts';

export type { Reception, Unfinished } from './receptions.ts';

/** Something that can be fetched. */
export interface Download {
  readonly fileName: string;
  /** Set: it may be shown under this type. Otherwise it is an attachment of no type. */
  readonly type?: string | null;
  /** The part from `start` to before `end` (null: the end). */
  open(start: number, end: number | null, signal: AbortSignal): Promise<ByteSource>;
}

export interface Downloads {
  /** @returns a URL that whoever holds it may fetch, for a minute after its last use */
  offer(download: Download): string;
  /** @returns a URL that takes exactly these bytes, once, begun within a minute: by one PUT, or by several with parts */
  accept(reception: Reception): string;
  /** Uploads of which something came: they wait a day for the rest. */
  unfinished(): readonly (Omit<Unfinished, 'token'> & { readonly url: string })[];
  /**
   * Gives a part of the origin to a handler that never throws: `<url>/<rest>`, for whoever holds the URL, until it is ended.
   * @param options `idle`: unused so long (ms) it ends by itself and says so
   */
  mount(
    handler: (request: Request, rest: string) => Promise<Response>,
    options?: { readonly idle: number; readonly onIdle: () => void },
  ): { readonly url: string; end(): void };
  /** Answers a GET or HEAD (ranges included), a PUT or DELETE of such an URL. Never throws. */
  serve(request: Request): Promise<Response>;
}

export interface DownloadsOptions {
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** The origin that `serve` answers on, without a slash at the end: never the window's. */
  readonly origin: () => string;
  /** How long an URL stays good after it was last used, ms; default a minute. */
  readonly lifetime?: number;
  /** How many may be open; default 1000. */
  readonly most?: number;
}

/**
 * Users' bytes, by capability URL. They are served from an origin of their own, as attachments or as
 * something to look at, inside a sandbox that may load and run nothing, so that a hostile file reaches nothing.
 */
export function createDownloads({
  clock,
  random,
  origin,
  lifetime = 60_000,
  most = 1000,
}: DownloadsOptions): Downloads {
  const offered = new Map<string, { readonly download: Download; until: number }>();
  const receptions = createReceptions(clock);
  const mounts = new Map<string, (request: Request, rest: string) => Promise<Response>>();

  const uploadUrl = (token: string) => `${origin()}/uploads/${token}`;
  const newToken = () => Buffer.from(random(32)).toString('base64url');

  function prune(entries: Map<string, { readonly until: number }>) {
    for (const [token, { until }] of entries) {
      if (until >= clock.now() && entries.size < most) break;
      entries.delete(token);
    }
  }

  async function receive(token: string, request: Request): Promise<Response> {
    const found = await receptions.serve(token, request);
    if (!found) return answer(404, 'This link does not exist or has expired.\n');
    return answer(found.status, null, found.headers);
  }

  function take(token: string): Download | null {
    const found = offered.get(token);
    if (!found) return null;
    offered.delete(token);
    if (found.until < clock.now()) return null;
    // Put back at the end: the map stays ordered by last use.
    offered.set(token, { download: found.download, until: clock.now() + lifetime });
    return found.download;
  }

  return {
    offer(download) {
      prune(offered);
      const token = newToken();
      offered.set(token, { download, until: clock.now() + lifetime });
      return `${origin()}/bytes/${token}`;
    },
    accept(reception) {
      const token = newToken();
      receptions.add(token, reception);
      return uploadUrl(token);
    },
    unfinished: () => receptions.unfinished().map(({ token, ...one }) => ({ ...one, url: uploadUrl(token) })),
    mount(handler, options) {
      const token = newToken();
      let used = clock.now();
      let cancel = (): void => {};
      const end = (): void => {
        cancel();
        mounts.delete(token);
      };
      const watch = (): void => {
        if (!options) return;
        const rest = used + options.idle - clock.now();
        if (rest > 0) cancel = clock.after(rest, watch);
        else {
          end();
          options.onIdle();
        }
      };
      mounts.set(token, (request, rest) => {
        used = clock.now();
        return handler(request, rest);
      });
      watch();
      return { url: `${origin()}/live/${token}`, end };
    },
    async serve(request) {
      const { pathname } = new URL(request.url);
      const mounted = /^\/live\/([A-Za-z0-9_-]{43})\/(.{1,200})$/.exec(pathname);
      const handler = mounted && mounts.get(mounted[1]!);
      if (handler) return handler(request, mounted[2]!);
      const upload = /^\/uploads\/([A-Za-z0-9_-]{43})$/.exec(pathname)?.[1];
      if (['PUT', 'DELETE', 'HEAD'].includes(request.method) && upload !== undefined)
        return receive(upload, request).catch(refusal);
      if (request.method !== 'GET' && request.method !== 'HEAD')
        return request.method === 'PUT'
          ? answer(404, 'This link does not exist or has expired.\n')
          : answer(405, null, { allow: 'GET, HEAD, PUT, DELETE' });
      const token = /^\/bytes\/([A-Za-z0-9_-]{43})$/.exec(pathname)?.[1];
      const download = token === undefined ? null : take(token);
      if (!download) return answer(404, 'This link does not exist or has expired.\n');
      try {
        return await respond(request, download);
      } catch (error) {
        return isAppError(error, 'invalid_argument') ? answer(416, null) : refusal(error);
      }
    },
  };
}

/** What a failure looks like from outside; `error-code` is what a window translates. */
function refusal(error: unknown): Response {
  if (!(error instanceof AppError)) {
    return answer(500, 'Something went wrong inside the node; its log says more.\n', {
      'error-code': 'internal',
    });
  }
  const status = error.code === 'not_found' ? 404 : error.code === 'already_exists' ? 409 : 502;
  const text = status === 404 ? error.message : `${error.code}: ${error.message}`;
  return answer(status, `${text}\n`, { 'error-code': error.code });
}

async function respond(request: Request, download: Download): Promise<Response> {
  const range = parseRange(request.headers.get('range'));
  if (range && range.start === null) {
    // The last n bytes: the size has to be known first.
    const { size, bytes } = await download.open(0, 0, request.signal);
    await bytes[Symbol.asyncIterator]().return?.();
    range.start = Math.max(0, size - (range.end ?? 0));
    range.end = null;
  }
  const start = range?.start ?? 0;
  const { size, bytes } = await download.open(start, range?.end ?? null, request.signal);
  if (range && start >= size) {
    await bytes[Symbol.asyncIterator]().return?.();
    return answer(416, null, { 'content-range': `bytes */${size}` });
  }
  const end = Math.min(range?.end ?? size, size);
  const headers: Record<string, string> = {
    'content-length': String(end - start),
    'accept-ranges': 'bytes',
    'content-type': download.type ?? 'application/octet-stream',
    'content-disposition': `${download.type ? 'inline' : 'attachment'}; filename*=UTF-8''${encodeURIComponent(download.fileName)}`,
  };
  if (range) headers['content-range'] = `bytes ${start}-${end - 1}/${size}`;
  if (request.method === 'HEAD') {
    await bytes[Symbol.asyncIterator]().return?.();
    return answer(range ? 206 : 200, null, headers);
  }
  return answer(range ? 206 : 200, ReadableStream.from(bytes) as ReadableStream<Uint8Array>, headers);
}

/** One range of RFC 9110, section 14.1.2; anything else is as if none was asked. `end` is exclusive. */
function parseRange(header: string | null): { start: number | null; end: number | null } | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return null;
  if (match[1] === '') return { start: null, end: Number(match[2]) };
  const start = Number(match[1]);
  const end = match[2] === '' ? null : Number(match[2]) + 1;
  return end !== null && end <= start ? null : { start, end };
}

function answer(
  status: number,
  body: string | ReadableStream<Uint8Array> | null,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(body, {
    status,
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      ...headers,
    },
  });
}
