import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { AppError } from '../../../src-shared/errors.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Words of the template that stand for the app's own. */
const nameWord = 'My app';
const slugWord = 'my-app';

/**
 * Begins an app: the template, with the SDK beside it so that nothing of ours has to be on a registry.
 * @param dir empty, or not there yet
 * @throws AppError `already_exists`, `not_found` when this installation has no template or SDK
 */
export async function initApp(
  dir: string,
  given: string | null,
): Promise<{ dir: string; name: string; slug: string }> {
  const name = given ?? path.basename(dir);
  // By the folder, as packages are: names for people change, and the slug is for good.
  const slug =
    path
      .basename(path.resolve(dir))
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 32)
      .replace(/-+$/, '') || 'app';
  await mkdir(dir, { recursive: true });
  if ((await readdir(dir)).length > 0)
    throw new AppError('already_exists', `The folder ${dir} is not empty.`);
  await copyTree(path.join(root, 'assets', 'app-template'), dir);
  await buildMissingSdk();
  await copyTree(path.join(root, 'dist', 'sdk'), path.join(dir, 'sdk'));
  // Under its own name the packager would leave it out.
  await rename(path.join(dir, 'gitignore'), path.join(dir, '.gitignore'));
  for (const file of ['package.json', 'index.html', 'public/extrachain.json', 'src/main.ts']) {
    const at = path.join(dir, file);
    const text = await readFile(at, 'utf8');
    const shown = file.endsWith('.json')
      ? JSON.stringify(name).slice(1, -1)
      : name.replace(/[<>&"'`\\$]/g, '');
    await writeFile(at, text.replaceAll(nameWord, () => shown).replaceAll(slugWord, slug));
  }
  return { dir, name, slug };
}

/** In a checkout the SDK is built when somebody first needs it. */
async function buildMissingSdk(): Promise<void> {
  const script = path.join(root, 'bin', 'build-sdk.mjs');
  if (existsSync(path.join(root, 'dist', 'sdk', 'package.json')) || !existsSync(script)) return;
  await promisify(execFile)(process.execPath, [script], { cwd: root });
}

async function copyTree(from: string, to: string): Promise<void> {
  if (!(await stat(from).catch(() => null)))
    throw new AppError(
      'not_found',
      `This installation lacks ${path.relative(root, from)}; run npm run build:sdk.`,
    );
  await cp(from, to, { recursive: true });
}
