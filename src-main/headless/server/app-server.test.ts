import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { silentLogger } from '../../../src-shared/runtime.ts';
import { createDownloads } from '../../api/index.ts';
import { createTestHost } from '../../apps/testing.ts';
import { systemClock } from '../../platform/index.ts';
import { createAppServer } from './app-server.ts';

const app = 'a'.repeat(52);
const other = 'b'.repeat(52);
const absent = 'c'.repeat(52);

describe("the origin of an app in a browser's carrier", () => {
  let dir: string;
  let world: ReturnType<typeof createTestHost>;
  let server: ReturnType<typeof createAppServer>;
  const hostOf = (id: string) => `${id}.localhost:${server.port()}`;

  beforeAll(async () => {
    // The files of the app lie beside what it must not see.
    dir = await mkdtemp(path.join(os.tmpdir(), 'extrachain-apps-'));
    const files = path.join(dir, 'app');
    await mkdir(files);
    await writeFile(
      path.join(files, 'index.html'),
      '<!doctype html><html lang="en"><title>Hello</title></html>',
    );
    await writeFile(path.join(files, 'code.js'), 'export {};');
    world = createTestHost(
      { [app]: files, [other]: files },
      {
        makeBytes: (origin) =>
          createDownloads({ clock: systemClock, random: (n) => randomBytes(n), origin: () => origin }),
      },
    );
    await world.host.start();
    server = createAppServer({ dataDir: dir, host: world.host, log: silentLogger });
    await server.start();
  });
  afterAll(async () => {
    await server.stop();
    await world.host.stop();
    await rm(dir, { recursive: true, force: true });
  });

  /** A request exactly as it is written: no client tidies its path up. */
  function ask(
    target: string,
    headers: Readonly<Record<string, string>> = {},
    method = 'GET',
  ): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connectSocket(server.port(), '127.0.0.1');
      let text = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      socket.on('end', () => resolve(text)).on('error', reject);
      const lines = Object.entries({ host: hostOf(app), connection: 'close', ...headers });
      socket.write(`${method} ${target} HTTP/1.1\r\n${lines.map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`);
    });
  }
  const statusOf = async (...given: Parameters<typeof ask>) => Number((await ask(...given)).split(' ')[1]);

  it('serves the entry with the provider before everything else, under a policy that closes the rest', async () => {
    const answer = await ask('/');
    expect(answer).toContain(
      '<!doctype html><script src="/_extrachain/provider.js"></script><html lang="en">',
    );
    expect(answer).toMatch(/^connection-allowlist: \(response-origin\)\r$/m);
    expect(answer).toMatch(
      /^content-security-policy: .*default-src 'self'.*sandbox allow-scripts allow-same-origin/m,
    );
    expect(answer).toContain(`connect-src 'self' ws://${hostOf(app)}/_extrachain/rpc`);
    expect(await ask('/code.js')).toMatch(/content-type: text\/javascript/);
    expect(await ask('/_extrachain/provider.js')).toContain('extrachain:announceProvider');
  });

  it.each([
    '127.0.0.1',
    'localhost',
    `${absent}.localhost`,
    `${app}.example.org`,
    `x.${app}.localhost`,
    `${app}.localhost.`,
    'evil.test',
  ])('answers to no other name: %s', async (name) => {
    expect(await statusOf('/', { host: `${name}:${server.port()}` })).toBe(403);
  });

  it('answers to no other port in the name, and to none at all', async () => {
    expect(await statusOf('/', { host: `${app}.localhost:1` })).toBe(403);
    expect(await statusOf('/', { host: `${app}.localhost` })).toBe(403);
  });

  it.each([
    '/../apps.port',
    '/%2e%2e/apps.port',
    '/..%2fapps.port',
    '/%2fetc/passwd',
    '//etc/passwd',
    '/code.js/',
    '/CODE.JS/../../x',
    '/a%00b',
    '/%',
    '/%5c..%5cx',
    '/extrachain.json',
    '/_extrachain/bytes/short',
    '/_extrachain/../index.html/x',
    `/_extrachain/bytes/${'A'.repeat(43)}`,
    `/_extrachain/live/${'A'.repeat(43)}/x`,
    '/_EXTRACHAIN/provider.js',
  ])('has nothing at %s', async (target) => {
    expect(await statusOf(target)).toBe(404);
  });

  it('keeps other pages and service workers out', async () => {
    const page = {
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    };
    expect(await statusOf('/', page)).toBe(200);
    expect(await statusOf('/', { ...page, 'sec-fetch-dest': 'iframe' })).toBe(403);
    expect(await statusOf('/code.js', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' })).toBe(
      403,
    );
    expect(await statusOf('/code.js', { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' })).toBe(
      403,
    );
    expect(await statusOf('/code.js', { 'service-worker': 'script' })).toBe(403);
    expect(await statusOf('/', {}, 'POST')).toBe(405);
  });

  /** Opens the provider's socket. @returns its first message or how it was closed */
  function enter(secret: string, origin: string | undefined, id = app): Promise<string> {
    return new Promise((resolve) => {
      const socket = new WebSocket(
        `ws://127.0.0.1:${server.port()}/_extrachain/rpc`,
        ['extrachain.app.1', `token.${secret}`],
        { headers: { host: hostOf(id) }, ...(origin !== undefined && { origin }) },
      );
      const done = (text: string) => {
        resolve(text);
        socket.terminate();
      };
      socket.on('message', (data: Buffer) => done(data.toString()));
      socket.on('close', (code) => done(`closed ${code}`));
      socket.on('error', (error) => done(error.message));
    });
  }
  const own = (id = app) => `http://${hostOf(id)}`;

  it('lets a page in by a secret that is good once, for that app, and by the key of its session then', async () => {
    const secret = world.host.invite(app);
    expect(await enter(secret, own(other), other)).toBe('closed 4401');
    const first = JSON.parse(await enter(secret, own())) as { method: string; params: { key: string } };
    expect(first.method).toBe('connect');
    expect(await enter(secret, own())).toBe('closed 4401');
    expect(await enter(first.params.key, own())).toContain('"connect"');
    expect(await enter(first.params.key, own(other), other)).toBe('closed 4401');
    const [session] = world.host.sessions.list(app);
    world.host.sessions.end(session!.id);
    expect(await enter(first.params.key, own())).toBe('closed 4401');
  });

  it('lets no page of another origin in, nor a program without one', async () => {
    const refused = 'Unexpected server response: 403';
    for (const origin of [
      undefined,
      'null',
      'http://evil.test',
      `http://127.0.0.1:${server.port()}`,
      own(other),
    ]) {
      expect(await enter(world.host.invite(app), origin)).toBe(refused);
    }
  });

  it('comes back at the same port', async () => {
    const before = server.port();
    await server.stop();
    server = createAppServer({ dataDir: dir, host: world.host, log: silentLogger });
    await server.start();
    expect(server.port()).toBe(before);
  });
});
