/** Those who wait until something has changed, and then look again. */
export interface Waiters {
  /** Something changed: all of them look. */
  wake(): void;
  /** Resolves at the next change, or when the signal is aborted. */
  next(signal?: AbortSignal): Promise<void>;
}

export function createWaiters(): Waiters {
  const waiting = new Set<() => void>();
  return {
    wake() {
      for (const woken of [...waiting]) woken();
    },
    next(signal) {
      if (signal?.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const woken = (): void => {
          waiting.delete(woken);
          signal?.removeEventListener('abort', woken);
          resolve();
        };
        waiting.add(woken);
        signal?.addEventListener('abort', woken);
      });
    },
  };
}
