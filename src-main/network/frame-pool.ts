/**
 * Memory of large frames, used again once a frame was given back: fresh megabytes cost page faults, and the collector of
 * the main thread runs all the time when it has to find them free. It is shared memory, so that worker threads read a
 * frame where it lies.
 */
export interface FramePool {
  /** `length` bytes, contents irrelevant. */
  take(length: number): Uint8Array;
  /** Nobody reads the frame any more. Anything that is not out of this pool, or came back before, is left alone. */
  give(frame: Uint8Array): void;
}

/** Sizes are rounded up to these, bytes, so that frames of about one size use the same memory. */
const step = 256 * 1024;

/** @param limit bytes kept for later at most */
export function createFramePool(limit: number): FramePool {
  const free: SharedArrayBuffer[] = [];
  const lent = new WeakSet<ArrayBufferLike>();
  let kept = 0;
  return {
    take(length) {
      const index = free.findLastIndex((memory) => memory.byteLength >= length);
      const memory = free.splice(index, index < 0 ? 0 : 1)[0];
      if (memory) kept -= memory.byteLength;
      const lending = memory ?? new SharedArrayBuffer(Math.ceil(length / step) * step);
      lent.add(lending);
      return Buffer.from(lending, 0, length);
    },
    give({ buffer }) {
      if (!(buffer instanceof SharedArrayBuffer) || !lent.delete(buffer)) return;
      if (kept + buffer.byteLength > limit) return;
      kept += buffer.byteLength;
      free.push(buffer);
    },
  };
}
