import { EventEmitter } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DriveSummary } from '../../src-shared/contract/index.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import { silentLogger } from '../../src-shared/runtime.ts';
import { createKeychain } from './keychain.ts';
import { createLinkInbox } from './link-inbox.ts';
import { autostartEntry, createLoginItem, startsHidden } from './login-item.ts';
import { menuTemplate } from './menu.ts';
import { noticeOf, isWorthANotice } from './policy/notices.ts';
import { trayState } from './policy/tray-state.ts';
import { openPreferences, parsePreferences } from './preferences.ts';
import { stringsFor } from './strings.ts';
import { createUpdates } from './updates.ts';
import type { Updater } from './updates.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'extrachain-parts-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const en = stringsFor('en', 'fr');

describe('the keychain', () => {
  const backend = {
    name: 'gnome_libsecret' as 'gnome_libsecret' | 'basic_text',
    works: true,
    changedKey: false,
  };
  const safeStorage = {
    isAsyncEncryptionAvailable: () => Promise.resolve(backend.works),
    getSelectedStorageBackend: () => backend.name,
    encryptStringAsync: (text: string) => Promise.resolve(Buffer.from(`sealed ${text}`)),
    decryptStringAsync: (bytes: Buffer) =>
      bytes.toString().startsWith('sealed ')
        ? Promise.resolve({ shouldReEncrypt: backend.changedKey, result: bytes.toString().slice(7) })
        : Promise.reject(new Error('wrong key')),
  };
  beforeEach(() => Object.assign(backend, { name: 'gnome_libsecret', works: true, changedKey: false }));

  it('gives back the key it was given', async () => {
    const keychain = (await createKeychain(safeStorage, 'linux'))!;
    const masterKey = new Uint8Array(32).fill(9);
    expect(keychain.kind).toBe('keychain');
    expect(await keychain.unwrap(await keychain.wrap(masterKey))).toEqual(masterKey);
    expect(keychain.outdated?.()).toBe(false);
    backend.changedKey = true;
    await keychain.unwrap(await keychain.wrap(masterKey));
    expect(keychain.outdated?.()).toBe(true);
  });

  it('is none where Electron would only pretend to encrypt', async () => {
    backend.name = 'basic_text';
    expect(await createKeychain(safeStorage, 'linux')).toBe(null);
    // Only Linux has such a backend.
    expect(await createKeychain(safeStorage, 'darwin')).not.toBe(null);
    backend.works = false;
    expect(await createKeychain(safeStorage, 'win32')).toBe(null);
  });

  it('answers records it can not read with declared errors', async () => {
    const keychain = (await createKeychain(safeStorage, 'linux'))!;
    const record = (text: string) => ({ sealed: Buffer.from(text).toString('base64') });
    await expect(keychain.unwrap({})).rejects.toMatchObject({ code: 'corrupt' });
    await expect(keychain.unwrap(record('something else'))).rejects.toMatchObject({
      code: 'permission_denied',
    });
    await expect(keychain.unwrap(record('sealed AAAA'))).rejects.toMatchObject({ code: 'corrupt' });
  });
});

describe('preferences', () => {
  it('are kept', async () => {
    const store = await openPreferences(dir);
    expect(store.get()).toEqual({
      closeToTray: true,
      notifications: true,
      language: null,
      toldAboutTray: false,
    });
    await Promise.all([store.set({ language: 'de' }), store.set({ closeToTray: false })]);
    expect((await openPreferences(dir)).get()).toMatchObject({ language: 'de', closeToTray: false });
  });

  it('are the usual ones where the file makes no sense', async () => {
    await writeFile(path.join(dir, 'desktop.json'), '{"closeToTray": 7, "language": "de"');
    expect((await openPreferences(dir)).get().closeToTray).toBe(true);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(typeof parsePreferences(text).closeToTray).toBe('boolean');
      }),
      { seed: 8, numRuns: 500 },
    );
  });
});

