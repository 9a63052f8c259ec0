import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src-shared/runtime.ts';
import { createNode } from '../node/index.ts';
import { lockFolder, systemClock } from '../platform/index.ts';
import { runDesktop } from './desktop.ts';
import type { DesktopOptions } from './options.ts';
import { bytesOrigin, pageOrigin } from './policy/origins.ts';
import { answerBytes } from './protocols.ts';
import { createFakeElectron } from './testing.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'extrachain-desktop-'));
  await mkdir(path.join(dir, 'page'));
  await writeFile(path.join(dir, 'page', 'index.html'), '<!doctype html><title>page</title>');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const link = 'extrachain://drive/bafyreigh2akiscaildc';

function start(fake: ReturnType<typeof createFakeElectron>, change: Partial<DesktopOptions> = {}) {
  return runDesktop({
    electron: fake.electron,
    dataDir: path.join(dir, 'data'),
    argv: [],
    platform: 'linux',
    configDir: path.join(dir, 'config'),
    program: '/opt/ExtraChain/extrachain',
    files: {
      page: path.join(dir, 'page'),
      preload: '/preload.cjs',
      appPreload: '/app-preload.cjs',
      icons: dir,
    },
    node: {
      listen: ['/ip4/127.0.0.1/tcp/0'],
      bootstrap: [],
      mdns: false,
      password: null,
      logLevel: 'silent',
    },
    loadNode: () => Promise.resolve(createNode),
    loadUpdater: () => Promise.resolve(null),
    clock: systemClock,
    log: silentLogger,
    ...change,
  });
}

async function quit(fake: ReturnType<typeof createFakeElectron>) {
  fake.electron.app.quit();
  await fake.exited();
}

describe('the desktop with a real node', () => {
  it('opens a closed-off window on its page and serves the contract to it alone', async () => {
    const fake = createFakeElectron({ keyring: true });
    const running = start(fake, { argv: [link, '--flag'] });
    expect(fake.told.sandbox).toBe(true);
    expect(fake.told.privileged).toEqual(['extrachain-app', 'extrachain-bytes', 'exc-app']);
    await running;
    const [window] = fake.windows;
    await expect.poll(() => window?.visible).toBe(true);
    expect(window?.settings.webPreferences).toMatchObject({
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
      webviewTag: false,
    });
    const page = await fake.fetch(`${pageOrigin}/`);
    expect(await page.text()).toContain('<title>page</title>');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");

    const { client, close } = fake.connectPage();
    expect(await client.node.status()).toMatchObject({ keystore: 'keychain', userId: null });
    expect(await client.platform.capabilities()).toMatchObject({
      host: 'desktop',
      keychain: true,
      updates: false,
    });
    const { userId } = await client.identity.create({});
    expect(await client.node.status()).toMatchObject({ userId });
    expect((await client.platform.watchLinks().next()).value).toEqual({ link });
    close();

    for (const stranger of [
      { url: 'https://evil.example/' },
      { url: 'extrachain-app://window.evil/' },
      { parent: {} },
    ]) {
      await fake.connectPage(stranger).closed;
    }
    await quit(fake);
    expect(fake.told.exitCode).toBe(0);
    expect(window?.destroyed).toBe(true);
    lockFolder(path.join(dir, 'data')).release();

    // The keychain opens the keystore again.
    const again = createFakeElectron({ keyring: true });
    await start(again, { argv: ['--hidden'] });
    expect(again.windows).toEqual([]);
    again.electron.app.emit('second-instance' as never, {}, ['extrachain']);
    expect(again.windows).toHaveLength(1);
    expect(await again.connectPage().client.identity.show()).toMatchObject({ userId });
    await quit(again);
  });

  it('makes no identity without keychain or password', async () => {
    const fake = createFakeElectron();
    await start(fake);
    const { client } = fake.connectPage();
    expect(await client.node.status()).toMatchObject({ keystore: 'unprotected' });
    await expect(client.identity.create({})).rejects.toMatchObject({ code: 'not_allowed' });
    await client.identity.setPassword({ password: 'long enough' });
    await client.identity.create({});
    await quit(fake);
  });

  it('keeps running in the tray when the window is closed, and says so once', async () => {
    const fake = createFakeElectron({ keyring: true });
    await start(fake);
    const [window] = fake.windows;
    await expect.poll(() => window?.visible).toBe(true);
    for (let times = 0; times < 2; times += 1) {
      window!.clickClose();
      expect(window!.visible).toBe(false);
      fake.electron.app.emit('activate' as never);
      expect(window!.visible).toBe(true);
    }
    expect(fake.told.notifications).toEqual([expect.stringContaining('still running')]);
    const { client } = fake.connectPage();
    await client.platform.setPreferences({ closeToTray: false, language: 'de' });
    expect(fake.told.menus.flat().some((item) => item.label === 'Datei')).toBe(true);
    window!.clickClose();
    await fake.exited();
    expect(fake.told.exitCode).toBe(0);
  });

  it("serves users' bytes from another origin", async () => {
    const fake = createFakeElectron({ keyring: true });
    await start(fake);
    const { client } = fake.connectPage();
    const { url, size } = await client.doctor.bundle();
    expect(url.startsWith(`${bytesOrigin}/`)).toBe(true);
    const answer = await fake.fetch(url);
    expect(answer.headers.get('content-security-policy')).toContain('sandbox');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('access-control-allow-origin')).toBe(pageOrigin);
    expect((await answer.arrayBuffer()).byteLength).toBe(size);
    await quit(fake);
  });

  it('says what is the matter when it can not start', async () => {
    const dataDir = path.join(dir, 'data');
    await mkdir(dataDir);
    const lock = lockFolder(dataDir);
    const fake = createFakeElectron({ keyring: true });
    await start(fake);
    expect(fake.told.errors).toEqual([expect.stringContaining('already runs on this data folder')]);
    expect(fake.told.exitCode).toBe(1);
    lock.release();

    const broken = createFakeElectron({ keyring: true });
    await start(broken, { loadNode: () => Promise.reject(new Error('a part is missing')) });
    expect(broken.told.errors).toEqual([expect.stringContaining('a part is missing')]);
    expect(broken.told.exitCode).toBe(1);
    lockFolder(dataDir).release();
  });

  it('quits while it is starting', async () => {
    const fake = createFakeElectron({ keyring: true });
    const running = start(fake);
    fake.electron.app.quit();
    await fake.exited();
    await running;
    expect(fake.told.exitCode).toBe(0);
    lockFolder(path.join(dir, 'data')).release();
  });
});

describe("users' bytes", () => {
  const bytes = () =>
    Promise.resolve(new Response('x', { headers: { 'x-content-type-options': 'nosniff' } }));
  const ask = (initiatorOrigin: string | undefined, method = 'GET') =>
    answerBytes(bytes, Object.assign(new Request(`${bytesOrigin}/bytes/x`, { method }), { initiatorOrigin }));

  it('go to the page and to downloads we began ourselves', async () => {
    for (const from of [pageOrigin, undefined]) {
      const answer = await ask(from);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('access-control-allow-origin')).toBe(pageOrigin);
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    }
  });

  it('go nowhere else', async () => {
    for (const from of ['null', bytesOrigin, 'https://evil.example', 'extrachain-app://evil']) {
      expect((await ask(from)).status, from).toBe(403);
    }
  });

  it('let the page ask whether it may send', async () => {
    const answer = await ask(pageOrigin, 'OPTIONS');
    expect(answer.status).toBe(204);
    expect(answer.headers.get('access-control-allow-methods')).toContain('PUT');
  });
});
