import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { contract } from '../../../src-shared/contract/index.ts';
import { implement } from '../../../src-shared/rpc/index.ts';
import { silentLogger } from '../../../src-shared/runtime.ts';
import { createDownloads, createHandlers } from '../../api/index.ts';
import { createTestBytes, createTestServices } from '../../api/testing.ts';
import { systemClock } from '../../platform/index.ts';
import { connectToDaemon } from '../client.ts';
import { isAllowedHost, isAllowedOrigin, isLoopback, isToken, tokenOf } from './guard.ts';
import { createLoopbackServer } from './server.ts';
import type { LoopbackServer } from './server.ts';

let dataDir: string;
let server: LoopbackServer;
let token: string;
let stops = 0;
const bytes = createTestBytes(randomBytes(3_000_000), 64 * 1024);

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'extrachain-server-'));
  const services = createTestServices({ files: { read: async ({ start, end }) => bytes.open(start, end) } });
  const downloads = createDownloads({
    clock: systemClock,
    random: randomBytes,
    origin: () => server.bytesOrigin(),
  });
  const handlers = createHandlers(services, {
    clock: systemClock,
    downloads,
    shutdown: () => void (stops += 1),
  });
  server = createLoopbackServer({
    host: '127.0.0.1',
    port: 0,
    dataDir,
    implementation: implement(contract, handlers),
    bytes: (asked) => downloads.serve(asked),
    clock: systemClock,
    log: silentLogger,
  });
  await server.start();
  token = new URL(server.pageUrl()).hash.slice('#token='.length);
});
afterAll(async () => {
  await server.stop();
  await rm(dataDir, { recursive: true });
});

const portOf = (origin: string) => Number(new URL(origin).port);

/** A plain request; `fetch` would not let the Host header be forged. */
function get(origin: string, url: string, headers: Record<string, string> = {}, method = 'GET') {
  return new Promise<{ status: number; headers: Record<string, unknown>; body: string }>(
    (resolve, reject) => {
      request(
        { host: '127.0.0.1', port: portOf(origin), path: url, method, headers, agent: false },
        (response) => {
          text(response).then(
            (body) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
            reject,
          );
        },
      )
        .on('error', reject)
        .end();
    },
  );
}

/** Tries to open the contract's socket; the status of the refusal, or `open`. */
function upgrade(headers: Record<string, string>, protocols: string[] = [], url = '/rpc') {
  return new Promise<string>((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${portOf(server.origin())}${url}`, protocols, { headers });
    socket.on('open', () => (socket.terminate(), resolve('open')));
    socket.on(
      'unexpected-response',
      (asked, response) => (asked.destroy(), resolve(String(response.statusCode))),
    );
    socket.on('error', (error) => resolve(error.message));
  });
}

describe('the api file', () => {
  it('is for this user only and tells how to come in', async () => {
    const file = path.join(dataDir, 'api.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
      url: server.origin(),
      token,
      pid: process.pid,
    });
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
  });

  it('is what a client needs', async () => {
    const { client, close, closed } = await connectToDaemon(dataDir);
    expect(await client.node.shutdown()).toEqual({ ok: true });
    expect(stops).toBe(1);
    await expect(client.drives.status({ drive: 'x' })).rejects.toMatchObject({ code: 'unsupported' });
    close();
    await closed;
  });
});

describe('the page', () => {
  it('comes with a strict policy and holds no token', async () => {
    for (const url of ['/', '/page.js', '/page.css', '/icon.svg', '/?utm=1']) {
      const { status, headers, body } = await get(server.origin(), url);
      expect(status, url).toBe(200);
      expect(headers['content-security-policy']).toContain(
        "default-src 'none'; script-src 'self'; style-src 'self'",
      );
      expect(headers['content-security-policy']).not.toContain('unsafe');
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      });
      expect(headers).not.toHaveProperty('access-control-allow-origin');
      expect(headers).not.toHaveProperty('set-cookie');
      expect(body).not.toContain(token);
    }
  });

  it('has nothing inline', async () => {
    const { body } = await get(server.origin(), '/');
    expect(body).not.toMatch(/<script(?![^>]*src=)|<style|\sstyle=|\son\w+=/);
  });

  it('is the only thing there', async () => {
    for (const url of ['/../package.json', '/..%2fserver.ts', '/index.html', '/api.json', '//', '/rpc']) {
      expect((await get(server.origin(), url)).status, url).toBe(404);
    }
    expect((await get(server.origin(), '/', {}, 'POST')).status).toBe(405);
  });

  it('answers to loopback names only', async () => {
    for (const origin of [server.origin(), server.bytesOrigin()]) {
      const port = portOf(origin);
      for (const host of [
        `evil.example:${port}`,
        '127.0.0.1',
        `127.0.0.1:${port + 1}`,
        `127.0.0.1.evil:${port}`,
      ]) {
        expect((await get(origin, '/', { host })).status, host).toBe(403);
      }
    }
    const port = portOf(server.origin());
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`]) {
      expect((await get(server.origin(), '/', { host })).status, host).toBe(200);
    }
  });
});

