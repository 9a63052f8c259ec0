import { createDecipheriv, hkdfSync } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDriveLink } from '../../src-main/node/drive-link.ts';
import { accessKeyOf } from '../../src-main/node/sharing/open-access.ts';
import { startDaemon, tempDir, type Daemon } from '../support/daemon.ts';
import { until } from '../support/trees.ts';
import { findChromium, openBrowser, type Browser } from '../window/browser.ts';

let temp: { dir: string; remove(): Promise<void> };
let owner: Daemon;
let gateway: string;
let album: { driveId: string; link: string };
let hidden: { driveId: string; link: string };
let blog: { driveId: string; link: string };

/** Two minutes of silence that browsers play: 20 MB in many blocks. */
function silence(): Buffer {
  const rate = 44_100;
  const data = rate * 4 * 120;
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + data, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(2, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * 4, 28);
  header.writeUInt16LE(4, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(data, 40);
  const sound = Buffer.alloc(data);
  // Not all blocks alike: equal ones are one block.
  for (let at = 0; at < data; at += 4096) sound.writeUInt16LE((at / 4096) % 65_536, at);
  return Buffer.concat([header, sound]);
}

async function create(name: string, visibility: string, files: Record<string, string | Uint8Array>) {
  const folder = path.join(temp.dir, name);
  await mkdir(path.join(folder, 'sub'), { recursive: true });
  for (const [file, bytes] of Object.entries(files)) await writeFile(path.join(folder, file), bytes);
  const made = await owner.cli<{ driveId: string; link: string }>(
    ...['drive', 'create', name, '--folder', folder, '--visibility', visibility],
  );
  await owner.cli('drive', 'wait', made.driveId);
  return made;
}

beforeAll(async () => {
  temp = await tempDir('gateway');
  owner = await startDaemon({
    data: path.join(temp.dir, 'owner'),
    host: '127.0.0.2',
    args: ['--gateway', '127.0.0.1:0'],
  });
  gateway = (owner.ready as unknown as { gateway: string }).gateway;
  await owner.cli('id', 'create');
  album = await create('Album', 'unlisted', {
    'hello.txt': 'Hello from the album',
    'sound.wav': silence(),
    'evil.html': '<script>document.title = "taken"</script>',
    'sub/deep.txt': 'deep '.repeat(2000),
    '<img src=x onerror=document.title="taken">.txt': 'a name that is markup',
    'drawn.svg':
      '<svg xmlns="http://www.w3.org/2000/svg"><script>parent.document.title = "taken"</script></svg>',
  });
  hidden = await create('Hidden', 'private', { 'secret.txt': 'for nobody' });
  blog = await create('Blog', 'public', { 'post.txt': 'For everybody' });
}, 120_000);

afterAll(async () => {
  await owner?.stop();
  await temp.remove();
});

const secretOf = (link: string): string => link.slice(link.indexOf('#') + 1);
const get = (where: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${gateway}${where}`, { headers });

describe('the gateway', () => {
  it('answers nothing of private drives, and of unlisted ones only to who knows the link', async () => {
    const root = '0'.repeat(32);
    for (const id of [hidden.driveId, album.driveId, `${album.driveId.slice(0, -1)}a`, 'bzzz']) {
      for (const where of [`/api/${id}`, `/api/${id}/folder/${root}`, `/api/${id}/file/${root}`]) {
        expect((await get(where)).status).toBe(404);
        const wrong = Buffer.alloc(32, 1).toString('base64url');
        expect((await get(where, { authorization: `Bearer ${wrong}` })).status).toBe(404);
      }
    }
    for (const where of ['/api.json', '/rpc', '/../package.json', '/page/../gateway.ts', '/d/..%2f']) {
      expect((await get(where)).status).toBe(404);
    }
    const page = await get('/');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
    expect(await (await get(`/api/${blog.driveId}`)).json()).toMatchObject({ visibility: 'public' });
    expect((await fetch(`${gateway}/`, { method: 'POST' })).status).toBe(405);
  });

  it('lets one visitor hold no more than some connections, and outlives what is no request', async () => {
    const { port, hostname } = new URL(gateway);
    const sockets: Socket[] = [];
    let closed = 0;
    for (let n = 0; n < 80; n++) {
      const socket = connect(Number(port), hostname);
      socket.on('close', () => closed++).on('error', () => {});
      sockets.push(socket);
    }
    // Connections of the requests before may still be open: they count as well.
    await until('those beyond are closed', 10_000, async () => closed >= 16);
    expect(closed).toBeLessThan(40);
    for (const socket of sockets) socket.destroy();
    await until('it answers again', 10_000, async () => (await get('/')).status === 200);
    const raw = (text: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect(Number(port), hostname, () => socket.write(text));
        let got = '';
        socket.on('data', (bytes) => (got += bytes.toString())).on('close', () => resolve(got));
        socket.on('error', () => {});
      });
    for (const target of ['//', 'http://[', '//[/x', '*', '/api/%00', `/${'a'.repeat(8000)}`]) {
      const answer = await raw(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      expect(answer, target).toMatch(/^HTTP\/1\.1 40[04] /);
    }
    expect((await get('/')).status).toBe(200);
  });

  it('hands out an unlisted drive kept elsewhere, sealed, and holds nothing that opens it', async () => {
    const other = await startDaemon({
      data: path.join(temp.dir, 'other'),
      host: '127.0.0.8',
      args: ['--gateway', '127.0.0.1:0', '--bootstrap', owner.ready.addresses[0]!],
    });
    try {
      const at = (other.ready as unknown as { gateway: string }).gateway;
      const link = parseDriveLink(album.link);
      const secret = link.power?.t === 'read' ? link.power.secret : null;
      const access = Buffer.from(accessKeyOf(secret!)).toString('base64url');
      const ask = (where: string, token: string): Promise<Response> =>
        fetch(`${at}/api/${album.driveId}${where}`, { headers: { authorization: `Bearer ${token}` } });
      const root = `/folder/${'0'.repeat(32)}`;
      // The drive has to be said in the DHT first, and that node to be known there.
      await until('the album through the other gateway', 60_000, async () => {
        return (await ask('', access)).status === 200;
      });
      expect(await (await ask('', access)).json()).toEqual({ visibility: 'unlisted', key: null });
      const sealed = Buffer.from(await (await ask(root, access)).arrayBuffer());
      const key = hkdfSync('sha256', secret!, new Uint8Array(), 'extrachain gateway v1', 32);
      const open = createDecipheriv('aes-256-gcm', new Uint8Array(key), sealed.subarray(0, 12));
      open.setAAD(Buffer.from(`extrachain gateway v1\n${album.driveId}\nfolder ${'0'.repeat(32)} `));
      open.setAuthTag(sealed.subarray(-16));
      const plain = Buffer.concat([open.update(sealed.subarray(12, -16)), open.final()]).toString();
      expect(JSON.parse(plain)).toMatchObject({ drive: 'Album' });
      // Neither with a wrong token, nor by its own means.
      expect((await ask(root, Buffer.alloc(32, 1).toString('base64url'))).status).toBe(404);
      expect((await fetch(`${at}/api/${album.driveId}`)).status).toBe(404);
      expect(await other.cli('drive', 'list')).toEqual([]);
      expect(await readdir(path.join(other.data, 'views')).catch(() => [])).toEqual([]);
    } finally {
      await other.stop();
    }
  }, 120_000);
});

describe.skipIf(findChromium() === null)('the gateway in a browser', () => {
  let browser: Browser;
  const asked: string[] = [];

  beforeAll(async () => {
    browser = await openBrowser();
    browser.page.on('request', (request) => asked.push(request.url() + JSON.stringify(request.headers())));
    // Requests of the service worker are its own.
    browser.page.context().on('request', (request) => asked.push(request.url()));
  }, 60_000);
  afterAll(() => browser?.close());

  it('lists, shows and plays what an unlisted link holds, decrypted in the page', async () => {
    const { page } = browser;
    await page.goto(`${gateway}/d/${album.driveId}#${secretOf(album.link)}`);
    await page.getByRole('button', { name: 'hello.txt' }).click();
    await page.getByText('Hello from the album').waitFor();
    await page.getByRole('button', { name: 'sub' }).click();
    await page.getByRole('button', { name: 'deep.txt' }).click();
    await page.getByText('deep deep deep').waitFor();
    await page.getByRole('button', { name: 'Album' }).click();
    await page.getByRole('button', { name: 'evil.html' }).click();
    await page.getByRole('link', { name: /Save evil.html/ }).waitFor();
    await page.getByRole('button', { name: '<img src=x' }).click();
    await page.getByText('a name that is markup').waitFor();
    expect(await page.locator('img[src="x"]').count()).toBe(0);
    await page.getByRole('button', { name: 'drawn.svg' }).click();
    const drawn = page.getByRole('link', { name: /Save drawn.svg/ });
    // The address by itself runs nothing either: it is saved, in a sandbox.
    const answer = await page.evaluate(
      `fetch(${JSON.stringify(await drawn.getAttribute('href'))}).then((one) => Object.fromEntries(one.headers))`,
    );
    expect(answer).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-security-policy': "sandbox; default-src 'none'",
    });
    await page.getByRole('button', { name: 'evil.html' }).click();
    await page.getByRole('link', { name: /Save evil.html/ }).waitFor();
    expect(await page.title()).toBe('Album');
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: /Save evil.html/ }).click();
    expect((await download).suggestedFilename()).toBe('evil.html');
    await browser.picture('gateway');
    expect(await browser.accessibility()).toEqual([]);
  });

  it('seeks in a long sound without fetching all of it', async () => {
    const { page } = browser;
    asked.length = 0;
    await page.getByRole('button', { name: 'sound.wav' }).click();
    const audio = page.locator('audio');
    await expect.poll(() => audio.evaluate((one: { duration: number }) => one.duration)).toBeGreaterThan(119);
    const ms = await audio.evaluate(
      (one: {
        currentTime: number;
        addEventListener(name: string, done: () => void, options: object): void;
      }) =>
        new Promise<number>((resolve) => {
          const from = performance.now();
          one.addEventListener('seeked', () => resolve(performance.now() - from), { once: true });
          one.currentTime = 110;
        }),
    );
    const blocks = new Set(asked.filter((url) => url.includes('/block/')).map((url) => url.slice(0, 250)));
    process.stdout.write(`seek in a browser through the gateway: ${ms.toFixed(0)} ms\n`);
    expect(blocks.size).toBeLessThan(120);
  });

  it('sends the key nowhere, breaks no policy, and says when a link is incomplete', async () => {
    const secret = secretOf(album.link).split('.')[0]!;
    expect(asked.some((url) => url.replace(/#.*?"/, '"').includes(secret))).toBe(false);
    const { page } = browser;
    expect(browser.complaints).toEqual([]);
    await page.goto(`${gateway}/d/${album.driveId}`);
    await page.getByText('its end is missing').waitFor();
    await page.goto(`${gateway}/d/${album.driveId}#${'A'.repeat(43)}.AAAAAAAA`);
    await page.getByText('changed on its way').waitFor();
    await page.goto(`${gateway}/`);
    await page.getByLabel('Link of a public or unlisted drive').fill(blog.link);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('button', { name: 'post.txt' }).click();
    await page.getByText('For everybody').waitFor();
  });
});
