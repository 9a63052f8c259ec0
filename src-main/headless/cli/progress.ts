import type { DriveStatus } from '../../../src-shared/contract/index.ts';
import { formatBytes, formatRate, formatSeconds } from './format.ts';

export interface Progress {
  update(fraction: number, note: string): void;
  end(): void;
}

const width = 24;

/** A bar on a terminal, redrawn in place; nothing at all elsewhere, so that logs stay readable. */
export function createProgress(out: NodeJS.WriteStream): Progress {
  if (!out.isTTY) return { update() {}, end() {} };
  return {
    update(fraction, note) {
      const full = Math.round(Math.min(1, Math.max(0, fraction)) * width);
      const line = `[${'#'.repeat(full)}${'-'.repeat(width - full)}] ${note}`;
      out.write(`\r\x1b[2K${line.slice(0, (out.columns ?? 80) - 1)}`);
    },
    end: () => void out.write('\r\x1b[2K'),
  };
}

/** Says how far a drive is, with speed and time left worked out from what was seen before. */
export function createDriveMeter(
  now: () => number,
): (status: DriveStatus) => { fraction: number; note: string } {
  let first: { at: number; bytes: number } | null = null;
  return (status) => {
    first ??= { at: now(), bytes: status.pendingBytes };
    const fetched = Math.max(0, first.bytes - status.pendingBytes);
    const seconds = (now() - first.at) / 1000;
    const rate = seconds > 0.5 ? fetched / seconds : 0;
    const pending = status.pendingUp + status.pendingDown;
    const left = rate > 0 ? `, ${formatSeconds(status.pendingBytes / rate)} left` : '';
    const bytes =
      status.pendingBytes > 0 ? `, ${formatBytes(status.pendingBytes)} at ${formatRate(rate)}${left}` : '';
    const fraction = first.bytes > 0 ? fetched / first.bytes : status.state === 'in_step' ? 1 : 0;
    return { fraction, note: `${status.state.replace('_', ' ')}: ${pending} changes${bytes}` };
  };
}
