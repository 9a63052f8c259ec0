import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DriveTree, NodeId } from '../drive/index.ts';

export type SortKey = 'name' | 'size' | 'changed';

/** How a folder is looked at. */
export interface FolderView {
  readonly driveId: string;
  readonly folder: NodeId;
  readonly sort: SortKey;
  readonly descending: boolean;
}

/** One folder in one order, in as little memory as will do. */
export interface FolderOrder {
  readonly names: readonly string[];
  /** The same in lower case, made when first asked for. */
  lower(): readonly string[];
}

export interface FolderOrders {
  /** The order of a folder as it is now. */
  get(tree: DriveTree, view: FolderView, signal: AbortSignal): Promise<FolderOrder>;
}

/** Entries read or compared before other work gets its turn: 1-2 ms. */
const slice = 500;
/** Folders kept in order, the last used ones. */
const kept = 8;

interface Item {
  readonly name: string;
  readonly dir: boolean;
  readonly key: string | number;
}

/**
 * Puts folders in order for lists that show a part of them. A folder of 100,000 entries is ordered once and then only
 * again when the drive's tree changed; reading and sorting give way to other work every few milliseconds.
 */
export function createFolderOrders(): FolderOrders {
  const cache = new Map<string, { readonly revision: number; readonly order: Promise<FolderOrder> }>();

  async function make(tree: DriveTree, view: FolderView, signal: AbortSignal): Promise<FolderOrder> {
    const items: Item[] = [];
    for (let after: string | null = ''; after !== null;) {
      const page: readonly Item[] = read(tree, view, after);
      items.push(...page);
      after = page.length === slice ? page.at(-1)!.name : null;
      if (after !== null) await nextTurn();
      signal.throwIfAborted();
    }
    const sorted = await sortInTurns(items, compareBy(view.descending));
    const names = sorted.map((item) => item.name);
    let lower: readonly string[] | null = null;
    return { names, lower: () => (lower ??= names.map((name) => name.toLowerCase())) };
  }

  return {
    async get(tree, view, signal) {
      const key = `${view.driveId}/${view.folder}/${view.sort}/${String(view.descending)}`;
      const revision = tree.revision();
      const found = cache.get(key);
      cache.delete(key);
      if (found?.revision === revision) {
        cache.set(key, found);
        return found.order;
      }
      const order = make(tree, view, new AbortController().signal);
      cache.set(key, { revision, order });
      order.catch(() => cache.delete(key));
      if (cache.size > kept) cache.delete(cache.keys().next().value!);
      signal.throwIfAborted();
      return order;
    },
  };
}

function read(tree: DriveTree, { folder, sort }: FolderView, after: string): Item[] {
  if (sort !== 'changed') {
    return tree.listing(folder, { after, limit: slice }).map(({ name, kind, size }) => {
      return { name, dir: kind === 'dir', key: sort === 'name' ? naturalKey(name) : size };
    });
  }
  return tree.children(folder, { after, limit: slice }).map(({ name, kind, content }) => ({
    name,
    dir: kind === 'dir',
    key: content?.kind === 'file' ? content.mtime : -1,
  }));
}

const zero = 48;
const nine = 57;

/** A text whose plain order is the order people expect: no case, no accents, numbers by value. */
export function naturalKey(name: string): string {
  let text = name.toLowerCase();
  let key = '';
  let copied = 0;
  // By hand: an expression with a function for each number costs five times as much, and a folder may have 100,000 names.
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code > 126) {
      // Once only: what is left has no more marks to take away, and what went before had none.
      const bare = text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
      if (bare !== text) [text, key, copied, at] = [bare, '', 0, -1];
      continue;
    }
    if (code < zero || code > nine) continue;
    let end = at + 1;
    while (end < text.length && text.charCodeAt(end) >= zero && text.charCodeAt(end) <= nine) end += 1;
    let start = at;
    while (start < end - 1 && text.charCodeAt(start) === zero) start += 1;
    const digits = end - start;
    // Its length first: one character up to nine digits, two beyond.
    key += text.slice(copied, at) + String.fromCharCode(zero + Math.min(digits, 10));
    if (digits > 9) key += String.fromCharCode(256 + Math.min(digits, 255));
    key += text.slice(start, end);
    copied = end;
    at = end - 1;
  }
  return copied === 0 ? text : key + text.slice(copied);
}

const compareBy =
  (descending: boolean) =>
  (a: Item, b: Item): number => {
    if (a.dir !== b.dir) return a.dir ? -1 : 1;
    const by = a.key < b.key ? -1 : a.key > b.key ? 1 : a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
    return descending ? -by : by;
  };

/** A stable merge sort that gives way to other work. */
async function sortInTurns<T>(items: readonly T[], compare: (a: T, b: T) => number): Promise<T[]> {
  const run = 4096;
  let runs: T[][] = [];
  for (let at = 0; at < items.length; at += run) {
    runs.push(items.slice(at, at + run).sort(compare));
    if (at + run < items.length) await nextTurn();
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let i = 0; i < runs.length; i += 2)
      merged.push(runs[i + 1] ? await merge(runs[i]!, runs[i + 1]!, compare) : runs[i]!);
    runs = merged;
  }
  return runs[0] ?? [];
}

async function merge<T>(a: readonly T[], b: readonly T[], compare: (a: T, b: T) => number): Promise<T[]> {
  const out: T[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (j >= b.length || (i < a.length && compare(a[i]!, b[j]!) <= 0)) out.push(a[i++]!);
    else out.push(b[j++]!);
    if (out.length % 16_384 === 0) await nextTurn();
  }
  return out;
}
