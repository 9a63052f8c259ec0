import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrate, openDatabase } from '../store/index.ts';
import type { Database } from '../store/index.ts';
import { entryId } from '../history/index.ts';
import { sha256 } from './codec/bytes.ts';
import { contentFromWire } from './codec/content.ts';
import { decodeOp, encodeOp } from './codec/ops.ts';
import { text } from './test-support/people.ts';
import { createDrafts } from './tree/drafts.ts';
import { createTreeReader } from './tree/reader.ts';
import { treeMigrations } from './tree/schema.ts';
import { createTreeStore } from './tree/store.ts';
import type { TreeDraft } from './tree/drafts.ts';
import type { TreeNode } from './types.ts';
import { rootNode } from './types.ts';

interface FakeEntry {
  readonly hash: Uint8Array;
  readonly lamport: number;
  readonly ops: readonly Uint8Array[];
  readonly past: ReadonlySet<FakeEntry>;
}

let databases: Database[] = [];
const opened: Database[] = [];
beforeAll(() => {
  databases = [];
});
afterAll(() => opened.forEach((db) => db.close()));

/** A replica of the tree without history or keys: entries are handed from one to another. */
function replica() {
  const db = databases.pop() ?? openDatabase(':memory:');
  if (!opened.includes(db)) {
    opened.push(db);
    migrate(db, 'tree', treeMigrations);
  }
  for (const table of [
    'loc',
    'put',
    'sup',
    'cov',
    'del',
    'content',
    'adopt',
    'item',
    'gone',
    'meta',
    'mount',
    'sum',
  ]) {
    db.exec(`DELETE FROM tree_${table}`);
  }
  const known = new Set<FakeEntry>();
  const store = createTreeStore(
    db,
    (ord) => ({ time: ord[40] ?? 0, device: `D${(ord[10] ?? 0) % 2}` }),
    1000,
  );
  const reader = createTreeReader(db, store);
  const drafts = createDrafts(db, store);

  function apply(entry: FakeEntry, undo = false): boolean {
    if (undo) known.delete(entry);
    else known.add(entry);
    const ops = entry.ops.map((bytes, index) => ({ index, op: decodeOp(bytes) }));
    return db.transaction(() => store.apply(entry, ops, undo))();
  }
  function write(drafted: TreeDraft, salt: string): FakeEntry | null {
    let ops: readonly Uint8Array[];
    try {
      ops = drafts.translate(drafted, new Set()).ops.map(encodeOp);
    } catch {
      return null; // What a person could not ask for in this state.
    }
    const lamport = 1 + Math.max(0, ...[...known].map((entry) => entry.lamport));
    const entry = { hash: sha256(salt, ...ops), lamport, ops, past: new Set(known) };
    apply(entry);
    return entry;
  }
  const nodes = (): TreeNode[] => {
    const all: TreeNode[] = [];
    const walk = (id: string): void => {
      for (const child of reader.whole.children(id)) {
        all.push(child);
        if (child.kind === 'dir') walk(child.id);
      }
    };
    walk(rootNode);
    return all;
  };
  const view = (): string[] =>
    nodes()
      .map((node) => {
        const inline = node.content?.kind === 'file' ? Buffer.from(node.content.inline ?? []).toString() : '';
        const shown = reader.tree.path(node.id);
        return [
          reader.whole.path(node.id),
          shown === null ? 'hidden' : 'shown',
          node.kind,
          node.id,
          node.version,
          node.conflictOf,
          node.mount,
          inline,
        ].join(' | ');
      })
      .sort();
  return { db, known, store, reader, apply, write, nodes, view, close: () => databases.push(db) };
}
type Replica = ReturnType<typeof replica>;

const names = ['a', 'b', 'c.txt'];
const fresh = (n: number): string =>
  sha256('node', String(n))
    .reduce((s, b) => s + b.toString(16).padStart(2, '0'), '')
    .slice(0, 32);

type Step = { who: number; kind: number; a: number; b: number; name: number; text: number };
const stepArb: fc.Arbitrary<Step> = fc.record({
  who: fc.nat(2),
  kind: fc.nat(9),
  a: fc.nat(7),
  b: fc.nat(7),
  name: fc.nat(names.length - 1),
  text: fc.nat(3),
});

