import { createHash, timingSafeEqual } from 'node:crypto';

/** The WebSocket subprotocol of the contract; browsers send the token as a second one, `token.<token>`. */
export const subprotocol = 'extrachain.1';

/**
 * Whether a request's Host header names this server by a loopback name. A page of another site that rebinds its name
 * to 127.0.0.1 fails here.
 * @param bound the host the server listens on
 */
export function isAllowedHost(header: string | undefined, bound: string, port: number): boolean {
  return header !== undefined && allowedHosts(bound, port).includes(header.toLowerCase());
}

/** Whether an upgrade may come from there: our own page, or a program that is no browser and sends no Origin. */
export function isAllowedOrigin(header: string | undefined, bound: string, port: number): boolean {
  if (header === undefined) return true;
  return allowedHosts(bound, port).some((host) => header.toLowerCase() === `http://${host}`);
}

function allowedHosts(bound: string, port: number): string[] {
  const name = bound.includes(':') ? `[${bound}]` : bound;
  return [...new Set([name, '127.0.0.1', 'localhost', '[::1]'])].map((host) => `${host}:${port}`);
}

/** True for 127.0.0.0/8, ::1 and localhost: the only places the page and the contract are served on. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** The token of an upgrade request: `Authorization: Bearer` from programs, a subprotocol from browsers. Never a cookie or the URL. */
export function tokenOf(headers: { authorization?: string; protocols?: string }): string | null {
  const bearer = /^Bearer ([A-Za-z0-9_-]{1,100})$/.exec(headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return bearer;
  const offered = (headers.protocols ?? '').split(',').map((name) => name.trim());
  if (!offered.includes(subprotocol)) return null;
  return offered.find((name) => name.startsWith('token.'))?.slice('token.'.length) ?? null;
}

/** Compares without telling by the time it takes how much was right. */
export function isToken(given: string | null, token: string): boolean {
  if (given === null) return false;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

/**
 * Lets the page, and no other, read answers of the bytes' origin: what it may fetch it still needs a capability URL for.
 * @returns headers to add; null when the request comes from elsewhere
 */
export function sharedWithPage(
  origin: string | undefined,
  bound: string,
  pagePort: number,
): Record<string, string> | null {
  if (origin === undefined || !isAllowedOrigin(origin, bound, pagePort)) return null;
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'GET, HEAD, PUT, POST, DELETE',
    'access-control-allow-headers': 'range, content-type, content-range',
    'access-control-expose-headers':
      'content-range, content-length, accept-ranges, error-code, upload-offset, stream-queue, stream-uplink, stream-dropped, stream-viewers',
    'access-control-max-age': '600',
    vary: 'origin',
  };
}

/**
 * Headers of every answer of the page's origin.
 * @param bytesOrigin where users' pictures, sound and texts are fetched from
 */
export function pageHeaders(host: string, bytesOrigin: string): Record<string, string> {
  return {
    'content-security-policy': [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "worker-src 'self'",
      `img-src 'self' ${bytesOrigin}`,
      // Live streams are put together in memory by the player.
      `media-src blob: ${bytesOrigin}`,
      `connect-src 'self' ws://${host} ${bytesOrigin}`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'no-store',
  };
}
