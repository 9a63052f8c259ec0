import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildApp } from './build-app.ts';

const never = new AbortController().signal;
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'build-app-'));
  await mkdir(path.join(dir, 'node_modules'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const packageWith = (build: string) =>
  writeFile(
    path.join(dir, 'package.json'),
    JSON.stringify({ name: 'tides', private: true, scripts: { build } }),
  );

describe('building an app before it is packed', () => {
  it('runs the build of its package.json', async () => {
    await packageWith(`node -e "require('fs').writeFileSync('built', 'yes')"`);
    await buildApp(dir, never);
    expect(await readFile(path.join(dir, 'built'), 'utf8')).toBe('yes');
  });

  it('tells of a build that fails, and packs nothing', async () => {
    await packageWith('node -e "process.exit(3)"');
    await expect(buildApp(dir, never)).rejects.toMatchObject({ code: 'build_failed' });
  });

  it('leaves alone what is no project, or has its manifest beside its files', async () => {
    await buildApp(dir, never);
    await packageWith('node -e "process.exit(3)"');
    await writeFile(path.join(dir, 'extrachain.json'), '{}');
    await buildApp(dir, never);
  });
});
