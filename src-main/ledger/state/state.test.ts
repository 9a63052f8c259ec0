import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../store/index.ts';
import { sha256, zeroHash } from '../codec/index.ts';
import type { Hash } from '../types.ts';
import { createCommitment, leafOf, nodeOf, pathOf } from './commitment.ts';
import { migrateLedger } from './database.ts';
import { decodeRowProof, encodeRowProof, verifyRow } from './proof.ts';
import { createRowState } from './rows.ts';
import { keyBytes } from './table.ts';
import type { Table } from './table.ts';

const seed = 20261126;

/** The root by its definition, over all rows at once. */
function slowRoot(rows: ReadonlyMap<string, Uint8Array>): Hash {
  const leaves = [...rows].map(([key, value]) => ({ path: pathOf(keyBytes(key)), value: sha256(value) }));
  const under = (some: typeof leaves, depth: number): { hash: Hash; count: number } => {
    if (some.length === 0) return { hash: zeroHash, count: 0 };
    const [only] = some;
    if (some.length === 1 && only) return { hash: leafOf(only.path, only.value), count: 1 };
    const bit = (path: Hash) => ((path[depth >> 3] as number) >> (7 - (depth & 7))) & 1;
    const left = under(
      some.filter(({ path }) => bit(path) === 0),
      depth + 1,
    );
    const right = under(
      some.filter(({ path }) => bit(path) === 1),
      depth + 1,
    );
    return { hash: nodeOf(left.hash, right.hash), count: left.count + right.count };
  };
  return under(leaves, 0).hash;
}

/** Rows as they are. */
const raw = (tag: string): Table<Uint8Array> => ({
  tag,
  name: 'test rows',
  encode: (value) => value,
  decode: (value) => value,
  fits: (value) => value.length <= 65_536,
});
const bytes = raw('t');
const others = raw('u');

function world() {
  const db = openDatabase(':memory:');
  migrateLedger(db);
  return { db, state: createRowState(db) };
}

const keys = fc.stringMatching(/^[a-h]{1,3}$/);
const blocks = fc.array(
  fc.array(fc.tuple(keys, fc.option(fc.uint8Array({ maxLength: 8 }), { nil: null })), { maxLength: 40 }),
  { maxLength: 8 },
);

describe('the state', () => {
  it('has the root of its rows, whatever the way there, and proves what is and what is not', () => {
    fc.assert(
      fc.property(blocks, (all) => {
        const { db, state } = world();
        const model = new Map<string, Uint8Array>();
        for (const block of all) {
          const overlay = state.overlay();
          for (const [key, value] of block) {
            overlay.set(bytes, key, value);
            if (value === null) model.delete(`t${key}`);
            else model.set(`t${key}`, value);
          }
          const staged = state.stage(overlay);
          expect(staged.root).toEqual(slowRoot(model));
          state.write(staged);
          state.adopt(staged);
          expect(state.root()).toEqual(staged.root);
          expect(state.count()).toBe(model.size);
          for (const key of ['ta', 'tab', 'th', ...[...model.keys()].slice(0, 3)]) {
            const proof = decodeRowProof(encodeRowProof(state.prove(keyBytes(key))));
            expect(proof.value).toEqual(model.get(key) ?? null);
            expect(verifyRow(staged.root, proof)).toBe(true);
            expect(
              verifyRow(staged.root, {
                ...proof,
                value: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9),
                other: null,
              }),
            ).toBe(false);
            if (proof.value !== null) expect(verifyRow(staged.root, { ...proof, value: null })).toBe(false);
          }
        }
        state.reload();
        expect(state.root()).toEqual(slowRoot(model));
        db.close();
      }),
      { seed, numRuns: 40 },
    );
  });

  it('reads through changes that are not written, in order, and takes back what fails', () => {
    fc.assert(
      fc.property(blocks, fc.nat(3), (all, kept) => {
        const { db, state } = world();
        const model = new Map<string, Uint8Array>();
        const overlay = state.overlay();
        for (const [i, block] of all.entries()) {
          overlay.mark();
          const next = new Map(model);
          for (const [key, value] of block) {
            overlay.set(bytes, key, value);
            if (value === null) next.delete(key);
            else next.set(key, value);
          }
          if (i % 4 === kept) {
            overlay.revert();
          } else {
            overlay.keep();
            model.clear();
            for (const [key, value] of next) model.set(key, value);
          }
          const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
          expect([...overlay.rows(bytes)]).toEqual(sorted);
          expect([...overlay.rows(bytes, 'a')]).toEqual(sorted.filter(([key]) => key.startsWith('a')));
          expect([...overlay.rows(bytes, 'a', 'ab')]).toEqual(
            sorted.filter(([key]) => key.startsWith('a') && key >= 'ab'),
          );
          expect([...overlay.rows(others)]).toEqual([]);
          if (i === 3) {
            const staged = state.stage(overlay);
            state.write(staged);
            state.adopt(staged);
            expect([...state.rows(bytes)]).toEqual(sorted);
          }
        }
        db.close();
      }),
      { seed, numRuns: 60 },
    );
  });
});

describe('the commitment', () => {
  it('splits a bucket into which keys were ground, and joins it again', () => {
    const commitment = createCommitment();
    const model = new Map<string, Hash>();
    const path = (n: number): Hash => {
      const bytes = sha256(Buffer.from(String(n)));
      bytes.fill(7, 0, 4);
      return bytes;
    };
    // By the definition, without the arrays.
    const slow = (): Hash => {
      const under = (some: readonly (readonly [string, Hash])[], depth: number): Hash => {
        const [only] = some;
        if (!only) return zeroHash;
        if (some.length === 1) return leafOf(Buffer.from(only[0], 'hex'), only[1]);
        const bit = (key: string) =>
          ((Buffer.from(key, 'hex')[depth >> 3] as number) >> (7 - (depth & 7))) & 1;
        return nodeOf(
          under(
            some.filter(([key]) => bit(key) === 0),
            depth + 1,
          ),
          under(
            some.filter(([key]) => bit(key) === 1),
            depth + 1,
          ),
        );
      };
      return under([...model], 0);
    };
    for (let n = 0; n < 300; n++) {
      const valueHash = sha256(Buffer.from(`v${n}`));
      commitment.stage([{ path: path(n), valueHash }]).apply();
      model.set(Buffer.from(path(n)).toString('hex'), valueHash);
      if (n % 60 === 59) expect(commitment.root()).toEqual(slow());
    }
    const { siblings, leaf } = commitment.prove(path(17));
    expect(siblings.length).toBeGreaterThan(32);
    expect(leaf?.path).toEqual(path(17));
    for (let n = 0; n < 290; n++) {
      commitment.stage([{ path: path(n), valueHash: null }]).apply();
      model.delete(Buffer.from(path(n)).toString('hex'));
      if (n % 60 === 59) expect(commitment.root()).toEqual(slow());
    }
    expect(commitment.count()).toBe(10);
    expect(commitment.root()).toEqual(slow());
  });

  it('stages several futures of one state', () => {
    const commitment = createCommitment();
    const change = (n: number) => ({ path: pathOf(Uint8Array.of(n)), valueHash: sha256(Uint8Array.of(n)) });
    commitment.stage([change(1), change(2)]).apply();
    const before = commitment.root();
    const a = commitment.stage([change(3)]);
    const b = commitment.stage([change(4), { ...change(1), valueHash: null }]);
    expect(commitment.root()).toEqual(before);
    b.apply();
    expect(commitment.root()).toEqual(b.root);
    expect(a.root).not.toEqual(b.root);
  });
});
