import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { leafRoot, proveLeaf, verifyLeaf } from '../history/index.ts';
import { openDatabase } from '../store/index.ts';
import { limits } from './limits.ts';
import { createPaidCopies } from './paid-copies.ts';
import type { PaidCopies } from './paid-copies.ts';

const drive = 'drive';
const chain = 'chain';
let paid: PaidCopies;
let kept: Map<string, Uint8Array>;
let reads: number;
const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex');

function block(bytes: number): Uint8Array {
  const id = new Uint8Array(randomBytes(32));
  kept.set(hex(id), new Uint8Array(randomBytes(bytes)));
  return id;
}
const name = (contract: number, ids: readonly Uint8Array[], at = 0, count = ids.length): void =>
  paid.note({ drive, chain, contract, at, count, ids }, 5);
const code = (work: () => void): string => {
  try {
    work();
    return 'ok';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

beforeEach(() => {
  kept = new Map();
  reads = 0;
  paid = createPaidCopies({
    db: openDatabase(':memory:'),
    read(_, id) {
      reads += 1;
      return Promise.resolve(kept.get(hex(id)) ?? null);
    },
    isKept: (_, id) => kept.has(hex(id)),
    rootOf: (bytes) => Promise.resolve(leafRoot(bytes)),
    prove: (bytes, leaf) => Promise.resolve(proveLeaf(bytes, leaf)),
  });
});

describe('copies that are paid for', () => {
  it('are known when all their pages came, with roots that are computed once, and prove their leaves', async () => {
    const ids = [block(3000), block(500), block(1024)];
    name(1, ids.slice(0, 2), 0, 3);
    expect(paid.list(chain)).toEqual([]);
    name(1, ids.slice(2), 2, 3);
    expect(paid.list(chain)).toEqual([{ contract: 1, drive, taken: false, named: 5 }]);
    expect(paid.list('another')).toEqual([]);
    const blocks = await paid.blocks(chain, 1);
    expect(blocks?.map(({ size }) => size)).toEqual([3000, 500, 1024]);
    expect(blocks?.map(({ root }) => hex(root))).toEqual(ids.map((id) => hex(leafRoot(kept.get(hex(id))!))));
    await paid.blocks(chain, 1);
    expect(reads).toBe(3);
    const proof = await paid.prove(chain, 1, 0, 2);
    expect(verifyLeaf(blocks![0]!.root, 3000, 2, proof!)).toBe(true);
    kept.delete(hex(ids[0]!));
    expect(await paid.prove(chain, 1, 0, 2)).toBeNull();
    expect(await paid.prove(chain, 9, 0, 2)).toBeNull();
    expect(await paid.blocks(chain, 9)).toBeNull();
  });

  it('hold blocks while a contract that was taken is over them, and let go those dropped meanwhile', () => {
    const [a, b, c] = [block(10), block(10), block(10)];
    name(1, [a, b]);
    name(2, [b, c]);
    expect(paid.held(drive, [a, b, c])).toEqual([]);
    paid.taken(chain, 1);
    paid.taken(chain, 2);
    expect(paid.holds(drive)).toBe(true);
    expect(paid.held(drive, [a, b])).toEqual([a, b]);
    expect(paid.held('other drive', [a])).toEqual([]);
    expect(paid.ended(chain, 1)?.ids.map(hex)).toEqual([hex(a)]);
    // Wanted again: the end of the other contract takes it not away.
    paid.keptAgain(drive, [b]);
    expect(paid.ended(chain, 2)).toEqual({ drive, ids: [] });
    expect(paid.ended(chain, 2)).toBeNull();
    expect(paid.holds(drive)).toBe(false);
  });

  it('refuse what is not here, what does not fit together, and too much', () => {
    const ids = [block(10), block(10)];
    expect(code(() => name(1, [new Uint8Array(32)]))).toBe('gone');
    name(1, ids.slice(0, 1), 0, 2);
    expect(code(() => name(1, ids, 0, 3))).toBe('contract_invalid');
    expect(code(() => name(1, ids, 1, 2))).toBe('too_many');
    expect(code(() => name(2, ids, 0, limits.blocksPerPaidCopy + 1))).toBe('too_many');
    name(1, ids);
    paid.taken(chain, 1);
    expect(code(() => name(1, ids))).toBe('contract_running');
    for (let i = 0; i < limits.paidCopiesNamed; i++) name(10 + i, ids);
    expect(code(() => name(99, ids))).toBe('too_many');
  });
});
