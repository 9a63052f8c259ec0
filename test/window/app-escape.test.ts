import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src-shared/runtime.ts';
import { createDownloads } from '../../src-main/api/index.ts';
import { createTestHost } from '../../src-main/apps/testing.ts';
import { createAppServer } from '../../src-main/headless/server/index.ts';
import { systemClock } from '../../src-main/platform/index.ts';
import { findChromium, openBrowser } from './browser.ts';
import type { Browser } from './browser.ts';

const chromium = findChromium();
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');
const appDir = path.join(import.meta.dirname, 'escape-app');
const app = 'a'.repeat(52);
const other = 'b'.repeat(52);

/** Ways that a plain page has and that do nothing here, so that they prove nothing: named, so that a browser that learns them shows. */
const idle = new Set([
  'serviceWorker', // registers a script of its own origin
  'webTransport', // the target speaks no HTTP/3
  'popupBlank', // depends on the popup blocker
  'formPopup',
  'manifest', // fetched when an app is installed
]);

/** Names that a page can have looked up without a request, and what they resolve to. */
const lookedUp = { dns: '127.0.0.43', anchor: '127.0.0.44', preconnect: '127.0.0.45' } as const;

/** Which of these names a browser resolved, as its own log of the network says. It has to be closed: then the log is whole. */
async function resolved(log: string): Promise<string[]> {
  const { constants, events } = JSON.parse(await readFile(log, 'utf8')) as {
    readonly constants: { readonly logEventTypes: Readonly<Record<string, number>> };
    readonly events: readonly { readonly type: number; readonly params?: { readonly host?: string } }[];
  };
  const request = constants.logEventTypes['HOST_RESOLVER_MANAGER_REQUEST'];
  const hosts = events.filter(({ type }) => type === request).map(({ params }) => params?.host ?? '');
  expect(hosts.length).toBeGreaterThan(0);
  return Object.entries(lookedUp)
    .filter(([, address]) => hosts.some((host) => host.includes(address)))
    .map(([name]) => name);
}

