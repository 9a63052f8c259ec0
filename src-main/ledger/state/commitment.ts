import { hash } from 'node:crypto';
import { compareBytes, sha256, zeroHash } from '../codec/index.ts';
import type { Hash } from '../types.ts';

/*
 * The commitment to the state: a binary Merkle tree over the SHA-256 of each row's key, where a sub-tree with one row only is
 * that row's leaf and an empty one is zeros (the form of the Jellyfish Merkle tree: Gao, Hu, Wu 2021). The root is a function
 * of the rows alone. Its upper 16 levels lie in two flat arrays; below, each of the 65,536 buckets keeps its leaves in one
 * sorted buffer and splits into a tree once it holds more than 64 (keys can be ground into one bucket). What a block changes
 * is staged: buckets are never altered, only replaced.
 */

/** Bits of the path that the arrays cover. */
const arrayDepth = 16;
const buckets = 2 ** arrayDepth;
/** Leaves of a bucket that are kept in one buffer. */
const maxFlat = 64;
/** Of a leaf in a buffer: path, then SHA-256 of the value. */
const leafBytes = 64;

/** 0: empty, 1: one leaf, 2: more. */
type Kind = 0 | 1 | 2;
interface Summary {
  readonly kind: Kind;
  readonly hash: Hash;
}
const empty: Summary = { kind: 0, hash: zeroHash };

interface Branch {
  readonly left: Sub;
  readonly right: Sub;
  readonly count: number;
  readonly summary: Summary;
}
/** A sub-tree below the arrays: its leaves sorted by path, or two sub-trees. */
type Sub = Uint8Array | Branch;
const nothing: Sub = new Uint8Array();

/** A row that was set or, with null, removed. Paths are the SHA-256 of keys. */
export interface LeafChange {
  readonly path: Hash;
  /** SHA-256 of the value. */
  readonly valueHash: Hash | null;
}

export interface Leaf {
  readonly path: Hash;
  readonly valueHash: Hash;
}

/** Where a key lies in the tree. */
export const pathOf = (key: Uint8Array): Hash => sha256(key);
export const leafOf = (path: Hash, valueHash: Hash): Hash => tagged(0, path, valueHash);
export const nodeOf = (left: Hash, right: Hash): Hash => tagged(1, left, right);

const scratch = new Uint8Array(65);
/** SHA-256(tag, a, b). Most of the time of a commitment is spent here, hence no joining of buffers. */
function tagged(tag: number, a: Hash, b: Hash): Hash {
  scratch[0] = tag;
  scratch.set(a, 1);
  scratch.set(b, 33);
  const made = hash('sha256', scratch, 'buffer');
  return new Uint8Array(made.buffer, made.byteOffset, 32);
}

/** A block's changes with the root they lead to, not yet in force. */
export interface StagedCommitment {
  readonly root: Hash;
  /** Makes it the state. Only the first of those staged on one state may be applied. */
  apply(): void;
}

export interface Commitment {
  root(): Hash;
  /** Each path at most once. */
  stage(changes: readonly LeafChange[]): StagedCommitment;
  /**
   * The siblings from the root down to where the path ends: at its own leaf, at another one, or at nothing (null).
   */
  prove(path: Hash): { readonly siblings: readonly Hash[]; readonly leaf: Leaf | null };
  count(): number;
  /** Replaces everything by these rows, each path once, in any order. */
  load(leaves: Iterable<Leaf>): void;
}

const bitAt = (path: Uint8Array, depth: number, offset = 0): number =>
  ((path[offset + (depth >> 3)] as number) >> (7 - (depth & 7))) & 1;
const bucketOf = (path: Hash): number => ((path[0] as number) << 8) | (path[1] as number);

function join(left: Summary, right: Summary): Summary {
  if (left.kind === 0 && right.kind !== 2) return right;
  if (right.kind === 0 && left.kind === 1) return left;
  return { kind: 2, hash: nodeOf(left.hash, right.hash) };
}

const countOf = (sub: Sub): number => (sub instanceof Uint8Array ? sub.length / leafBytes : sub.count);

