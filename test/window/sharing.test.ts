import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { buildWindow, findChromium, openBrowser } from './browser.ts';
import type { Browser } from './browser.ts';

const chromium = findChromium();
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');

describe.skipIf(chromium === null)('sharing and hosting in two windows', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  const daemons: Daemon[] = [];
  const browsers: Browser[] = [];
  const home = (n: number) => path.join(temp.dir, `home${n}`);
  let driveId = '';
  let other = '';

  beforeAll(async () => {
    buildWindow();
    temp = await tempDir('window-sharing');
    for (const n of [0, 1]) {
      await mkdir(home(n));
      daemons.push(
        await startDaemon({
          data: path.join(temp.dir, `data${n}`),
          host: `127.0.0.${24 + n}`,
          env: { HOME: home(n) },
          args: n === 0 ? [] : ['--bootstrap', daemons[0]!.ready.addresses[0]!],
        }),
      );
      const { userId } = await daemons[n]!.cli<{ userId: string }>('id', 'create');
      if (n === 1) other = userId;
    }
    await mkdir(path.join(home(0), 'Album'));
    await writeFile(path.join(home(0), 'Album', 'plan.txt'), 'Meet at noon.\n');
    ({ driveId } = await daemons[0]!.cli<{ driveId: string }>(
      ...['drive', 'create', 'Album', '--folder', path.join(home(0), 'Album')],
    ));
    for (const [n, daemon] of daemons.entries()) {
      browsers.push(await openBrowser(n === 0 ? {} : { width: 390, height: 844 }));
      await browsers[n]!.page.goto(daemon.ready.ui);
    }
  }, 180_000);

  afterAll(async () => {
    for (const browser of browsers) await browser.close();
    for (const daemon of daemons) await daemon.stop();
    await temp?.remove();
  });

  const page = (n: number) => browsers[n]!.page;
  const dialog = (n: number) => page(n).getByRole('dialog');

  it('say what a change of rights does before it is saved, and let in who was named', async () => {
    await page(0).getByRole('link', { name: /Album/ }).first().click();
    await page(0).getByRole('button', { name: 'Share', exact: true }).first().click();
    const who = dialog(0).getByLabel('Name, @name or user ID');
    await who.fill('exc1nobody');
    await who.press('Enter');
    await dialog(0).getByText('neither a name you gave, nor an @name, nor a user ID').waitFor();
    await who.fill(other);
    // By the keyboard alone: a role, then the person.
    await dialog(0)
      .getByRole('button', { name: /^Role: Reader/ })
      .focus();
    await page(0).keyboard.press('Enter');
    await page(0)
      .getByRole('menuitemradio', { name: /Editor/ })
      .waitFor();
    await page(0).keyboard.press('ArrowDown');
    await page(0).keyboard.press('Enter');
    await who.press('Enter');
    await dialog(0).getByText('Will be let in').last().waitFor();
    await dialog(0).getByText('1 change').waitFor();
    expect(await daemons[0]!.cli('drive', 'members', driveId)).toHaveLength(1);
    expect(await browsers[0]!.accessibility()).toEqual([]);
    await browsers[0]!.picture('share-planned');
    await dialog(0).getByRole('button', { name: 'Save changes' }).click();
    await dialog(0).getByText('Invited, not opened yet').last().waitFor();
    expect(await daemons[0]!.cli('drive', 'members', driveId)).toContainEqual(
      expect.objectContaining({ userId: other, role: 'editor', opened: false }),
    );
    await dialog(0)
      .getByRole('button', { name: /^Name exc1/ })
      .click();
    await page(0).keyboard.type('Juniper');
    await page(0).keyboard.press('Enter');
    await dialog(0).getByText('Juniper', { exact: true }).waitFor();
    expect(await daemons[0]!.cli('person', 'list')).toEqual([{ userId: other, name: 'Juniper' }]);
  });

  it('make an invitation, show its link once and take it back', async () => {
    await dialog(0).locator('select').first().selectOption('5');
    await dialog(0).getByRole('button', { name: 'Make a link' }).click();
    const link = dialog(0).getByRole('textbox', { name: 'Invitation link' });
    expect(await link.inputValue()).toMatch(/^extrachain:\/\/invite\/.+#/);
    await dialog(0).getByText('0 of 5 came in').waitFor();
    await dialog(0).getByRole('button', { name: 'Revoke' }).click();
    await expect.poll(() => dialog(0).getByText('0 of 5 came in').count()).toBe(0);
    expect(await daemons[0]!.cli('drive', 'invites', driveId)).toMatchObject([{ uses: 5, state: 'revoked' }]);
    await page(0).keyboard.press('Escape');
  });

  it('tell the other person, who keeps it with one click', async () => {
    await page(1).getByRole('link', { name: 'Files', exact: true }).click();
    const shared = page(1).getByRole('region', { name: 'Shared with you' });
    await shared.getByText('Album').waitFor();
    expect(await browsers[1]!.accessibility()).toEqual([]);
    await browsers[1]!.picture('shared-with-you');
    await shared.getByRole('button', { name: 'Keep here' }).click();
    await expect
      .poll(() => dialog(1).getByLabel('Folder on this computer').inputValue())
      .toBe(path.join(home(1), 'Album'));
    await dialog(1).getByRole('button', { name: 'Keep here' }).click();
    await browsers[1]!.picture('keep-here');
    await page(1)
      .getByRole('row', { name: /plan\.txt/ })
      .waitFor();
    const file = path.join(home(1), 'Album', 'plan.txt');
    await expect.poll(() => existsSync(file)).toBe(true);
    expect(await readFile(file, 'utf8')).toBe('Meet at noon.\n');
    await daemons[1]!.cli('drive', 'leave', driveId);
    // The window hears of it a moment later; until then a link would only show the drive that is here.
    await expect
      .poll(() =>
        page(1)
          .getByRole('row', { name: /plan\.txt/ })
          .count(),
      )
      .toBe(0);
  });

  it('open an unlisted drive by its link without keeping anything', async () => {
    const { link } = await daemons[0]!.cli<{ link: string }>('drive', 'visibility', driveId, 'unlisted');
    await page(1).evaluate(`{
      const clipboardData = new DataTransfer();
      clipboardData.setData('text/plain', ${JSON.stringify(link)});
      document.body.dispatchEvent(
        new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }),
      );
    }`);
    await dialog(1).getByRole('button', { name: 'Open', exact: true }).click();
    await page(1).getByText('Nothing of it is kept on this computer').waitFor();
    expect(await browsers[1]!.accessibility()).toEqual([]);
    await page(1)
      .getByRole('row', { name: /plan\.txt/ })
      .click();
    await dialog(1).getByText('Meet at noon.').waitFor();
    expect(page(1).url()).not.toContain(link.split('#')[1]!.split('.')[0]!);
    await page(1).keyboard.press('Escape');
    expect(await daemons[1]!.cli('drive', 'list')).toEqual([]);
  });

  it('lend disk and say how copies stand', async () => {
    await page(1).getByRole('button', { name: 'More places' }).click();
    await page(1).getByRole('menuitem', { name: 'Network' }).click();
    const lent = page(1).getByRole('region', { name: 'Disk lent to others' });
    await lent.getByRole('button', { name: 'Lend disk' }).click();
    await lent.getByLabel('How much').fill('a lot');
    await lent.getByRole('button', { name: 'Save' }).click();
    await lent.getByText('at least 0.1').waitFor();
    await lent.getByLabel('How much').fill('0.5');
    await lent.getByRole('button', { name: 'Save' }).click();
    await lent.getByText('500 MB lent').waitFor();
    await lent.getByText("Somebody you don't know can reserve up to 125 MB").waitFor();
    await lent.getByRole('button', { name: 'Change' }).click();
    await lent.getByLabel('For one stranger').fill('a few');
    await lent.getByRole('button', { name: 'Save' }).click();
    await lent.getByText('0 to 100 percent').waitFor();
    await lent.getByLabel('For one stranger').fill('10');
    await lent.getByRole('button', { name: 'Save' }).click();
    await lent.getByText('up to 50 MB').waitFor();
    expect(await browsers[1]!.accessibility()).toEqual([]);
    await lent.getByRole('button', { name: 'Stop' }).click();
    await page(1).getByRole('alertdialog').getByRole('button', { name: 'Stop lending' }).click();
    await lent.getByRole('button', { name: 'Lend disk' }).waitFor();
    // Members do not host what they may read, and nobody else is there: the dialog says what it waits for.
    await page(0).getByRole('button', { name: 'More about this drive' }).click();
    await page(0).getByRole('menuitem', { name: 'Copies on other computers' }).click();
    await dialog(0).getByText('No copies on other computers').waitFor();
    await dialog(0).getByRole('button', { name: 'More copies' }).click();
    await dialog(0).getByRole('button', { name: 'Save' }).click();
    await dialog(0).getByText('no computer within reach lends enough disk').waitFor();
    expect(await browsers[0]!.accessibility()).toEqual([]);
    expect(await daemons[0]!.cli('drive', 'hosts', driveId)).toMatchObject({ wanted: 1, hosts: [] });
    for (const browser of browsers) expect(browser.complaints).toEqual([]);
  });
});