let counter = 0;
/** Lets a replica do something a person could do with what it sees. */
function act(at: Replica, step: Step, n: number): FakeEntry | null {
  const nodes = at.nodes();
  const dirs = [rootNode, ...nodes.filter((node) => node.kind === 'dir').map((node) => node.id)];
  const parent = dirs[step.a % dirs.length] as string;
  const name = names[step.name] as string;
  const some = nodes[step.b % Math.max(1, nodes.length)];
  const salt = `${n}/${step.who}`;
  if (step.kind <= 1 || !some) {
    const kind = step.kind === 0 ? 'dir' : 'file';
    const content = kind === 'dir' ? null : text(`t${step.text}`);
    return at.write({ t: 'make', node: fresh(n), kind, parent, name, content }, salt);
  }
  if (step.kind === 9) {
    const copies = nodes.filter((node) => node.conflictOf !== null);
    const copy = copies[step.b % Math.max(1, copies.length)];
    const keep = step.a % 2 === 0 ? 'copy' : 'original';
    return copy ? at.write({ t: 'settle', node: copy.id, keep }, salt) : null;
  }
  if (step.kind <= 3) return at.write({ t: 'move', node: some.id, parent, name }, salt);
  if (step.kind <= 5 && some.kind !== 'dir') {
    return at.write({ t: 'put', node: some.id, base: [some.version], content: text(`t${step.text}`) }, salt);
  }
  if (step.kind >= 7 && some.kind === 'dir') {
    const drive = step.text === 0 ? null : entryId(sha256('drive', String(step.text)));
    return at.write({ t: 'mount', node: some.id, drive }, salt);
  }
  return at.write({ t: 'del', node: some.id, base: some.kind === 'dir' ? [] : [some.version] }, salt);
}

function checkInvariants(at: Replica): void {
  const byParent = new Map<string, Set<string>>();
  for (const node of at.nodes()) {
    expect(at.reader.whole.path(node.id)).not.toBeNull();
    const above = node.parent === rootNode ? null : at.reader.whole.get(node.parent);
    const hidden = above !== null && (above.mount !== null || at.reader.tree.get(above.id) === null);
    expect(at.reader.tree.get(node.id) === null).toBe(hidden);
    const siblings = byParent.get(node.parent) ?? new Set();
    expect(siblings.has(node.name)).toBe(false);
    siblings.add(node.name);
    byParent.set(node.parent, siblings);
  }
  // No content is lost: every head no delete has seen is shown, or merged with an equal one.
  const rows = at.db.prepare('SELECT DISTINCT node, ord, ckey FROM tree_puts').all() as {
    node: Uint8Array;
    ord: Uint8Array;
    ckey: Uint8Array;
  }[];
  const shown = new Set(
    at
      .nodes()
      .flatMap((node) =>
        node.content?.kind === 'file' ? [Buffer.from(node.content.hash).toString('hex')] : [],
      ),
  );
  for (const row of rows) {
    const open = at.store.operations.heads(row.node).filter((head) => !head.covered);
    for (const head of open) expect(shown).toContain(Buffer.from(head.put.ckey.subarray(1)).toString('hex'));
  }
  const counts = at.reader.tree.count();
  const files = at.nodes().filter((node) => node.kind !== 'dir');
  expect(counts.files).toBe(files.length);
  expect(counts.dirs).toBe(at.nodes().length - files.length);
  // A folder says how much is in it: of what shows, at any depth.
  for (const folder of [rootNode, ...at.nodes().flatMap((node) => (node.kind === 'dir' ? [node.id] : []))]) {
    const sum = { files: 0, bytes: 0 };
    const walk = (id: string): void => {
      for (const child of at.reader.tree.children(id)) {
        if (child.kind === 'dir') walk(child.id);
        else {
          sum.files += 1;
          sum.bytes += child.content?.kind === 'file' ? child.content.size : 0;
        }
      }
    };
    walk(folder);
    expect(at.reader.tree.within(folder)).toEqual(sum);
  }
  // Nobody is left without a name who is not merged into another.
  expect(
    at.db.prepare('SELECT count(*) n FROM tree_item WHERE name IS NULL AND alias IS NULL').get(),
  ).toEqual({ n: 0 });
}

/** Delivers in an order a seed picks, each entry after its past. */
function deliver(to: Replica, entries: readonly FakeEntry[], pick: (n: number) => number): void {
  const open = new Set(entries);
  while (open.size > 0) {
    const ready = [...open].filter((entry) => [...entry.past].every((p) => to.known.has(p)));
    const next = ready[pick(ready.length)] as FakeEntry;
    open.delete(next);
    to.apply(next);
  }
}

