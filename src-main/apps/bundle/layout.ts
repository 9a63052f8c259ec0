import { manifestName } from '../../../src-shared/apps/index.ts';
import type { BundleManifest } from '../../../src-shared/apps/index.ts';

/*
 * A bundle is a ZIP file without compression, so that any archive program opens it, in one fixed form: the manifest first, the files
 * in the order of their paths' bytes, no extra fields, no comments, no times. Everything in it but the bytes of the files and their CRC follows
 * from the manifest; a reader compares instead of believing, so no two programs can see different files in one bundle.
 * (PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.)
 */

/** One file in a bundle. */
export interface Place {
  readonly path: string;
  readonly size: number;
  /** SHA-256; null: the manifest itself. */
  readonly sha256: string | null;
  /** Where its local header begins, and its bytes. */
  readonly header: number;
  readonly data: number;
}

const localLength = 30;
const centralLength = 46;
const endLength = 22;
/** UTF-8 names. */
const flags = 0x0800;
const version = 20;
/** 1 January 1980, midnight: the beginning of time in ZIP. */
const date = 0x0021;
/** An ordinary file that everybody may read, made under Unix. */
const madeBy = (3 << 8) | version;
const attributes = (0o100644 << 16) >>> 0;

/** Where everything lies, and how long the whole is. */
export function layoutOf(
  manifest: BundleManifest,
  manifestLength: number,
): { readonly places: readonly Place[]; readonly directory: number; readonly length: number } {
  const files = Object.entries(manifest.files)
    .map(([path, { size, sha256 }]) => ({ path, size, sha256, name: Buffer.from(path) }))
    .sort((a, b) => Buffer.compare(a.name, b.name));
  const places: Place[] = [];
  let at = 0;
  let central = 0;
  const add = (path: string, name: number, size: number, sha256: string | null): void => {
    const data = at + localLength + name;
    places.push({ path, size, sha256, header: at, data });
    at = data + size;
    central += centralLength + name;
  };
  add(manifestName, manifestName.length, manifestLength, null);
  for (const { path, size, sha256, name } of files) add(path, name.length, size, sha256);
  return { places, directory: at, length: at + central + endLength };
}

/** What stands before the bytes of a file. */
export function localHeader({ path, size }: Place, crc: number): Buffer {
  const name = Buffer.from(path);
  const head = Buffer.alloc(localLength);
  head.writeUInt32LE(0x04034b50, 0);
  common(head, 4, crc, size, name.length);
  return Buffer.concat([head, name]);
}

/** What stands after all files. @param crcs of the places, in their order */
export function centralDirectory(
  places: readonly Place[],
  directory: number,
  crcs: readonly number[],
): Buffer {
  const parts = places.map(({ path, size, header }, at) => {
    const name = Buffer.from(path);
    const head = Buffer.alloc(centralLength);
    head.writeUInt32LE(0x02014b50, 0);
    head.writeUInt16LE(madeBy, 4);
    common(head, 6, crcs[at]!, size, name.length);
    head.writeUInt32LE(attributes, 38);
    head.writeUInt32LE(header, 42);
    return Buffer.concat([head, name]);
  });
  const all = Buffer.concat(parts);
  const end = Buffer.alloc(endLength);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(places.length, 8);
  end.writeUInt16LE(places.length, 10);
  end.writeUInt32LE(all.length, 12);
  end.writeUInt32LE(directory, 16);
  return Buffer.concat([all, end]);
}

/** The fields that local header and directory share; compression is 0, the extra field is empty. */
function common(head: Buffer, at: number, crc: number, size: number, name: number): void {
  head.writeUInt16LE(version, at);
  head.writeUInt16LE(flags, at + 2);
  head.writeUInt16LE(date, at + 8);
  head.writeUInt32LE(crc, at + 10);
  head.writeUInt32LE(size, at + 14);
  head.writeUInt32LE(size, at + 18);
  head.writeUInt16LE(name, at + 22);
}
