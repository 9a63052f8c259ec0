import { readFile } from 'node:fs/promises';
import type { ElectronParts } from './electron-parts.ts';
import { pageHeaders } from './policy/headers.ts';
import { appScheme } from './policy/app-origins.ts';
import { bytesScheme, isPageUrl, pageOrigin, pageScheme } from './policy/origins.ts';
import { findPageFile } from './policy/page-files.ts';

/** Tells Chromium what our two schemes are. Must be called before the application is ready. */
export function registerSchemes({ protocol }: Pick<ElectronParts, 'protocol'>): void {
  const privileges = { standard: true, secure: true, supportFetchAPI: true, stream: true };
  protocol.registerSchemesAsPrivileged([
    { scheme: pageScheme, privileges: { ...privileges, codeCache: true } },
    // Another origin than the page's: without CORS the page could not read text to preview or send files.
    { scheme: bytesScheme, privileges: { ...privileges, corsEnabled: true } },
    // One origin for each app; answered in the partition of its window alone.
    { scheme: appScheme, privileges: { ...privileges, codeCache: true } },
  ]);
}

/**
 * Answers requests of both schemes.
 * @param pageDir the folder of the built page
 * @param bytes answers for users' bytes; never throws
 */
export function handleSchemes(
  { protocol }: Pick<ElectronParts, 'protocol'>,
  { pageDir, bytes }: { readonly pageDir: string; readonly bytes: (request: Request) => Promise<Response> },
): void {
  protocol.handle(pageScheme, (request) => answerPage(pageDir, request));
  protocol.handle(bytesScheme, (request) => answerBytes(bytes, request));
}

/** A file of the page, or 404: what lies outside of its folder does not exist. */
export async function answerPage(pageDir: string, request: Request): Promise<Response> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, pageHeaders);
  const found = findPageFile(pageDir, request.url);
  if (found === null) return plain(404, pageHeaders);
  let body: Buffer<ArrayBuffer>;
  try {
    body = await readFile(found.file);
  } catch {
    return plain(404, pageHeaders);
  }
  return new Response(request.method === 'HEAD' ? null : body, {
    headers: { ...pageHeaders, 'content-type': found.type, 'content-length': String(body.length) },
  });
}

const crossOrigin = {
  'access-control-allow-origin': pageOrigin,
  'access-control-expose-headers':
    'content-length, content-range, accept-ranges, error-code, upload-offset, stream-queue, stream-uplink, stream-dropped, stream-viewers',
  'cross-origin-resource-policy': 'cross-origin',
  vary: 'origin',
};

/** Users' bytes, for our page or for a download that we began ourselves. */
export async function answerBytes(
  bytes: (request: Request) => Promise<Response>,
  request: Request & { readonly initiatorOrigin?: string | null | undefined },
): Promise<Response> {
  // Says Electron, not the page that asks. The address alone is a secret; this keeps what lies in a preview out as well.
  if (typeof request.initiatorOrigin === 'string' && !isPageUrl(request.initiatorOrigin))
    return plain(403, {});
  if (request.method === 'OPTIONS') {
    return new Response(null, {
      status: 204,
      headers: {
        ...crossOrigin,
        'access-control-allow-methods': 'GET, HEAD, PUT, POST, DELETE',
        'access-control-allow-headers': 'content-type, range, content-range',
      },
    });
  }
  const response = await bytes(request);
  for (const [name, value] of Object.entries(crossOrigin)) response.headers.set(name, value);
  return response;
}

function plain(status: number, headers: Readonly<Record<string, string>>): Response {
  return new Response(`${status}\n`, { status, headers: { ...headers, 'content-type': 'text/plain' } });
}
