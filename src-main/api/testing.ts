import { contract } from '../../src-shared/contract/index.ts';
import { createEmitter } from '../../src-shared/emitter.ts';
import type { Emitter } from '../../src-shared/emitter.ts';
import { AppError } from '../../src-shared/errors.ts';
import type { NodeEvents, NodeServices } from './node-services.ts';

type Overrides = { readonly [G in keyof Omit<NodeServices, 'events'>]?: Partial<NodeServices[G]> };

/** Services for tests of the carriers: what is not given answers `unsupported`. */
export function createTestServices(
  overrides: Overrides,
): NodeServices & { readonly events: Emitter<NodeEvents> } {
  const refuse = () => {
    throw new AppError('unsupported', 'Not part of this test.');
  };
  const groups = Object.entries(contract).map(([group, calls]) => [
    group,
    {
      ...Object.fromEntries(Object.keys(calls).map((name) => [name, refuse])),
      ...overrides[group as keyof Overrides],
    },
  ]);
  return { ...Object.fromEntries(groups), events: createEmitter<NodeEvents>() } as NodeServices & {
    events: Emitter<NodeEvents>;
  };
}

/** Bytes in chunks of `size`, the way a node hands them out; counts how many readers let go of them. */
export function createTestBytes(all: Uint8Array, size = 1000) {
  const seen = { opened: 0, released: 0 };
  async function* read(start: number, end: number) {
    seen.opened += 1;
    try {
      for (let at = start; at < end; at += size) yield all.subarray(at, Math.min(end, at + size));
    } finally {
      seen.released += 1;
    }
  }
  const open = (start: number, end: number | null) => ({
    size: all.length,
    bytes: read(start, Math.min(end ?? all.length, all.length)),
  });
  return { seen, open };
}
