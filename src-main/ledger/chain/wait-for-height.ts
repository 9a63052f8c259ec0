import { AppError } from '../../../src-shared/errors.ts';
import type { Chain } from './types.ts';

/** Resolves at the first `block` event of that height or a later one. */
export function waitForHeight(
  events: { on: Chain['on'] },
  current: () => number,
  height: number,
  signal: AbortSignal | undefined,
  stopped: AbortSignal,
): Promise<void> {
  if (current() >= height) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      off();
      reject(new AppError('cancelled', 'Waiting for a block was cancelled.'));
    };
    const off = events.on('block', (block) => {
      if (block.height < height) return;
      off();
      signal?.removeEventListener('abort', cancel);
      stopped.removeEventListener('abort', cancel);
      resolve();
    });
    if (signal?.aborted || stopped.aborted) return cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    stopped.addEventListener('abort', cancel, { once: true });
  });
}
