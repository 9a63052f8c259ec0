import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { bundleLimits } from '../../../src-shared/apps/index.ts';
import type { BundleManifest } from '../../../src-shared/apps/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { centralDirectory, layoutOf, localHeader } from './layout.ts';
import type { Place } from './layout.ts';
import { parseBundleManifest, rootOf } from './manifest.ts';

/** An app's files, each as its manifest has it. */
export interface Bundle {
  readonly manifest: BundleManifest;
  readonly root: Uint8Array;
  /** Bytes of the bundle. */
  readonly size: number;
  /**
   * A file, checked against its hash. Null: there is none of that path.
   * @throws AppError `bad_hash` when the disk has other bytes; `corrupt` when it can't be read
   */
  read(path: string): Promise<Uint8Array | null>;
  close(): Promise<void>;
}

const chunkBytes = 1024 ** 2;

/**
 * Opens a bundle by its manifest. Files are checked when they are read; `verifyBundle` checks everything.
 * @throws AppError `malformed`, `not_found`, and as `parseBundleManifest`
 */
export async function openBundle(file: string): Promise<Bundle> {
  const handle = await open(file, 'r').catch((cause: unknown) => {
    throw new AppError('not_found', `The bundle ${file} can't be opened.`, { cause });
  });
  try {
    const { manifest, text, size } = await readManifest(handle);
    const { places, length } = layoutOf(manifest, text.length);
    if (length !== size) throw notOurs(`it has ${size} bytes instead of ${length}`);
    const byPath = new Map(places.map((one) => [one.path, one]));
    return {
      manifest,
      root: rootOf(manifest),
      size,
      async read(path) {
        const place = byPath.get(path);
        if (!place || place.sha256 === null) return null;
        const bytes = await readExactly(handle, place.data, place.size);
        if (createHash('sha256').update(bytes).digest('hex') === place.sha256) return bytes;
        throw wrongHash(path);
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Checks every byte of a bundle, a megabyte at a time.
 * @throws AppError `malformed`, `bad_hash`, and as `openBundle`
 */
export async function verifyBundle(
  file: string,
): Promise<{ manifest: BundleManifest; root: Uint8Array; size: number }> {
  const handle = await open(file, 'r').catch((cause: unknown) => {
    throw new AppError('not_found', `The bundle ${file} can't be opened.`, { cause });
  });
  try {
    const { manifest, text, size } = await readManifest(handle);
    const { places, directory, length } = layoutOf(manifest, text.length);
    if (length !== size) throw notOurs(`it has ${size} bytes instead of ${length}`);
    const crcs: number[] = [];
    for (const place of places) {
      const crc = await check(handle, place);
      const header = localHeader(place, crc);
      if (!header.equals(await readExactly(handle, place.header, header.length)))
        throw notOurs(`the header of ${place.path} is not as it should be`);
      crcs.push(crc);
    }
    const end = centralDirectory(places, directory, crcs);
    if (!end.equals(await readExactly(handle, directory, end.length)))
      throw notOurs('its directory is not that of the manifest');
    return { manifest, root: rootOf(manifest), size };
  } finally {
    await handle.close();
  }
}

/** Reads the manifest, which comes first, by its header. */
async function readManifest(
  handle: FileHandle,
): Promise<{ manifest: BundleManifest; text: Buffer; size: number }> {
  const { size } = await handle.stat();
  if (
    size >
    bundleLimits.bytes + 2 * bundleLimits.manifestBytes + 2 * bundleLimits.files * (100 + bundleLimits.path)
  )
    throw new AppError('too_large', 'The bundle is larger than any may be.');
  const shortest = localHeader({ path: 'extrachain.json', size: 0, sha256: null, header: 0, data: 0 }, 0);
  if (size < shortest.length) throw notOurs('it is too short');
  const header = await readExactly(handle, 0, shortest.length);
  const length = header.readUInt32LE(18);
  if (length > bundleLimits.manifestBytes)
    throw new AppError('too_large', `A manifest has at most ${bundleLimits.manifestBytes} bytes.`);
  const expected = localHeader(
    { path: 'extrachain.json', size: length, sha256: null, header: 0, data: 0 },
    header.readUInt32LE(14),
  );
  if (!expected.equals(header) || header.length + length > size)
    throw notOurs('it does not begin with a manifest');
  const text = await readExactly(handle, header.length, length);
  return { manifest: parseBundleManifest(text), text, size };
}

async function check(handle: FileHandle, { path, data, size, sha256 }: Place): Promise<number> {
  const hash = createHash('sha256');
  let crc = 0;
  for (let at = 0; at < size; at += chunkBytes) {
    const chunk = await readExactly(handle, data + at, Math.min(chunkBytes, size - at));
    hash.update(chunk);
    crc = crc32(chunk, crc);
  }
  if (sha256 !== null && hash.digest('hex') !== sha256) throw wrongHash(path);
  return crc;
}

async function readExactly(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, at + filled);
    if (bytesRead === 0) throw new AppError('corrupt', 'The bundle is shorter than it was.');
    filled += bytesRead;
  }
  return bytes;
}

const notOurs = (why: string): AppError =>
  new AppError('malformed', `This is not a bundle of an app: ${why}.`);
const wrongHash = (path: string): AppError =>
  new AppError('bad_hash', `The file ${path} of the bundle is not the one of its manifest.`, {
    details: { path },
  });
