import { defineConfig } from 'vite';

export default defineConfig({
  // An app may be asked for any path of its origin: its files are found from the root.
  base: '/',
  build: {
    // The page's policy allows no code in HTML.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    emptyOutDir: true,
  },
});
