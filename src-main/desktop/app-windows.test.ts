import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { appPortMessage } from '../../src-shared/app-bridge.ts';
import { silentLogger } from '../../src-shared/runtime.ts';
import { createDownloads } from '../api/index.ts';
import { createTestHost } from '../apps/testing.ts';
import { systemClock } from '../platform/index.ts';
import { createAppWindows } from './app-windows.ts';
import { appPartition, isAppFrame, isAppUrl, mayLoad } from './policy/app-origins.ts';
import { createFakeElectron } from './testing.ts';

const app = 'a'.repeat(52);
const other = 'b'.repeat(52);

describe('what the page of an app may load', () => {
  it.each([
    [`exc-app://${app}/`, true],
    [`exc-app://${app}/a/b.js?x#y`, true],
    [`blob:exc-app://${app}/1`, true],
    ['data:image/png;base64,AA', true],
    [`exc-app://${other}/`, false],
    [`blob:exc-app://${other}/1`, false],
    [`exc-app://${app}.evil/`, false],
    [`exc-app://user@${app}/`, false],
    [`exc-app://${app}:80/`, false],
    ['http://127.0.0.1/', false],
    ['https://example.org/', false],
    ['ws://127.0.0.1:1/', false],
    ['extrachain-app://window/', false],
    ['extrachain-bytes://node/bytes/x', false],
    ['file:///etc/passwd', false],
    ['chrome://settings', false],
    ['javascript:1', false],
    ['about:blank', false],
    ['', false],
  ])('%s: %s', (url, allowed) => {
    expect(mayLoad(url, app)).toBe(allowed);
  });

  it('is asked for by its own frame only', () => {
    const url = `exc-app://${app}/`;
    expect(isAppFrame({ url, parent: null }, app)).toBe(true);
    expect(isAppFrame({ url, parent: {} }, app)).toBe(false);
    expect(isAppFrame({ url: `exc-app://${other}/`, parent: null }, app)).toBe(false);
    expect(isAppFrame(null, app)).toBe(false);
    expect(isAppUrl('not an address', app)).toBe(false);
  });
});

async function open() {
  const fake = createFakeElectron();
  let look = (): void => {};
  const world = createTestHost(
    { [app]: null, [other]: null },
    {
      permissions: ['camera'],
      makeBytes: (origin) =>
        createDownloads({
          clock: systemClock,
          random: (n) => randomBytes(n),
          origin: () => origin,
        }),
    },
  );
  await world.host.start();
  const windows = createAppWindows({
    electron: fake.electron,
    host: world.host,
    preload: '/app-preload.cjs',
    icon: '/icon.png',
    log: silentLogger,
    clock: {
      now: () => 0,
      after: (_, work) => {
        look = work;
        return () => {};
      },
    },
  });
  windows.open(app, 'Test', '');
  await expect.poll(() => fake.windows[0]?.visible).toBe(true);
  const window = fake.windows[0]!;
  return { fake, world, windows, window, look: () => look(), session: fake.sessions.get(appPartition(app))! };
}
type Opened = Awaited<ReturnType<typeof open>>;

/** Hands over a port as the preload script of a window does. */
function port({ fake }: Opened, sender: unknown, frame: { url: string; parent: unknown }) {
  const { port1, port2 } = new MessageChannel();
  let closed = false;
  const main = {
    postMessage: (message: unknown) => port1.postMessage(message),
    on(event: string, listener: (value: { data: unknown }) => void) {
      if (event === 'message') port1.on('message', (data: unknown) => listener({ data }));
      return main;
    },
    start() {},
    close() {
      closed = true;
      port1.close();
    },
  };
  fake.electron.ipcMain.emit(appPortMessage, { sender, senderFrame: frame, ports: [main] } as never);
  return { page: port2, isClosed: () => closed };
}