describe.skipIf(chromium === null)('a page of an app that tries every way out', () => {
  const hits = new Set<string>();
  let connections = 0;
  let packets = 0;
  let target: Server;
  let plain: Server;
  let stun: Socket;
  let dir: string;
  let host: ReturnType<typeof createTestHost>;
  let apps: ReturnType<typeof createAppServer>;
  let browser: Browser;
  let unconfined: Browser;
  const originOf = (server: Server) => {
    const { address, port } = server.address() as AddressInfo;
    return `http://${address}:${port}`;
  };

  beforeAll(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'extrachain-escape-'));
    target = createServer((request, response) => {
      hits.add(/^\/hit\/(\w+)/.exec(request.url ?? '')?.[1] ?? `other ${request.url}`);
      response
        .writeHead(200, { 'access-control-allow-origin': '*', 'content-type': 'text/plain' })
        .end('hit');
    }).on('upgrade', (request, socket) => {
      hits.add(/^\/hit\/(\w+)/.exec(request.url ?? '')?.[1] ?? 'upgrade');
      socket.destroy();
    });
    target.on('connection', () => (connections += 1));
    plain = createServer((request, response) => {
      const name = (request.url ?? '/').slice(1) || 'index.html';
      void readFile(path.join(appDir, path.basename(name))).then(
        (body) =>
          response
            .writeHead(200, { 'content-type': name.endsWith('.js') ? 'text/javascript' : 'text/html' })
            .end(body),
        () => response.writeHead(404).end(),
      );
    });
    for (const [server, address] of [
      [target, '127.0.0.41'],
      [plain, '127.0.0.42'],
    ] as const) {
      server.listen(0, address);
      await once(server, 'listening');
    }
    stun = createSocket('udp4').on('message', () => (packets += 1));
    stun.bind(0, '127.0.0.41');
    await once(stun, 'listening');
    host = createTestHost(
      { [app]: appDir, [other]: appDir },
      {
        makeBytes: (origin) =>
          createDownloads({ clock: systemClock, random: (n) => randomBytes(n), origin: () => origin }),
      },
    );
    await host.host.start();
    apps = createAppServer({ dataDir: dir, host: host.host, log: silentLogger });
    await apps.start();
    // Each name of its own address, as the browser notes what it resolves after these rules.
    const rules = Object.entries(lookedUp).map(([name, address]) => `MAP ${name}.leak.test ${address}`);
    const args = (log: string) => [
      `--host-resolver-rules=${rules.join(', ')}`,
      `--log-net-log=${path.join(dir, log)}`,
      '--net-log-capture-mode=Everything',
    ];
    browser = await openBrowser({ args: args('confined.json') });
    unconfined = await openBrowser({ args: args('plain.json') });
  }, 120_000);

  afterAll(async () => {
    for (const one of [browser, unconfined]) await one?.close().catch(() => {});
    await apps?.stop();
    await host?.host.stop();
    stun?.close();
    for (const server of [target, plain]) {
      server?.closeAllConnections();
      server?.close();
    }
    await rm(dir, { recursive: true, force: true });
  });

  const stunAt = () => `127.0.0.41:${stun.address().port}`;
  type Ways = Record<string, (url: string) => void>;
  interface Trying {
    ways(target: string, stun: string): object;
    tryWay(name: string, target: string, stun: string): Promise<string | null>;
    leave: Ways;
  }
  /** Tries all of them. A page that is ended for what it tried is opened anew. @returns their names */
  async function run({ page: first }: Browser, url: () => string): Promise<string[]> {
    const fresh = async () => {
      const page = await first.context().newPage();
      await page.goto(url(), { waitUntil: 'domcontentloaded' });
      return page;
    };
    let page = await fresh();
    const names = await page.evaluate(() =>
      Object.keys((globalThis as unknown as Trying).ways('http://none', 'none')),
    );
    for (const name of names) {
      try {
        await page.evaluate(
          ([way, to, udp]) => (globalThis as unknown as Trying).tryWay(way!, to!, udp!),
          [name, originOf(target), stunAt()],
        );
      } catch {
        await page.close();
        page = await fresh();
      }
    }
    // What was begun gets its time; nothing can be waited for that must not come.
    await page.waitForTimeout(1500);
    await page.close();
    return names;
  }

  it('reaches nothing, by none of them', { timeout: 240_000 }, async () => {
    const names = await run(browser, () => apps.urlOf(app, host.host.invite(app), ''));
    expect(names.length).toBeGreaterThan(45);
    expect([...hits]).toEqual([]);
    expect({ connections, packets }).toEqual({ connections: 0, packets: 0 });
  });

  it.each(['location', 'replace', 'top', 'metaRefresh', 'formSelf', 'download', 'anchor'])(
    'can not take its address elsewhere: %s',
    async (way) => {
      const page = await browser.page.context().newPage();
      await page.goto(apps.urlOf(app, host.host.invite(app), ''));
      const to = `${originOf(target)}/hit/${way}`;
      await page
        .evaluate(([name, url]) => (globalThis as unknown as Trying).leave[name!]!(url!), [way, to])
        .catch(() => {});
      await page.waitForTimeout(500);
      expect([...hits]).toEqual([]);
      expect(connections).toBe(0);
      await page.close();
    },
  );

  it('reaches no other app, no service worker, and nobody who has its address but no session', async () => {
    const page = await browser.page.context().newPage();
    await page.goto(apps.urlOf(app, host.host.invite(app), ''));
    const elsewhere = `http://${other}.localhost:${apps.port()}`;
    const got = await page.evaluate(async (url) => {
      const tries = await Promise.allSettled([
        fetch(`${url}/index.html`),
        fetch(`${url}/_extrachain/provider.js`, { mode: 'no-cors' }),
        (
          navigator as unknown as { serviceWorker: { register(url: string): Promise<unknown> } }
        ).serviceWorker.register('worker.js'),
      ]);
      return tries.map((one) => one.status);
    }, elsewhere);
    expect(got).toEqual(['rejected', 'rejected', 'rejected']);
    const uninvited = await browser.page.context().newPage();
    await uninvited.goto(`${elsewhere}/`);
    const refusal = await uninvited.evaluate(async () => {
      const { extrachain } = globalThis as unknown as {
        extrachain: { request(call: { method: string }): Promise<unknown> };
      };
      return extrachain.request({ method: 'exc_accounts' }).then(
        () => null,
        (error: { code: number }) => error.code,
      );
    });
    expect(refusal).toBe(4100);
    await uninvited.close();
    await page.close();
  });

  it('would have got out on a page of anybody else', { timeout: 240_000 }, async () => {
    const names = await run(unconfined, () => `${originOf(plain)}/index.html`);
    const missing = names.filter((name) => !hits.has(name) && !idle.has(name));
    // No request is sent by these: WebRTC is seen by its packets, look-ups of names below.
    const silent = ['webRtc', 'webRtcOfFrame', 'preconnect', 'dnsPrefetch', 'dnsOfLink'];
    expect(missing.filter((name) => !silent.includes(name))).toEqual([]);
    expect(packets).toBeGreaterThan(0);
  });

  it('has no name looked up, which a page of anybody else has', async () => {
    await browser.close();
    await unconfined.close();
    expect(await resolved(path.join(dir, 'confined.json'))).toEqual([]);
    expect(await resolved(path.join(dir, 'plain.json'))).toEqual(['dns', 'preconnect']);
  });
});
