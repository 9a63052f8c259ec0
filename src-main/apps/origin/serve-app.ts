import { pathProblem } from '../../../src-shared/apps/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { Logger } from '../../../src-shared/runtime.ts';
import type { AppBytes, HostedApp } from '../provider/index.ts';
import { contentType } from './content-types.ts';
import { originHeaders } from './headers.ts';
import { providerScript } from './provider-script.ts';

export interface OriginDeps {
  /** null: no such app is installed. */
  app(appId: string): HostedApp | null;
  /**
   * A file of the app's bundle, checked against its hash.
   * @returns null when there is no such file
   * @throws AppError `bad_hash` when it is not what the publisher signed
   */
  read(appId: string, path: string): Promise<Uint8Array | null>;
  bytes(appId: string): AppBytes;
  granted(appId: string): { readonly camera: boolean; readonly microphone: boolean };
  readonly log: Logger;
}

/** The host's own part of the origin. */
const own = '/_extrachain/';
const script = '<script src="/_extrachain/provider.js"></script>';

/**
 * Answers a request for an app's origin: its files, the provider's script, and bytes by capability URL. The same for every
 * carrier. Never throws.
 * @param socket the address of the carrier's WebSocket; null: the carrier needs none
 */
export async function serveApp(
  deps: OriginDeps,
  appId: string,
  request: Request,
  socket: string | null,
): Promise<Response> {
  const app = deps.app(appId);
  if (!app) return plain(404, {});
  const headers = originHeaders(socket, deps.granted(appId));
  if (!mayAsk(request)) return plain(403, headers);
  const { pathname, search } = new URL(request.url);
  try {
    if (pathname === `${own}provider.js`) {
      return body(request, providerScript, 'text/javascript; charset=utf-8', headers);
    }
    if (pathname.startsWith(own)) {
      const inner = new Request(new URL(`/${pathname.slice(own.length)}${search}`, request.url), request);
      return withHeaders(await deps.bytes(appId).serve(inner), headers);
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, headers);
    const path = pathname === '/' ? app.manifest.entry : decoded(pathname.slice(1));
    if (path === null || pathProblem(path) !== null) return plain(404, headers);
    const file = await deps.read(appId, path);
    if (!file) return plain(404, headers);
    const type = contentType(path);
    return body(request, type.startsWith('text/html') ? withProvider(file) : file, type, headers);
  } catch (error) {
    const damaged = error instanceof AppError;
    deps.log[damaged ? 'warn' : 'error'](
      { app: appId, error: String(error) },
      'a file of an app was not served',
    );
    return plain(damaged ? 502 : 500, headers);
  }
}

/**
 * Whether a request comes from the app itself, or is a person's way to it. What other pages of the browser ask for, be it only to find
 * out what is installed, is refused; so is a service worker, which would outlive updates and the app.
 */
function mayAsk({ headers }: Request): boolean {
  if (headers.get('service-worker') !== null) return false;
  const site = headers.get('sec-fetch-site');
  if (site === null || site === 'same-origin' || site === 'none') return true;
  return headers.get('sec-fetch-mode') === 'navigate' && headers.get('sec-fetch-dest') === 'document';
}

function decoded(path: string): string | null {
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}

/** The provider's script goes before everything that the page brings along, only the doctype stays in front. */
function withProvider(html: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(html);
  const doctype = /^\uFEFF?\s*(?:<!--[^]*?-->\s*)*<!doctype[^>]*>/i.exec(text)?.[0] ?? '';
  return new TextEncoder().encode(doctype + script + text.slice(doctype.length));
}

function body(
  request: Request,
  content: Uint8Array,
  type: string,
  headers: Readonly<Record<string, string>>,
): Response {
  return new Response(request.method === 'HEAD' ? null : (content as Uint8Array<ArrayBuffer>), {
    headers: { ...headers, 'content-type': type, 'content-length': String(content.length) },
  });
}

/** Bytes keep their own, narrower policy. */
function withHeaders(response: Response, headers: Readonly<Record<string, string>>): Response {
  for (const [name, value] of Object.entries(headers)) {
    if (!response.headers.has(name)) response.headers.set(name, value);
  }
  return response;
}

function plain(status: number, headers: Readonly<Record<string, string>>): Response {
  return new Response(`${status}\n`, { status, headers: { ...headers, 'content-type': 'text/plain' } });
}
