import type { AppFile } from '../../../src-shared/sdk/index.ts';

export type Kind = 'photo' | 'video';

/** A photo or video of a folder. */
export interface Picture {
  readonly path: string;
  readonly name: string;
  readonly kind: Kind;
  readonly time: number;
  readonly size: number;
}
/** Pictures of one month, newest first. */
export interface Month {
  readonly key: string;
  readonly time: number;
  readonly pictures: readonly Picture[];
}
/** A folder with pictures in it. */
export interface Album {
  readonly path: string;
  readonly name: string;
  readonly count: number;
  readonly cover: Picture;
}

const photo = /\.(?:jpe?g|png|gif|webp|avif|bmp|svg)$/i;
const video = /\.(?:mp4|m4v|webm|mov|ogv)$/i;

/** What a file is; null: nothing that is shown here. */
export function pictureOf({ path, name, kind, size, mtime }: AppFile): Picture | null {
  if (kind !== 'file' || name.startsWith('.')) return null;
  const what: Kind | null = photo.test(name) ? 'photo' : video.test(name) ? 'video' : null;
  return what && { path, name, kind: what, time: mtime === null ? 0 : Date.parse(mtime), size };
}

const newest = (a: Picture, b: Picture): number => b.time - a.time || (a.path < b.path ? -1 : 1);

/** By month of the last change, newest first. */
export function byMonth(pictures: readonly Picture[]): readonly Month[] {
  const months = new Map<string, Picture[]>();
  for (const one of [...pictures].sort(newest)) {
    const date = new Date(one.time);
    const key = `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}`;
    const month = months.get(key);
    if (month) month.push(one);
    else months.set(key, [one]);
  }
  return [...months].map(([key, list]) => ({ key, time: list[0]!.time, pictures: list }));
}

/** Every folder that holds pictures itself, by name. */
export function albumsOf(pictures: readonly Picture[]): readonly Album[] {
  const folders = new Map<string, Picture[]>();
  for (const one of pictures) {
    const folder = one.path.slice(0, Math.max(0, one.path.lastIndexOf('/')));
    if (folder === '') continue;
    const list = folders.get(folder);
    if (list) list.push(one);
    else folders.set(folder, [one]);
  }
  return [...folders]
    .map(([path, list]) => ({
      path,
      name: path.slice(path.lastIndexOf('/') + 1),
      count: list.length,
      cover: [...list].sort(newest)[0]!,
    }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** Those of one album; '' is everything. */
export const inAlbum = (pictures: readonly Picture[], album: string): readonly Picture[] =>
  album === '' ? pictures : pictures.filter(({ path }) => path.startsWith(`${album}/`));
