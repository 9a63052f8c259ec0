// The service worker: /content/<token>/<name> is a file of the drive, decrypted on the way, in whatever ranges are asked for.
import { rangeOf, readRange } from './sealed.js';

const files = new Map();

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('message', (event) => {
  if (event.data?.t !== 'file') return;
  files.set(event.data.token, event.data.file);
  if (files.size > 64) files.delete(files.keys().next().value);
  event.ports[0]?.postMessage('kept');
});
self.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  const token = /^\/content\/([0-9a-f]{32})\//.exec(url.pathname)?.[1];
  if (url.origin === self.location.origin && token !== undefined)
    event.respondWith(answer(event.request, token));
});

/** Browsers end idle workers: what it knew then, the page that asked still knows. */
async function find(token) {
  if (files.has(token)) return files.get(token);
  for (const client of await self.clients.matchAll({ type: 'window' })) {
    const channel = new MessageChannel();
    const told = new Promise((resolve) => {
      channel.port1.onmessage = ({ data }) => resolve(data);
      setTimeout(() => resolve(null), 1000);
    });
    client.postMessage({ t: 'want', token }, [channel.port2]);
    const file = await told;
    if (file) {
      files.set(token, file);
      return file;
    }
  }
  return null;
}

async function answer(request, token) {
  const file = await find(token);
  if (!file) return new Response('Not found', { status: 404 });
  const { range, start, end } = rangeOf(request.headers.get('range'), file.size);
  const headers = {
    'accept-ranges': 'bytes',
    'content-type': file.type ?? 'application/octet-stream',
    'content-length': String(Math.max(0, end - start)),
    'content-security-policy': "sandbox; default-src 'none'",
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  };
  // What browsers might run is only ever saved.
  if (file.type === null || request.mode === 'navigate') {
    headers['content-disposition'] = `attachment; filename*=UTF-8''${encodeURIComponent(file.name)}`;
  }
  if (range && start >= file.size) {
    return new Response(null, { status: 416, headers: { 'content-range': `bytes */${file.size}` } });
  }
  if (range) headers['content-range'] = `bytes ${start}-${end - 1}/${file.size}`;
  const bytes = readRange(file, start, end);
  const stream = new ReadableStream(
    {
      async pull(controller) {
        try {
          const { value, done } = await bytes.next();
          if (done) controller.close();
          else if (value.length > 0) controller.enqueue(value);
        } catch (error) {
          controller.error(error);
        }
      },
      cancel: () => void bytes.return(),
    },
    { highWaterMark: 0 },
  );
  return new Response(stream, { status: range ? 206 : 200, headers });
}
