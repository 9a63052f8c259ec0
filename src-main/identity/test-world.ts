import { createHash } from 'node:crypto';
import type { Clock, RandomBytes } from '../../src-shared/runtime.ts';
import { createIdentity } from './identity.ts';
import type { KeystoreFiles } from './keystore-files.ts';
import type { Identity } from './identity-types.ts';

/** Keystore files in memory. */
export interface MemoryFiles extends KeystoreFiles {
  readonly map: Map<string, Uint8Array>;
}
export function memoryFiles(map = new Map<string, Uint8Array>()): MemoryFiles {
  return {
    map,
    read: (name) => map.get(name)?.slice() ?? null,
    write: (name, bytes) => void map.set(name, bytes.slice()),
    remove: (name) => void map.delete(name),
  };
}

/** A clock that stands still until it is moved; timers run as it passes them. */
export interface TestClock extends Clock {
  advance(ms: number): void;
}
export function testClock(start = 1_790_000_000_000): TestClock {
  let now = start;
  const timers = new Set<{ at: number; fn: () => void }>();
  return {
    now: () => now,
    after(ms, fn) {
      const timer = { at: now + ms, fn };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    advance(ms) {
      now += ms;
      for (const timer of [...timers]) {
        if (timer.at <= now && timers.delete(timer)) timer.fn();
      }
    },
  };
}

/** Bytes that depend on the seed only: SHA-256 in counter mode. */
export function seededRandom(seed: string): RandomBytes {
  let counter = 0;
  return (n) => {
    const bytes = new Uint8Array(n);
    for (let at = 0; at < n; at += 32) {
      const block = createHash('sha256').update(`${seed} ${counter++}`).digest();
      bytes.set(block.subarray(0, n - at), at);
    }
    return bytes;
  };
}

/** scrypt that takes no time. */
export const cheapScrypt = { n: 16, r: 1, p: 1 };

/** One computer of a test; `clock` shared by all. */
export function testComputer(
  name: string,
  clock: Clock,
  files: KeystoreFiles = memoryFiles(),
  seed = name,
): Identity {
  const random = seededRandom(seed);
  return createIdentity({ files, clock, random, deviceName: name, scryptCost: cheapScrypt });
}
