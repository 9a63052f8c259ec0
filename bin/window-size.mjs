// How much a person loads for the window, gzipped, and the most that may be.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

/** Bytes of code and styles together, gzipped: views that are never opened count, the PDF viewer does not. */
export const windowBudget = 600_000;

/**
 * @param {string} folder a built window
 * @returns {{ all: number, first: number }} bytes gzipped: of everything but the PDF viewer, and of what `index.html` names
 */
export function windowSize(folder) {
  const assets = path.join(folder, 'assets');
  const page = readFileSync(path.join(folder, 'index.html'), 'utf8');
  const files = readdirSync(assets)
    .filter((name) => /\.(js|css)$/.test(name) && !/pdf/i.test(name))
    .map((name) => ({
      name,
      bytes: gzipSync(readFileSync(path.join(assets, name)), { level: 9 }).length,
    }));
  const sum = (list) => list.reduce((bytes, file) => bytes + file.bytes, 0);
  return { all: sum(files), first: sum(files.filter(({ name }) => page.includes(name))) };
}