describe('any order of delivery gives one tree', () => {
  test('random concurrent histories of three replicas', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ arbitrary: stepArb, weight: 4 }, fc.record({ sync: fc.nat(5) })), {
          minLength: 4,
          maxLength: 28,
        }),
        fc.infiniteStream(fc.nat(1000)),
        (steps, stream) => {
          const replicas = [replica(), replica(), replica()] as const;
          const all: FakeEntry[] = [];
          for (const step of steps) {
            if ('sync' in step) {
              const from = replicas[step.sync % 3] as Replica;
              const to = replicas[(step.sync + 1 + (step.sync >> 2)) % 3] as Replica;
              deliver(
                to,
                [...from.known].filter((entry) => !to.known.has(entry)),
                (n) => stream.next().value % n,
              );
              checkInvariants(to);
            } else {
              const entry = act(replicas[step.who] as Replica, step, counter++);
              if (entry) all.push(entry);
            }
          }
          for (const one of replicas) {
            deliver(
              one,
              all.filter((entry) => !one.known.has(entry)),
              (n) => stream.next().value % n,
            );
            checkInvariants(one);
          }
          const last = replica();
          deliver(last, all, (n) => stream.next().value % n);
          expect(replicas[0].view()).toEqual(last.view());
          expect(replicas[1].view()).toEqual(last.view());
          expect(replicas[2].view()).toEqual(last.view());
          for (const one of [...replicas, last]) one.close();
        },
      ),
      { numRuns: 60, seed: 20261122 },
    );
  });

  test('taking entries out equals never having had them', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(
        fc.array(stepArb, { minLength: 3, maxLength: 20 }),
        fc.infiniteStream(fc.nat(1000)),
        (steps, stream) => {
          const author = replica();
          const entries = steps.map((step) => act(author, step, counter++)).filter((entry) => entry !== null);
          const kept = entries.filter(() => stream.next().value % 3 > 0);
          for (const entry of entries) if (!kept.includes(entry)) author.apply(entry, true);
          const other = replica();
          for (const entry of kept) other.apply(entry);
          expect(author.view()).toEqual(other.view());
          for (const entry of entries) if (!kept.includes(entry)) other.apply(entry);
          for (const entry of entries) if (!kept.includes(entry)) author.apply(entry);
          expect(author.view()).toEqual(other.view());
          checkInvariants(author);
          author.close();
          other.close();
        },
      ),
      { numRuns: 50, seed: 5 },
    );
  });

  test('changedSince names exactly what looks different', () => {
    fc.assert(
      fc.property(fc.array(stepArb, { minLength: 3, maxLength: 20 }), (steps) => {
        const at = replica();
        const seen = new Map<string, string>();
        let revision = at.reader.tree.revision();
        for (const step of steps) {
          act(at, step, counter++);
          for (;;) {
            const page = at.reader.tree.changedSince(revision, 2);
            if (!page || page.revision === revision) break;
            for (const id of page.ids) {
              const node = at.reader.whole.get(id);
              if (node) seen.set(id, `${node.parent} ${node.name} ${node.version}`);
              else seen.delete(id);
            }
            revision = page.revision;
          }
          const now = new Map(
            at.nodes().map((node) => [node.id, `${node.parent} ${node.name} ${node.version}`]),
          );
          expect(seen).toEqual(now);
        }
        at.close();
      }),
      { numRuns: 30, seed: 7 },
    );
  });
});

