import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleLimits, compareVersions, grownPermissions, isWithin } from '../../../src-shared/apps/index.ts';
import { isAppError } from '../../../src-shared/errors.ts';
import { openBundle, verifyBundle } from './bundle.ts';
import { encodeManifest, parseBundleManifest, parseSourceManifest } from './manifest.ts';
import { packApp } from './pack.ts';

let temp = '';
beforeAll(async () => {
  temp = await mkdtemp(path.join(os.tmpdir(), 'exc-bundle-'));
});
afterAll(() => rm(temp, { recursive: true, force: true }));

const manifest = {
  manifestVersion: 1,
  slug: 'tides',
  name: 'Tide maps',
  version: '1.8.0',
  description: 'Times and heights.',
  icon: 'icon.svg',
  license: 'MIT',
  permissions: { required: ['drive.read', { name: 'messages', caveats: { perDay: 3 } }] },
};
const files = { 'index.html': '<p>Tide</p>', 'icon.svg': '<svg/>', 'js/ä.js': 'let a', 'js/b.js': '' };
let folders = 0;

/** A folder of an app. */
async function folder(
  change: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, string>> = {},
) {
  const dir = path.join(temp, `app${(folders += 1)}`);
  for (const [name, text] of Object.entries({ ...files, ...more })) {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), text);
  }
  await writeFile(path.join(dir, 'extrachain.json'), JSON.stringify({ ...manifest, ...change }));
  return dir;
}
const out = (): string => path.join(temp, `${(folders += 1)}.exapp`);
async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    return isAppError(error) ? error.code : String(error);
  }
  return 'fine';
}

describe('bundles', () => {
  it('are the same bytes for the same files, whatever the disk says of them', async () => {
    const [a, b] = [await folder(), await folder()];
    await utimes(path.join(b, 'index.html'), 1, 1);
    await writeFile(path.join(b, '.DS_Store'), 'x');
    const [first, second] = [out(), out()];
    const packed = await packApp(a, first);
    await packApp(b, second);
    const bytes = await readFile(first);
    expect(bytes.equals(await readFile(second))).toBe(true);
    expect(packed.size).toBe(bytes.length);
    expect(await verifyBundle(first)).toEqual(packed);
    // Any archive program reads it.
    const unpacked = unzipSync(bytes);
    expect(Object.keys(unpacked).sort()).toEqual(['extrachain.json', ...Object.keys(files)].sort());
    expect(Buffer.from(unpacked['js/ä.js']!).toString()).toBe('let a');
    const bundle = await openBundle(first);
    expect(Buffer.from((await bundle.read('index.html'))!).toString()).toBe('<p>Tide</p>');
    for (const none of ['nothing', '__proto__', 'extrachain.json', '../x', 'JS/b.js'])
      expect(await bundle.read(none)).toBeNull();
    expect(bundle.manifest.permissions.required).toEqual([
      { name: 'drive.read', caveats: {} },
      { name: 'messages', caveats: { perDay: 3 } },
    ]);
    await bundle.close();
  });

  it('are refused when any byte is another one', async () => {
    const file = out();
    await packApp(await folder(), file);
    const bytes = await readFile(file);
    const bad = out();
    // One bit turned, in every part of the file.
    for (let at = 0; at < bytes.length; at += 97) {
      const other = Buffer.from(bytes);
      other[at]! ^= 1 << (at % 8);
      await writeFile(bad, other);
      expect([at, await codeOf(verifyBundle(bad))]).not.toEqual([at, 'fine']);
    }
    for (const other of [
      bytes.subarray(1),
      bytes.subarray(0, -1),
      Buffer.concat([bytes, Buffer.of(0)]),
      Buffer.alloc(0),
    ]) {
      await writeFile(bad, other);
      expect(await codeOf(verifyBundle(bad))).toMatch(/malformed|manifest_invalid|too_large/);
    }
    // What lies on the disk later is checked again when it is read.
    const at = bytes.indexOf('<p>Tide</p>');
    const changed = Buffer.from(bytes);
    changed[at + 3]! ^= 1;
    await writeFile(bad, changed);
    const bundle = await openBundle(bad);
    expect(await codeOf(bundle.read('index.html'))).toBe('bad_hash');
    expect(await codeOf(bundle.read('icon.svg'))).toBe('fine');
    await bundle.close();
    expect(await codeOf(verifyBundle(bad))).toBe('bad_hash');
  });

  it('are not made of what is no app', async () => {
    const pack = async (
      change: Readonly<Record<string, unknown>>,
      more: Readonly<Record<string, string>> = {},
    ) => codeOf(packApp(await folder(change, more), out()));
    expect(await pack({ slug: 7 })).toBe('manifest_invalid');
    expect(await pack({ name: 'Tides \u202eniahCartxE' })).toBe('manifest_invalid');
    expect(await pack({ version: '1.8' })).toBe('manifest_invalid');
    expect(await pack({ manifestVersion: 2 })).toBe('manifest_invalid');
    expect(await pack({ surprise: true })).toBe('manifest_invalid');
    expect(await pack({ homepage: 'javascript:alert(1)' })).toBe('manifest_invalid');
    expect(await pack({ permissions: { required: ['everything'] } })).toBe('permission_unknown');
    expect(await pack({ permissions: { optional: [{ name: 'everything' }] } })).toBe('permission_unknown');
    expect(await pack({ permissions: { required: [{ name: 'tokens.spend' }] } })).toBe('manifest_invalid');
    expect(
      await pack({ permissions: { required: [{ name: 'streams.watch', caveats: { perDay: 1 } }] } }),
    ).toBe('manifest_invalid');
    expect(await pack({ permissions: { required: [{ name: 'drive.read', caveats: { path: 'x' } }] } })).toBe(
      'manifest_invalid',
    );
    expect(await pack({ entry: 'start.html' })).toBe('file_missing');
    expect(await pack({ icon: '../icon.svg' })).toBe('manifest_invalid');
    expect(await pack({}, { 'Index.html': 'x' })).toBe('path_unsafe');
    expect(await pack({}, { 'con.txt': 'x' })).toBe('path_unsafe');
    expect(await pack({}, { '_extrachain/x': 'x' })).toBe('path_unsafe');
    expect(await pack({}, { 'a\\b': 'x' })).toBe('path_unsafe');
    expect(await pack({}, { 'a\u0308.txt': 'x' })).toBe('path_unsafe');
    expect(await codeOf(packApp(path.join(temp, 'nowhere'), out()))).toBe('manifest_invalid');
    const linked = await folder();
    await symlink('/etc/passwd', path.join(linked, 'passwd'));
    expect(await codeOf(packApp(linked, out()))).toBe('path_unsafe');
    const text = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
    for (const bad of ['', '{', 'null', '[]', '1', '{"__proto__":{}}'])
      expect(await codeOf(() => parseSourceManifest(text(bad)))).toBe('manifest_invalid');
    expect(await codeOf(() => parseSourceManifest(Buffer.alloc(bundleLimits.manifestBytes + 1, ' ')))).toBe(
      'too_large',
    );
  });

  it('have manifests whose paths and sizes are bounded', async () => {
    const one = { sha256: createHash('sha256').digest('hex'), size: 0 };
    const whole = (more: Readonly<Record<string, { sha256: string; size: number }>>) => {
      const source = parseSourceManifest(Buffer.from(JSON.stringify(manifest)));
      return encodeManifest({ ...source, files: { 'index.html': one, 'icon.svg': one, ...more } } as never);
    };
    const parse = (more: Readonly<Record<string, { sha256: string; size: number }>>) =>
      codeOf(() => parseBundleManifest(whole(more)));
    expect(await parse({})).toBe('fine');
    for (const bad of [
      '../x',
      '/x',
      'a/../b',
      'a//b',
      './a',
      'a\\b',
      'c:x',
      'NUL',
      'x.',
      'x ',
      'a\u0000b',
      'e\u0301',
      'x'.repeat(241),
    ])
      expect([bad, await parse({ [bad]: one })]).toEqual([bad, 'path_unsafe']);
    expect(await parse({ a: one, 'a/b': one })).toBe('path_unsafe');
    expect(await parse({ 'a/b': one, 'A/c': one })).toBe('path_unsafe');
    expect(await parse({ huge: { ...one, size: bundleLimits.fileBytes + 1 } })).toBe('too_large');
    expect(
      await parse({
        a: { ...one, size: bundleLimits.fileBytes },
        b: { ...one, size: bundleLimits.fileBytes },
        c: { ...one, size: 1 },
      }),
    ).toBe('too_large');
    const many = Object.fromEntries(Array.from({ length: bundleLimits.files }, (_, i) => [`f${i}`, one]));
    expect(await parse(many)).toBe('too_large');
    // Written in another way it would have two texts for one root.
    const loose = Buffer.from(JSON.stringify(JSON.parse(whole({}).toString())));
    expect(await codeOf(() => parseBundleManifest(loose))).toBe('manifest_invalid');
  });
});