describe('the contract', () => {
  const good = () => ({ authorization: `Bearer ${token}` });

  it('opens to the token, as bearer or as subprotocol', async () => {
    expect(await upgrade(good())).toBe('open');
    expect(await upgrade({}, ['extrachain.1', `token.${token}`])).toBe('open');
    expect(await upgrade({ ...good(), origin: server.origin() })).toBe('open');
  });

  it.each([
    ['no token', () => ({})],
    ['a wrong one', () => ({ authorization: `Bearer ${'A'.repeat(43)}` })],
    ['a shorter one', () => ({ authorization: `Bearer ${token.slice(0, -1)}` })],
    ['a cookie', () => ({ cookie: `token=${token}` })],
    ['basic authentication', () => ({ authorization: `Basic ${token}` })],
  ])('refuses %s', async (_, headers) => {
    expect(await upgrade(headers())).toBe('401');
  });

  it('takes no token from the URL, and knows one address', async () => {
    expect(await upgrade({}, [], `/rpc?token=${token}`)).toBe('404');
    expect(await upgrade(good(), [], '/')).toBe('404');
  });

  it('refuses other origins and forged hosts, even with the token', async () => {
    const port = portOf(server.origin());
    for (const origin of ['http://evil.example', 'null', `https://127.0.0.1:${port}`, server.bytesOrigin()]) {
      expect(await upgrade({ ...good(), origin }), origin).toBe('403');
    }
    expect(await upgrade({ ...good(), host: `evil.example:${port}` })).toBe('403');
  });

  it('survives bytes that are no HTTP', async () => {
    await new Promise<void>((resolve) => {
      const socket = connectTcp(portOf(server.origin()), '127.0.0.1', () =>
        socket.end('\x16\x03\x01 hello\r\n\r\n'),
      );
      socket
        .on('error', () => {})
        .on('close', () => resolve())
        .resume();
    });
    expect(await upgrade(good())).toBe('open');
  });
});

describe("users' bytes", () => {
  it('come from another origin, whole, in a sandbox', async () => {
    const { client, close } = await connectToDaemon(dataDir);
    const { url, size } = await client.files.open({ drive: 'd', path: 'a.html' });
    expect(new URL(url).origin).toBe(server.bytesOrigin());
    expect(server.bytesOrigin()).not.toBe(server.origin());
    const response = await fetch(url);
    expect(response.headers.get('content-security-policy')).toContain('sandbox');
    expect((await response.arrayBuffer()).byteLength).toBe(size);
    expect((await get(server.origin(), new URL(url).pathname)).status).toBe(404);
    const leaving = await fetch(url);
    await leaving.body!.cancel();
    for (let tries = 0; bytes.seen.released < bytes.seen.opened; tries += 1) {
      expect(tries).toBeLessThan(200);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    close();
  });
});

describe('the rules themselves', () => {
  it('allow what they should', () => {
    expect(isAllowedHost('LOCALHOST:5', '127.0.0.1', 5)).toBe(true);
    expect(isAllowedHost('127.0.0.9:5', '127.0.0.9', 5)).toBe(true);
    expect(isAllowedHost('127.0.0.9:5', '127.0.0.1', 5)).toBe(false);
    expect(isAllowedHost(undefined, '127.0.0.1', 5)).toBe(false);
    expect(isAllowedOrigin(undefined, '127.0.0.1', 5)).toBe(true);
    expect(isAllowedOrigin('http://[::1]:5', '::1', 5)).toBe(true);
    expect(['127.0.0.1', '127.1.2.3', '::1', 'localhost'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '192.168.0.1', '::', '127.0.0.1.evil', 'localhost.evil'].some(isLoopback)).toBe(false);
    expect(isToken(null, 'a')).toBe(false);
    expect(isToken('a', 'a')).toBe(true);
    expect(tokenOf({ protocols: 'token.abc' })).toBe(null);
    expect(tokenOf({ protocols: 'extrachain.1, token.abc' })).toBe('abc');
  });
});

it('takes its api file away when it stops, and lets go of the ports', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'extrachain-server-'));
  const make = (port: number) =>
    createLoopbackServer({
      host: '127.0.0.1',
      port,
      dataDir: dir,
      implementation: { find: () => null },
      bytes: async () => new Response(null, { status: 404 }),
      clock: systemClock,
      log: silentLogger,
    });
  const other = make(0);
  await other.start();
  const { closed } = await connectToDaemon(dir);
  const origin = other.origin();
  await other.stop();
  await closed;
  await expect(connectToDaemon(dir)).rejects.toMatchObject({ code: 'not_running' });
  await expect(get(origin, '/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  // Where the page has a port of its own, the other one stays, too: pages that are open may talk to no other.
  const origins: string[] = [];
  for (let n = 0; n < 2; n += 1) {
    const again = make(portOf(origin));
    await again.start();
    expect(again.origin()).toBe(origin);
    origins.push(again.bytesOrigin());
    await again.stop();
  }
  expect(origins[1]).toBe(origins[0]);
  await rm(dir, { recursive: true });
});
