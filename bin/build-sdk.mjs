// `npm run build:sdk`: the package `@extrachain/app` in dist/sdk, from src-shared/sdk: one ES module, its types, its package.json.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { root } from './bootstrap.mjs';

const readme = `# @extrachain/app

What an app for ExtraChain is written with. Everything goes through \`window.extrachain\`, the provider that ExtraChain puts into the page.

\`\`\`js
import { connect } from '@extrachain/app';

const app = await connect();
const me = await app.accounts.own();
const folder = await app.drives.pick({ access: 'read' });
for await (const file of folder.list()) console.log(file.name, file.size);
\`\`\`

The types are documented; docs/apps.md of ExtraChain has the whole way from nothing to a published app.
`;

/** @param outDir where the package goes; emptied before */
export async function buildSdk(outDir = path.join(root, 'dist', 'sdk')) {
  const source = path.join(root, 'src-shared', 'sdk');
  const { version, license, dependencies } = JSON.parse(
    readFileSync(path.join(root, 'package.json'), 'utf8'),
  );
  rmSync(outDir, { recursive: true, force: true });
  mkdirSync(outDir, { recursive: true });
  await build({
    root,
    configFile: false,
    publicDir: false,
    logLevel: 'warn',
    build: {
      outDir,
      emptyOutDir: false,
      target: 'es2022',
      minify: false,
      lib: { entry: path.join(source, 'index.ts'), formats: ['es'], fileName: () => 'index.js' },
    },
  });
  const config = path.join(outDir, 'tsconfig.json');
  const options = {
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    incremental: false,
    outDir: path.join(outDir, 'types'),
    rootDir: path.join(root, 'src-shared'),
    tsBuildInfoFile: null,
  };
  writeFileSync(
    config,
    JSON.stringify({
      extends: path.join(root, 'src-shared', 'tsconfig.json'),
      compilerOptions: options,
      include: [`${source}/**/*.ts`],
      exclude: [`${source}/**/*.test.ts`],
    }),
  );
  try {
    const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    execFileSync(process.execPath, [tsc, '-p', config], { stdio: 'inherit' });
  } finally {
    rmSync(config);
  }
  const manifest = {
    name: '@extrachain/app',
    version,
    description:
      'Write apps for ExtraChain: accounts, drives, streams, payments, collections, messages and services',
    license,
    type: 'module',
    sideEffects: false,
    exports: { '.': { types: './types/sdk/index.d.ts', default: './index.js' } },
    types: './types/sdk/index.d.ts',
    files: ['index.js', 'types', 'README.md'],
    // Its types are read off schemas; nothing of it runs.
    dependencies: { zod: dependencies.zod },
  };
  writeFileSync(path.join(outDir, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  writeFileSync(path.join(outDir, 'README.md'), readme);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildSdk(process.argv[2] && path.resolve(process.argv[2]));
}
