import type { FileStamp } from '../../drive/index.ts';
import type { FsStat } from '../fs/types.ts';
import type { LocalRow } from '../state/index.ts';

/** On disk is exactly what the row says. */
export function asKnown(row: LocalRow, stat: FsStat): boolean {
  if (row.kind !== stat.type || row.stamp.ino !== stat.ino || row.stamp.dev !== stat.dev) return false;
  if (row.kind === 'dir') return true;
  return sameBytesAs(row.stamp, stat) && row.stamp.ctimeNs === stat.ctimeNs;
}

/** The same thing, whatever its ctime says: it was only renamed. */
export function stillThat(row: LocalRow, stat: FsStat): boolean {
  if (row.stamp.ino !== stat.ino) return false;
  return row.kind === 'dir' || (sameBytesAs(row.stamp, stat) && row.stamp.mode === stat.mode);
}

/** The bytes are what they were, as far as the file system tells. */
export function sameBytesAs(stamp: FileStamp, stat: FsStat): boolean {
  return (
    stamp.ino === stat.ino &&
    stamp.dev === stat.dev &&
    stamp.size === stat.size &&
    stamp.mtimeNs === stat.mtimeNs
  );
}
