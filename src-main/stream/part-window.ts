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

/** The parts that this node holds of a stream: those of the last seconds, and no more bytes than it may. */
export interface PartWindow {
  get(rendition: number, seq: number): PartEntry | undefined;
  /** A new entry to be filled; null when it is here or too old. */
  begin(header: SignedHeader): PartEntry | null;
  append(entry: PartEntry, chunk: Uint8Array): void;
  /** Forgets a part that will not be completed. */
  fail(entry: PartEntry): void;
  /** Highest `seq` begun, of all renditions; -1 for none. */
  edge(): number;
  /** Lowest `seq` that is kept. */
  floor(): number;
  count(): number;
  bytes(): number;
}

interface Mutable {
  header: SignedHeader;
  chunks: Uint8Array[];
  complete: boolean;
  failed: boolean;
  readonly waiting: Set<() => void>;
  wait(woken: () => void): () => void;
}

/** @param options.parts how many `seq` are kept behind the newest */
export function createPartWindow(options: {
  readonly parts: number;
  readonly maxBytes?: number;
}): PartWindow {
  const maxBytes = options.maxBytes ?? limits.windowBytes;
  /** By `seq`, then rendition; in order of `seq` except for what came late. */
  const kept = new Map<number, Map<number, Mutable>>();
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
        bytes -= entry.header.length;
        count -= 1;
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
  }

  return {
    get: (rendition, seq) => kept.get(seq)?.get(rendition),
    begin(header) {
      const { seq, rendition } = header;
      if (seq < floor || kept.get(seq)?.has(rendition)) return null;
      if (seq > edge) {
        edge = seq;
        dropBelow(edge - options.parts + 1);
      }
      const waiting = new Set<() => void>();
      const entry: Mutable = {
        header,
        chunks: [],
        complete: false,
        failed: false,
        waiting,
        wait(woken) {
          waiting.add(woken);
          return () => void waiting.delete(woken);
        },
      };
      let all = kept.get(seq);
      if (!all) kept.set(seq, (all = new Map()));
      all.set(rendition, entry);
      // Counted as if all of it were here: nothing that is begun can grow beyond the bound.
      bytes += header.length;
      count += 1;
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
      wake(entry);
    },
    fail(given) {
      const entry = given as Mutable;
      if (entry.complete || entry.failed) return;
      entry.failed = true;
      const all = kept.get(entry.header.seq);
      if (all?.get(entry.header.rendition) === entry) {
        all.delete(entry.header.rendition);
        if (all.size === 0) kept.delete(entry.header.seq);
        bytes -= entry.header.length;
        count -= 1;
      }
      wake(entry);
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