describe('folders that are the place of another drive', () => {
  const drive = (name: string): string => entryId(sha256(name));
  const folder = fresh(900_001);
  const file = fresh(900_002);
  function withFolder(): { a: Replica; b: Replica; first: FakeEntry[] } {
    const a = replica();
    const b = replica();
    const first = [
      a.write({ t: 'make', node: folder, kind: 'dir', parent: rootNode, name: 'f', content: null }, '1'),
      a.write({ t: 'make', node: file, kind: 'file', parent: folder, name: 'x', content: text('1') }, '2'),
    ] as FakeEntry[];
    for (const entry of first) b.apply(entry);
    return { a, b, first };
  }
  const exchange = (a: Replica, b: Replica): void => {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const)
      deliver(
        to,
        [...from.known].filter((entry) => !to.known.has(entry)),
        () => 0,
      );
    expect(a.view()).toEqual(b.view());
  };

  test('hide what they hold, and show it again', () => {
    const { a, b } = withFolder();
    a.write({ t: 'mount', node: folder, drive: drive('m') }, '3');
    expect(a.reader.tree.get(folder)?.mount).toBe(drive('m'));
    expect(a.reader.tree.resolve('f/x')).toBeNull();
    expect(a.reader.tree.children(folder)).toEqual([]);
    expect(a.reader.whole.resolve('f/x')?.id).toBe(file);
    expect(a.reader.tree.mounts()).toEqual([{ node: folder, drive: drive('m') }]);
    a.write({ t: 'mount', node: folder, drive: null }, '4');
    expect(a.reader.tree.resolve('f/x')?.id).toBe(file);
    exchange(a, b);
    a.close();
    b.close();
  });

  test('outlive a delete that did not know of them, and one that did', () => {
    const { a, b } = withFolder();
    a.write({ t: 'mount', node: folder, drive: drive('m') }, '3');
    b.write({ t: 'del', node: file, base: [b.reader.tree.get(file)!.version] }, '4');
    b.write({ t: 'del', node: folder, base: [] }, '5');
    exchange(a, b);
    expect(a.reader.tree.get(folder)?.mount).toBe(drive('m'));
    b.write({ t: 'del', node: folder, base: [] }, '6');
    exchange(a, b);
    expect(a.reader.tree.get(folder)?.mount).toBe(drive('m'));
    a.close();
    b.close();
  });

  test('of two made at one time one counts everywhere, and a mount beats the end of another', () => {
    const { a, b } = withFolder();
    a.write({ t: 'mount', node: folder, drive: drive('m') }, '3');
    b.write({ t: 'mount', node: folder, drive: drive('n') }, '4');
    exchange(a, b);
    const won = a.reader.tree.get(folder)!.mount;
    expect([drive('m'), drive('n')]).toContain(won);
    a.write({ t: 'mount', node: folder, drive: null }, '5');
    b.write({ t: 'mount', node: folder, drive: drive('o') }, '6');
    exchange(a, b);
    expect(a.reader.tree.get(folder)?.mount).toBe(drive('o'));
    a.close();
    b.close();
  });

  test('do not merge: a folder made earlier under the name goes into them, another mount steps aside', () => {
    const { a, b } = withFolder();
    const earlier = fresh(900_003);
    b.write({ t: 'make', node: earlier, kind: 'dir', parent: rootNode, name: 'f', content: null }, '3');
    const inside = fresh(900_004);
    b.write({ t: 'make', node: inside, kind: 'file', parent: earlier, name: 'y', content: text('2') }, '4');
    const c = replica();
    const only = c.write(
      { t: 'make', node: earlier, kind: 'dir', parent: rootNode, name: 'f', content: null },
      'first',
    ) as FakeEntry;
    c.write({ t: 'mount', node: earlier, drive: drive('n') }, 'later');
    a.write({ t: 'mount', node: folder, drive: drive('m') }, '5');
    exchange(a, b);
    expect(a.reader.tree.resolve('f')?.id).toBe(folder);
    expect(a.reader.whole.resolve('f/y')?.id).toBe(inside);
    expect(a.reader.tree.get(inside)).toBeNull();
    expect(only).not.toBeNull();
    exchange(a, c);
    const shown = a.reader.tree.children(rootNode);
    expect(shown.map((node) => node.mount).sort()).toEqual([drive('m'), drive('n')].sort());
    for (const one of [a, b, c]) one.close();
  });
});

test('operations survive their codec, and foreign bytes answer with an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(() => decodeOp(bytes)).toThrow(expect.objectContaining({ name: 'AppError' }));
    }),
    { numRuns: 500, seed: 1 },
  );
  const op = encodeOp({
    t: 'make',
    node: new Uint8Array(16),
    kind: 'file',
    parent: new Uint8Array(16),
    name: 'x',
    content: text('hi'),
  });
  fc.assert(
    fc.property(fc.nat(op.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bytes = Uint8Array.from(op);
      bytes[at] = (bytes[at] as number) ^ flip;
      try {
        expect(encodeOp(decodeOp(bytes))).toEqual(bytes);
      } catch (error) {
        expect(error).toMatchObject({ name: 'AppError' });
      }
    }),
    { numRuns: 500, seed: 2 },
  );
  expect(() =>
    contentFromWire(['f', 5, 0, false, new Uint8Array(32), null, 0, [], new Uint8Array()]),
  ).toThrow(/add up/);
});
