import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { baseCompile } from '@intlify/message-compiler';
import tailwindcss from '@tailwindcss/vite';
import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vite';
import type { Plugin } from 'vite';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Compiles message files while building: the window then needs no compiler, and a broken message breaks the build. */
function messages(): Plugin {
  const compile = (value: unknown): unknown =>
    typeof value === 'string'
      ? baseCompile(value, { jit: true, minify: true, onError: (error) => raise(error, value) }).ast
      : Object.fromEntries(Object.entries(value as object).map(([key, inner]) => [key, compile(inner)]));
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

function raise(error: Error, message: string): never {
  throw new Error(`message "${message}": ${error.message}`);
}

export default defineConfig({
  root: here('./src-renderer'),
  base: './',
  plugins: [messages(), vue({ template: { compilerOptions: { comments: false } } }), tailwindcss()],
  resolve: { alias: { 'vue-i18n': 'vue-i18n/dist/vue-i18n.runtime.esm-bundler.js' } },
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
  build: {
    outDir: here('./dist/window'),
    emptyOutDir: true,
    target: 'chrome120',
    // An inlined picture would be a data: URL, which the policy of the page does not allow.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1500,
  },
});
