import { onScopeDispose, watch } from 'vue';
import type { WatchSource } from 'vue';

/** How soon what the node refused is asked for again, ms. */
const retryAfter = 2000;

/**
 * Keeps a watch going while `source` has a value, and starts it anew when the value changes or the node refused it.
 * Ends with the scope it was made in.
 */
export function follow<T>(
  source: WatchSource<T | null | undefined | false>,
  start: (value: T, failed: (error: unknown) => void) => () => void,
  onFailure: (error: unknown) => void = () => {},
): void {
  let end = () => {};
  let timer = 0;
  function begin(value: T) {
    end = start(value, (error) => {
      onFailure(error);
      timer = window.setTimeout(() => begin(value), retryAfter);
    });
  }
  const stop = () => {
    clearTimeout(timer);
    end();
    end = () => {};
  };
  watch(
    source,
    (value) => {
      stop();
      if (value !== null && value !== undefined && value !== false) begin(value as T);
    },
    { immediate: true },
  );
  onScopeDispose(stop);
}
