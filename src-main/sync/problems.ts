import type { AppError } from '../../src-shared/errors.ts';
import type { Problem } from './types.ts';
import { parentOf } from './scan/places.ts';

/** What can't be done at the moment, one problem a path; gone when it is done after all. */
export interface Problems {
  add(path: string, error: AppError): void;
  clear(path: string): void;
  /** A problem of the whole folder, of which there can be several kinds; null when it is over. */
  whole(kind: string, error: AppError | null): void;
  /** Forgets the problems of the entries right in a folder, before it is looked at again. */
  clearScanned(dir: string): void;
  addScanned(path: string, error: AppError): void;
  list(): readonly Problem[];
}

const shown = 200;

export function createProblems(onNew: (error: AppError, path: string) => void): Problems {
  const byPath = new Map<string, Problem>();
  const scanned = new Map<string, Map<string, Problem>>();
  const sentence = (path: string, error: AppError): string =>
    path === '' ? error.message : `“${path}”: ${error.message}`;
  function note(map: Map<string, Problem>, path: string, error: AppError): void {
    const before = map.get(path);
    const problem = { code: error.code, path, message: sentence(path, error) };
    map.set(path, problem);
    if (before?.message !== problem.message) onNew(error, path);
  }
  const wholes = new Map<string, Problem>();
  return {
    whole(kind, error) {
      const before = wholes.get(kind);
      wholes.delete(kind);
      if (error === null) return;
      wholes.set(kind, { code: error.code, path: '', message: error.message });
      if (before?.message !== error.message) onNew(error, '');
    },
    add: (path, error) => note(byPath, path, error),
    clear: (path) => void byPath.delete(path),
    clearScanned: (dir) => void scanned.delete(dir),
    addScanned(path, error) {
      const dir = parentOf(path);
      let map = scanned.get(dir);
      if (!map) scanned.set(dir, (map = new Map()));
      note(map, path, error);
    },
    list() {
      const all = [...wholes.values(), ...byPath.values()];
      for (const map of scanned.values()) {
        if (all.length >= shown) break;
        all.push(...map.values());
      }
      return all.slice(0, shown);
    },
  };
}
