import { setImmediate } from 'node:timers/promises';
import { isAppError } from '../../../src-shared/errors.ts';
import { appsView, type AppView, type LedgerView } from '../../ledger/index.ts';
import type { OpenChain } from '../ledger/chains.ts';

type Row = Parameters<Parameters<typeof appsView>[1]>[0];

/** Ids are hashes: their first bytes part them into equal slices. */
const slices = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));

/**
 * Looks through the whole register, however long it is, a slice at a time, so that nothing else waits for it. A light node takes the
 * register as one list while that is short enough, and asks for slices when it is not.
 * @param wanted which apps; `show` makes what is answered of each
 */
export async function* searchApps<T>(
  { reader, ledger }: Pick<OpenChain, 'reader' | 'ledger'>,
  wanted: (row: Row) => boolean,
  show: (view: LedgerView, app: AppView) => T | null,
): AsyncGenerator<readonly T[]> {
  const slice = (prefix: string): Promise<readonly T[]> =>
    reader.read(
      (view) => appsView(view.state, wanted, prefix).flatMap((app) => show(view, app) ?? []),
      prefix === '' ? 'apps' : `apps ${prefix.charCodeAt(0)}`,
    );
  if (!ledger) {
    try {
      yield await slice('');
      return;
    } catch (error) {
      if (!isAppError(error, 'too_large')) throw error;
    }
  }
  for (const prefix of slices) {
    yield await slice(prefix);
    await setImmediate();
  }
}
