import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { buildWindow, findChromium, openBrowser } from './browser.ts';
import type { Browser } from './browser.ts';

const chromium = findChromium();
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');

describe.skipIf(chromium === null)(
  'the window, when something is not as it should be',
  { timeout: 180_000 },
  () => {
    let temp: Awaited<ReturnType<typeof tempDir>>;
    let daemon: Daemon;
    let browser: Browser;
    const at = (...parts: string[]) => path.join(temp.dir, 'Work', ...parts);

    beforeAll(async () => {
      buildWindow();
      temp = await tempDir('window-states');
      await mkdir(at());
      await writeFile(at('plan.txt'), 'Meet at noon.\n');
      daemon = await startDaemon({
        data: path.join(temp.dir, 'data'),
        host: '127.0.0.29',
        env: { HOME: temp.dir },
      });
      await daemon.cli('id', 'create');
      await daemon.cli('drive', 'create', 'Work', '--folder', at());
      await daemon.cli('drive', 'wait', 'Work');
      browser = await openBrowser();
      browser.page.setDefaultTimeout(60_000);
    }, 180_000);

    afterAll(async () => {
      await browser?.close();
      await daemon?.stop();
      await temp?.remove();
    });

    it('says that it waits for the node, then what to do when it does not come', async () => {
      const { page } = browser;
      const url = new URL(daemon.ready.ui);
      // A key of an earlier start: nobody answers to it.
      const stale = daemon.ready.ui.replace(/[A-Za-z0-9_-]{16,}$/, (token) => 'A'.repeat(token.length));
      expect(stale).not.toBe(daemon.ready.ui);
      await page.goto(stale);
      await page.getByRole('status').filter({ hasText: 'Starting' }).waitFor();
      await page.getByText('ExtraChain does not answer yet').waitFor();
      await browser.picture('state-slow');
      expect(await browser.accessibility()).toEqual([]);
      await page.getByLabel('Address').fill(daemon.ready.ui);
      await page.getByRole('button', { name: 'Open' }).click();
      await page.locator('main[data-view=home]').waitFor();
      expect(page.url()).toContain(url.host);
    });

    it('says where it happens that a folder is gone, and goes on when it is back', async () => {
      const { page } = browser;
      await page.getByRole('link', { name: /Work/ }).first().click();
      const row = page.getByRole('row', { name: /plan\.txt/ });
      await row.waitFor();
      await rename(at(), path.join(temp.dir, 'elsewhere'));
      const notice = page.getByRole('main').getByRole('alert');
      await notice.filter({ hasText: /folder/i }).waitFor();
      // Nothing in it is said to be in step.
      await row.filter({ hasText: 'Folder missing' }).waitFor();
      await browser.picture('state-folder-gone');
      expect(await browser.accessibility()).toEqual([]);
      // The same in the person's language, with the node's own words beside it.
      await page.evaluate("location.hash = '#/settings/general'");
      await page.getByLabel('Language').selectOption('de');
      await page.getByRole('link', { name: /Work/ }).first().click();
      await notice.filter({ hasText: /Ordner/ }).waitFor();
      await browser.picture('state-folder-gone-german');
      expect(await browser.accessibility()).toEqual([]);
      await page.evaluate("location.hash = '#/settings/general'");
      await page.getByLabel('Sprache').selectOption('en');
      await rename(path.join(temp.dir, 'elsewhere'), at());
      await page.getByRole('link', { name: /Work/ }).first().click();
      await notice.waitFor({ state: 'detached' });
      await row.filter({ hasText: 'In step' }).waitFor();
    });

    it('goes on where the person says the folder is, and brings everything again where it is lost', async () => {
      const { page } = browser;
      const elsewhere = path.join(temp.dir, 'Moved', 'Work');
      await mkdir(path.dirname(elsewhere));
      await rename(at(), elsewhere);
      const row = page.getByRole('row', { name: /plan\.txt/ });
      await row.filter({ hasText: 'Folder missing' }).waitFor();
      const dialog = page.getByRole('dialog');
      await page.getByRole('button', { name: 'Say where it is' }).click();
      await browser.picture('state-folder-where');
      expect(await browser.accessibility()).toEqual([]);
      await dialog.getByLabel('Folder on this computer').fill(path.dirname(elsewhere));
      await dialog.getByRole('button', { name: 'Go on there' }).click();
      await dialog.getByRole('alert').filter({ hasText: /mark/ }).waitFor();
      await browser.picture('state-folder-where-wrong');
      await dialog.getByLabel('Folder on this computer').fill(elsewhere);
      await dialog.getByRole('button', { name: 'Go on there' }).click();
      await dialog.waitFor({ state: 'detached' });
      await row.filter({ hasText: 'In step' }).waitFor();
      await writeFile(path.join(elsewhere, 'second.txt'), 'Noticed there.\n');
      await page.getByRole('row', { name: /second\.txt/ }).waitFor();
      // Its disk is lost; on the new one is what was saved of it, without the mark.
      await rename(elsewhere, path.join(temp.dir, 'lost'));
      await mkdir(elsewhere);
      await writeFile(path.join(elsewhere, 'plan.txt'), 'Meet at noon.\n');
      await row.filter({ hasText: 'Folder missing' }).waitFor();
      await page.getByRole('button', { name: 'Say where it is' }).click();
      await dialog.getByLabel('The folder is lost').check();
      await dialog.getByRole('button', { name: 'Bring the files here' }).click();
      await dialog.waitFor({ state: 'detached' });
      await row.filter({ hasText: 'In step' }).waitFor();
      const drive = await daemon.cli<{ folder: string; problems: unknown[] }>('drive', 'status', 'Work');
      expect(drive).toMatchObject({ folder: elsewhere, problems: [] });
    });

    it('says that the node does not answer, and goes on by itself when it does', async () => {
      const { page } = browser;
      let broken = false;
      const open = new Set<{ close(): Promise<void> }>();
      await page.routeWebSocket(/rpc/, (socket) => {
        if (broken) return void socket.close();
        socket.connectToServer();
        open.add(socket);
      });
      await page.reload();
      await page.getByRole('row', { name: /plan\.txt/ }).waitFor();
      broken = true;
      for (const socket of open) await socket.close();
      const banner = page.getByRole('alert').filter({ hasText: 'Nothing is lost' });
      await banner.waitFor();
      await browser.picture('state-broken');
      expect(await browser.accessibility()).toEqual([]);
      // What was on screen stays there, and what is asked for meanwhile comes later.
      await page.getByRole('row', { name: /plan\.txt/ }).waitFor();
      await page.evaluate("location.hash = '#/activity'");
      broken = false;
      await banner.waitFor({ state: 'detached' });
      await page
        .locator('main[data-view=activity]')
        .getByText(/second\.txt|Work/)
        .first()
        .waitFor();
      // No network at all is another thing.
      await page.evaluate(
        "Object.defineProperty(navigator, 'onLine', { get: () => false }); dispatchEvent(new Event('offline'))",
      );
      await page.getByRole('status').filter({ hasText: 'Offline' }).waitFor();
      await browser.picture('state-offline');
    });

    it('asks a locked node for its password on every view, and shows the view that was asked for', async () => {
      const { page } = browser;
      const password = 'four lorries of damp sand';
      await page.evaluate("location.hash = '#/settings/identity'");
      await page.getByRole('button', { name: 'Set a password' }).click();
      await page.getByLabel('New password', { exact: true }).fill(password);
      await page.getByLabel('New password again').fill(password);
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByRole('button', { name: 'Lock now' }).click();
      await page.getByRole('heading', { name: 'Locked' }).waitFor();
      for (const place of ['files', 'wallet', 'apps', 'network']) {
        await page.evaluate(`location.hash = '#/${place}'`);
        await page.getByRole('heading', { name: 'Locked' }).waitFor();
        expect(await page.locator('main[data-view]').count()).toBe(0);
      }
      await page.getByLabel('Password').fill(password);
      await page.getByRole('button', { name: 'Unlock' }).click();
      await page.locator('main[data-view=network]').waitFor();
    });
  },
);
