import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { AppError } from '../../../src-shared/errors.ts';

/*
 * Reed-Solomon erasure codes over GF(2^8), systematic: the data stay as they are, parity is added, and any `data` of all shards
 * give back the rest. The arithmetic is the `reed-solomon-erasure` crate compiled to wasm; the binding is our own, as the
 * package's frees a buffer twice (docs/decisions/erasure-coding.md).
 */
export interface ReedSolomon {
  /**
   * Computes parity shards.
   * @param data shards of at most `size` bytes each; what is missing at the end counts as zeros, an empty one as a shard of zeros
   * @returns `parity` shards of `size` bytes
   */
  encode(data: readonly Uint8Array[], parity: number, size: number): Uint8Array[];
  /**
   * Computes one shard from others.
   * @param shards data shards, then parity shards, as far as they are there; null: missing
   * @param data how many of them are data
   * @throws AppError `gone` when fewer than `data` are there
   */
  rebuild(
    shards: readonly (Uint8Array | null)[],
    data: number,
    size: number,
    wanted: number,
  ): Uint8Array<ArrayBuffer>;
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  __wbindgen_malloc(bytes: number): number;
  __wbindgen_free(at: number, bytes: number): void;
  /** Takes the buffer by reference: the caller frees it. */
  encode(at: number, bytes: number, data: number, parity: number): number;
  /** Takes `flags` over and frees them itself. */
  reconstruct(
    at: number,
    bytes: number,
    data: number,
    parity: number,
    flags: number,
    flagBytes: number,
  ): number;
}

/** The part of the standard global that is used; its types come with the DOM's only. */
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: {
    readonly Module: new (bytes: Uint8Array) => object;
    readonly Instance: new (module: object) => { readonly exports: unknown };
  };
};

/** Bytes of each shard that are worked on at once: what fits into a processor's cache is fastest. */
const slice = 64 * 1024;
/** Each call leaves about a hundred bytes of the wasm memory behind; after so many the instance is replaced. */
const callsPerInstance = 20_000;

/** Loads the wasm module; synchronous, for a worker. */
export function createReedSolomon(): ReedSolomon {
  const file = createRequire(import.meta.url).resolve('@digitaldefiance/reed-solomon-erasure.wasm/wasm');
  const module = new WebAssembly.Module(readFileSync(file));
  let exports: Exports | null = null;
  let calls = 0;

  function instance(): Exports {
    if (exports === null || calls >= callsPerInstance) {
      exports = new WebAssembly.Instance(module).exports as Exports;
      calls = 0;
    }
    calls++;
    return exports;
  }

  /** Copies a slice of all shards in, runs `work` on them and hands the result to `take`. */
  function onSlice(
    shards: readonly (Uint8Array | null)[],
    from: number,
    work: (wasm: Exports, at: number, bytes: number) => number,
    take: (slices: Uint8Array) => void,
  ): void {
    const wasm = instance();
    const bytes = slice * shards.length;
    const at = wasm.__wbindgen_malloc(bytes);
    const before = new Uint8Array(wasm.memory.buffer, at, bytes).fill(0);
    shards.forEach((shard, i) => shard && before.set(shard.subarray(from, from + slice), i * slice));
    const code = work(wasm, at, bytes);
    // The memory may have grown, which takes its old view away.
    if (code === 0) take(new Uint8Array(wasm.memory.buffer, at, bytes));
    wasm.__wbindgen_free(at, bytes);
    if (code !== 0) throw new AppError('internal', `Erasure coding failed with ${code}.`);
  }

  function encode(data: readonly Uint8Array[], parity: number, size: number): Uint8Array<ArrayBuffer>[] {
    const made = Array.from({ length: parity }, () => new Uint8Array(size));
    const shards = [...data, ...made];
    for (let from = 0; from < size; from += slice) {
      onSlice(
        shards,
        from,
        (wasm, at, bytes) => wasm.encode(at, bytes, data.length, parity),
        (slices) =>
          made.forEach((shard, i) => {
            const start = (data.length + i) * slice;
            shard.set(slices.subarray(start, start + Math.min(slice, size - from)), from);
          }),
      );
    }
    return made;
  }

  return {
    encode,
    rebuild(shards, data, size, wanted) {
      if (shards.filter((shard) => shard !== null).length < data) {
        throw new AppError('gone', 'Too few shards are left to compute the others.');
      }
      const parity = shards.length - data;
      const made = shards.slice(0, data).map((shard) => shard ?? new Uint8Array(size));
      const isMissing = shards.map((shard) => shard === null);
      for (let from = 0; from < size; from += slice) {
        onSlice(
          shards,
          from,
          (wasm, at, bytes) => {
            const flags = wasm.__wbindgen_malloc(shards.length);
            new Uint8Array(wasm.memory.buffer, flags, shards.length).set(
              isMissing.map((missing) => Number(!missing)),
            );
            return wasm.reconstruct(at, bytes, data, parity, flags, shards.length);
          },
          (slices) =>
            made.forEach((shard, i) => {
              if (!isMissing[i]) return;
              shard.set(slices.subarray(i * slice, i * slice + Math.min(slice, size - from)), from);
            }),
        );
      }
      return new Uint8Array(wanted < data ? made[wanted]! : encode(made, parity, size)[wanted - data]!);
    },
  };
}
