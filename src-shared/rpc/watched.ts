import { AppError } from '../errors.ts';

/** Items of a watched object, as `watched()` of the contract declares them. */
export type WatchedItem<T> =
  | { readonly kind: 'snapshot'; readonly n: number; readonly value: T }
  | {
      readonly kind: 'patch';
      readonly n: number;
      readonly value: { readonly [K in keyof T]?: T[K] | undefined };
    };

/** Items of a watched list, as `watchedList()` declares them. */
export type WatchedListItem<T> =
  | { readonly kind: 'snapshot'; readonly n: number; readonly items: T[] }
  | {
      readonly kind: 'patch';
      readonly n: number;
      readonly put: T[];
      readonly remove: string[];
    };

function gap(): never {
  throw new AppError(
    'protocol_violation',
    'A change of the watched state was missed; ask again for a snapshot.',
  );
}

/** Puts snapshot and patches together. The returned function throws `protocol_violation` on a gap: subscribe anew. */
export function foldWatched<T extends object>(): (item: WatchedItem<T>) => T {
  let value: T | null = null;
  let next = 0;
  return (item) => {
    if (item.kind === 'snapshot') value = item.value;
    else if (value === null || item.n !== next) gap();
    else value = { ...value, ...item.value };
    next = item.n + 1;
    return value;
  };
}

/** The same for a list, kept in the order in which keys first came. */
export function foldWatchedList<T>(key: (item: T) => string): (item: WatchedListItem<T>) => readonly T[] {
  let items: Map<string, T> | null = null;
  let next = 0;
  return (item) => {
    if (item.kind === 'snapshot') items = new Map(item.items.map((one) => [key(one), one]));
    else if (items === null || item.n !== next) gap();
    else {
      for (const gone of item.remove) items.delete(gone);
      for (const one of item.put) items.set(key(one), one);
    }
    next = item.n + 1;
    return [...items.values()];
  };
}

/** The fields of `now` that differ from `before`; null when none does. Values are plain JSON. */
export function diffWatched<T extends object>(before: T, now: T): Partial<T> | null {
  const patch: Partial<T> = {};
  let differs = false;
  for (const name of Object.keys(now) as (keyof T)[]) {
    if (before[name] === now[name] || JSON.stringify(before[name]) === JSON.stringify(now[name])) continue;
    patch[name] = now[name];
    differs = true;
  }
  return differs ? patch : null;
}

/** What makes `now` of `before`; null when nothing differs. */
export function diffWatchedList<T>(
  before: readonly T[],
  now: readonly T[],
  key: (item: T) => string,
): { put: T[]; remove: string[] } | null {
  const old = new Map(before.map((item) => [key(item), item]));
  const put: T[] = [];
  for (const item of now) {
    const known = old.get(key(item));
    old.delete(key(item));
    if (known === undefined || JSON.stringify(known) !== JSON.stringify(item)) put.push(item);
  }
  const remove = [...old.keys()];
  return put.length > 0 || remove.length > 0 ? { put, remove } : null;
}
