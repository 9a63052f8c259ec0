import type { Clock } from '../../../src-shared/runtime.ts';
import { createShaper } from '../../network/index.ts';
import type { NodeSettings } from '../settings.ts';

/** What this computer does for readers of open drives, and the bounds the person has set on it. */
export interface Readers {
  /** Bytes a second sent to all of them together; null: no bound of their own. */
  rate(): number | null;
  /** Counts what is about to be sent to one, and waits until it is their turn; null: now. */
  pay(bytes: number): Promise<void> | null;
  sent(bytes: number): void;
  /** Bytes sent to them since the start. */
  total(): number;
  /** Plaintext of drives that are only looked at: of the window, and of a gateway's visitors. */
  readonly cache: BlockCache;
  /** Lets all go who wait. */
  stop(): void;
}

/** The blocks read last, of all views together. */
export interface BlockCache {
  get(drive: string, key: string): Uint8Array | null;
  put(drive: string, key: string, bytes: Uint8Array): void;
  /** Nobody looks at this drive any more. */
  forget(drive: string): void;
  /** Bytes held. */
  held(): number;
}

/** @param budget bytes, asked at each `put` */
export function createBlockCache(budget: () => number): BlockCache {
  // A map keeps the order of its keys: the first is the one used longest ago.
  const blocks = new Map<string, Uint8Array>();
  let held = 0;
  const nameOf = (drive: string, key: string): string => `${drive}/${key}`;

  function drop(name: string): void {
    held -= blocks.get(name)?.length ?? 0;
    blocks.delete(name);
  }

  return {
    get(drive, key) {
      const name = nameOf(drive, key);
      const found = blocks.get(name);
      if (!found) return null;
      blocks.delete(name);
      blocks.set(name, found);
      return found;
    },
    put(drive, key, bytes) {
      const name = nameOf(drive, key);
      drop(name);
      blocks.set(name, bytes);
      held += bytes.length;
      const most = budget();
      for (const oldest of blocks.keys()) {
        if (held <= most) break;
        drop(oldest);
      }
    },
    forget(drive) {
      for (const name of [...blocks.keys()]) if (name.startsWith(`${drive}/`)) drop(name);
    },
    held: () => held,
  };
}

export function createReaders(settings: NodeSettings, clock: Clock): Readers {
  const shaper = createShaper(clock, null);
  let shaped: number | null = null;
  let total = 0;
  const rate = (): number | null => settings.get('open.upload');
  return {
    rate,
    pay(bytes) {
      const now = rate();
      if (now !== shaped) shaper.setRate((shaped = now));
      return shaper.charge(bytes);
    },
    stop: () => shaper.stop(),
    sent: (bytes) => void (total += bytes),
    total: () => total,
    cache: createBlockCache(() => settings.get('open.cacheBytes')),
  };
}
