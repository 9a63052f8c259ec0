/** What a page of an app may use of the browser besides what everybody has; the rest is closed. */
const closed = [
  'accelerometer',
  'browsing-topics',
  'clipboard-read',
  'display-capture',
  'gamepad',
  'geolocation',
  'gyroscope',
  'hid',
  'idle-detection',
  'local-fonts',
  'magnetometer',
  'midi',
  'otp-credentials',
  'payment',
  'publickey-credentials-create',
  'publickey-credentials-get',
  'serial',
  'storage-access',
  'usb',
  'window-management',
  'xr-spatial-tracking',
] as const;
const open = ['autoplay', 'clipboard-write', 'fullscreen', 'picture-in-picture', 'screen-wake-lock'] as const;

/**
 * Headers of every answer of an app's origin. They leave a page its own origin and nothing else:
 *
 * - `Connection-Allowlist` (Chromium 152 and newer) closes every connection elsewhere, with those that no
 *   Content-Security-Policy reaches: WebRTC, DNS prefetch, preconnect and navigation.
 * - `sandbox` without popups, modal dialogs, downloads and top navigation: nothing can pose as our window.
 *
 * docs/security.md says what stays open in browsers that do not know the first.
 * @param socket where the page may open a WebSocket; null: it has another carrier
 */
export function originHeaders(
  socket: string | null,
  granted: { readonly camera: boolean; readonly microphone: boolean },
): Readonly<Record<string, string>> {
  const own = socket === null ? "'self'" : `'self' ${socket}`;
  return {
    'content-security-policy': [
      "default-src 'self'",
      `connect-src ${own} blob: data:`,
      "script-src 'self' 'wasm-unsafe-eval'",
      "style-src 'self' 'unsafe-inline'",
      "img-src 'self' blob: data:",
      "media-src 'self' blob: data:",
      "font-src 'self' data:",
      "worker-src 'self' blob:",
      "frame-src 'none'",
      "object-src 'none'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      'sandbox allow-scripts allow-same-origin allow-forms',
    ].join('; '),
    'connection-allowlist': '(response-origin)',
    'permissions-policy': [
      ...closed.map((name) => `${name}=()`),
      ...open.map((name) => `${name}=(self)`),
      `camera=(${granted.camera ? 'self' : ''})`,
      `microphone=(${granted.microphone ? 'self' : ''})`,
    ].join(', '),
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'x-dns-prefetch-control': 'off',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'origin-agent-cluster': '?1',
    // A removed or replaced app leaves nothing behind.
    'cache-control': 'no-store',
  };
}
