import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { merkleLeaves, merklePath, merkleRoot, opSalt, verifyMerklePath } from './merkle.ts';
import type { MerkleProof } from './merkle.ts';
import { bytesOf } from './testing.ts';

const salt = bytesOf('a salt of the body of 32 bytes..');
const opsOf = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => bytesOf(`op ${i}`));
function proofOf(count: number, index: number): { root: Uint8Array; proof: MerkleProof } {
  const ops = opsOf(count);
  const leaves = merkleLeaves(salt, ops);
  const proof = {
    salt: opSalt(salt, index),
    op: ops[index] as Uint8Array,
    index,
    size: count,
    path: merklePath(leaves, index),
  };
  return { root: merkleRoot(leaves), proof };
}

describe('merkle tree', () => {
  test('is the tree of RFC 6962 under a root that binds the size', () => {
    const h = (...parts: Uint8Array[]): Uint8Array =>
      new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest());
    const [a, b, c] = merkleLeaves(salt, opsOf(3)) as [Uint8Array, Uint8Array, Uint8Array];
    expect(a).toEqual(h(Uint8Array.of(0), opSalt(salt, 0), bytesOf('op 0')));
    const top = h(Uint8Array.of(1), h(Uint8Array.of(1), a, b), c);
    expect(merkleRoot([a, b, c])).toEqual(h(Uint8Array.of(2, 0, 0, 0, 3), top));
  });

  test('every leaf of every small tree verifies, at its own index and size only', () => {
    for (let count = 1; count <= 17; count++) {
      for (let index = 0; index < count; index++) {
        const { root, proof } = proofOf(count, index);
        expect(verifyMerklePath(root, proof)).toBe(true);
        for (let size = 1; size <= 18; size++) {
          for (let at = 0; at < size; at++) {
            if (size === count && at === index) continue;
            expect(verifyMerklePath(root, { ...proof, index: at, size })).toBe(false);
          }
        }
        expect(verifyMerklePath(root, { ...proof, path: [...proof.path, root] })).toBe(false);
        if (count > 1) expect(verifyMerklePath(root, { ...proof, path: proof.path.slice(1) })).toBe(false);
      }
    }
  });

  test('any flipped bit fails', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), fc.nat(), (count, pick, bit) => {
        const { root, proof } = proofOf(count, pick % count);
        const parts = [root, proof.salt, proof.op, ...proof.path].map((part) => new Uint8Array(part));
        const [part, at] = [parts[bit % parts.length] as Uint8Array, bit % 4];
        part[at] = (part[at] as number) ^ (1 << (bit % 8));
        const [newRoot, newSalt, op, ...path] = parts as [Uint8Array, Uint8Array, Uint8Array];
        return !verifyMerklePath(newRoot, { ...proof, salt: newSalt, op, path });
      }),
      { seed: 6962, numRuns: 200 },
    );
  });

  test('nonsense is refused', () => {
    const { root, proof } = proofOf(4, 1);
    for (const index of [-1, 0.5, 4, NaN]) expect(verifyMerklePath(root, { ...proof, index })).toBe(false);
    for (const size of [0, 1e12, NaN]) expect(verifyMerklePath(root, { ...proof, size })).toBe(false);
    expect(verifyMerklePath(root, { ...proof, salt: new Uint8Array(3) })).toBe(false);
    expect(() => merklePath(merkleLeaves(salt, opsOf(2)), 2)).toThrow();
  });
});
