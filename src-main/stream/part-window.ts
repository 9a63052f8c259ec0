import { sha256 } from './codec/header.ts';
import type { PartRing, RingPlace } from './part-ring.ts';
import { limits } from './types.ts';
import type { SignedHeader } from './types.ts';

/** One part here, or on its way: chunks come in order, each checked. */
export interface PartEntry {
  readonly header: SignedHeader;
  /** Checked chunks, in order. */
  readonly chunks: readonly Uint8Array[];
  readonly complete: boolean;
  /** It will not be completed; whoever passes it on has to stop. */
  readonly failed: boolean;
  /** Called at each new chunk, and at the end. */
  wait(woken: () => void): () => void;
}

/**
 * The parts that this node holds of a stream: those of the last seconds, and no more bytes than it may. With a ring the older ones lie
 * on disk.
 */
export interface PartWindow {
  /** A part in memory. */
  get(rendition: number, seq: number): PartEntry | undefined;
  /** Is all of it here, in memory or on disk? */
  has(rendition: number, seq: number): boolean;
  /** A part from memory or from disk, there as it was checked when it came; null when it is not here any more. */
  load(rendition: number, seq: number): Promise<PartEntry | null>;
  /** A new entry to be filled; null when it is here or too old. */
  begin(header: SignedHeader): PartEntry | null;
  append(entry: PartEntry, chunk: Uint8Array): void;
  /** Forgets a part that will not be completed. */
  fail(entry: PartEntry): void;
  /**
   * From now on parts that leave memory lie on disk, and `parts` of them are kept.
   * @param read opens a header that comes back from disk, null when it is not one of this stream
   */
  useRing(ring: PartRing, parts: number, read: (header: Uint8Array) => SignedHeader | null): void;
  /** From now on so many `seq` are kept behind the newest, if that is more. */
  keep(parts: number): void;
  /** Takes up a part that an earlier start left on disk. */
  found(header: SignedHeader, place: RingPlace): void;
  /** Highest `seq` begun, of all renditions; -1 for none. */
  edge(): number;
  /** Lowest `seq` that is kept. */
  floor(): number;
  count(): number;
  /** In memory. */
  bytes(): number;
}

interface Mutable {
  header: SignedHeader;
  chunks: Uint8Array[];
  complete: boolean;
  failed: boolean;
  /** Where it lies on disk, too; `never` when it will not. */
  place: RingPlace | 'never' | null;
  readonly waiting: Set<() => void>;
  wait(woken: () => void): () => void;
}

/** On disk only. */
interface Cold {
  readonly place: RingPlace;
}

const isCold = (one: Mutable | Cold): one is Cold => !('header' in one);

/** With a ring, memory holds what is about to be asked for, and no more, bytes. */
const hotBytes = 24 * 1024 * 1024;

