import type { BlockSource, Rebuild } from '../exchange/index.ts';

/** What `source` has, and what it has not from what is kept of the drive for others. */
export function withKept(source: BlockSource, kept: BlockSource): BlockSource {
  return {
    ...source,
    async read(ids) {
      const found = [...(await source.read(ids))];
      const missing = ids.flatMap((_, i) => (found[i] === null ? [i] : []));
      if (missing.length === 0) return found;
      const more = await kept.read(missing.map((i) => ids[i]!));
      missing.forEach((i, n) => (found[i] = more[n] ?? null));
      return found;
    },
  };
}

/** Blocks that nobody else has may be among what is kept here for others. */
export function keptFirst(kept: BlockSource, rebuild: Rebuild | null): Rebuild {
  return async (id, fetch, signal) =>
    (await kept.read([id]))[0] ?? (await rebuild?.(id, fetch, signal)) ?? null;
}
