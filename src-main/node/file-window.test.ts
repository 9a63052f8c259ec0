import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DriveTree } from '../drive/index.ts';
import { createFolderOrders, naturalKey } from './file-window.ts';
import type { SortKey } from './file-window.ts';

interface Entry {
  readonly name: string;
  readonly kind: 'dir' | 'file';
  readonly size: number;
  readonly mtime: number;
}

/** A folder by code units, as a drive hands it out; counts its readings. */
function folderOf(entries: readonly Entry[]) {
  const seen = { pages: 0, revision: 1 };
  const sorted = entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const page = ({ after = '', limit = -1 } = {}) => {
    seen.pages += 1;
    const rest = sorted.filter((entry) => entry.name > after);
    return limit < 0 ? rest : rest.slice(0, limit);
  };
  const tree = {
    revision: () => seen.revision,
    listing: (_: string, options?: object) => page(options),
    children: (_: string, options?: object) =>
      page(options).map((entry) => ({
        ...entry,
        content: entry.kind === 'file' ? { kind: 'file', size: entry.size, mtime: entry.mtime } : null,
      })),
  } as unknown as DriveTree;
  return { tree, seen };
}

const view = (sort: SortKey, descending = false) => ({ driveId: 'd', folder: 'f', sort, descending });
const never = new AbortController().signal;
const file = (name: string, size = 0, mtime = 0): Entry => ({ name, kind: 'file', size, mtime });

describe('the order of a folder', () => {
  it('is the one people expect: folders first, no case, no accents, numbers by value', async () => {
    const { tree } = folderOf([
      file('b10'),
      file('B9'),
      file('b009'),
      file('Äpfel'),
      file('apfel 2'),
      { ...file('zoo'), kind: 'dir' },
    ]);
    const { names } = await createFolderOrders().get(tree, view('name'), never);
    expect(names).toEqual(['zoo', 'Äpfel', 'apfel 2', 'B9', 'b009', 'b10']);
  });

  it('goes by size and by time, either way', async () => {
    const { tree } = folderOf([file('a', 3, 1), file('b', 1, 3), file('c', 2, 2)]);
    const orders = createFolderOrders();
    expect((await orders.get(tree, view('size'), never)).names).toEqual(['b', 'c', 'a']);
    expect((await orders.get(tree, view('size', true), never)).names).toEqual(['a', 'c', 'b']);
    expect((await orders.get(tree, view('changed', true), never)).names).toEqual(['b', 'c', 'a']);
  });

  it('is read once, until the tree changes', async () => {
    const { tree, seen } = folderOf(Array.from({ length: 12_345 }, (_, n) => file(`file ${n}`)));
    const orders = createFolderOrders();
    const [first, second] = await Promise.all([
      orders.get(tree, view('name'), never),
      orders.get(tree, view('name'), never),
    ]);
    expect(second).toBe(first);
    expect(first.names).toHaveLength(12_345);
    expect(first.names[10_000]).toBe('file 10000');
    const pages = seen.pages;
    await orders.get(tree, view('name'), never);
    expect(seen.pages).toBe(pages);
    seen.revision += 1;
    await orders.get(tree, view('name'), never);
    expect(seen.pages).toBeGreaterThan(pages);
  });

  it('holds every entry once, whatever the names', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.string({ minLength: 1, unit: 'grapheme' }), { maxLength: 60 }),
        fc.constantFrom<SortKey>('name', 'size', 'changed'),
        fc.boolean(),
        async (names, sort, descending) => {
          const { tree } = folderOf(names.map((name, n) => file(name, n % 7, n % 5)));
          const order = await createFolderOrders().get(tree, view(sort, descending), never);
          expect(order.names.toSorted()).toEqual(names.toSorted());
          expect(order.lower()).toEqual(order.names.map((name) => name.toLowerCase()));
        },
      ),
      { seed: 7, numRuns: 200 },
    );
  });

  it('orders numbers by value however long they are', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (a, b) => {
        const [x, y] = [naturalKey(`n${a}`), naturalKey(`n${b}`)];
        expect(Math.sign(x < y ? -1 : x > y ? 1 : 0)).toBe(Math.sign(a - b));
      }),
      { seed: 7 },
    );
  });
});
