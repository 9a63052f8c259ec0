import type { Role } from '../../ledger/index.ts';
import type { ChainRecord } from './chain-records.ts';

/** Of the bound: a ledger that took less than this when it was given up is checked whole again. */
const backBelow = 0.75;

/** What the role of a chain is judged by. */
export interface SizeFacts {
  /** What it takes of the disk; null on a light node. */
  readonly bytes: number | null;
  /** The most it may take before this computer becomes light; null: whatever it takes. */
  readonly bound: number | null;
  /** In step with others who follow it, so that nothing is lost with what is kept here. */
  readonly inStep: boolean;
  /** Something here works with the whole state: light nodes see lists in part. */
  readonly needed: boolean;
}

/**
 * The role that a chain whose role nobody chose should have now; null: the one it has. A full one gives way once it takes more than
 * the bound. It comes back by itself only when the bound was raised well above what it took then, so that it does not go to and fro.
 */
export function roleBySize(
  { role, auto, lightened }: Pick<ChainRecord, 'role' | 'auto' | 'lightened'>,
  { bytes, bound, inStep, needed }: SizeFacts,
): Role | null {
  if (!auto) return null;
  if (role === 'light') {
    const fits = lightened !== null && (bound === null || lightened.bytes <= bound * backBelow);
    return fits || needed ? 'full' : null;
  }
  if (role !== 'full' || needed || !inStep) return null;
  return bytes !== null && bound !== null && bytes > bound ? 'light' : null;
}
