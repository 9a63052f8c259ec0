import type { Drive } from '../../drive/index.ts';
import type { Collection, CollectionChange } from './collection.ts';

/** Changes in one item at most; what came meanwhile goes into the next. */
const mostChanges = 256;

/**
 * Changes of keys that begin with `prefix`, as they come, from a revision on (null: from now on); of a key that changed several times
 * meanwhile the last state. An empty first item says that the watch has begun.
 * @returns ends when the signal is aborted
 */
export async function* watchCollection(
  drive: Pick<Drive, 'on'>,
  collection: Pick<Collection, 'revision' | 'changedSince'>,
  { prefix, since }: { readonly prefix: string; readonly since: number | null },
  signal: AbortSignal,
): AsyncGenerator<{ readonly changes: readonly CollectionChange[]; readonly revision: number }> {
  let wake = (): void => {};
  let dirty = true;
  const off = drive.on('registers', () => {
    dirty = true;
    wake();
  });
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort);
  try {
    let at = since ?? collection.revision();
    yield { changes: [], revision: at };
    while (!signal.aborted) {
      if (!dirty) await new Promise<void>((resolve) => (wake = resolve));
      dirty = false;
      for (;;) {
        const { changes, revision } = collection.changedSince(at, mostChanges);
        if (changes.length === 0 || signal.aborted) break;
        at = revision;
        const wanted = changes.filter(({ key }) => key.startsWith(prefix));
        if (wanted.length > 0) yield { changes: wanted, revision };
      }
    }
  } finally {
    off();
    signal.removeEventListener('abort', onAbort);
  }
}