describe('starting at login', () => {
  it('is a file on Linux', async () => {
    const host = { platform: 'linux' as const, configDir: dir, program: '/opt/Extra Chain/extrachain' };
    const item = await createLoginItem({ app: {} as never }, host);
    expect(item.isOn()).toBe(false);
    await item.set(true);
    const file = path.join(dir, 'autostart', 'extrachain.desktop');
    expect(await readFile(file, 'utf8')).toContain('Exec="/opt/Extra Chain/extrachain" --hidden');
    expect((await createLoginItem({ app: {} as never }, host)).isOn()).toBe(true);
    // What desktops write when the person turns it off there.
    await writeFile(file, '[Desktop Entry]\nHidden=true\n');
    expect((await createLoginItem({ app: {} as never }, host)).isOn()).toBe(false);
    await item.set(false);
    await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('quotes a path as the specification of desktop entries wants', () => {
    expect(autostartEntry('/a"b$c%d\\e')).toContain(String.raw`Exec="/a\\"b\\$c%%d\\\\e" --hidden`);
  });

  it('is asked of the system elsewhere', async () => {
    const asked: unknown[] = [];
    const app = {
      getLoginItemSettings: () => ({ openAtLogin: true }),
      setLoginItemSettings: (settings: unknown) => asked.push(settings),
    };
    const item = await createLoginItem(
      { app: app as never },
      { platform: 'win32', configDir: dir, program: 'x' },
    );
    expect(item.isOn()).toBe(true);
    await item.set(false);
    expect(asked).toEqual([{ args: ['--hidden'], openAtLogin: false }]);
  });
});

describe('the tray', () => {
  const status = { keystore: 'keychain' as const, peers: 2 };
  const drives = (...states: DriveSummary['state'][]) => states.map((state) => ({ state }));

  it('tells the most urgent thing', () => {
    const of = (facts: Partial<Parameters<typeof trayState>[0]>) =>
      trayState({ status, drives: [], transfers: 0, ...facts }, en);
    expect(of({ status: null })).toMatchObject({ icon: 'busy', pause: null });
    expect(of({ status: { ...status, keystore: 'locked' } })).toMatchObject({
      icon: 'alert',
      label: 'Locked',
    });
    expect(of({ drives: drives('in_step', 'held'), transfers: 4 })).toMatchObject({ icon: 'alert' });
    expect(of({ drives: drives('paused', 'paused') })).toMatchObject({ icon: 'paused', pause: 'resume' });
    expect(of({ drives: drives('paused', 'in_step') })).toMatchObject({ icon: 'idle', pause: 'pause' });
    expect(of({ drives: drives('syncing'), transfers: 1 }).label).toBe('1 file on its way');
    expect(of({ drives: drives('scanning') }).icon).toBe('busy');
    expect(of({ drives: drives('in_step') }).label).toBe('Everything is in step');
    expect(of({ status: { ...status, peers: 0 } }).label).toBe('Not connected');
  });
});

describe('notices', () => {
  const names = new Map([['d1', 'Photos']]);
  const event = (driveId: string | null, message: string) => ({ driveId, message });

  it('are of what needs a person, and few', () => {
    expect(isWorthANotice({ kind: 'conflict' })).toBe(true);
    expect(isWorthANotice({ kind: 'added' })).toBe(false);
    expect(noticeOf([], names, en)).toBe(null);
    expect(noticeOf([event('d1', 'A'), event('d1', 'A')], names, en)).toEqual({ title: 'Photos', body: 'A' });
    const many = Array.from({ length: 40 }, (_, index) => event(index === 0 ? 'd1' : null, `M${index}`));
    expect(noticeOf(many, names, en)).toEqual({ title: 'ExtraChain', body: '40 new events\nM0\nM1' });
  });
});

it('keeps links until they were seen, each once, and not without end', () => {
  const inbox = createLinkInbox();
  let told = 0;
  const end = inbox.on(() => (told += 1));
  inbox.add(['a', 'b', 'a']);
  inbox.add([]);
  expect(inbox.take()).toEqual(['a', 'b']);
  expect(inbox.take()).toEqual([]);
  inbox.add(Array.from({ length: 50 }, (_, index) => `${index}`));
  expect(inbox.take()).toHaveLength(20);
  end();
  inbox.add(['c']);
  expect(told).toBe(2);
});

it('offers the tools of developers in a checkout only', () => {
  const text = (isPackaged: boolean) =>
    JSON.stringify(menuTemplate(en, { platform: 'darwin', isPackaged }, { quit() {} }));
  expect(text(false)).toContain('toggleDevTools');
  expect(text(true)).not.toContain('toggleDevTools');
});

it('names every entry of the menus in the language in use', () => {
  interface Entry {
    readonly role?: string;
    readonly type?: string;
    readonly label?: string;
    readonly submenu?: readonly Entry[];
  }
  const labels = (entries: readonly Entry[]): string[] =>
    entries
      .filter(({ type }) => type !== 'separator')
      .flatMap(({ role, label = `no label: ${role}`, submenu }) => [label, ...labels(submenu ?? [])]);
  const menu = (language: 'en' | 'de') =>
    labels(
      menuTemplate(
        stringsFor(language, 'fr'),
        { platform: 'darwin', isPackaged: true },
        { quit() {} },
      ) as readonly Entry[],
    );
  const [english, german] = [menu('en'), menu('de')];
  expect(english.filter((label) => label.startsWith('no label'))).toEqual([]);
  expect(german.filter((label, at) => label === english[at])).toEqual(['ExtraChain']);
});

it('starts hidden when the system starts it', () => {
  const started = (wasOpenedAtLogin: boolean, argv: readonly string[], platform: NodeJS.Platform) =>
    startsHidden({
      electron: { app: { getLoginItemSettings: () => ({ wasOpenedAtLogin }) } as never },
      argv,
      platform,
    });
  expect(started(false, ['--hidden'], 'win32')).toBe(true);
  expect(started(true, [], 'darwin')).toBe(true);
  expect(started(false, [], 'darwin')).toBe(false);
  expect(started(true, [], 'linux')).toBe(false);
});

describe('updates', () => {
  const clock: Clock = { now: () => 0, after: () => () => {} };

  class FakeUpdater extends EventEmitter {
    autoDownload = false;
    autoInstallOnAppQuit = false;
    steps: string[] = [];
    checkForUpdates() {
      this.steps.push('check');
      return Promise.resolve();
    }
    quitAndInstall() {
      this.steps.push('install');
    }
  }
  const make = () => {
    const updater = new FakeUpdater();
    const stopNode = () => Promise.resolve(void updater.steps.push('stop'));
    return { updater, updates: createUpdates(updater as Updater, { clock, log: silentLogger, stopNode }) };
  };

  it('are told step by step, and installed when the node is at rest', async () => {
    const { updater, updates } = make();
    const seen: string[] = [];
    updates.service.on(() => seen.push(updates.service.state().state));
    updates.start();
    await expect(updates.service.install()).rejects.toMatchObject({ code: 'not_found' });
    updater.emit('checking-for-update');
    updater.emit('update-available', { version: '2.0.0' });
    updater.emit('download-progress', { percent: 140 });
    expect(updates.service.state()).toMatchObject({ version: '2.0.0', percent: 100 });
    updater.emit('update-downloaded', { version: '2.0.0' });
    await updates.service.check();
    await updates.service.install();
    expect(updater.steps).toEqual(['check', 'stop', 'install']);
    expect(seen).toEqual(['checking', 'downloading', 'downloading', 'ready']);
  });

  it('say when they fail, and may be tried again', async () => {
    const { updater, updates } = make();
    updater.emit('error', new Error('no way there'));
    expect(updates.service.state()).toMatchObject({ state: 'failed', message: 'no way there' });
    await updates.service.check();
    expect(updater.steps).toEqual(['check']);
  });

  it('are off where nothing was configured', async () => {
    const updates = createUpdates(null, { clock, log: silentLogger, stopNode: () => Promise.resolve() });
    updates.start();
    expect(updates.service.state().state).toBe('off');
    await expect(updates.service.check()).rejects.toMatchObject({ code: 'unsupported' });
  });
});
