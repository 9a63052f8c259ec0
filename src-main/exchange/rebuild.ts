import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { FetchRequest, PlainFetch, Rebuild } from './types.ts';

/** Blocks computed at once: each holds all the others of its stripe in memory. */
const rebuiltAtOnce = 2;

/**
 * Fetches blocks; those that nobody reachable has are computed from others where that is possible.
 * @throws what the fetch throws: `gone` names those only that could not be computed either
 */
export async function fetchOrRebuild(
  fetch: PlainFetch,
  rebuild: Rebuild | undefined,
  requests: readonly FetchRequest[],
  signal: AbortSignal,
): Promise<void> {
  try {
    return await fetch(requests, signal);
  } catch (error) {
    if (!rebuild || !isAppError(error, 'gone')) throw error;
    const gone = new Set(error.details?.['ids'] as readonly string[]);
    const missing = requests.filter(({ ref }) => gone.has(hex(ref.id)));
    const left: string[] = [];
    const queue = missing.values();
    const work = async (): Promise<void> => {
      for (const request of queue) {
        if (!(await rebuildOne(fetch, rebuild, request, signal))) left.push(hex(request.ref.id));
      }
    };
    await Promise.all(Array.from({ length: rebuiltAtOnce }, work));
    if (left.length > 0) {
      throw new AppError('gone', error.message, { cause: error, details: { ids: [...new Set(left)] } });
    }
  }
}

async function rebuildOne(
  fetch: PlainFetch,
  rebuild: Rebuild,
  { ref, accept }: FetchRequest,
  signal: AbortSignal,
): Promise<boolean> {
  const bytes = await rebuild(ref.id, fetch, signal);
  signal.throwIfAborted();
  if (bytes === null) return false;
  try {
    await accept(bytes);
    return true;
  } catch (error) {
    // Somebody told of a stripe that is none.
    if (isAppError(error, 'bad_hash')) return false;
    throw error;
  }
}

const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex');
