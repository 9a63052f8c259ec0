import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

export interface PageFile {
  readonly body: Buffer;
  readonly type: string;
}

/** What the page's origin serves, by URL path. Nothing else is ever looked for on disk. */
export interface PageFiles {
  get(url: string): Promise<PageFile | null>;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const plainFiles: Readonly<Record<string, string>> = {
  '/': 'index.html',
  '/page.js': 'page.js',
  '/page.css': 'page.css',
  '/icon.svg': 'icon.svg',
};

/**
 * The built window, as soon as it is there; until then, and where none is built, the plain status page.
 * @param windowDir where the window's build lies; null: the plain page only
 */
export function createPageFiles(windowDir: string | null): PageFiles {
  const plainDir = path.join(import.meta.dirname, '../page');
  let listed: ReadonlyMap<string, string> | null = null;

  /** Every file of the build by its URL: what was not listed can't be asked for. */
  async function list(dir: string): Promise<ReadonlyMap<string, string> | null> {
    try {
      const entries = await readdir(dir, { recursive: true, withFileTypes: true });
      const files = entries.flatMap((entry): [string, string][] => {
        const file = path.join(entry.parentPath, entry.name);
        const known = entry.isFile() && path.extname(entry.name) in types;
        return known ? [[`/${path.relative(dir, file).split(path.sep).join('/')}`, file]] : [];
      });
      const found = new Map(files);
      const index = found.get('/index.html');
      if (index === undefined) return null;
      found.delete('/index.html');
      return found.set('/', index);
    } catch {
      return null;
    }
  }

  async function read(file: string): Promise<PageFile | null> {
    const body = await readFile(file).catch(() => null);
    return body && { body, type: types[path.extname(file)] ?? 'application/octet-stream' };
  }

  return {
    async get(url) {
      // Listed anew with each opening of the page: a new build has files of new names.
      if (windowDir !== null && (url === '/' || listed === null)) listed = await list(windowDir);
      const built = listed?.get(url);
      if (built !== undefined) return read(built);
      const plain = listed === null && Object.hasOwn(plainFiles, url) ? plainFiles[url] : undefined;
      return plain === undefined ? null : read(path.join(plainDir, plain));
    },
  };
}