describe('versions', () => {
  it('are ordered as Semantic Versioning 2.0.0 says', () => {
    const order = [
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '1.0.1',
      '1.10.0',
      '2.0.0',
    ];
    for (const [i, a] of order.entries())
      for (const [j, b] of order.entries())
        expect([a, b, Math.sign(compareVersions(a, b))]).toEqual([a, b, Math.sign(i - j)]);
    expect(compareVersions('1.0.0+a', '1.0.0+b')).toBe(0);
    expect(() => compareVersions('1.0', '1.0.0')).toThrow(RangeError);
  });
});

describe('permissions', () => {
  it('grow when more is needed, not when more may be given', () => {
    const need = (...required: { name: 'messages' | 'drive.read'; caveats: { perDay?: number } }[]) => ({
      required,
    });
    const before = need({ name: 'messages', caveats: { perDay: 3 } });
    expect(grownPermissions(before, before)).toEqual([]);
    expect(grownPermissions(before, need())).toEqual([]);
    expect(grownPermissions(before, need({ name: 'messages', caveats: { perDay: 4 } }))).toHaveLength(1);
    expect(grownPermissions(before, need({ name: 'messages', caveats: {} }))).toHaveLength(1);
    expect(grownPermissions(before, need({ name: 'drive.read', caveats: {} }))).toHaveLength(1);
    expect(isWithin({ drive: 'd', path: 'a/b' }, { drive: 'd', path: 'a' })).toBe(true);
    expect(isWithin({ drive: 'd', path: 'ab' }, { drive: 'd', path: 'a' })).toBe(false);
    expect(isWithin({ symbol: 'EXC', perDay: '0.10' }, { symbol: 'EXC', perDay: '0.1' })).toBe(true);
    expect(isWithin({ symbol: 'EXC', perDay: '1.01' }, { symbol: 'EXC', perDay: '1.001' })).toBe(false);
  });
});
