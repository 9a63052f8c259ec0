import type { DriveStatus } from '../../../src-shared/contract/index.ts';
import type { Shown } from './use-folder.ts';

export const choices: readonly Shown[] = ['all', 'moving', 'attention'];

/** How many entries of the whole drive each choice would show; 0 for all: that number stands below the list. */
export function countsOf(status: DriveStatus | null): Readonly<Record<Shown, number>> {
  return {
    all: 0,
    moving: (status?.pendingDown ?? 0) + (status?.pendingUp ?? 0),
    attention: (status?.conflicts ?? 0) + (status?.problems.length ?? 0),
  };
}
