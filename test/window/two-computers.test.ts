import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon, tempDir } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { buildWindow, findChromium, openBrowser } from './browser.ts';
import type { Browser } from './browser.ts';

const chromium = findChromium();
if (chromium === null) console.log('skipped: no Chromium on this system (CHROMIUM_PATH names one)');

describe.skipIf(chromium === null)('two computers in two windows', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  const daemons: Daemon[] = [];
  const browsers: Browser[] = [];
  const homes: string[] = [];
  const pages = () => browsers.map((browser) => browser.page) as [Browser['page'], Browser['page']];

  beforeAll(async () => {
    buildWindow();
    temp = await tempDir('window-two');
    for (const n of [0, 1]) {
      homes.push(path.join(temp.dir, `home${n}`));
      await mkdir(homes[n]!);
      daemons.push(
        await startDaemon({
          data: path.join(temp.dir, `data${n}`),
          host: `127.0.0.${22 + n}`,
          env: { HOME: homes[n]! },
          args: n === 0 ? [] : ['--bootstrap', daemons[0]!.ready.addresses[0]!],
        }),
      );
    }
    await daemons[0]!.cli('id', 'create');
    await daemons[0]!.cli('drive', 'create', 'Family', '--folder', path.join(homes[0]!, 'Family'));
    for (const daemon of daemons) {
      const browser = await openBrowser();
      browsers.push(browser);
      await browser.page.goto(daemon.ready.ui);
    }
  }, 180_000);

  afterAll(async () => {
    for (const browser of browsers) await browser.close();
    for (const daemon of daemons) await daemon.stop();
    await temp?.remove();
  });

  it('are linked with a code, compared and approved', async () => {
    const [first, second] = pages();
    await first.getByRole('link', { name: 'Settings', exact: true }).click();
    await first.getByRole('link', { name: 'Devices' }).click();
    await first.getByRole('button', { name: 'Add a computer' }).click();
    await first.getByRole('img', { name: 'Code for the other computer' }).waitFor();
    expect(await browsers[0]!.accessibility()).toEqual([]);
    const code = await first.locator('[data-test=invite-code]').inputValue();
    await second.getByRole('button', { name: /Link this computer/ }).click();
    await second.getByLabel('Code').fill(code);
    await second.getByRole('button', { name: 'Continue' }).click();
    const digits = (await second.locator('output').textContent())?.trim() ?? '';
    expect(digits).toMatch(/^\d{6}$/);
    expect(await browsers[1]!.accessibility()).toEqual([]);
    await first.getByRole('dialog').getByText(digits).waitFor();
    await browsers[0]!.picture('link-approve');
    await first.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
    await second.getByRole('heading', { name: 'Bring your folders here' }).waitFor();
  });

  it('see the same drive, which the new one found by itself', async () => {
    const [first, second] = pages();
    await first
      .getByRole('link', { name: /Family/ })
      .first()
      .click();
    await second.getByRole('button', { name: 'Keep here' }).click();
    const asked = second.getByRole('dialog');
    await expect
      .poll(() => asked.getByLabel('Folder on this computer').inputValue())
      .toBe(path.join(homes[1]!, 'Family'));
    await asked.getByRole('button', { name: 'Keep here' }).click();
    await second.getByRole('button', { name: 'Open ExtraChain' }).click();
    await second
      .getByRole('link', { name: /Family/ })
      .first()
      .click();
    await second.getByRole('heading', { name: 'Family' }).first().waitFor();
  });

  it("show what is written on the other one's disk", async () => {
    const [first, second] = pages();
    const rowOf = (page: typeof first, name: RegExp) => page.getByRole('row', { name });
    await writeFile(path.join(homes[1]!, 'Family', 'plan.txt'), 'Meet at noon.\n');
    await rowOf(first, /plan\.txt/).waitFor();
    expect(await readFile(path.join(homes[0]!, 'Family', 'plan.txt'), 'utf8').catch(() => '')).toMatch(
      /^$|noon/,
    );
    await rowOf(second, /plan\.txt/).waitFor();
    await expect.poll(() => existsSync(path.join(homes[0]!, 'Family', 'plan.txt'))).toBe(true);
    // From being on the one disk to being on the other screen.
    const file = path.join(homes[0]!, 'Family', 'answer.txt');
    const started = performance.now();
    await writeFile(path.join(homes[1]!, 'Family', 'answer.txt'), 'Yes.\n');
    const shown = rowOf(first, /answer\.txt/)
      .waitFor()
      .then(() => performance.now());
    while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 5));
    const onDisk = performance.now();
    const onScreen = await shown;
    console.log(
      `a change of another computer: on disk after ${Math.round(onDisk - started)} ms, on screen ${Math.round(onScreen - onDisk)} ms later`,
    );
    expect(onScreen - onDisk).toBeLessThan(2000);
  });

  it('show how a conflict stands, and only what needs someone when asked', async () => {
    const [first] = pages();
    const family = (n: number) => path.join(homes[n]!, 'Family', 'plan.txt');
    for (const daemon of daemons) await daemon.cli('drive', 'pause', 'Family');
    await writeFile(family(0), 'Meet at one.\n');
    await writeFile(family(1), 'Meet at two.\n');
    for (const daemon of daemons) await daemon.cli('drive', 'resume', 'Family');
    const copy = first.getByRole('row', { name: /plan \(conflict .*Conflict/ });
    await copy.waitFor();
    await first.getByRole('button', { name: /^Show: All states/ }).click();
    await first.getByRole('menuitemradio', { name: /Needs you/ }).click();
    await expect.poll(() => first.getByRole('row', { name: /answer\.txt/ }).count()).toBe(0);
    await copy.click();
    await first.getByText('Both are kept').waitFor();
    await expect.poll(() => first.locator('.timeline-item').count()).toBeGreaterThan(1);
    await browsers[0]!.picture('conflict');
    expect(await browsers[0]!.accessibility()).toEqual([]);
    await first.getByRole('button', { name: 'Compare', exact: true }).click();
    const compared = first.getByRole('dialog');
    for (const line of ['Meet at one.', 'Meet at two.']) await compared.getByText(line).waitFor();
    expect(await browsers[0]!.accessibility()).toEqual([]);
    await first.keyboard.press('Escape');
    await first.getByRole('button', { name: 'Keep this one' }).click();
    await first.getByRole('heading', { name: 'Nothing here needs you' }).waitFor();
    await first.getByRole('button', { name: 'All states' }).last().click();
    await first.getByRole('row', { name: /answer\.txt/ }).waitFor();
    const texts = () => Promise.all([0, 1].map((n) => readFile(family(n), 'utf8').catch(() => '')));
    await expect.poll(async () => new Set(await texts()).size).toBe(1);
    expect((await texts())[0]).toMatch(/^Meet at (one|two)\.\n$/);
  });

  it('tell who did what in the whole drive, on which computer', async () => {
    const [first] = pages();
    await first.getByRole('button', { name: 'More about this drive' }).click();
    await first.getByRole('menuitem', { name: 'History of the drive' }).click();
    const lines = first.locator('main[data-view=timeline] li time');
    await first.getByRole('link', { name: 'answer.txt' }).waitFor();
    const all = await lines.count();
    expect(all).toBeGreaterThan(4);
    await browsers[0]!.picture('timeline');
    expect(await browsers[0]!.accessibility()).toEqual([]);
    // The version that was kept has the name again; nothing was deleted for it.
    await first.getByLabel('What', { exact: true }).selectOption({ label: 'Restored' });
    await expect.poll(() => lines.count()).toBe(1);
    await first.getByLabel('What', { exact: true }).selectOption({ label: 'Deleted' });
    await first.getByRole('heading', { name: 'Nothing of that kind' }).waitFor();
    await first.getByRole('button', { name: 'Show all' }).last().click();
    await expect.poll(() => lines.count()).toBe(all);
    // As it happens.
    await writeFile(path.join(homes[1]!, 'Family', 'later.txt'), 'Later.\n');
    await first.getByRole('link', { name: 'later.txt' }).click();
    await expect
      .poll(() => first.getByRole('row', { name: /later\.txt/ }).getAttribute('aria-selected'))
      .toBe('true');
  });

  it('free a file and keep it again', async () => {
    const [first] = pages();
    const file = path.join(homes[0]!, 'Family', 'later.txt');
    const row = first.getByRole('row', { name: /later\.txt/ });
    await expect.poll(() => existsSync(file)).toBe(true);
    await row.click({ button: 'right' });
    await first.getByRole('menuitem', { name: 'Free up space' }).click();
    // What stays is said before, what was freed afterwards.
    const freeing = first.getByRole('dialog');
    await freeing.getByText('Nothing is deleted for anybody').waitFor();
    expect(await browsers[0]!.accessibility()).toEqual([]);
    await freeing.getByRole('button', { name: 'Free up space' }).click();
    await freeing.getByText('One file is online-only now.').waitFor();
    await first.keyboard.press('Escape');
    await first.getByRole('row', { name: /later\.txt.*Online-only/ }).waitFor();
    expect(existsSync(file)).toBe(false);
    expect(existsSync(path.join(homes[1]!, 'Family', 'later.txt'))).toBe(true);
    await browsers[0]!.picture('online-only');
    expect(await browsers[0]!.accessibility()).toEqual([]);
    await row.click({ button: 'right' });
    await first.getByRole('menuitem', { name: 'Keep on this computer' }).click();
    await expect.poll(() => existsSync(file)).toBe(true);
  });

  it('only receive when told so, and undo what was changed', async () => {
    const [first] = pages();
    await first.getByRole('button', { name: 'More about this drive' }).click();
    await first.getByRole('menuitemradio', { name: 'Only receives' }).click();
    await expect
      .poll(async () => (await daemons[0]!.cli<{ mode: string }>('drive', 'status', 'Family')).mode)
      .toBe('receive-only');
    const mine = path.join(homes[0]!, 'Family', 'mine.txt');
    await writeFile(mine, 'Mine.\n');
    await first.getByText('One change made on this computer stays here').waitFor();
    await browsers[0]!.picture('receive-only');
    expect(await browsers[0]!.accessibility()).toEqual([]);
    await first.getByRole('button', { name: 'Undo them' }).click();
    await first.getByRole('alertdialog').getByRole('button', { name: 'Undo them' }).click();
    await expect.poll(() => existsSync(mine)).toBe(false);
    await daemons[0]!.cli('drive', 'mode', 'Family', 'send-receive');
  });

  it('hold back when most of a drive goes at once, and put it back', async () => {
    const [first] = pages();
    const family = (n: number, name: string) => path.join(homes[n]!, 'Family', 'Letters', name);
    await mkdir(family(1, ''));
    const names = Array.from({ length: 24 }, (_, n) => `letter ${n}.txt`);
    for (const name of names) await writeFile(family(1, name), `This is ${name}.\n`);
    const all = (n: number) => names.filter((name) => existsSync(family(n, name))).length;
    await expect.poll(() => all(0), { timeout: 30_000 }).toBe(names.length);
    await daemons[0]!.cli('drive', 'wait', 'Family', '--timeout', '30');
    for (const name of names) await rm(family(0, name));
    const notice = first.getByRole('alert').filter({ hasText: 'More than half' });
    await notice.waitFor({ timeout: 30_000 });
    expect(await browsers[0]!.accessibility()).toEqual([]);
    await browsers[0]!.picture('held-delete');
    // By the keyboard alone.
    await notice.getByRole('button', { name: 'Put them back' }).focus();
    await first.keyboard.press('Enter');
    await expect.poll(() => all(0), { timeout: 30_000 }).toBe(names.length);
    expect(await readFile(family(0, names[7]!), 'utf8')).toBe(`This is ${names[7]}.\n`);
    expect(all(1)).toBe(names.length);
    await notice.waitFor({ state: 'detached' });
    const held = await daemons[0]!.cli<{ state: string }>('drive', 'status', 'Family');
    expect(held.state).not.toBe('held');
  });

  it('tell what each computer was sent and sent', async () => {
    const [first] = pages();
    await first.getByRole('link', { name: 'Network', exact: true }).click();
    await first.getByRole('radio', { name: 'Month' }).click();
    const card = first.getByRole('region', { name: 'Traffic' });
    await card.getByRole('heading', { name: 'With whom' }).waitFor();
    // The other computer has the same owner, and got files.
    await card
      .getByRole('listitem')
      .filter({ hasText: 'Yours' })
      .filter({ hasText: /KB|MB/ })
      .first()
      .waitFor();
    await browsers[0]!.picture('traffic-by-computer');
    expect(await browsers[0]!.accessibility()).toEqual([]);
  });

  it('say when the node is gone, lose nothing and go on when it is back', async () => {
    const [first] = pages();
    await daemons[0]!.stop();
    await first.getByRole('alert').filter({ hasText: 'The node does not answer' }).waitFor();
    await browsers[0]!.picture('node-gone');
    expect(await browsers[0]!.accessibility()).toEqual([]);
    daemons[0] = await startDaemon({
      data: path.join(temp.dir, 'data0'),
      host: '127.0.0.22',
      env: { HOME: homes[0]! },
    });
    // A new start has a new address with a new token, as a person would open it.
    await first.goto(daemons[0].ready.ui);
    await first
      .getByRole('link', { name: /Family/ })
      .first()
      .click();
    await first.getByRole('row', { name: /plan\.txt/ }).waitFor();
  });
});
