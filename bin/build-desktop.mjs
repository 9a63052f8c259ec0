// `npm run build:desktop`: bundles the Electron shell with the node into dist/desktop: main.js (ES modules), the workers
// beside it, preload.cjs. Native packages, and those that look for their own files, stay in node_modules.
import { globSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { root } from './bootstrap.mjs';

/** Not bundled; electron-builder.yml packs them, and nothing else of node_modules. */
export const external = [
  'better-sqlite3',
  '@digitaldefiance/reed-solomon-erasure.wasm',
  '@parcel/watcher',
  'piscina',
];

/**
 * Makes every `new URL('./worker.ts', import.meta.url)` of ours an entry of its own, next to the others. Node runs
 * TypeScript as it is in development; what is packed is JavaScript.
 */
function workers() {
  const pages = new Map();
  return {
    name: 'extrachain-workers',
    enforce: 'pre',
    // Last: Vite drops files that were emitted before from what is built for Node.
    generateBundle: {
      order: 'post',
      handler() {
        for (const [fileName, file] of pages)
          this.emitFile({ type: 'asset', fileName, source: readFileSync(file) });
      },
    },
    transform(code, id) {
      if (!id.startsWith(path.join(root, 'src-main')) || !code.includes('import.meta.url')) return null;
      // One pass: what a worker's address becomes looks like that of a page's script.
      const changed = code.replace(
        /new URL\(\s*'(\.[^']+)\.(ts|js)',\s*import\.meta\.url,?\s*\)/g,
        (_, name, kind) => {
          const file = path.resolve(path.dirname(id), name);
          if (kind === 'ts') {
            const fileName = `${path.relative(path.join(root, 'src-main'), file).split(path.sep).join('-')}.js`;
            this.emitFile({ type: 'chunk', id: `${file}.ts`, fileName });
            return `new URL('./${fileName}', import.meta.url)`;
          }
          // Scripts of pages that the node serves as they are.
          const fileName = `page-${path.basename(file)}.js`;
          pages.set(fileName, `${file}.js`);
          return `new URL('./${fileName}', import.meta.url)`;
        },
      );
      return changed === code ? null : { code: changed, map: null };
    },
  };
}

/** Puts the licences of all packages that went into the bundle beside it, as they ask for. */
function licences() {
  return {
    name: 'extrachain-licences',
    generateBundle() {
      const folders = new Set();
      for (const id of this.getModuleIds()) {
        const folder = /^\0?(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id.split('?')[0])?.[1];
        if (folder) folders.add(folder);
      }
      const texts = [...folders].sort().map((folder) => {
        const { name, version, license } = JSON.parse(
          readFileSync(path.join(folder, 'package.json'), 'utf8'),
        );
        const [file] = globSync('{LICEN[CS]E,licen[cs]e,COPYING}*', { cwd: folder });
        const text = file ? readFileSync(path.join(folder, file), 'utf8').trim() : '';
        return `${name} ${version} (${license ?? 'see below'})\n\n${text}`.trim();
      });
      this.emitFile({
        type: 'asset',
        fileName: 'licences.txt',
        source: `${texts.join(`\n\n${'-'.repeat(78)}\n\n`)}\n`,
      });
    },
  };
}

const common = {
  root,
  configFile: false,
  publicDir: false,
  logLevel: 'warn',
  define: {
    'process.env.NODE_ENV': '"production"',
    // CommonJS packages that become part of ES modules.
    __filename: 'import.meta.filename',
    __dirname: 'import.meta.dirname',
  },
};

/** @param outDir two folders below that of package.json, in which the node looks up its version */
export async function buildDesktop(outDir = path.join(root, 'dist', 'desktop')) {
  rmSync(outDir, { recursive: true, force: true });
  await build({
    ...common,
    plugins: [workers(), licences()],
    ssr: { noExternal: true, external: ['electron', ...external], target: 'node' },
    build: {
      ssr: true,
      outDir,
      emptyOutDir: false,
      target: 'node24',
      minify: false,
      sourcemap: false,
      chunkSizeWarningLimit: 10_000,
      rollupOptions: {
        input: path.join(root, 'src-main', 'desktop', 'main.ts'),
        // Optional speed-ups of ws that nobody installs.
        external: ['bufferutil', 'utf-8-validate'],
        output: { format: 'es', entryFileNames: 'main.js', chunkFileNames: '[name]-[hash].js' },
      },
    },
  });
  const preloads = { 'preload.cjs': 'main-window.ts', 'app-preload.cjs': 'app-window.ts' };
  for (const [entryFileNames, source] of Object.entries(preloads)) {
    await build({
      ...common,
      ssr: { noExternal: true, external: ['electron'], target: 'node' },
      build: {
        ssr: true,
        outDir,
        emptyOutDir: false,
        target: 'chrome140',
        minify: false,
        rollupOptions: {
          input: path.join(root, 'src-main', 'preload', source),
          // A sandboxed preload script is one CommonJS file: it can load nothing else of ours.
          output: { format: 'cjs', entryFileNames, codeSplitting: false },
        },
      },
    });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await buildDesktop(process.argv[2] && path.resolve(process.argv[2]));
