import { AppError } from '../../../src-shared/errors.ts';

/** Something with a known length that can be read at any place: an open file, bytes in memory. */
export interface ByteSource {
  /** Bytes. */
  readonly size: number;
  /** Reads into `target` from `position` (bytes); fewer than `target.length` only at the end. Returns the count. */
  read(target: Uint8Array, position: number): Promise<number> | number;
}

/** Read-ahead unit, bytes. */
export const windowChunk = 1024 * 1024;

/** A stretch of a source in memory that moves forward once over the whole of it. */
export interface ByteWindow {
  /** Absolute end of what is in memory. */
  end(): number;
  /** A view of `[from, from + length)`, valid until the next `fill`; both must lie in memory. */
  view(from: number, length: number): Uint8Array;
  /** The memory itself, and the absolute position of its first byte; valid until the next `fill`. */
  raw(): { readonly bytes: Uint8Array; readonly base: number };
  /** Nothing before `position` is needed any more. */
  keep(position: number): void;
  /**
   * Reads until `upTo` (absolute, capped at the size) is in memory, and starts reading ahead.
   * Throws `changed_while_reading` when the source ends early.
   */
  fill(upTo: number): Promise<void>;
  /** Waits for a read under way, so that the memory can be given back. */
  settle(): Promise<void>;
}

/**
 * @param memory must hold the longest stretch kept plus `windowChunk`, or the whole source
 * @param onBytes sees each byte once, in order, as it arrives
 */
export function createByteWindow(
  source: ByteSource,
  memory: Uint8Array,
  onBytes: (bytes: Uint8Array) => void,
): ByteWindow {
  let base = 0;
  let end = 0;
  let kept = 0;
  let reading: Promise<number> | number | null = null;
  let asked = 0;

  function startRead(): void {
    const at = end - base;
    asked = Math.min(windowChunk, memory.length - at, source.size - end);
    if (asked <= 0) return;
    const started = source.read(memory.subarray(at, at + asked), end);
    // A failure is reported by the `fill` that waits for these bytes, which may come much later or never.
    if (typeof started !== 'number') started.catch(() => {});
    reading = started;
  }

  function compact(): void {
    memory.copyWithin(0, kept - base, end - base);
    base = kept;
  }

  return {
    end: () => end,
    view: (from, length) => memory.subarray(from - base, from - base + length),
    raw: () => ({ bytes: memory, base }),
    keep(position) {
      kept = position;
    },
    async fill(upTo) {
      const target = Math.min(upTo, source.size);
      while (end < target) {
        if (reading === null) {
          if (memory.length - (end - base) < Math.min(windowChunk, source.size - end)) compact();
          startRead();
        }
        const count: number = reading === null ? 0 : await reading;
        reading = null;
        if (count < asked || asked <= 0) {
          throw new AppError('changed_while_reading', 'The file became shorter while it was being read.');
        }
        onBytes(memory.subarray(end - base, end - base + count));
        end += count;
      }
      const room = memory.length - (end - base);
      if (reading === null && end < source.size && room >= windowChunk) startRead();
    },
    async settle() {
      try {
        await reading;
      } catch {
        // Whoever needed those bytes has been told; here only the memory matters.
      }
    },
  };
}