/** Where the paths with a one at `depth` begin among sorted leaves that agree above it. */
function splitAt(leaves: Uint8Array, from: number, to: number, depth: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bitAt(leaves, depth, middle * leafBytes) === 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function flatSummary(leaves: Uint8Array, from: number, to: number, depth: number): Summary {
  if (from === to) return empty;
  if (to - from === 1) {
    const at = from * leafBytes;
    return { kind: 1, hash: leafOf(leaves.subarray(at, at + 32), leaves.subarray(at + 32, at + leafBytes)) };
  }
  const middle = splitAt(leaves, from, to, depth);
  return join(flatSummary(leaves, from, middle, depth + 1), flatSummary(leaves, middle, to, depth + 1));
}

const leafAt = (leaves: Uint8Array, index: number): Leaf => ({
  path: leaves.slice(index * leafBytes, index * leafBytes + 32),
  valueHash: leaves.slice(index * leafBytes + 32, (index + 1) * leafBytes),
});

const summaryOf = (sub: Sub, depth: number): Summary =>
  sub instanceof Uint8Array ? flatSummary(sub, 0, sub.length / leafBytes, depth) : sub.summary;

/** The leaves of a sub-tree in one buffer. */
const flatten = (sub: Sub): Uint8Array =>
  sub instanceof Uint8Array ? sub : Buffer.concat([flatten(sub.left), flatten(sub.right)]);

/** Splits what is too large for one buffer. */
function settle(leaves: Uint8Array, depth: number): Sub {
  const count = leaves.length / leafBytes;
  if (count <= maxFlat) return leaves;
  const middle = splitAt(leaves, 0, count, depth) * leafBytes;
  return branch(settle(leaves.slice(0, middle), depth + 1), settle(leaves.slice(middle), depth + 1), depth);
}

function branch(left: Sub, right: Sub, depth: number): Sub {
  const count = countOf(left) + countOf(right);
  if (count <= maxFlat) return new Uint8Array(Buffer.concat([flatten(left), flatten(right)]));
  return { left, right, count, summary: join(summaryOf(left, depth + 1), summaryOf(right, depth + 1)) };
}

/** The sub-tree after changes, which are sorted by path and lie all in it. */
function update(sub: Sub, changes: readonly LeafChange[], depth: number): Sub {
  if (changes.length === 0) return sub;
  if (!(sub instanceof Uint8Array)) {
    let middle = 0;
    while (middle < changes.length && bitAt((changes[middle] as LeafChange).path, depth) === 0) middle++;
    return branch(
      update(sub.left, changes.slice(0, middle), depth + 1),
      update(sub.right, changes.slice(middle), depth + 1),
      depth,
    );
  }
  const merged = new Uint8Array(sub.length + changes.length * leafBytes);
  let to = 0;
  let from = 0;
  for (const { path, valueHash } of changes) {
    while (from < sub.length) {
      const order = compareBytes(sub.subarray(from, from + 32), path);
      if (order > 0) break;
      if (order < 0) {
        merged.set(sub.subarray(from, from + leafBytes), to);
        to += leafBytes;
      }
      from += leafBytes;
      if (order === 0) break;
    }
    if (valueHash !== null) {
      merged.set(path, to);
      merged.set(valueHash, to + 32);
      to += leafBytes;
    }
  }
  merged.set(sub.subarray(from), to);
  return settle(merged.slice(0, to + sub.length - from), depth);
}

export function createCommitment(): Commitment {
  const subs: Sub[] = Array.from({ length: buckets }, () => nothing);
  // Node i has the children 2i and 2i + 1; the buckets are the nodes from 2^16 on, the root is node 1.
  const hashes = new Uint8Array(2 * buckets * 32);
  const kinds = new Uint8Array(2 * buckets);
  let rows = 0;

  const summaryAt = (node: number): Summary => ({
    kind: kinds[node] as Kind,
    hash: hashes.subarray(node * 32, node * 32 + 32),
  });

  function put(node: number, { kind, hash }: Summary): void {
    hashes.set(hash, node * 32);
    kinds[node] = kind;
  }

  /** Goes on below the arrays. */
  function descend(start: Sub, path: Hash, siblings: Hash[]): Leaf | null {
    let sub = start;
    let depth = arrayDepth;
    while (!(sub instanceof Uint8Array)) {
      const right = bitAt(path, depth) === 1;
      siblings.push(summaryOf(right ? sub.left : sub.right, depth + 1).hash);
      sub = right ? sub.right : sub.left;
      depth += 1;
    }
    let from = 0;
    let to = sub.length / leafBytes;
    for (; to - from > 1; depth++) {
      const middle = splitAt(sub, from, to, depth);
      const right = bitAt(path, depth) === 1;
      const sibling = right
        ? flatSummary(sub, from, middle, depth + 1)
        : flatSummary(sub, middle, to, depth + 1);
      siblings.push(sibling.hash.slice());
      if (right) from = middle;
      else to = middle;
    }
    return from === to ? null : leafAt(sub, from);
  }

  return {
    root: () => hashes.slice(32, 64),

    load(leaves) {
      // Into one buffer first, then sorted by bucket by counting: a million rows are 64 MB twice, not objects.
      let all = new Uint8Array(leafBytes * 1024);
      const ends = new Uint32Array(buckets + 1);
      rows = 0;
      for (const { path, valueHash } of leaves) {
        if (rows * leafBytes === all.length) {
          const larger = new Uint8Array(2 * all.length);
          larger.set(all);
          all = larger;
        }
        all.set(path, rows * leafBytes);
        all.set(valueHash, rows * leafBytes + 32);
        rows += 1;
        const next = bucketOf(path) + 1;
        ends[next] = (ends[next] as number) + 1;
      }
      for (let i = 1; i <= buckets; i++) ends[i] = (ends[i] as number) + (ends[i - 1] as number);
      const order = new Uint32Array(rows);
      const next = ends.slice();
      for (let row = 0; row < rows; row++) {
        const bucket = bucketOf(all.subarray(row * leafBytes, row * leafBytes + 2));
        order[next[bucket] as number] = row;
        next[bucket] = (next[bucket] as number) + 1;
      }
      for (let bucket = 0; bucket < buckets; bucket++) {
        const members = [...order.subarray(ends[bucket], ends[bucket + 1])]
          .map((row) => all.subarray(row * leafBytes, (row + 1) * leafBytes))
          .sort(compareBytes);
        const sub =
          members.length === 0 ? nothing : settle(new Uint8Array(Buffer.concat(members)), arrayDepth);
        subs[bucket] = sub;
        put(buckets + bucket, summaryOf(sub, arrayDepth));
      }
      for (let node = buckets - 1; node > 0; node--)
        put(node, join(summaryAt(2 * node), summaryAt(2 * node + 1)));
    },
    count: () => rows,

    stage(changes) {
      const sorted = [...changes].sort((a, b) => compareBytes(a.path, b.path));
      const changedSubs = new Map<number, Sub>();
      let level = new Map<number, Summary>();
      let difference = 0;
      for (let i = 0; i < sorted.length;) {
        const bucket = bucketOf((sorted[i] as LeafChange).path);
        let end = i + 1;
        while (end < sorted.length && bucketOf((sorted[end] as LeafChange).path) === bucket) end++;
        const before = subs[bucket] as Sub;
        const after = update(before, sorted.slice(i, end), arrayDepth);
        changedSubs.set(bucket, after);
        difference += countOf(after) - countOf(before);
        level.set(buckets + bucket, summaryOf(after, arrayDepth));
        i = end;
      }
      const levels = [level];
      for (let depth = arrayDepth; depth > 0; depth--) {
        const above = new Map<number, Summary>();
        for (const node of level.keys()) {
          const parent = node >> 1;
          if (above.has(parent)) continue;
          const left = level.get(2 * parent) ?? summaryAt(2 * parent);
          const right = level.get(2 * parent + 1) ?? summaryAt(2 * parent + 1);
          above.set(parent, join(left, right));
        }
        levels.push(above);
        level = above;
      }
      return {
        root: (level.get(1) ?? summaryAt(1)).hash.slice(),
        apply() {
          for (const [bucket, sub] of changedSubs) subs[bucket] = sub;
          // A join may hand on a view of these very arrays: copied before anything is written over.
          const flat = levels.flatMap((one) =>
            [...one].map(([node, { kind, hash }]) => ({ node, kind, hash: hash.slice() })),
          );
          for (const { node, ...summary } of flat) put(node, summary);
          rows += difference;
        },
      };
    },

    prove(path) {
      const siblings: Hash[] = [];
      let node = 1;
      for (let depth = 0; depth < arrayDepth && kinds[node] === 2; depth++) {
        const child = 2 * node + bitAt(path, depth);
        siblings.push(summaryAt(child ^ 1).hash.slice());
        node = child;
      }
      if (kinds[node] === 0) return { siblings, leaf: null };
      if (kinds[node] === 2) return { leaf: descend(subs[bucketOf(path)] as Sub, path, siblings), siblings };
      // One leaf somewhere below: find it in the one bucket that is not empty.
      while (node < buckets) node = kinds[2 * node] === 0 ? 2 * node + 1 : 2 * node;
      return { siblings, leaf: leafAt(subs[node - buckets] as Uint8Array, 0) };
    },
  };
}
