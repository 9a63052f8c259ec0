import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import type { InstalledApp } from '../../src-shared/contract/index.ts';
import { cliFinal, startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { buildWindow, findChromium, openBrowser } from './browser.ts';
import type { Browser } from './browser.ts';

/** The store, as somebody meets it who was told of an app: published by Ada's daemon, found and used in Ben's window. */

const chromium = findChromium();
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');
const root = path.resolve(import.meta.dirname, '../..');
const patience = 60_000;

/** The page of the app: everything it does is asked for by a button, so that the test sees the question. */
const page = (to: string): string => `import { connect } from '@extrachain/app';
const app = await connect();
const me = await app.accounts.own();
const page = document.querySelector<HTMLElement>('#app')!;
function add(tag: string, text: string): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = text;
  page.append(element);
  return element;
}
add('h1', 'Tide maps');
add('code', me.address);
const said = add('p', 'Nothing yet');
function act(name: string, work: () => Promise<string>): void {
  add('button', name).addEventListener('click', () => {
    void work().then(
      (text) => (said.textContent = text),
      (error: unknown) => (said.textContent = 'No: ' + String((error as { code?: unknown }).code)),
    );
  });
}
act('Look', async () => {
  const [folder] = await app.drives.folders();
  const names: string[] = [];
  for await (const file of folder!.walk()) names.push(file.path);
  return 'Found ' + names.join(', ');
});
act('Pay', async () => {
  await app.ask('tokens.spend');
  return 'Paid ' + (await app.wallet.pay({ to: '${to}', amount: '2', symbol: 'EXC' })).slice(0, 4);
});
`;

describe.skipIf(chromium === null)('the store', { timeout: 240_000 }, () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let ada: Daemon;
  let ben: Daemon;
  let browser: Browser;
  let source: string;
  let adaId = '';
  const bundle = (version: string): string => path.join(temp.dir, `tides-${version}.exapp`);
  const own = () => browser.page;
  const main = () => own().getByRole('main');
  const sheet = (name: string | RegExp) => own().getByRole('dialog', { name });
  const launcher = () => main().getByRole('region', { name: 'Installed' });
  const store = () => main().getByRole('region', { name: 'Store' });
  const tile = () => launcher().getByRole('button', { name: /^Tide maps/ });
  const told = () =>
    expect.poll(() => own().locator('[data-sonner-toast]').count(), { timeout: patience }).toBe(0);
  const installed = async (): Promise<InstalledApp | undefined> =>
    (await ben.cli<InstalledApp[]>('app', 'list', '--installed')).find(({ slug }) => slug === 'tide-maps');

  const final = (daemon: Daemon, ...args: string[]): Promise<void> =>
    cliFinal(daemon, daemon === ada ? ben : ada, ...args);
  /** Builds the template's sources as they are now, by the template's own script, and packs them. */
  async function pack(version: string, required: readonly unknown[]): Promise<string> {
    const file = path.join(source, 'public', 'extrachain.json');
    const manifest = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    const permissions = {
      required,
      optional: [
        { name: 'notifications', caveats: { perDay: 3 } },
        { name: 'tokens.spend', caveats: { symbol: 'EXC', perDay: '1' } },
      ],
    };
    const said = {
      version,
      permissions,
      description: 'Times and heights for harbours.',
      categories: ['places'],
    };
    await writeFile(file, JSON.stringify({ ...manifest, ...said }));
    const tool = (name: string, ...args: string[]) =>
      promisify(execFile)(process.execPath, [path.join(root, 'node_modules', name), ...args], {
        cwd: source,
      });
    await tool('typescript/bin/tsc', '--noEmit');
    await tool('vite/bin/vite.js', 'build', '--logLevel', 'warn');
    await ada.cli('app', 'pack', source, '--out', bundle(version));
    return bundle(version);
  }
  const reads = [{ name: 'drive.read', reason: 'To keep your harbours.' }];

  beforeAll(async () => {
    buildWindow();
    temp = await tempDir('window-store');
    const env = (name: string) => ({ HOME: path.join(temp.dir, name) });
    const folder = path.join(temp.dir, 'sailing');
    await Promise.all(['ada', 'ben', 'sailing'].map((name) => mkdir(path.join(temp.dir, name))));
    await writeFile(path.join(folder, 'harbours.txt'), 'Kiel, Kappeln');
    ada = await startDaemon({
      data: path.join(temp.dir, 'ada', 'data'),
      host: '127.0.0.76',
      env: env('ada'),
    });
    ben = await startDaemon({
      data: path.join(temp.dir, 'ben', 'data'),
      host: '127.0.0.77',
      args: ['--bootstrap', ada.ready.addresses[0]!],
      env: env('ben'),
    });
    ({ userId: adaId } = await ada.cli<{ userId: string }>('id', 'create'));
    const { userId } = await ben.cli<{ userId: string }>('id', 'create');
    const { link } = await ada.cli<{ link: string }>('chain', 'create', 'shop');
    await ben.cli('chain', 'join', link);
    await final(ada, 'wallet', 'send', userId, '100', 'EXC');
    await ben.cli('person', 'name', adaId, 'Northlight');
    const { driveId } = await ben.cli<{ driveId: string }>('drive', 'create', 'Sailing', '--folder', folder);
    await ben.cli('drive', 'wait', driveId, '--timeout', '60');

    source = path.join(temp.dir, 'tide-maps');
    await ada.cli('app', 'init', source, '--name', 'Tide maps');
    // What `npm install` would bring.
    const modules = path.join(source, 'node_modules');
    await mkdir(path.join(modules, '@extrachain'), { recursive: true });
    await symlink(path.join(root, 'node_modules', 'vite'), path.join(modules, 'vite'));
    await symlink(path.join(source, 'sdk'), path.join(modules, '@extrachain', 'app'));
    await writeFile(path.join(source, 'src', 'main.ts'), page(adaId));
    await final(ada, 'app', 'publish', await pack('1.0.0', reads));
    browser = await openBrowser();
    browser.page.setDefaultTimeout(patience);
    await own().goto(ben.ready.ui);
  }, 240_000);

  afterAll(async () => {
    await browser?.close();
    for (const daemon of [ada, ben]) await daemon?.stop();
    await temp?.remove();
  });

  /** Opens the app from the launcher. */
  async function openApp(): Promise<Page> {
    const opened = own().context().waitForEvent('page');
    await tile().click();
    const app = await opened;
    app.setDefaultTimeout(patience);
    await app.getByRole('heading', { name: 'Tide maps' }).waitFor();
    return app;
  }

  it('shows what others published, and finds it by its words', async () => {
    await own().getByRole('link', { name: 'Apps' }).first().click();
    await store()
      .getByRole('button', { name: /Tide maps/ })
      .waitFor();
    await store().getByRole('searchbox').fill('harbour boats');
    await store().getByText('No app fits').waitFor();
    await store().getByRole('searchbox').fill('harbour');
    await store()
      .getByRole('button', { name: /Tide maps.*Northlight, no reviews/ })
      .waitFor();
    await store().getByRole('button', { name: 'Places' }).click();
    await store()
      .getByRole('button', { name: /Tide maps/ })
      .waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('store');
  });

  it('says in plain words what an app asks for and cannot do, and installs it with a folder that was picked', async () => {
    await store()
      .getByRole('button', { name: /Tide maps/ })
      .click();
    const dialog = sheet('Install Tide maps?');
    await dialog.getByText('Signed by Northlight').waitFor();
    await dialog.getByText('Read one folder').waitFor();
    await dialog.getByText('Its reason: To keep your harbours.').waitFor();
    await dialog.getByText('At most 3 a day').waitFor();
    await dialog.getByText('Up to 1 EXC a day, larger sums ask you').waitFor();
    await dialog.getByText(/It cannot reach the internet, use your camera/).waitFor();
    // What may be left off is off.
    expect(await dialog.getByRole('switch', { checked: true }).count()).toBe(0);
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('store-sheet');
    await dialog.getByRole('switch', { name: 'Send you notifications' }).click();
    await dialog.getByRole('button', { name: 'Choose a folder' }).last().click();
    const picker = sheet('Choose a folder for Tide maps');
    await picker.getByRole('button', { name: 'Sailing' }).click();
    await picker.getByRole('button', { name: 'Use the whole drive' }).click();
    await dialog.getByText('Sailing').waitFor();
    expect(await installed()).toBeUndefined();
    await dialog.getByRole('button', { name: 'Install', exact: true }).click();
    await tile().waitFor();
    expect(await installed()).toMatchObject({ version: '1.0.0', source: 'ledger' });
    const given = await ben.cli<{ name: string; state: string }[]>('app', 'permissions', 'tide-maps');
    expect(
      given
        .filter(({ state }) => state === 'granted')
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(['drive.read', 'notifications']);
    await told();
  });

  it('opens it in a page of its own, asks for each payment here, and shows what it did', async () => {
    const app = await openApp();
    await app.getByRole('button', { name: 'Look' }).click();
    await app.getByText('Found harbours.txt').waitFor();

    // What was left off at first is asked for when the app needs it; more than that bound asks again.
    await app.getByRole('button', { name: 'Pay' }).click();
    const more = own().getByRole('alertdialog', { name: 'Tide maps asks for more' });
    await more.getByText('Spend on its own').waitFor();
    await more.getByText('Up to 1 EXC a day, larger sums ask you').waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('store-more');
    await more.getByRole('button', { name: 'Allow', exact: true }).click();
    const asked = own().getByRole('alertdialog', { name: 'Tide maps wants to pay' });
    await asked.getByText('To Northlight').waitFor();
    await asked.getByText('You have after').waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('store-approval');
    await asked.getByRole('button', { name: 'Don’t allow' }).last().click();
    await app.getByText('No: 4001').waitFor();

    await app.getByRole('button', { name: 'Pay' }).click();
    await asked.getByRole('button', { name: 'Pay' }).click();
    await app.getByText(/^Paid [0-9a-f]{4}/).waitFor();

    await main().getByRole('radio', { name: 'What they may do' }).click();
    await main()
      .getByRole('button', { name: /Tide maps/ })
      .click();
    await main().getByText('Read one folder').waitFor();
    await main()
      .getByText(/^In the browser since/)
      .waitFor();
    await expect.poll(() => main().getByText('Refused').count(), { timeout: patience }).toBe(1);
    await main().getByText('Paid · 2 EXC to Northlight').first().waitFor();
    await main().getByText('Read your files').waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('store-access');
    // What is taken back ends at once, and can be given again.
    await main()
      .getByRole('listitem')
      .filter({ hasText: /^Read one folder/ })
      .getByRole('button', { name: 'Take back' })
      .click();
    await main()
      .getByText(/taken back/)
      .waitFor();
    await app.getByRole('button', { name: 'Look' }).click();
    await app.getByText(/^No: /).waitFor();
    await main().getByRole('button', { name: 'Close' }).click();
    await expect
      .poll(
        () =>
          main()
            .getByText(/^In the browser since/)
            .count(),
        { timeout: patience },
      )
      .toBe(0);
    await app.close();
    await main().getByRole('radio', { name: 'All apps' }).click();
  });

  it('installs by itself what asks for no more, and asks before what does', async () => {
    await final(ada, 'app', 'publish', await pack('1.1.0', reads));
    const updates = () => main().getByRole('region', { name: 'Updates' });
    await updates().getByRole('button', { name: 'Look for updates' }).click();
    await own().getByText('1 app updated').waitFor();
    await updates().getByText('Tide maps 1.1.0').waitFor();
    await final(ada, 'app', 'publish', await pack('1.2.0', [...reads, 'messages']));
    await updates().getByRole('button', { name: 'Look for updates' }).click();
    await updates()
      .getByText(/Asks for one more thing: Send messages/)
      .waitFor();
    expect(await installed()).toMatchObject({ version: '1.1.0' });
    await told();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('store-updates');
    await updates().getByRole('button', { name: 'Look', exact: true }).click();
    const dialog = sheet('Update Tide maps to 1.2.0?');
    await dialog.getByText('Send messages to its other users').waitFor();
    expect(await dialog.getByText('Read one folder').count()).toBe(0);
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('store-update');
    await dialog.getByRole('button', { name: 'Allow and update' }).click();
    await expect.poll(async () => (await installed())?.version, { timeout: patience }).toBe('1.2.0');
    await updates().getByRole('button', { name: 'Go back to 1.1.0' }).click();
    await expect.poll(async () => (await installed())?.version, { timeout: patience }).toBe('1.1.0');
    await told();
  });

  /** Chooses from the menu of the app in the launcher. */
  async function choose(item: string): Promise<void> {
    await launcher().getByRole('button', { name: 'More for Tide maps' }).click();
    await own().getByRole('menuitem', { name: item }).click();
  }

  it('takes a review, which others read', async () => {
    await choose('Write a review');
    const dialog = sheet('Review Tide maps');
    expect(await dialog.getByRole('button', { name: 'Send review' }).isDisabled()).toBe(true);
    await dialog.getByRole('radio', { name: '4 of 5 stars' }).check({ force: true });
    await dialog.getByLabel('In a few words').fill('Right to the minute.');
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('store-review');
    await dialog.getByRole('button', { name: 'Send review' }).click();
    await expect
      .poll(() => ada.cli('app', 'reviews', 'tide-maps').catch(() => ada.cli('app', 'list')), {
        timeout: patience,
      })
      .toMatchObject([{ rating: 4, reviews: 1 }]);
    await told();
  });

  it('warns of what a list names, and does not open it', async () => {
    const { appId } = (await installed())!;
    const file = path.join(temp.dir, 'list.json');
    await writeFile(file, JSON.stringify({ title: 'Bad apps', apps: [{ appId, reason: 'It mines.' }] }));
    const { link } = await ada.cli<{ link: string }>('app', 'blocklist', 'publish', file);
    await main().getByRole('radio', { name: 'Block lists' }).click();
    await main().getByLabel('Link of a list').fill('extrachain://nothing');
    await main().getByRole('button', { name: 'Follow', exact: true }).click();
    await main().getByRole('alert').waitFor();
    await main().getByLabel('Link of a list').fill(link);
    await main().getByRole('button', { name: 'Follow', exact: true }).click();
    await main().getByText('Bad apps').waitFor();
    await main()
      .getByText(/Northlight, 1 app/)
      .waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('store-lists');
    await main().getByRole('radio', { name: 'All apps' }).click();
    await launcher().getByText('On a block list').waitFor();
    await tile().click();
    await own()
      .getByText(/Bad apps names this app|block list/i)
      .last()
      .waitFor();
    await main().getByRole('radio', { name: 'Block lists' }).click();
    await main().getByRole('button', { name: 'Stop following' }).click();
    await expect.poll(() => main().getByText('Bad apps').count(), { timeout: patience }).toBe(0);
    await main().getByRole('radio', { name: 'All apps' }).click();
    await told();
  });

  it('removes it with what it stored, or without', async () => {
    await choose('Remove');
    const dialog = sheet('Remove Tide maps?');
    expect(await dialog.getByRole('radio', { name: /^Keep what it stored/ }).isChecked()).toBe(true);
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('store-remove');
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await expect.poll(installed, { timeout: patience }).toBeUndefined();
    await own().getByText('Tide maps is removed; what it stored stays').waitFor();
    await told();
    await ben.cli('app', 'install', (await ben.cli<{ appId: string }[]>('app', 'list'))[0]!.appId);
    await choose('Remove');
    await dialog.getByRole('radio', { name: /^Delete what it stored/ }).check();
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await own().getByText('Tide maps and what it stored are removed').waitFor();
    expect(await installed()).toBeUndefined();
    await told();
  });

  it('looks at a file before it is installed: chosen, or dropped on the page', async () => {
    const wrong = path.join(temp.dir, 'wrong.exapp');
    const bytes = await readFile(bundle('1.0.0'));
    bytes[bytes.length - 2000]! ^= 1;
    await writeFile(wrong, bytes);
    const chosen = main().locator('input[type=file]');
    await chosen.setInputFiles(wrong);
    await main().getByText('wrong.exapp is not an app, or is damaged.').waitFor();
    await chosen.setInputFiles(bundle('1.0.0'));
    const dialog = sheet('Install Tide maps?');
    await dialog.getByText(/^Version 1.0.0, from tides-1.0.0.exapp/).waitFor();
    await dialog.getByText('Signed by nobody', { exact: true }).waitFor();
    await dialog.getByText('Read one folder').waitFor();
    expect(await installed()).toBeUndefined();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('store-file');
    await dialog.getByRole('button', { name: 'Not now' }).click();
    await dialog.waitFor({ state: 'hidden' });
    expect(await installed()).toBeUndefined();

    const base64 = (await readFile(bundle('1.0.0'))).toString('base64');
    const dropped = await own().evaluateHandle(`(() => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob('${base64}'), (one) => one.charCodeAt(0))], 'tides.exapp'));
      return data;
    })()`);
    await main().dispatchEvent('dragover', { dataTransfer: dropped });
    await own().getByText('Drop an app to look at it').waitFor();
    await browser.picture('store-drop');
    await main().dispatchEvent('drop', { dataTransfer: dropped });
    await dialog.getByRole('button', { name: 'Choose a folder' }).last().click();
    const picker = sheet('Choose a folder for Tide maps');
    await picker.getByRole('button', { name: 'Sailing' }).click();
    await picker.getByRole('button', { name: 'Use the whole drive' }).click();
    await dialog.getByRole('button', { name: 'Install', exact: true }).click();
    await tile().waitFor();
    expect(await installed()).toMatchObject({ source: 'file', version: '1.0.0' });
    const app = await openApp();
    await app.getByRole('button', { name: 'Look' }).click();
    await app.getByText('Found harbours.txt').waitFor();
    await app.close();
    // The damaged file was refused, which the browser tells as well.
    expect(browser.complaints.map((text) => / 502 /.test(text))).toEqual([true]);
  });

  it('speaks German, dark and narrow, too', async () => {
    const german = await openBrowser({ locale: 'de-DE', width: 390, height: 844 });
    try {
      const { page: there } = german;
      there.setDefaultTimeout(patience);
      await there.emulateMedia({ colorScheme: 'dark' });
      await there.goto(ben.ready.ui);
      await there.getByRole('main').waitFor();
      await there.evaluate(`location.hash = '#/apps'`);
      const view = there.getByRole('main');
      await view
        .getByRole('region', { name: 'Installiert' })
        .getByRole('button', { name: 'Tide maps', exact: true })
        .waitFor();
      expect(await german.accessibility()).toEqual([]);
      await german.picture('store-german');
      await view
        .getByRole('region', { name: 'Angebot' })
        .getByRole('button', { name: /Tide maps.*1 Bewertung/ })
        .click();
      const dialog = there.getByRole('dialog', { name: 'Tide maps installieren?' });
      await dialog.getByText('Einen Ordner lesen').waitFor();
      await dialog.getByText('Bis zu 1 EXC am Tag, größere Beträge fragen dich').waitFor();
      await dialog.getByText(/^Sie kann nicht: das Internet erreichen/).waitFor();
      await dialog.getByText('Right to the minute.').waitFor();
      expect(await german.accessibility()).toEqual([]);
      await german.picture('store-german-sheet');
      await dialog.getByRole('button', { name: 'Nicht jetzt' }).click();
      await view.getByRole('radio', { name: 'Was sie dürfen' }).click();
      await view.getByRole('button', { name: /Tide maps.*aus einer Datei/ }).click();
      await view.getByText('Offene Seiten').or(view.getByText('Sie tat')).first().waitFor();
      expect(await german.accessibility()).toEqual([]);
      await german.picture('store-german-access');
      await view.getByRole('radio', { name: 'Sperrlisten' }).click();
      await view.getByLabel('Link einer Liste').waitFor();
      // What is asked, and who learns what by it, in the person's language.
      const [kept] = (
        await ben.cli<{ appId: string; source: string }[]>('app', 'list', '--installed')
      ).filter(({ source: from }) => from === 'file');
      const app = await german.page.context().newPage();
      await app.goto((await ben.cli<{ url: string }>('app', 'run', kept!.appId)).url);
      await app.getByRole('button', { name: 'Pay' }).click();
      await there.bringToFront();
      const more = there.getByRole('alertdialog', { name: 'Tide maps verlangt mehr' });
      await more.getByRole('button', { name: 'Erlauben', exact: true }).click();
      const pays = there.getByRole('alertdialog', { name: 'Tide maps möchte zahlen' });
      await pays.getByText(/^Wer das Hauptbuch liest, sieht, dass du das bezahlt hast/).waitFor();
      expect(await german.accessibility()).toEqual([]);
      await german.picture('store-german-approval');
      await pays.getByRole('button', { name: 'Nicht erlauben' }).last().click();
      await app.close();
      expect(german.complaints).toEqual([]);
    } finally {
      await german.close();
    }
  });
});
