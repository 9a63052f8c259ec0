import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import axe from 'axe-core';
import { chromium } from 'playwright-core';
import type { BrowserContext, Page } from 'playwright-core';

const root = path.resolve(import.meta.dirname, '../..');

/** A Chromium of this system; null when there is none. `CHROMIUM_PATH` names another one. */
export function findChromium(): string | null {
  const places = [
    process.env['CHROMIUM_PATH'],
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  ];
  return places.find((place) => place !== undefined && existsSync(place)) ?? null;
}

/** Builds the window when it is missing or older than its sources. */
export function buildWindow(): void {
  const { status } = spawnSync(process.execPath, [path.join(root, 'bin', 'build-window.mjs')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) throw new Error('the window could not be built');
}

export interface Browser {
  readonly page: Page;
  /** What the page complained of: errors, and everything its policy refused. */
  readonly complaints: string[];
  /** Serious and critical findings of axe on what is shown now, one line each. */
  accessibility(): Promise<string[]>;
  /**
   * Goes through the page by Tab.
   * @returns the stops that have no name or do not show that they have the focus; and how many stops there are
   */
  tabStops(): Promise<{ readonly wrong: string[]; readonly count: number }>;
  /** Saves what is shown, for people to look at. */
  picture(name: string): Promise<void>;
  close(): Promise<void>;
}

/** Where pictures go; kept after the tests so that someone can look at them. */
export const pictures = path.join(os.tmpdir(), 'extrachain-window');

/** A browser of its own, with nothing remembered. */
export async function openBrowser(
  options: { width?: number; height?: number; locale?: string; args?: readonly string[] } = {},
): Promise<Browser> {
  const profile = await mkdtemp(path.join(os.tmpdir(), 'extrachain-browser-'));
  mkdirSync(pictures, { recursive: true });
  const context: BrowserContext = await chromium.launchPersistentContext(profile, {
    executablePath: findChromium()!,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...(options.args ?? []),
    ],
    viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
    locale: options.locale ?? 'en-GB',
    // The policy stays in force; axe is brought in by the debugger, which it does not concern.
    bypassCSP: false,
    acceptDownloads: true,
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(15_000);
  const complaints: string[] = [];
  page.on('console', (message) => {
    const text = message.text();
    if (message.type() === 'error' || /content security policy/i.test(text)) complaints.push(text);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  return {
    page,
    complaints,
    async accessibility() {
      await page.evaluate(axe.source);
      const violations = await page.evaluate(async () => {
        const found = await (globalThis as unknown as { axe: typeof axe }).axe.run();
        return found.violations.map(({ id, impact, nodes }) => ({
          id,
          impact,
          where: nodes.map((node) => `${node.target.join(' ')} ${node.failureSummary ?? ''}`),
        }));
      });
      return violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, where }) => `${id}: ${where.slice(0, 3).join(' | ')}`);
    },
    async tabStops() {
      const wrong: string[] = [];
      let count = 0;
      await page.evaluate('document.activeElement?.blur()');
      for (; count < 150; count += 1) {
        await page.keyboard.press('Tab');
        const at = (await page.evaluate(`(() => {
          const at = document.activeElement;
          if (at === document.body) return null;
          const { outlineStyle, boxShadow } = getComputedStyle(at);
          const { width, height } = at.getBoundingClientRect();
          const name = (at.getAttribute('aria-label') ?? at.textContent ?? '').trim() || at.labels?.[0]?.textContent || '';
          const seen = outlineStyle !== 'none' || boxShadow !== 'none' || at.matches('[role=treegrid]');
          return { name, fine: name !== '' && seen && width > 0 && height > 0 };
        })()`)) as { name: string; fine: boolean } | null;
        if (at === null) break;
        if (!at.fine) wrong.push(at.name);
      }
      return { wrong, count };
    },
    async picture(name) {
      await page.screenshot({ path: path.join(pictures, `${name}.png`) });
    },
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Slows down what a page sends, until it is ended. */
export async function throttleUploads(page: Page) {
  const line = await page.context().newCDPSession(page);
  await line.send('Network.enable');
  return {
    /** @param uploadThroughput bytes a second; -1: as fast as it goes */
    async to(uploadThroughput: number): Promise<void> {
      const unlimited = { offline: false, latency: 0, downloadThroughput: -1 };
      await line.send('Network.emulateNetworkConditions', { ...unlimited, uploadThroughput });
    },
    end: () => line.detach(),
  };
}
