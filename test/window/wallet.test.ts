import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cliJson, startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { buildWindow, findChromium, openBrowser } from './browser.ts';
import type { Browser } from './browser.ts';

const chromium = findChromium();
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');

describe.skipIf(chromium === null)('the wallet', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let ada: Daemon;
  let ben: Daemon;
  let browser: Browser;
  let other = '';
  const page = () => browser.page;
  const main = () => page().getByRole('main');
  /** What was told at the edge has gone: while it fades its colours are no ones that were chosen. */
  const told = () => expect.poll(() => page().locator('[data-sonner-toast]').count()).toBe(0);

  beforeAll(async () => {
    buildWindow();
    temp = await tempDir('window-wallet');
    ada = await startDaemon({
      data: path.join(temp.dir, 'ada'),
      host: '127.0.0.28',
      env: { HOME: temp.dir },
    });
    ben = await startDaemon({
      data: path.join(temp.dir, 'ben'),
      host: '127.0.0.29',
      env: { HOME: temp.dir },
    });
    await ada.cli('id', 'create');
    ({ userId: other } = await ben.cli<{ userId: string }>('id', 'create'));
    const { link } = await ada.cli<{ link: string }>('chain', 'create', 'harbour');
    await ben.cli('chain', 'join', link);
    browser = await openBrowser();
    await page().goto(ada.ready.ui);
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    for (const daemon of [ada, ben]) await daemon?.stop();
    await temp?.remove();
  });

  it('shows what there is, and what sending does before it is signed', async () => {
    await page().getByRole('link', { name: 'Wallet' }).first().click();
    await main()
      .getByRole('rowheader', { name: /ExtraChain/ })
      .waitFor();
    expect(await main().getByText('999,990,000').first().isVisible()).toBe(true);
    await main().getByRole('button', { name: 'Send', exact: true }).click();
    const panel = page().getByRole('complementary', { name: 'Send' });
    await panel.getByRole('combobox', { name: 'To', exact: true }).fill(other);
    // More than there is: said in its place, and nothing can be sent.
    await panel.getByLabel('Amount').fill('2000000000');
    await panel.getByRole('alert').waitFor();
    expect(await panel.getByRole('button', { name: 'Send', exact: true }).isDisabled()).toBe(true);
    await panel.getByLabel('Amount').fill('12.5');
    await panel.getByText('What happens').waitFor();
    // A whole user ID becomes a person with a picture; the effect is worked out before anything is signed.
    await panel.getByRole('button', { name: 'Somebody else' }).waitFor();
    await panel.getByText('999,989,987.499').waitFor();
    await panel.getByText('You have never paid this address.').waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('wallet-send');
    // By the keyboard alone.
    await panel.getByLabel('Amount').press('Enter');
    await main()
      .getByRole('button', { name: /^Sent to/ })
      .waitFor();
    await expect
      .poll(async () => (await ben.cli<{ amount: string }[]>('wallet', 'balance'))[0]?.amount)
      .toBe('12.5');
  });

  it('makes a token whose supply is drawn while it is typed', async () => {
    await main().getByRole('button', { name: 'Create a token' }).click();
    const next = (name: string) => main().getByRole('button', { name: `Next: ${name}` });
    await main().getByLabel('Name', { exact: true }).fill('Light');
    // A symbol that is taken is said before anything is paid.
    await main().getByLabel('Symbol').fill('exc');
    await main().getByRole('alert').waitFor();
    expect(await next('Supply').isDisabled()).toBe(true);
    await main().getByLabel('Symbol').fill('lgt');
    await next('Supply').click();
    await main().getByLabel('Never more than').waitFor();
    await next('Mining and staking').click();
    await main().getByRole('radio', { name: 'List' }).click();
    await main().getByRole('definition').filter({ hasText: '1.2M' }).waitFor();
    await main().getByRole('radio', { name: 'Halving' }).click();
    await main().getByRole('definition').filter({ hasText: '1.1M' }).waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('wallet-token');
    await next('Rights').click();
    await next('Review').click();
    await main().getByText('What happens').waitFor();
    await main()
      .getByText(/Creating it costs 0\.\d+ EXC/)
      .waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('wallet-token-review');
    await main().getByRole('button', { name: 'Create token' }).click();
    await main().getByRole('rowheader', { name: /Light/ }).waitFor();
  });

  it('says what managing a token does before it is signed, and saves a proof of it', async () => {
    await main().getByRole('button', { name: /Light/ }).click();
    await main().getByRole('button', { name: 'Manage LGT' }).click();
    const dialog = page().getByRole('dialog', { name: 'Manage LGT' });
    await dialog.getByLabel('What').selectOption('Let fees be paid in it');
    await dialog.getByLabel(/LGT for one EXC/).fill('2.5');
    await dialog.getByText('What happens').waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('wallet-manage');
    await dialog.getByRole('button', { name: 'Let fees be paid in it' }).click();
    await dialog.waitFor({ state: 'hidden' });
    await expect
      .poll(async () => (await ada.cli<{ feeRate: string | null }>('token', 'show', 'LGT')).feeRate)
      .toBe('2.5');
    await main()
      .getByRole('button', { name: /^Made the token/ })
      .click();
    const shown = page().getByRole('dialog', { name: 'Transaction' });
    const download = page().waitForEvent('download');
    await shown.getByRole('button', { name: 'Export proof' }).click();
    const file = path.join(temp.dir, 'token.proof');
    await (await download).saveAs(file);
    expect(await cliJson('', ['verify', file])).toMatchObject({ ok: true, type: 'tx', code: '' });
    await page().keyboard.press('Escape');
  });

  it('trades on pools, with what it comes to before it is signed, and claims a name', async () => {
    await page().getByRole('link', { name: 'Wallet' }).first().click();
    await main().getByRole('button', { name: 'Markets' }).click();
    await main().getByRole('radio', { name: 'Pools' }).click();
    await main().getByText('There are no pools yet').waitFor();
    await main().getByRole('button', { name: 'New pool' }).click();
    const dialog = page().getByRole('dialog');
    await dialog.getByLabel('Of the first token').fill('1000');
    await dialog.getByLabel('Of the second token, at most').fill('500');
    await dialog.getByText('What happens').waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await dialog.getByRole('button', { name: 'Make the pool' }).click();
    await main().getByText('% of the pool').waitFor();
    await told();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('markets-pools');

    await main().getByRole('radio', { name: 'Swap' }).click();
    await main().getByLabel('You give', { exact: true }).fill('100');
    await main().getByText('This amount moves the price a lot.').waitFor();
    await main().getByLabel('You give', { exact: true }).fill('10');
    await main().getByText('What happens').waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('markets-swap');
    await main().getByRole('button', { name: 'Swap', exact: true }).click();
    await expect
      .poll(async () => (await ada.cli<{ tradedA: string }[]>('pool', 'list'))[0]?.tradedA)
      .toBe('10');

    // A vault made by a file is shown with its parts; storage and names have nothing yet.
    await main().getByRole('radio', { name: 'Vaults' }).click();
    await main().getByText('There are no vaults yet').waitFor();
    const file = path.join(temp.dir, 'vault.json');
    const strategies = [{ other: 'LGT', targetBp: 5000 }];
    await writeFile(file, JSON.stringify({ name: 'Movers', asset: 'EXC', strategies, minMove: '1' }));
    await ada.cli('vault', 'create', file);
    await main().getByRole('button', { name: 'Deposit' }).click();
    await dialog.getByLabel('Amount (EXC)').fill('200');
    await dialog.getByText('What happens').waitFor();
    await dialog.getByRole('button', { name: 'Deposit' }).click();
    await main().getByText('Moves at most 20 % in 24 hours').waitFor();
    await told();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('markets-vaults');
    await main().getByRole('radio', { name: 'Storage' }).click();
    await main().getByLabel('Burn EXC').fill('1');
    await main().getByText('What happens').waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await main().getByRole('button', { name: 'Buy fuel' }).click();
    await main().getByText('1,000 GiB hours left').waitFor();
    await browser.picture('markets-storage');
    await main().getByRole('radio', { name: 'Names' }).click();
    await main().getByLabel('Name', { exact: true }).fill('harbour');
    await main().getByText('For a year:').waitFor();
    await main().getByRole('button', { name: 'Claim', exact: true }).click();
    await main().getByText('@harbour').waitFor();
    await browser.picture('markets-names');
    await page().getByRole('link', { name: 'Wallet' }).first().click();
  });

  it('asks about links to networks and requests for signatures where they belong', async () => {
    const [first] = await ada.cli<{ link: string }[]>('chain', 'list');
    const paste = (text: string) =>
      page().evaluate(`{
        const clipboardData = new DataTransfer();
        clipboardData.setData('text/plain', ${JSON.stringify(text)});
        document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
      }`);
    const dialog = page().getByRole('dialog');
    await paste(first!.link);
    await dialog.getByText('You follow harbour already').waitFor();
    expect(await dialog.getByRole('textbox').inputValue()).toBe(first!.link);
    await page().keyboard.press('Escape');
    await paste('extrachain://sign/oWFh');
    await dialog.getByRole('button', { name: 'Look at it' }).click();
    await dialog.getByRole('alert').waitFor();
    await page().keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
  });

  it('shows blocks and validators, in both themes and narrow', async () => {
    await main().getByRole('button', { name: 'Network and blocks' }).click();
    await main().getByText('Founder').first().waitFor();
    await main().getByText('A block is final with more than two thirds of the power.').waitFor();
    await main().getByRole('region', { name: 'Networks' }).getByText('harbour').waitFor();
    await main().getByRole('cell', { name: '1', exact: true }).first().waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('wallet-chain');
    for (const place of ['wallet/chain', 'wallet/token', 'wallet']) {
      await page().evaluate(`location.hash = '#/${place}'`);
      await page()
        .locator(`main[data-view=${place.split('/').at(-1)}]`)
        .waitFor();
      const { wrong, count } = await browser.tabStops();
      expect(wrong, place).toEqual([]);
      expect(count, place).toBeGreaterThan(10);
    }
    await page().evaluate(`location.hash = '#/wallet/chain'`);
    await page().emulateMedia({ colorScheme: 'dark' });
    await page().setViewportSize({ width: 390, height: 844 });
    await page().getByRole('link', { name: 'Wallet' }).first().click();
    await main().getByRole('rowheader', { name: /Light/ }).waitFor();
    expect(await browser.accessibility()).toEqual([]);
    await browser.picture('wallet-narrow');
    expect(browser.complaints).toEqual([]);
  });
});
