import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { _electron } from 'playwright-core';
import type { ElectronApplication, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findElectron } from '../../bin/electron.mjs';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');
const executablePath = findElectron();
const hasDisplay =
  process.platform !== 'linux' || Boolean(process.env['DISPLAY'] ?? process.env['WAYLAND_DISPLAY']);
const why =
  executablePath === null ? 'no Electron binary' : hasDisplay ? null : 'no display (run it under xvfb-run)';
if (why !== null) process.stderr.write(`test/desktop/electron.test.ts skipped: ${why}\n`);

describe.skipIf(why !== null)('the real Electron', () => {
  let dir: string;
  let app: ElectronApplication;
  let page: Page;

  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'extrachain-electron-'));
    await run(process.execPath, [path.join(root, 'bin/build-window.mjs')]);
    await run(process.execPath, [path.join(root, 'bin/build-desktop.mjs')]);
    app = await _electron.launch({
      executablePath: executablePath!,
      // Root may not use Chromium's sandbox on Linux; everybody else does.
      args: [root, ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
      env: {
        ...(process.env as Record<string, string>),
        EXTRACHAIN_DATA: path.join(dir, 'data'),
        EXTRACHAIN_LISTEN: '/ip4/127.0.0.1/tcp/0',
        EXTRACHAIN_MDNS: 'off',
      },
    });
    page = await app.firstWindow();
    await page.waitForSelector('#app > *');
  }, 120_000);
  afterAll(async () => {
    await app?.close();
    await rm(dir, { recursive: true, force: true });
  });

  it('shows the page from our scheme, without Node in it', async () => {
    expect(page.url()).toMatch(/^extrachain-app:\/\/window\//);
    expect(
      await page.evaluate(() =>
        ['require', 'process', 'module', 'Buffer'].filter((name) => name in globalThis),
      ),
    ).toEqual([]);
    expect(await page.evaluate(() => 'extrachainHost' in globalThis)).toBe(true);
  });

  it('lets nothing out of the page', async () => {
    const before = page.url();
    const outcome = await page.evaluate(async () => {
      const scope = globalThis as unknown as {
        open(url: string): unknown;
        location: { href: string };
        eval(code: string): unknown;
      };
      const opened = scope.open('https://example.org/');
      const fetched = await fetch('https://example.org/').then(
        () => 'answered',
        () => 'refused',
      );
      let evaluated = 'ran';
      try {
        scope.eval('1');
      } catch {
        evaluated = 'refused';
      }
      scope.location.href = 'https://example.org/';
      return { opened: opened !== null, fetched, evaluated };
    });
    expect(outcome).toEqual({ opened: false, fetched: 'refused', evaluated: 'refused' });
    await page.waitForTimeout(500);
    expect(page.url()).toBe(before);
    expect(app.windows()).toHaveLength(1);
  });

  it('stays within its folder of files', async () => {
    for (const tail of ['/../package.json', '/%2e%2e/%2e%2e/package.json', '/..%2f..%2fpackage.json']) {
      const status = await page.evaluate(
        (url) =>
          fetch(url).then(
            (answer) => answer.status,
            () => 0,
          ),
        `extrachain-app://window${tail}`,
      );
      expect([0, 404], tail).toContain(status);
    }
  });

  it('stops the node when it quits', async () => {
    const started = performance.now();
    const closed = app.waitForEvent('close');
    await app.evaluate(({ app: inner }) => void setTimeout(() => inner.quit(), 0));
    await closed;
    expect(performance.now() - started).toBeLessThan(5_500);
  });
});
