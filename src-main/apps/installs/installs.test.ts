import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAppError } from '../../../src-shared/errors.ts';
import { silentLogger } from '../../../src-shared/runtime.ts';
import { userIdOfHash } from '../../identity/index.ts';
import { openDatabase } from '../../store/index.ts';
import { packApp } from '../bundle/index.ts';
import { shippedPublisher } from '../ids.ts';
import { createInstalls, type Origin } from './installs.ts';

let temp = '';
beforeAll(async () => {
  temp = await mkdtemp(path.join(os.tmpdir(), 'exc-installs-'));
});
afterAll(() => rm(temp, { recursive: true, force: true, maxRetries: 5 }));

const ada = userIdOfHash(new Uint8Array(32).fill(1));
const ben = userIdOfHash(new Uint8Array(32).fill(2));
let count = 0;

/** A folder of an app, packed. */
async function packed(version: string, page = version): Promise<{ dir: string; file: string; root: string }> {
  const dir = path.join(temp, `app${(count += 1)}`);
  await mkdir(dir);
  await writeFile(path.join(dir, 'index.html'), page);
  await writeFile(path.join(dir, 'icon.svg'), '<svg/>');
  const manifest = {
    manifestVersion: 1,
    slug: 'tides',
    name: 'Tides',
    version,
    description: 'x',
    icon: 'icon.svg',
    license: 'MIT',
  };
  await writeFile(path.join(dir, 'extrachain.json'), JSON.stringify(manifest));
  const file = path.join(temp, `${count}.exapp`);
  const { root } = await packApp(dir, file);
  return { dir, file, root: Buffer.from(root).toString('hex') };
}
async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'fine',
    (error: unknown) => (isAppError(error) ? error.code : String(error)),
  );
}

async function open(name = `node${(count += 1)}`) {
  const dir = path.join(temp, name);
  await mkdir(dir, { recursive: true });
  const db = openDatabase(path.join(dir, 'node.db'));
  let now = 1000;
  const clock = {
    now: () => (now += 1),
    after(ms: number, work: () => void) {
      const timer = setTimeout(work, ms);
      return () => clearTimeout(timer);
    },
  };
  const installs = createInstalls({ db, dir: path.join(dir, 'apps'), clock, log: silentLogger });
  await installs.start();
  const take = async (file: string, origin: Partial<Origin> = {}) => {
    const copy = await installs.temporary();
    await copyFile(file, copy);
    try {
      return await installs.take(copy, { publisher: ada, source: 'ledger', expect: null, ...origin });
    } finally {
      // What is refused is left to who brought it.
      await rm(copy, { force: true });
    }
  };
  const page = async (appId: string) =>
    Buffer.from((await installs.read(appId, 'index.html')) ?? '').toString();
  const kept = async () => (await readdir(path.join(dir, 'apps'))).sort();
  return { name, installs, take, page, kept, close: async () => (await installs.stop(), db.close()) };
}

describe('installed apps', () => {
  it('go forward, back once, and never down', async () => {
    const { name, installs, take, page, kept, close } = await open();
    const [one, same, two, three] = [
      await packed('1.0.0'),
      await packed('1.0.0', 'other'),
      await packed('1.1.0'),
      await packed('1.2.0'),
    ];
    const { appId } = await take(one.file);
    expect(await page(appId)).toBe('1.0.0');
    expect(await codeOf(take(same.file))).toBe('version_not_newer');
    expect(await codeOf(take(one.file))).toBe('fine');
    expect(await take(two.file)).toMatchObject({ version: '1.1.0', previous: { version: '1.0.0' } });
    expect(await codeOf(take(one.file))).toBe('version_not_newer');
    // Of Ben it is another app; under Ada's id it is nobody's.
    expect(await codeOf(take(three.file, { publisher: ben, expect: { appId, root: three.root } }))).toBe(
      'app_id_mismatch',
    );
    expect(await codeOf(take(three.file, { expect: { appId, root: two.root } }))).toBe('bad_hash');
    await installs.remove((await take(three.file, { publisher: ben })).appId, true);
    expect(await installs.rollback(appId)).toMatchObject({
      version: '1.0.0',
      previous: null,
      skipped: '1.1.0',
    });
    expect(await page(appId)).toBe('1.0.0');
    expect(await codeOf(installs.rollback(appId))).toBe('not_found');
    expect(await kept()).toEqual([`${one.root}.exapp`]);
    // What an interrupted install left goes at the next start, and what is installed stays.
    const left = await installs.temporary();
    await writeFile(left, 'half');
    await close();
    const again = await open(name);
    expect(await again.kept()).toEqual([`${one.root}.exapp`]);
    expect(again.installs.get(appId)).toMatchObject({ version: '1.0.0' });
    await again.installs.remove(appId, false);
    expect(await again.kept()).toEqual([]);
    expect(await codeOf(again.installs.read(appId, 'index.html'))).toBe('app_not_installed');
    await again.close();
  });

  it('are folders while they are written, and lead nowhere else', async () => {
    const { installs, take, page, close } = await open();
    const { dir, file } = await packed('0.1.0');
    const { appId } = await installs.develop(dir, ada);
    expect(await page(appId)).toBe('0.1.0');
    await writeFile(path.join(dir, 'index.html'), 'newer');
    expect(await page(appId)).toBe('newer');
    await symlink('/etc/hostname', path.join(dir, 'secret.txt'));
    for (const none of ['secret.txt', '../1.exapp', '/etc/hostname', 'extrachain.json', 'nothing'])
      expect(await installs.read(appId, none)).toBeNull();
    // A bundle of that version takes its place.
    expect(await take(file, { source: 'file' })).toMatchObject({ appId, source: 'file', previous: null });
    expect(await page(appId)).toBe('0.1.0');
    await close();
  });

  it('tell of a build once it is whole, and of nothing in the middle of it', async () => {
    const { installs, page, close } = await open();
    const { dir } = await packed('0.1.0');
    const { appId } = await installs.develop(dir, ada);
    const told: string[] = [];
    installs.on(
      'files',
      () =>
        void page(appId).then(
          (text) => told.push(text),
          () => told.push('nothing'),
        ),
    );
    const files = ['index.html', 'extrachain.json'];
    const before = await Promise.all(files.map((file) => readFile(path.join(dir, file), 'utf8')));
    // The watch begins after `develop` has answered.
    await expect
      .poll(
        async () => {
          await writeFile(path.join(dir, 'index.html'), 'first');
          return told.includes('first');
        },
        { timeout: 10_000, interval: 400 },
      )
      .toBe(true);
    told.length = 0;
    // A build empties the folder first.
    for (const file of files) await rm(path.join(dir, file));
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(told).toEqual([]);
    await writeFile(path.join(dir, 'extrachain.json'), before[1]!);
    await writeFile(path.join(dir, 'index.html'), 'built');
    await expect.poll(() => told, { timeout: 10_000 }).toContain('built');
    expect(new Set(told)).toEqual(new Set(['built']));
    await close();
  });

  it('of the program stay off when they were taken off', async () => {
    const { installs, take, close } = await open();
    const { file } = await packed('1.0.0');
    const { appId } = await take(file, { source: 'shipped', publisher: shippedPublisher });
    expect(installs.records.declined(appId)).toBe(false);
    await installs.remove(appId, true);
    expect(installs.records.declined(appId)).toBe(true);
    await close();
  });
});
