import { hash } from 'node:crypto';
import { leafRoot } from '../../history/index.ts';
import { createReedSolomon } from './reed-solomon.ts';
import type { ReedSolomon } from './reed-solomon.ts';

export interface EncodeTask {
  readonly t: 'encode';
  /** Blocks of the stripe. */
  readonly blocks: readonly Uint8Array[];
  readonly data: number;
  readonly parity: number;
}

export interface RebuildTask {
  readonly t: 'rebuild';
  readonly shards: readonly (Uint8Array | null)[];
  readonly data: number;
  readonly size: number;
  readonly wanted: number;
}

/** A block with what names it and what audits of it are checked against. */
export interface CodedShard {
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
  readonly root: Uint8Array;
}

/** All shards of a stripe that are kept. */
export interface EncodedStripe {
  /** Audit roots of the blocks. */
  readonly roots: readonly Uint8Array[];
  readonly parity: readonly CodedShard[];
}

export type CodingAnswer = EncodedStripe | Uint8Array;

let codec: ReedSolomon | null = null;

export default function work(task: EncodeTask | RebuildTask): CodingAnswer {
  codec ??= createReedSolomon();
  if (task.t === 'rebuild') return codec.rebuild(task.shards, task.data, task.size, task.wanted);
  const size = Math.max(...task.blocks.map(({ length }) => length));
  const padded = Array.from({ length: task.data }, (_, i) => task.blocks[i] ?? new Uint8Array(0));
  return {
    roots: task.blocks.map(leafRoot),
    parity: codec.encode(padded, task.parity, size).map((bytes) => ({
      id: new Uint8Array(hash('sha256', bytes, 'buffer')),
      bytes,
      root: leafRoot(bytes),
    })),
  };
}
