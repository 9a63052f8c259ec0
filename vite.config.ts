import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { baseCompile } from '@intlify/message-compiler';
import tailwindcss from '@tailwindcss/vite';
import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vite';
import type { Plugin } from 'vite';
import { contract } from './src-shared/contract/index.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** What makes a text of vue-i18n's syntax more than itself. */
const syntax = /[{}@|]/;

/** Compiles message files while building: the window then needs no compiler, and a broken message breaks the build. */
function messages(): Plugin {
  const compile = (value: unknown): unknown => {
    if (typeof value !== 'string')
      return Object.fromEntries(Object.entries(value as object).map(([key, inner]) => [key, compile(inner)]));
    // Without places in the source, which would be two thirds of what is loaded.
    const { ast } = baseCompile(value, {
      jit: true,
      minify: true,
      location: false,
      onError: (error) => raise(error, value),
    });
    // A text alone is taken as it is; its tree would be loaded besides.
    return syntax.test(value) ? ast : value;
  };
  return {
    name: 'extrachain-messages',
    enforce: 'pre',
    async load(id) {
      if (!/\/src-renderer\/i18n\/[a-z]+\.json$/.test(id)) return null;
      const text = await readFile(id, 'utf8');
      return { code: `export default ${JSON.stringify(compile(JSON.parse(text)))}`, moduleType: 'js' };
    },
  };
}

/**
 * The window calls and never checks: that is the node's. So of the contract it loads the names and kinds of calls, and what else
 * mentions schemas gets a stand-in for them.
 */
function withoutSchemas(): Plugin {
  const contractFile = here('./src-shared/contract/index.ts');
  const zodFile = here('./src-shared/contract/zod.ts');
  return {
    name: 'extrachain-without-schemas',
    enforce: 'pre',
    load(id) {
      if (id === zodFile)
        return 'export const z = new Proxy(() => z, { get: (_, key) => (key === Symbol.toPrimitive ? undefined : z) });';
      if (id !== contractFile) return null;
      const kinds = Object.entries(contract).map(([group, calls]) => {
        const names = Object.entries(calls as Record<string, { kind: string }>);
        return [group, Object.fromEntries(names.map(([name, { kind }]) => [name, { kind }]))] as const;
      });
      return `export const contract = ${JSON.stringify(Object.fromEntries(kinds))};`;
    },
  };
}

function raise(error: Error, message: string): never {
  throw new Error(`message "${message}": ${error.message}`);
}

export default defineConfig({
  root: here('./src-renderer'),
  base: './',
  plugins: [
    messages(),
    withoutSchemas(),
    vue({ template: { compilerOptions: { comments: false } } }),
    tailwindcss(),
  ],
  resolve: {
    alias: [
      { find: /^vue-i18n$/, replacement: 'vue-i18n/dist/vue-i18n.runtime.esm-bundler.js' },
      // Our playlists have no separate sound, no captions, no copy protection and no advertisements: a third less.
      { find: /^hls\.js$/, replacement: 'hls.js/light' },
    ],
  },
  define: {
    __VUE_OPTIONS_API__: false,
    __VUE_PROD_DEVTOOLS__: false,
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: false,
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_JIT_COMPILATION__: true,
    __INTLIFY_DROP_MESSAGE_COMPILER__: true,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  worker: { format: 'es' },
  build: {
    outDir: here('./dist/window'),
    emptyOutDir: true,
    target: 'chrome120',
    // An inlined picture would be a data: URL, which the policy of the page does not allow.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1500,
    rolldownOptions: {
      output: {
        // Left alone, each icon and small part is a file of its own, which says more of what it needs than it does:
        // 30 kB of a window that has 600.
        codeSplitting: {
          groups: [
            { name: 'base', test: /node_modules\/@lucide\// },
            // But what draws QR codes, which brings a library of its own that the first view has no use for.
            {
              name: 'parts',
              test: /reka-ui|src-renderer\/(ui\/(?!Qr|NearMap|map-dots)|stores|rpc\/)/,
              minShareCount: 2,
            },
          ],
        },
      },
    },
  },
});
