import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { rootNode } from '../../drive/index.ts';
import type { Drive, NodeId } from '../../drive/index.ts';
import { createTestBench, nodeId, person, text } from '../../drive/testing.ts';
import { openDatabase } from '../../store/index.ts';
import { plan } from '../plan/plan.ts';
import { contentKey } from '../plan/rows.ts';
import { createSyncState, noStamp } from '../state/index.ts';
import type { PlanOp, SyncRow } from '../types.ts';
import { rowsBeneath, seed } from './handover.ts';

/**
 * A folder becomes a drive of its own while this computer is anywhere: behind or ahead of what the new drive began with, with changes of
 * its own. Going on with the new drive must be as if it had always been that one's folder: nothing here is lost, nothing comes back,
 * nothing is told twice.
 */
const bench = createTestBench('handover');
afterAll(() => bench.clean());

const folder = nodeId('folder');

/** The life of one file: versions in the old drive, which of them was agreed on here and which the new drive began with; what came after. */
const file = fc
  .record({
    versions: fc.integer({ min: 1, max: 3 }),
    agreed: fc.nat({ max: 2 }),
    imported: fc.nat({ max: 2 }),
    here: fc.constantFrom('same' as const, 'edited' as const, 'deleted' as const),
    there: fc.constantFrom('same' as const, 'edited' as const, 'deleted' as const),
  })
  .map((one) => ({
    ...one,
    agreed: Math.min(one.agreed, one.versions - 1),
    imported: Math.min(one.imported, one.versions - 1),
  }));
type Life = typeof file extends fc.Arbitrary<infer T> ? T : never;

const nth = (n: number, version: number): string => `content ${n}/${version}`;
const keyOf = (content: string): string => contentKey(text(content));

/** Makes both drives and what the engine of the old one knows, and hands over. */
async function prepare(lives: readonly Life[], run: number) {
  const alice = bench.node(person(`alice ${run}`));
  const [from, to] = [await alice.create('around'), await alice.create('inside')];
  await from.commit([{ t: 'make', node: folder, kind: 'dir', parent: rootNode, name: 'F', content: null }]);
  const old = createSyncState(openDatabase(':memory:'));
  const fresh = createSyncState(openDatabase(':memory:'));
  for (const [n, life] of lives.entries()) {
    const id = nodeId(`file ${n}`);
    const name = `file ${n}`;
    const base = (drive: Drive) => [drive.wholeTree.get(id)!.version];
    const put = (drive: Drive, content: string) =>
      drive.commit([{ t: 'put', node: id, base: base(drive), content: text(content) }]);
    const make = (drive: Drive, parent: NodeId, content: string) =>
      drive.commit([{ t: 'make', node: id, kind: 'file', parent, name, content: text(content) }]);
    await make(from, folder, nth(n, 0));
    for (let v = 1; v < life.versions; v++) await put(from, nth(n, v));
    await make(to, rootNode, nth(n, life.imported));
    if (life.there === 'edited') await put(to, `there ${n}`);
    if (life.there === 'deleted') await to.commit([{ t: 'del', node: id, base: base(to) }]);
    const version = from.nodeHistory(id)!.contents[life.agreed]!.version;
    const row = { id, parent: folder, name, kind: 'file' as const, exec: false };
    old.synced.set({ ...row, content: keyOf(nth(n, life.agreed)), version });
    if (life.here === 'deleted') continue;
    const content = keyOf(life.here === 'edited' ? `here ${n}` : nth(n, life.agreed));
    const disk = { held: 'here' as const, raw: null, stamp: noStamp(9), birthNs: 0n };
    old.local.set({ ...row, content, version: '', ...disk });
  }
  const handover = { from, to, fromFolder: folder, toFolder: rootNode, newer: false };
  await seed(fresh, handover, rowsBeneath(old, folder));
  return { to, fresh };
}

/** The new drive as its engine plans with it. */
function viewOf(drive: Drive) {
  const rows = drive.wholeTree
    .children(rootNode)
    .map(({ id, parent, name, kind, content, version }): SyncRow => ({
      id,
      parent,
      name,
      kind,
      content: contentKey(content),
      exec: false,
      version,
    }));
  return {
    get: (id: NodeId) => rows.find((row) => row.id === id) ?? null,
    child: (_: NodeId, name: string) => rows.find((row) => row.name === name) ?? null,
    children: (parent: NodeId) => (parent === rootNode ? rows : []),
  };
}

/**
 * What has to be done, if what both drives had in common counts as agreed.
 * @param base what that is
 */
function expected(here: string | null, there: string | null, base: string): readonly PlanOp['t'][] {
  if (here === there) return ['agree'];
  if (here === base) return there === null ? ['trash'] : ['write'];
  if (here !== null) return ['put', 'make'];
  return there === base ? ['del'] : ['write'];
}

it('goes on with a new drive where the old one stood, whatever changed on either side', async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(file, { minLength: 5, maxLength: 8 }), async (lives) => {
      const { to, fresh } = await prepare(lives, run++);
      const ids = lives.map((_, n) => nodeId(`file ${n}`));
      const { ops } = plan(viewOf(to), fresh.local.rows, fresh.synced, ids);
      for (const [n, life] of lives.entries()) {
        const id = ids[n]!;
        const here = { same: nth(n, life.agreed), edited: `here ${n}`, deleted: null }[life.here];
        const there = { same: nth(n, life.imported), edited: `there ${n}`, deleted: null }[life.there];
        const base = nth(n, Math.min(life.agreed, life.imported));
        const row = fresh.local.get(id);
        expect(row && [row.parent, row.content]).toEqual(here === null ? null : [rootNode, keyOf(here)]);
        const done = ops.filter((op) => ('node' in op ? op.node.id : 'id' in op ? op.id : op.to) === id);
        const allowed = expected(here, there, base);
        for (const { t } of done) expect(allowed).toContain(t);
        if (allowed[0] !== 'agree') expect(done).toHaveLength(1);
        // A change of the person is made on top of what the new drive knows, so that it is no conflict without need.
        const [op] = done;
        if (op?.t === 'put' && there === base) expect(op.base).toEqual([to.wholeTree.get(id)!.version]);
      }
    }),
    { seed: 51, numRuns: 12 },
  );
}, 60_000);
