/** Buffers that are used again: fresh megabytes cost page faults, and garbage outside the heap is collected late. */
export interface MemoryPool {
  /** At least `bytes` long; contents irrelevant. */
  take(bytes: number): Uint8Array;
  give(memory: Uint8Array): void;
}

/** @param limit bytes kept for later at most */
export function createMemoryPool(limit: number): MemoryPool {
  const free: Uint8Array[] = [];
  let kept = 0;
  return {
    take(bytes) {
      const index = free.findLastIndex((memory) => memory.length >= bytes);
      if (index >= 0) {
        const [memory] = free.splice(index, 1);
        kept -= memory!.length;
        return memory!;
      }
      return Buffer.allocUnsafeSlow(Math.max(256 * 1024, bytes));
    },
    give(memory) {
      if (kept + memory.length > limit) return;
      kept += memory.length;
      free.push(memory);
    },
  };
}
