import { execFile } from 'node:child_process';
import { readFile, readdir, rm, mkdtemp } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { shippedApps } from '../../bin/build-apps.mjs';
import { beforeAll, afterAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');
/** Of `FuseV1Options`, by their place in the binary; the stand-in has every one on. */
const fuseNames = [
  'runAsNode',
  'cookieEncryption',
  'nodeOptions',
  'nodeCliInspect',
  'asarIntegrity',
  'onlyLoadAppFromAsar',
  'v8Snapshot',
  'fileProtocolPrivileges',
];

let output: string;
let app: string;
let files: string[];
let unpack: (to: string) => void;

// electron-builder checks electron-builder.yml against its scheme before it does anything else.
describe.runIf(process.platform === 'linux')('the packed application', () => {
  beforeAll(async () => {
    output = await mkdtemp(path.join(tmpdir(), 'extrachain-pack-'));
    await run(process.execPath, [path.join(root, 'bin/pack-stub.mjs'), output], {
      maxBuffer: 16 * 1024 * 1024,
    });
    const [name] = (await readdir(output)).filter((one) => one.endsWith('unpacked'));
    app = path.join(output, name!);
    // A package of electron-builder's own.
    const fromBuilder = createRequire(createRequire(import.meta.url).resolve('app-builder-lib/package.json'));
    const asar = fromBuilder('@electron/asar') as {
      listPackage(file: string): string[];
      extractAll(file: string, to: string): void;
    };
    unpack = (to) => asar.extractAll(path.join(app, 'resources', 'app.asar'), to);
    files = asar.listPackage(path.join(app, 'resources', 'app.asar')).map((file) => file.slice(1));
  }, 180_000);
  afterAll(() => rm(output, { recursive: true, force: true }));

  it('holds the bundles, the page and the icons', () => {
    for (const file of [
      'package.json',
      'dist/desktop/main.js',
      'dist/desktop/preload.cjs',
      'dist/desktop/drive-content-worker.js',
      'dist/window/index.html',
      'assets/icon.png',
      'assets/tray/idle.png',
      ...shippedApps().map((name) => `dist/apps/${name}.exapp`),
    ]) {
      expect(files).toContain(file);
    }
  });

  it('holds no source, no test and no development package', () => {
    const tops = new Set(files.map((file) => file.split('/')[0]));
    expect([...tops].sort()).toEqual(['assets', 'dist', 'node_modules', 'package.json']);
    expect(files.filter((file) => /\.(?:ts|cts|mts|map|vue|md|cc|gyp)$|\/test\//.test(file))).toEqual([]);
    const packages = new Set(
      files
        .map((file) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1])
        .filter((name) => name !== undefined && name !== '@parcel' && name !== '@digitaldefiance'),
    );
    expect([...packages].sort()).toEqual([
      '@digitaldefiance/reed-solomon-erasure.wasm',
      expect.stringMatching(/^@parcel\/watcher$/),
      expect.stringMatching(/^@parcel\/watcher-linux-/),
      'better-sqlite3',
      'detect-libc',
      'is-extglob',
      'is-glob',
      'picomatch',
      'piscina',
    ]);
  });

  it("holds the native code of its own system only, where the system's loader finds it", async () => {
    const natives = files.filter((file) => file.endsWith('.node'));
    expect(natives.filter((file) => file.includes('better-sqlite3'))).toEqual([
      `node_modules/better-sqlite3/prebuilds/linux-${process.arch}.node`,
    ]);
    for (const file of natives) {
      expect(
        (await readFile(path.join(app, 'resources/app.asar.unpacked', file))).subarray(1, 4).toString(),
      ).toBe('ELF');
    }
  });

  it('runs with nothing but what is in it, and installs the apps that come along', async () => {
    const inside = path.join(output, 'inside');
    unpack(inside);
    const args = [
      '--import',
      new URL('./electron-stub-register.ts', import.meta.url).href,
      path.join(inside, 'dist/desktop/main.js'),
    ];
    const env = {
      ...process.env,
      EXTRACHAIN_DATA: path.join(output, 'data'),
      EXTRACHAIN_LISTEN: '/ip4/127.0.0.1/tcp/0',
      EXTRACHAIN_MDNS: 'off',
    };
    const { stdout } = await run(process.execPath, args, { env });
    expect(JSON.parse(stdout)).toMatchObject({
      page: 200,
      state: 'in_step',
      bytes: 300_000,
      preload: true,
      apps: shippedApps().sort(),
    });
  });

  it('says what deb and rpm ask for', async () => {
    const { homepage, description } = JSON.parse(
      await readFile(path.join(root, 'package.json'), 'utf8'),
    ) as Record<string, string>;
    expect(homepage).toMatch(/^https:/);
    expect(description).not.toBe('');
    expect(await readFile(path.join(root, 'electron-builder.yml'), 'utf8')).toMatch(
      /^ {2}maintainer: .+<.+@.+>$/m,
    );
  });

  it('has its fuses set', async () => {
    const binary = (await readFile(path.join(app, 'extrachain'))).toString('latin1');
    const wire = binary.split('dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX')[1]!.slice(2);
    const isOn = fuseNames.filter((_, index) => wire[index] === '1');
    expect(isOn).toEqual(['cookieEncryption', 'asarIntegrity', 'onlyLoadAppFromAsar']);
  });
});
