import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { runInNewContext } from 'node:vm';
import { MessageChannel } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostPortMessage } from '../../src-shared/host-bridge.ts';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');
/** Two folders below package.json, like the real one. */
const outDir = path.join(root, 'dist', 'desktop-test');
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'extrachain-bundle-'));
  await run(process.execPath, [path.join(root, 'bin/build-desktop.mjs'), outDir]);
});
afterAll(async () => {
  await rm(outDir, { recursive: true, force: true });
  await rm(dir, { recursive: true, force: true });
});

describe('the preload script', () => {
  it('is one file that loads Electron only, and gives the page two functions', async () => {
    const code = await readFile(path.join(outDir, 'preload.cjs'), 'utf8');
    const loaded: string[] = [];
    const exposed: Record<string, Record<string, (...args: unknown[]) => unknown>> = {};
    const sent: unknown[][] = [];
    const posted: unknown[][] = [];
    class FakeFile {
      readonly name = 'a.txt';
    }
    const electron = {
      contextBridge: {
        exposeInMainWorld: (name: string, api: (typeof exposed)[string]) => {
          exposed[name] = api;
        },
      },
      ipcRenderer: { postMessage: (...args: unknown[]) => sent.push(args) },
      webUtils: { getPathForFile: () => '/home/me/a.txt' },
    };
    runInNewContext(code, {
      require(name: string) {
        loaded.push(name);
        return electron;
      },
      window: { origin: 'extrachain-app://window', postMessage: (...args: unknown[]) => posted.push(args) },
      MessageChannel,
      File: FakeFile,
    });
    expect(loaded).toEqual(['electron']);
    expect(Object.keys(exposed)).toEqual(['extrachainHost']);
    const bridge = exposed['extrachainHost']!;
    expect(Object.keys(bridge).sort()).toEqual(['connect', 'pathOf']);
    expect(bridge['pathOf']!(new FakeFile())).toBe('/home/me/a.txt');
    expect(bridge['pathOf']!({ path: '/etc/passwd' })).toBe('');

    bridge['connect']!();
    const [[channel, message, [toMain]]] = sent as [[string, null, [MessagePort]]];
    const [[text, origin, [toPage]]] = posted as [[string, string, [MessagePort]]];
    expect([channel, message, text, origin]).toEqual([
      hostPortMessage,
      null,
      hostPortMessage,
      'extrachain-app://window',
    ]);
    // They are the two ends of one channel.
    const arrived = new Promise((resolve) => toPage.once('message', resolve));
    toMain.postMessage('hello');
    expect(await arrived).toBe('hello');
    toMain.close();
  });
});

describe('the bundled application', () => {
  it('runs a node with its workers, with no TypeScript and few packages', async () => {
    const page = path.join(root, 'dist', 'window', 'index.html');
    const built = await readFile(page, 'utf8').catch(() => null);
    if (built === null) {
      await mkdir(path.dirname(page), { recursive: true });
      await writeFile(page, '<!doctype html>');
    }
    const args = [
      '--import',
      new URL('./electron-stub-register.ts', import.meta.url).href,
      path.join(outDir, 'main.js'),
    ];
    const env = {
      ...process.env,
      EXTRACHAIN_DATA: path.join(dir, 'data'),
      EXTRACHAIN_LISTEN: '/ip4/127.0.0.1/tcp/0',
      EXTRACHAIN_MDNS: 'off',
    };
    try {
      const { stdout } = await run(process.execPath, args, { env });
      expect(JSON.parse(stdout)).toEqual({
        page: 200,
        version: (JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as { version: string })
          .version,
        keystore: 'keychain',
        userId: expect.stringMatching(/^exc1/) as string,
        files: 1,
        state: 'in_step',
        bytes: 300_000,
        preload: true,
        // Whatever was built into dist/apps; the package itself is tried in package.test.ts.
        apps: expect.any(Array) as string[],
      });
    } finally {
      if (built === null) await rm(page);
    }
  });

  it('brings the licences of what is in it', async () => {
    const text = await readFile(path.join(outDir, 'licences.txt'), 'utf8');
    for (const name of ['libp2p', 'zod', 'pino', 'multiformats'])
      expect(text).toMatch(new RegExp(`^${name} \\d`, 'm'));
  });

  it('refers to no source file', async () => {
    const code = await readFile(path.join(outDir, 'main.js'), 'utf8');
    expect(code).not.toMatch(/new URL\(["'][^"']+\.ts["']/);
  });
});