/** @param options.parts how many `seq` are kept behind the newest */
export function createPartWindow(options: {
  readonly parts: number;
  readonly maxBytes?: number;
  readonly hotBytes?: number;
}): PartWindow {
  const maxBytes = options.maxBytes ?? limits.windowBytes;
  const mostHot = options.hotBytes ?? hotBytes;
  /** By `seq`, then rendition; in order of `seq` except for what came late. */
  const kept = new Map<number, Map<number, Mutable | Cold>>();
  /** Complete ones in memory, the oldest first. */
  let hot: Mutable[] = [];
  let ring: PartRing | null = null;
  let readHeader: (header: Uint8Array) => SignedHeader | null = () => null;
  let parts = options.parts;
  let edge = -1;
  let floor = 0;
  let bytes = 0;
  let count = 0;

  function wake(entry: Mutable): void {
    for (const woken of [...entry.waiting]) woken();
  }

  function dropBelow(limit: number): void {
    if (limit <= floor) return;
    // Numbers may jump: looked up one by one only where that is cheaper than going through all.
    const numbers = limit - floor < kept.size ? null : [...kept.keys()];
    const drop = (seq: number): void => {
      const all = kept.get(seq);
      if (!all) return;
      for (const entry of all.values()) {
        count -= 1;
        if (isCold(entry)) continue;
        bytes -= entry.header.length;
        if (!entry.complete) {
          entry.failed = true;
          wake(entry);
        }
      }
      kept.delete(seq);
    };
    if (numbers) for (const seq of numbers) if (seq < limit) drop(seq);
    if (!numbers) for (let seq = floor; seq < limit; seq++) drop(seq);
    floor = limit;
    ring?.forgetBelow(limit);
  }

  const isKept = (entry: Mutable): boolean =>
    kept.get(entry.header.seq)?.get(entry.header.rendition) === entry;

  /** What lies on disk leaves memory, the oldest first; whoever reads it still has it. */
  function cool(): void {
    let at = 0;
    for (; at < hot.length && bytes > mostHot; at++) {
      const entry = hot[at]!;
      // Its turn to be written comes; the others are younger.
      if (entry.place === null) break;
      if (entry.place === 'never' || !isKept(entry)) continue;
      kept.get(entry.header.seq)!.set(entry.header.rendition, { place: entry.place });
      bytes -= entry.header.length;
    }
    if (at > 0) hot = hot.slice(at);
  }

  function write(entry: Mutable): void {
    if (!ring) return;
    hot.push(entry);
    void ring.write(entry.header.seq, entry.header.bytes, entry.chunks).then((place) => {
      entry.place = place ?? 'never';
      cool();
    });
  }

  function put(seq: number, rendition: number, entry: Mutable | Cold): void {
    let all = kept.get(seq);
    if (!all) kept.set(seq, (all = new Map()));
    all.set(rendition, entry);
    count += 1;
  }

  function reach(seq: number): void {
    if (seq <= edge) return;
    edge = seq;
    dropBelow(edge - parts + 1);
  }

  /** An entry on disk, unless its file has gone. */
  function coldAt(rendition: number, seq: number): Cold | null {
    const entry = kept.get(seq)?.get(rendition);
    if (!entry || !isCold(entry)) return null;
    if (ring?.holds(entry.place)) return entry;
    const all = kept.get(seq)!;
    all.delete(rendition);
    if (all.size === 0) kept.delete(seq);
    count -= 1;
    return null;
  }

  async function read(rendition: number, seq: number, { place }: Cold): Promise<PartEntry | null> {
    const record = await ring?.read(place);
    let header: SignedHeader | null = null;
    try {
      header = record ? readHeader(record.header) : null;
    } catch {
      // Damaged so much that it is no header.
    }
    // A disk may be damaged: what is passed on must be what the source signed.
    if (!record || !header || header.seq !== seq || header.rendition !== rendition) return null;
    const { payload } = record;
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < payload.length; at += limits.chunkBytes)
      chunks.push(payload.subarray(at, at + limits.chunkBytes));
    const isWhole =
      chunks.length === header.chunks.length &&
      chunks.every((chunk, n) => Buffer.compare(sha256(chunk), header.chunks[n]!) === 0);
    return isWhole ? { header, chunks, complete: true, failed: false, wait: () => () => {} } : null;
  }

  return {
    get(rendition, seq) {
      const entry = kept.get(seq)?.get(rendition);
      return entry && !isCold(entry) ? entry : undefined;
    },
    has(rendition, seq) {
      const entry = kept.get(seq)?.get(rendition);
      if (!entry) return false;
      return isCold(entry) ? coldAt(rendition, seq) !== null : entry.complete;
    },
    async load(rendition, seq) {
      const entry = kept.get(seq)?.get(rendition);
      if (!entry) return null;
      if (!isCold(entry)) return entry;
      const cold = coldAt(rendition, seq);
      return cold && read(rendition, seq, cold);
    },
    begin(header) {
      const { seq, rendition } = header;
      if (seq < floor || kept.get(seq)?.has(rendition)) return null;
      reach(seq);
      const waiting = new Set<() => void>();
      const entry: Mutable = {
        header,
        chunks: [],
        complete: false,
        failed: false,
        place: null,
        waiting,
        wait(woken) {
          waiting.add(woken);
          return () => void waiting.delete(woken);
        },
      };
      put(seq, rendition, entry);
      // Counted as if all of it were here: nothing that is begun can grow beyond the bound.
      bytes += header.length;
      while (bytes > maxBytes && floor < edge) {
        let lowest = edge;
        for (const one of kept.keys()) if (one < lowest) lowest = one;
        dropBelow(lowest + 1);
      }
      return entry;
    },
    append(given, chunk) {
      const entry = given as Mutable;
      entry.chunks.push(chunk);
      entry.complete = entry.chunks.length === entry.header.chunks.length;
      if (entry.complete) write(entry);
      wake(entry);
    },
    fail(given) {
      const entry = given as Mutable;
      if (entry.complete || entry.failed) return;
      entry.failed = true;
      if (isKept(entry)) {
        const all = kept.get(entry.header.seq)!;
        all.delete(entry.header.rendition);
        if (all.size === 0) kept.delete(entry.header.seq);
        bytes -= entry.header.length;
        count -= 1;
      }
      wake(entry);
    },
    useRing(given, most, opened) {
      ring = given;
      readHeader = opened;
      // Holes are not listed: what lies before them is of no use any more.
      given.onDropped((last) => dropBelow(last + 1));
      parts = Math.max(parts, most);
      for (const all of kept.values())
        for (const entry of all.values()) if (!isCold(entry) && entry.complete) write(entry);
    },
    keep(most) {
      parts = Math.max(parts, most);
    },
    found(header, place) {
      const { seq, rendition } = header;
      if (seq < floor || kept.get(seq)?.has(rendition)) return;
      reach(seq);
      put(seq, rendition, { place });
    },
    edge: () => edge,
    floor: () => floor,
    count: () => count,
    bytes: () => bytes,
  };
}

/** The payload of a complete part. */
export function payloadOf(entry: PartEntry): Uint8Array {
  return entry.chunks.length === 1 ? entry.chunks[0]! : new Uint8Array(Buffer.concat(entry.chunks));
}
