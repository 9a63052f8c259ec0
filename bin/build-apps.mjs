// `npm run build:apps`: the apps of assets/apps, each packed into dist/apps/<name>.exapp: what ExtraChain ships. Without `--force` those are left that are newer than their sources.
import {
  cpSync,
  existsSync,
  globSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'vite';
import { root } from './bootstrap.mjs';

const sources = path.join(root, 'assets', 'apps');
const target = path.join(root, 'dist', 'apps');

/** Names of the apps that ship with ExtraChain. */
export const shippedApps = () =>
  existsSync(sources)
    ? readdirSync(sources).filter((name) => existsSync(path.join(sources, name, 'extrachain.json')))
    : [];

/** Builds an app into a folder. @returns that folder */
export async function buildApp(name, outDir) {
  const source = path.join(sources, name);
  await build({
    root: source,
    configFile: false,
    base: './',
    publicDir: false,
    logLevel: 'warn',
    build: {
      outDir,
      emptyOutDir: true,
      target: 'chrome140',
      // Everything is a file of its own: a page's policy lets it load no scripts from data.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      // It comes from this computer; the player of streams alone is more than the bound of vite.
      chunkSizeWarningLimit: 1000,
    },
  });
  const {
    icon,
    screenshots = [],
    services: { provides = [] } = {},
  } = JSON.parse(readFileSync(path.join(source, 'extrachain.json'), 'utf8'));
  const interfaces = provides.map((one) => one.interface);
  for (const file of ['extrachain.json', icon, ...screenshots, ...interfaces]) {
    cpSync(path.join(source, file), path.join(outDir, file), { recursive: true });
  }
  return outDir;
}

function isCurrent(name) {
  const bundle = path.join(target, `${name}.exapp`);
  if (!existsSync(bundle)) return false;
  const built = statSync(bundle).mtimeMs;
  const patterns = [
    `assets/apps/{common,${name}}/**/*`,
    'assets/apps/*/*.json',
    'src-shared/{sdk,apps}/**/*.ts',
    'package-lock.json',
  ];
  return globSync(patterns, { cwd: root }).every((file) => statSync(path.join(root, file)).mtimeMs <= built);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [force, ...named] =
    process.argv[2] === '--force' ? process.argv.slice(2) : ['', ...process.argv.slice(2)];
  const wanted = (named.length > 0 ? named : shippedApps()).filter(
    (name) => force !== '' || !isCurrent(name),
  );
  const { packApp } = await import(pathToFileURL(path.join(root, 'src-main/apps/bundle/index.ts')).href);
  for (const name of wanted) {
    console.error(`Building the app ${name}...`);
    // Beside the place and then moved there: several builds at once, and nodes that install meanwhile, see whole bundles only.
    const own = path.join(target, `.building-${process.pid}`, name);
    const bundle = `${own}.exapp`;
    try {
      await packApp(await buildApp(name, own), bundle);
      renameSync(bundle, path.join(target, `${name}.exapp`));
    } finally {
      rmSync(path.dirname(own), { recursive: true, force: true });
    }
  }
}
