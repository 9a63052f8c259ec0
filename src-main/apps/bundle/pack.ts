import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { bundleLimits, manifestName, pathsProblem } from '../../../src-shared/apps/index.ts';
import type { BundleManifest, SourceManifest } from '../../../src-shared/apps/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { centralDirectory, layoutOf, localHeader } from './layout.ts';
import { encodeManifest, parseBundleManifest, parseSourceManifest, rootOf } from './manifest.ts';

/** What was packed. */
export interface Packed {
  readonly manifest: BundleManifest;
  readonly root: Uint8Array;
  /** Bytes of the bundle. */
  readonly size: number;
}

/**
 * The folder with the manifest: the one that is named, or the `dist` that a build leaves in it.
 * @throws AppError `manifest_invalid` when there is none
 */
export async function appFolder(dir: string): Promise<string> {
  for (const folder of [path.join(dir, 'dist'), dir]) {
    const found = await lstat(path.join(folder, manifestName)).catch(() => null);
    if (found?.isFile()) return folder;
  }
  throw new AppError('manifest_invalid', `There is no ${manifestName} in ${dir}, nor in its folder dist.`);
}

/** The manifest of a folder as its author wrote it. @throws AppError as `parseSourceManifest` */
export async function readSourceManifest(folder: string): Promise<SourceManifest> {
  const file = path.join(folder, manifestName);
  const { size } = await lstat(file);
  if (size > bundleLimits.manifestBytes)
    throw new AppError('too_large', `A manifest has at most ${bundleLimits.manifestBytes} bytes.`);
  return parseSourceManifest(await readFile(file));
}

/**
 * Packs a folder into a bundle at `out`: equal files make equal bytes, on every computer. Names that begin with a dot are left out.
 * @throws AppError `manifest_invalid`, `permission_unknown`, `path_unsafe`, `too_large`, `file_missing`, `changed_while_reading`
 */
export async function packApp(dir: string, out: string): Promise<Packed> {
  const folder = await appFolder(dir);
  const { $schema: _, ...source } = await readSourceManifest(folder);
  const paths = (await filesIn(folder)).filter(
    (one) => one !== manifestName && path.join(folder, one) !== path.resolve(out),
  );
  const problem = pathsProblem(paths);
  if (problem) throw new AppError('path_unsafe', problem);
  const files: [string, { sha256: string; size: number }][] = [];
  const crcs = new Map<string, number>();
  let total = 0;
  for (const one of paths) {
    const { sha256, size, crc } = await digest(path.join(folder, one), one);
    total += size;
    if (total > bundleLimits.bytes)
      throw new AppError('too_large', `The files of an app have at most ${bundleLimits.bytes} bytes.`);
    files.push([one, { sha256, size }]);
    crcs.set(one, crc);
  }
  // Through text and back, so that what is packed is what anybody reads.
  const manifest = parseBundleManifest(encodeManifest({ ...source, files: Object.fromEntries(files) }));
  const size = await write(folder, manifest, crcs, out);
  return { manifest, root: rootOf(manifest), size };
}

async function filesIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (at: string): Promise<void> => {
    for (const entry of await readdir(path.join(folder, at), { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue;
      const one = at === '' ? entry.name : `${at}/${entry.name}`;
      if (entry.isDirectory()) await walk(one);
      else if (entry.isFile()) found.push(one);
      else throw new AppError('path_unsafe', `${one} is neither a file nor a folder.`);
      if (found.length > bundleLimits.files)
        throw new AppError('too_large', `An app has at most ${bundleLimits.files} files.`);
    }
  };
  await walk('');
  return found;
}

async function digest(file: string, shown: string): Promise<{ sha256: string; size: number; crc: number }> {
  const hash = createHash('sha256');
  let size = 0;
  let crc = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    crc = crc32(chunk, crc);
    size += chunk.length;
    if (size > bundleLimits.fileBytes)
      throw new AppError('too_large', `${shown} is larger than ${bundleLimits.fileBytes} bytes.`);
  }
  return { sha256: hash.digest('hex'), size, crc };
}

async function write(
  folder: string,
  manifest: BundleManifest,
  crcs: ReadonlyMap<string, number>,
  out: string,
): Promise<number> {
  const text = encodeManifest(manifest);
  const { places, directory, length } = layoutOf(manifest, text.length);
  const temporary = path.join(path.dirname(out), `.${path.basename(out)}.${randomUUID()}`);
  const file = await open(temporary, 'wx');
  try {
    const all: number[] = [];
    for (const place of places) {
      const crc = place.sha256 === null ? crc32(text) : crcs.get(place.path)!;
      all.push(crc);
      await file.write(localHeader(place, crc), 0, null, place.header);
      if (place.sha256 === null) await file.write(text, 0, null, place.data);
      else
        await copy(path.join(folder, place.path), place.size, place.sha256, (chunk, at) =>
          file.write(chunk, 0, null, place.data + at),
        );
    }
    await file.write(centralDirectory(places, directory, all), 0, null, directory);
    await file.sync();
    await file.close();
    await rename(temporary, out);
    return length;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
}

async function copy(
  from: string,
  size: number,
  sha256: string,
  put: (chunk: Buffer, at: number) => Promise<unknown>,
): Promise<void> {
  const hash = createHash('sha256');
  let at = 0;
  for await (const chunk of createReadStream(from) as AsyncIterable<Buffer>) {
    if (at + chunk.length > size) break;
    hash.update(chunk);
    await put(chunk, at);
    at += chunk.length;
  }
  if (at !== size || hash.digest('hex') !== sha256)
    throw new AppError('changed_while_reading', `${from} changed while it was packed; pack again.`);
}
