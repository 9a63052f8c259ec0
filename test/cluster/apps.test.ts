import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cliFinal, startDaemon, tempDir, type Daemon } from '../support/daemon.ts';

/** Apps as their authors and users see them: two real daemons, one network, everything through the command line. */

interface Installed {
  appId: string;
  version: string;
  previous: string | null;
  source: string;
  revoked: boolean;
  update: { version: string; grows: { name: string }[] } | null;
  blocked: { list: string; reason: string } | null;
}

let temp: { dir: string; remove(): Promise<void> };
let ada: Daemon;
let ben: Daemon;

const code = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    (error: Error & { code?: string }) => error.code ?? error.message,
  );

const final = (daemon: Daemon, ...args: string[]): Promise<void> =>
  cliFinal(daemon, daemon === ada ? ben : ada, ...args);

/** A folder of an app at a version. */
async function source(version: string, change: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const dir = path.join(temp.dir, `tides-${version}`);
  await mkdir(dir, { recursive: true });
  await writeFile(path.join(dir, 'index.html'), `<!doctype html><title>Tides</title><p>${version}`);
  await writeFile(path.join(dir, 'icon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  const manifest = {
    manifestVersion: 1,
    slug: 'tides',
    name: 'Tide maps',
    version,
    description: 'Times and heights for harbours.',
    categories: ['places'],
    icon: 'icon.svg',
    license: 'MIT',
    permissions: { required: ['collections'], optional: ['notifications'] },
    ...change,
  };
  await writeFile(path.join(dir, 'extrachain.json'), JSON.stringify(manifest));
  return dir;
}
async function publish(version: string, change: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const out = path.join(temp.dir, `${version}.exapp`);
  await ada.cli('app', 'pack', await source(version, change), '--out', out);
  await final(ada, 'app', 'publish', out);
}
const installed = async (): Promise<Installed | undefined> =>
  (await ben.cli<Installed[]>('app', 'list', '--installed')).find(({ source: from }) => from !== 'shipped');

beforeAll(async () => {
  temp = await tempDir('apps');
  const env = (name: string) => ({ HOME: path.join(temp.dir, name) });
  await Promise.all(['ada', 'ben'].map((name) => mkdir(path.join(temp.dir, name))));
  ada = await startDaemon({ data: path.join(temp.dir, 'ada', 'data'), host: '127.0.0.2', env: env('ada') });
  ben = await startDaemon({
    data: path.join(temp.dir, 'ben', 'data'),
    host: '127.0.0.3',
    args: ['--bootstrap', ada.ready.addresses[0]!],
    env: env('ben'),
  });
  await ada.cli('id', 'create');
  const { userId } = await ben.cli<{ userId: string }>('id', 'create');
  const { link } = await ada.cli<{ link: string }>('chain', 'create', 'shop');
  await ben.cli('chain', 'join', link);
  await final(ada, 'wallet', 'send', userId, '100', 'EXC');
}, 180_000);

afterAll(async () => {
  await Promise.all([ada?.stop(), ben?.stop()]);
  await temp.remove();
});

describe('apps on two computers', () => {
  it('are published, found, installed from the publisher, updated by themselves and taken back', async () => {
    await publish('1.0.0');
    const [found] = await ben.cli<{ appId: string; name: string; version: string }[]>(
      'app',
      'list',
      '--search',
      'harbour',
    );
    expect(found).toMatchObject({ name: 'Tide maps', version: '1.0.0', installed: null, rating: null });
    expect(await ben.cli('app', 'list', '--search', 'harbour nothing')).toEqual([]);
    const { appId } = found!;
    expect(await ben.cli('app', 'show', appId)).toMatchObject({
      license: 'MIT',
      permissions: { required: [{ name: 'collections' }], optional: [{ name: 'notifications' }] },
    });
    expect(await code(ben.cli('app', 'install', 'a'.repeat(52)))).toBe('app_unknown');
    expect(await code(ben.cli('app', 'install', appId, '--grant', 'messages'))).toBe('invalid_argument');
    expect(await code(ben.cli('app', 'review', appId, '4'))).toBe('app_not_installed');
    expect(await ben.cli('app', 'install', appId)).toMatchObject({
      appId,
      version: '1.0.0',
      source: 'ledger',
    });

    // An older release, and the same one with other files, are refused before anything is overwritten.
    const old = path.join(temp.dir, 'old.exapp');
    await ada.cli('app', 'pack', await source('0.9.0'), '--out', old);
    expect(await code(ada.cli('app', 'publish', old))).toBe('version_not_newer');
    expect(await code(ben.cli('app', 'publish', path.join(temp.dir, 'nothing.exapp')))).toBe('not_found');

    // What needs no more installs when updates are looked for; what does, waits for a person.
    await publish('1.1.0');
    await ben.cli('app', 'update');
    expect(await installed()).toMatchObject({ version: '1.1.0', previous: '1.0.0', update: null });
    await publish('1.2.0', { permissions: { required: ['collections', 'messages'] } });
    await ben.cli('app', 'update');
    expect(await installed()).toMatchObject({
      version: '1.1.0',
      update: { version: '1.2.0', grows: [{ name: 'messages' }] },
    });
    await ben.cli('app', 'update', appId);
    expect(await installed()).toMatchObject({ version: '1.2.0', previous: '1.1.0', update: null });

    // Back, and not forward again by itself.
    await ben.cli('app', 'rollback', 'tides');
    expect(await installed()).toMatchObject({ version: '1.1.0', previous: null });
    await ben.cli('app', 'update');
    expect(await installed()).toMatchObject({ version: '1.1.0' });

    // A file of a person's own is another app: nobody gets into somebody else's.
    const file = path.join(temp.dir, '1.2.0.exapp');
    const own = await ben.cli<Installed>('app', 'install', file);
    expect(own).toMatchObject({ source: 'file', version: '1.2.0' });
    expect(own.appId).not.toBe(appId);
    const bytes = await readFile(file);
    bytes[bytes.indexOf('<p>1.2.0')]! ^= 1;
    const bad = path.join(temp.dir, 'bad.exapp');
    await writeFile(bad, bytes);
    expect(await code(ben.cli('app', 'install', bad))).toBe('bad_hash');
    expect(await code(ben.cli('app', 'install', path.join(temp.dir, '1.0.0.exapp')))).toBe(
      'version_not_newer',
    );
    await ben.cli('app', 'remove', own.appId);

    await final(ben, 'app', 'review', 'tides', '3', 'Good enough.');
    await final(ben, 'app', 'review', 'tides', '5', 'Better than I thought.');
    expect(await ada.cli('app', 'reviews', appId)).toMatchObject([
      { stars: 5, text: 'Better than I thought.', version: '1.1.0' },
    ]);
    expect(await ada.cli('app', 'list')).toMatchObject([{ rating: 5, reviews: 1 }]);

    expect(await code(ben.cli('app', 'revoke-version', appId, '1.1.0'))).toBe('not_owner');
    await final(ada, 'app', 'revoke-version', appId, '1.2.0', '--reason', 'It leaks.');
    expect(await code(ben.cli('app', 'install', appId))).toBe('release_revoked');
    await final(ada, 'app', 'revoke-version', appId, '1.1.0');
    await ben.cli('app', 'update');
    expect(await installed()).toMatchObject({ version: '1.1.0', revoked: true });
    await publish('1.3.0');
    await ben.cli('app', 'update', 'tides');
    expect(await installed()).toMatchObject({ version: '1.3.0', revoked: false });
  }, 300_000);

  it('are not installed when a list that is subscribed to warns of them', async () => {
    const { appId } = (await installed())!;
    const file = path.join(temp.dir, 'list.json');
    await writeFile(file, JSON.stringify({ title: 'Bad apps', apps: [{ appId, reason: 'It mines.' }] }));
    const { link } = await ada.cli<{ link: string }>('app', 'blocklist', 'publish', file);
    const list = await ben.cli<{ listId: string }>('app', 'blocklist', 'subscribe', link);
    expect(list).toMatchObject({ title: 'Bad apps', apps: 1, problem: null });
    expect(await installed()).toMatchObject({ blocked: { list: 'Bad apps', reason: 'It mines.' } });
    await ben.cli('app', 'remove', appId);
    expect(await code(ben.cli('app', 'install', appId))).toBe('app_blocked');
    await ben.cli('app', 'blocklist', 'unsubscribe', list.listId);
    expect(await ben.cli('app', 'install', appId)).toMatchObject({ version: '1.3.0' });
  }, 120_000);

  it('are opened from the folder they are written in as soon as its first build is there', async () => {
    const dir = path.join(temp.dir, 'sketch');
    await mkdir(path.join(dir, 'dist'), { recursive: true });
    await writeFile(path.join(dir, 'package.json'), '{}');
    const extrachain = path.resolve(import.meta.dirname, '../../bin/extrachain');
    const opening = spawn(extrachain, ['--data', ada.data, '--json', 'app', 'dev', dir]);
    let out = '';
    opening.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    const ended = once(opening, 'close');
    await new Promise<void>((resolve) => {
      opening.stderr.setEncoding('utf8').on('data', (text: string) => {
        if (text.includes('Waiting for the first build')) resolve();
      });
    });
    expect(out).toBe('');
    await cp(await source('9.0.0', { slug: 'sketch' }), path.join(dir, 'dist'), { recursive: true });
    expect((await ended)[0]).toBe(0);
    const { appId } = JSON.parse(out) as { appId: string };
    expect(await ada.cli('app', 'list', '--installed')).toContainEqual(
      expect.objectContaining({ appId, slug: 'sketch', source: 'dev' }),
    );
  }, 120_000);
});
