import { readFileSync } from 'node:fs';

/** The script that every page of an app begins with: plain JavaScript, as browsers take it. */
export const providerScript: Uint8Array = readFileSync(new URL('./page/provider.js', import.meta.url));
