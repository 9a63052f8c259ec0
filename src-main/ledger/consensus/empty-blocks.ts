import type { ConsensusParams } from './types.ts';

/** The interval doubles once in so many empty blocks. */
const step = 10;

/**
 * How long a validator waits with an empty block. A chain that was just used, or has just begun, makes some at its usual pace, so
 * that who waits for a block need not wait long; one that nobody uses makes them ever more rarely.
 * @param quiet empty blocks in a row up to now
 * @returns ms from the beginning of the height
 */
export function emptyBlockWait(
  { blockInterval, emptyBlockInterval, eagerBlocks }: ConsensusParams,
  quiet: number,
): number {
  if (eagerBlocks === 0) return emptyBlockInterval;
  if (quiet < eagerBlocks) return Math.min(blockInterval, emptyBlockInterval);
  const doublings = Math.floor((quiet - eagerBlocks) / step) + 1;
  return Math.min(emptyBlockInterval, blockInterval * 2 ** doublings);
}
