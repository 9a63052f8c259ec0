import type { Deed } from '../../../src-shared/contract/index.ts';
import { formatBytes, formatTable, formatTime } from './format.ts';
import type { Answer, AppClient } from './session.ts';

export const deeds = ['create', 'change', 'delete', 'move', 'restore'] as const;

export interface HistoryFilter {
  readonly user?: string | undefined;
  readonly device?: string | undefined;
  readonly op?: Deed['op'] | undefined;
  readonly limit: number;
}

/** What was done in a whole drive, newest first, `limit` at most. */
export async function driveHistory(
  drives: AppClient['drives'],
  drive: string,
  { user, device, op, limit }: HistoryFilter,
  signal: AbortSignal,
): Promise<Answer> {
  const value: Deed[] = [];
  let before: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof drives.history>> = await drives.history(
      {
        drive,
        before,
        limit: Math.min(200, limit - value.length),
        user: user ?? null,
        device: device ?? null,
        op: op ?? null,
      },
      { signal },
    );
    value.push(...page.items);
    before = page.next;
  } while (before !== null && value.length < limit);
  const rows = value.map((one) => [
    formatTime(one.time),
    one.op,
    one.op === 'create' || one.op === 'change' ? formatBytes(one.size) : '',
    one.from === null ? one.path : `${one.from} -> ${one.path}`,
    one.device,
    one.user ?? '',
  ]);
  const head = ['time', 'what', 'size', 'path', 'computer', 'user'];
  return { value, text: () => formatTable(head, rows, 'Nothing was done here yet.') };
}
