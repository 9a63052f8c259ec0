import { AppError } from '../../../src-shared/errors.ts';

/** What the file system under a folder can't do. */
export interface FsTraits {
  readonly caseInsensitive: boolean;
  /** Reserved names, characters and endings of Windows. */
  readonly windows: boolean;
}

const maxNameBytes = 255;
const reserved = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$/i;
// eslint-disable-next-line no-control-regex -- exactly these are forbidden
const forbidden = /[<>:"|?*\\\u0000-\u001f]/g;

/**
 * The name a file has in the drive: NFC.
 * @throws AppError `name_unsupported` when it is longer than 255 bytes in that form
 */
export function driveName(raw: string): string {
  const name = raw.normalize('NFC');
  if (Buffer.byteLength(name) > maxNameBytes) {
    throw new AppError(
      'name_unsupported',
      'Its name is longer than 255 bytes and so can’t be synced; please shorten it.',
    );
  }
  return name;
}

/**
 * The name a file of the drive gets on this disk: its own, unless this disk can't hold that.
 * @param taken whether another file of the folder has that name here already
 */
export function localName(name: string, traits: FsTraits, taken: (candidate: string) => boolean): string {
  let candidate = name;
  if (traits.windows) {
    candidate = candidate.replace(forbidden, '_').replace(/[. ]+$/, (end) => '_'.repeat(end.length));
    if (reserved.test(candidate)) candidate = `_${candidate}`;
  }
  if (!traits.caseInsensitive && candidate === name) return name;
  const dot = candidate.lastIndexOf('.');
  const stem = dot > 0 ? candidate.slice(0, dot) : candidate;
  const end = dot > 0 ? candidate.slice(dot) : '';
  for (let n = 1, next = candidate; ; next = `${stem} (${++n})${end}`)
    if (!taken(next) && !isOwnFolder(next)) return next;
}

/** Where case does not count, a file of a member must not come to lie in the engine's own folder. */
const isOwnFolder = (name: string): boolean => foldName(name) === foldName('.extrachain');

/** Two names that are one on a file system that ignores case or Unicode form. */
export function foldName(name: string): string {
  return name.normalize('NFC').toLowerCase().toUpperCase();
}

/** Orders strings as SQLite does: by their UTF-8 bytes, which is by code points. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const xHigh = x >= 0xd800 && x <= 0xdfff;
    const yHigh = y >= 0xd800 && y <= 0xdfff;
    if (xHigh !== yHigh) return xHigh ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}
