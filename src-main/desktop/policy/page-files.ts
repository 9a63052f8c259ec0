import path from 'node:path';
import { isPageUrl } from './origins.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
  '.bcmap': 'application/octet-stream',
  '.pfb': 'application/octet-stream',
  '.ttf': 'font/ttf',
  '.icc': 'application/octet-stream',
};

/** A file of the built page. */
export interface PageFile {
  readonly file: string;
  readonly type: string;
}

/**
 * Which file an address of the page's origin stands for.
 * @param root the folder of the built page, absolute
 * @returns null for what is outside of it (however it is written) or of a kind the page has not
 */
export function findPageFile(root: string, url: string): PageFile | null {
  if (!isPageUrl(url)) return null;
  let name: string;
  try {
    name = decodeURIComponent(new URL(url).pathname);
  } catch {
    return null;
  }
  const parts = name.split('/').filter((part) => part !== '');
  if (parts.some((part) => part === '.' || part === '..' || /[\0\\:]/.test(part))) return null;
  const file = path.join(root, ...(parts.length === 0 ? ['index.html'] : parts));
  if (!file.startsWith(root.endsWith(path.sep) ? root : root + path.sep)) return null;
  const type = types[path.extname(file).toLowerCase()];
  return type === undefined ? null : { file, type };
}
