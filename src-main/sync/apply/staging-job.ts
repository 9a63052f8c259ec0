import type { BlockRef, CopyRequest, FileContent, NodeId } from '../../drive/index.ts';

/** One file on its way into the folder. */
export interface StagedFile {
  readonly node: NodeId;
  readonly content: FileContent;
  /** Name and path of the temp file. */
  readonly name: string;
  readonly temp: string;
}

/** A block that is not in its temp file yet, with the places it belongs to. */
export interface MissingBlock {
  readonly ref: BlockRef;
  readonly offsets: readonly number[];
  readonly indexes: readonly number[];
}

/** Where a block lies in a temp file; to be checked by its hash when it is read. */
export interface PlacedBlock {
  readonly from: string;
  readonly fromOffset: number;
  readonly ref: BlockRef;
}

export interface Job extends StagedFile {
  name: string;
  temp: string;
  /** By hex id. */
  readonly missing: Map<string, MissingBlock>;
  /** Bitmap over `content.blocks`: what is in place. */
  readonly have: Uint8Array;
  missingBytes: number;
  state: 'queued' | 'active' | 'ready' | 'gone' | 'full';
  /** When nobody reachable had some of it for the first time; null again when a block comes after all. */
  missedAt: number | null;
  /** Nobody had it again some time later: no file just in motion. Stays while it is asked once more. */
  absent: boolean;
  /** Blocks placed since the bitmap was last written to the database. */
  unsaved: number;
  /** The database has a row for it. */
  noted: boolean;
  readonly abort: AbortController;
  /** Offset and reference of every block by hex id, made when somebody else asks for one. */
  places: ReadonlyMap<string, readonly [offset: number, ref: BlockRef]> | null;
}

/** One copy of a block into a job's temp file; `key` is the block's hex id. */
export interface JobCopy {
  readonly job: Job;
  readonly key: string;
  readonly request: CopyRequest;
}

/** A job for which nothing is in place yet. */
export function createJob(node: NodeId, content: FileContent, name: string, temp: string): Job {
  const missing = new Map<string, { ref: BlockRef; offsets: number[]; indexes: number[] }>();
  let missingBytes = 0;
  let offset = 0;
  content.blocks.forEach((ref, index) => {
    const key = hex(ref.id);
    const known = missing.get(key);
    if (known) {
      known.offsets.push(offset);
      known.indexes.push(index);
    } else {
      missing.set(key, { ref, offsets: [offset], indexes: [index] });
      missingBytes += ref.len;
    }
    offset += ref.len;
  });
  return {
    node,
    content,
    name,
    temp,
    missing,
    have: new Uint8Array(Math.ceil(content.blocks.length / 8)),
    missingBytes,
    state: 'queued',
    missedAt: null,
    absent: false,
    unsaved: 0,
    noted: false,
    abort: new AbortController(),
    places: null,
  };
}

/** Notes that a block is in all its places. */
export function markPlaced(job: Job, key: string): void {
  const block = job.missing.get(key);
  if (!block) return;
  job.missing.delete(key);
  job.missedAt = null;
  job.absent = false;
  job.missingBytes -= block.ref.len;
  for (const index of block.indexes) job.have[index >> 3] = (job.have[index >> 3] ?? 0) | (1 << (index & 7));
  job.unsaved += 1;
}

/** Where a block lies in the job's temp file, if it is there. */
export function placeOf(job: Job, key: string): PlacedBlock | null {
  if (job.places === null) {
    const places = new Map<string, readonly [number, BlockRef]>();
    let offset = 0;
    for (const ref of job.content.blocks) {
      places.set(hex(ref.id), [offset, ref]);
      offset += ref.len;
    }
    job.places = places;
  }
  const place = job.missing.has(key) ? undefined : job.places.get(key);
  return place ? { from: job.temp, fromOffset: place[0], ref: place[1] } : null;
}

/** Whether a saved bitmap says that all places of a block are filled. */
export function saysPlaced(have: Uint8Array, block: MissingBlock): boolean {
  return block.indexes.every((index) => ((have[index >> 3] ?? 0) >> (index & 7)) & 1);
}

/** The same blocks in the same order. */
export function sameBlocks(a: FileContent, b: FileContent): boolean {
  return (
    a.blocks.length === b.blocks.length &&
    a.blocks.every((ref, i) => Buffer.compare(ref.id, b.blocks[i]?.id ?? ref.plainHash) === 0)
  );
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