describe('the window of an app', () => {
  it('is closed when its process takes too much memory, or has ended', async () => {
    const { fake, world, windows, window, look } = await open();
    windows.open(other, 'Other', '');
    await expect.poll(() => fake.windows[1]?.visible).toBe(true);
    const { workingSets } = fake.electron.app as unknown as { workingSets: Map<number, number> };
    const second = fake.windows[1]!;
    workingSets.set(window.webContents.pid, 1024 ** 2).set(second.webContents.pid, 50_000);
    look();
    expect([window.destroyed, second.destroyed]).toEqual([false, false]);
    workingSets.set(window.webContents.pid, 1024 ** 2 + 1);
    look();
    expect([window.destroyed, second.destroyed]).toEqual([true, false]);
    second.webContents.emit('render-process-gone');
    expect(second.destroyed).toBe(true);
    windows.stop();
    await world.host.stop();
  });

  it('is sandboxed, has a partition of its own, and everything that leaves it is cut off', async () => {
    const { window, session, world, windows } = await open();
    const { webPreferences } = window.settings;
    expect(webPreferences).toMatchObject({
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
      nodeIntegrationInSubFrames: false,
      webviewTag: false,
      session,
    });
    expect(window.webContents.rtcPolicy).toBe('disable_non_proxied_udp');
    expect(session.proxy).toMatchObject({ mode: 'fixed_servers', proxyBypassRules: '<-loopback>' });
    const cancelled = (url: string) => {
      let answered: boolean | null = null;
      session.request!({ url }, ({ cancel }) => (answered = cancel));
      return answered;
    };
    expect(cancelled('https://example.org/')).toBe(true);
    expect(cancelled(`exc-app://${app}/x`)).toBe(false);
    expect(window.webContents.openHandler!({ url: 'https://example.org/' })).toEqual({ action: 'deny' });
    for (const event of ['will-frame-navigate', 'will-redirect', 'will-attach-webview']) {
      let prevented = false;
      window.webContents.emit(event, {
        url: 'https://example.org/',
        preventDefault: () => (prevented = true),
      });
      expect([event, prevented]).toEqual([event, true]);
    }
    let downloads = true;
    let screen: unknown = 'not answered';
    session.screen!({ videoRequested: true }, (choice) => {
      if (choice && !choice.video)
        throw new TypeError('Video was requested, but no video stream was provided');
      screen = choice;
    });
    expect(screen).toBeNull();
    session.emit('will-download', { preventDefault: () => (downloads = false) });
    expect(downloads).toBe(false);
    windows.stop();
    await world.host.stop();
  });

  it('gives the camera only where the person allowed it, and nothing else', async () => {
    const { session, world, windows } = await open();
    const ask = (permission: string, details: object) => {
      let answered = false;
      const asked = session.permission as unknown as (
        contents: unknown,
        permission: string,
        answer: (allowed: boolean) => void,
        details: object,
      ) => void;
      asked(null, permission, (allowed) => (answered = allowed), {
        requestingUrl: `exc-app://${app}/`,
        ...details,
      });
      return answered;
    };
    expect(ask('media', { mediaTypes: ['video'] })).toBe(false);
    world.grant(app, { name: 'camera', caveats: {} });
    expect(ask('media', { mediaTypes: ['video'] })).toBe(true);
    expect(ask('media', { mediaTypes: ['video', 'audio'] })).toBe(false);
    expect(ask('media', {})).toBe(false);
    expect(ask('media', { mediaTypes: ['video'], requestingUrl: 'https://example.org/' })).toBe(false);
    for (const one of ['geolocation', 'notifications', 'clipboard-read', 'openExternal', 'hid']) {
      expect([one, ask(one, {})]).toEqual([one, false]);
    }
    windows.stop();
    await world.host.stop();
  });

  it('answers its own page over a port, and nobody else', async () => {
    const opened = await open();
    const { window, world, windows } = opened;
    const frame = { url: `exc-app://${app}/`, parent: null };
    for (const [sender, from] of [
      [{}, frame],
      [window.webContents, { ...frame, parent: {} }],
      [window.webContents, { ...frame, url: `exc-app://${other}/` }],
      [window.webContents, { ...frame, url: 'https://example.org/' }],
    ] as const) {
      expect(port(opened, sender, from).isClosed()).toBe(true);
    }
    expect(world.host.sessions.list()).toEqual([]);
    const { page } = port(opened, window.webContents, frame);
    const [first] = (await once(page, 'message')) as [string];
    expect(JSON.parse(first)).toMatchObject({ method: 'connect' });
    expect(world.host.sessions.list(app)).toHaveLength(1);
    window.destroy();
    expect(world.host.sessions.list(app)).toEqual([]);
    page.close();
    windows.stop();
    await world.host.stop();
  });
});
