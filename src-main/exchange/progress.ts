import type { Clock } from '../../src-shared/runtime.ts';
import type { EntryId } from '../history/index.ts';

/** Running totals per drive, told at most four times a second. */
export interface Progress {
  received(drive: EntryId, bytes: number): void;
  sent(drive: EntryId, bytes: number): void;
  forget(drive: EntryId): void;
  stop(): void;
}

const everyMs = 250;

export function createProgress(
  clock: Clock,
  tell: (totals: { driveId: EntryId; received: number; sent: number }) => void,
): Progress {
  const totals = new Map<EntryId, { received: number; sent: number; told: boolean }>();
  let cancel: (() => void) | null = null;

  function of(drive: EntryId): { received: number; sent: number; told: boolean } {
    let total = totals.get(drive);
    if (!total) totals.set(drive, (total = { received: 0, sent: 0, told: true }));
    total.told = false;
    cancel ??= clock.after(everyMs, () => {
      cancel = null;
      for (const [driveId, each] of totals) {
        if (each.told) continue;
        each.told = true;
        tell({ driveId, received: each.received, sent: each.sent });
      }
    });
    return total;
  }

  return {
    received(drive, bytes) {
      of(drive).received += bytes;
    },
    sent(drive, bytes) {
      of(drive).sent += bytes;
    },
    forget: (drive) => void totals.delete(drive),
    stop() {
      cancel?.();
      cancel = null;
    },
  };
}
