import { promisify } from 'node:util';
import type * as Fs from 'node:fs';
import type * as Crypto from 'node:crypto';
import { seeded } from '../support/trees.ts';

/*
 * The real code leaves some work to threads of the system, whose order nobody controls, and takes some bytes from the system's
 * random generator. Here both are made a function of the seed, so that a run replays exactly.
 */

let random = seeded(1);
let virtualNow = (): number => 0;

/** Called at the start of each run. */
export function seedEverything(seed: number, now: () => number): void {
  random = seeded(seed);
  virtualNow = now;
}

function fill<T extends Uint8Array>(bytes: T): T {
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(random() * 256);
  return bytes;
}

/** Random bytes of libraries, and the time by which long work is cut into slices. Returns what undoes it. */
export function patchGlobals(): () => void {
  const { getRandomValues } = globalThis.crypto;
  const { now } = performance;
  globalThis.crypto.getRandomValues = ((array: Uint8Array) => (
    fill(new Uint8Array(array.buffer, array.byteOffset, array.byteLength)),
    array
  )) as typeof getRandomValues;
  performance.now = () => virtualNow();
  return () => {
    globalThis.crypto.getRandomValues = getRandomValues;
    performance.now = now;
  };
}

export function cryptoModule(actual: typeof Crypto): typeof Crypto {
  const replaced = {
    ...actual,
    randomBytes: (n: number) => fill(Buffer.alloc(n)),
    verify(
      algorithm: null,
      data: Uint8Array,
      key: Crypto.KeyObject,
      signature: Uint8Array,
      done?: (error: Error | null, valid: boolean) => void,
    ) {
      const valid = actual.verify(algorithm, data, key, signature);
      if (done === undefined) return valid;
      done(null, valid);
      return undefined;
    },
  };
  return { ...replaced, default: replaced } as unknown as typeof Crypto;
}

/** Calls that `promisify` turns into promises, done at once. */
export function fsModule(actual: typeof Fs): typeof Fs {
  const atOnce = <A extends unknown[], R>(work: (...args: A) => R): unknown =>
    Object.assign(() => {}, { [promisify.custom]: async (...args: A): Promise<R> => work(...args) });
  const replaced = {
    ...actual,
    writev: atOnce((fd: number, chunks: readonly Uint8Array[], position: number) => ({
      bytesWritten: actual.writevSync(fd, chunks as Uint8Array[], position),
    })),
    read: atOnce((fd: number, bytes: Uint8Array, offset: number, length: number, position: number) => ({
      bytesRead: actual.readSync(fd, bytes, offset, length, position),
    })),
    // The chain's log lies in a temp folder whose power is never cut; what was written survives the crashes made here.
    fdatasync: atOnce(() => undefined),
    ftruncate: atOnce((fd: number, size: number) => actual.ftruncateSync(fd, size)),
  };
  return { ...replaced, default: replaced } as unknown as typeof Fs;
}
