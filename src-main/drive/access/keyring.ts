import { AppError } from '../../../src-shared/errors.ts';
import { bodyKeyOf, contentKeyOf, mergedEpochId, mergedEpochKey } from '../keys.ts';
import type { EpochId } from '../types.ts';

/** Keys of epochs, in memory only. */
export interface Keyring {
  /** Adds the key of an epoch some entry started; returns false when it was known. */
  add(epoch: EpochId, key: Uint8Array): boolean;
  /** Makes the merge of several epochs known; returns its id. */
  merge(parts: readonly EpochId[]): EpochId;
  /** Key of a started or merged epoch; null when it (or a part of it) is not known. */
  key(epoch: EpochId): Uint8Array | null;
  /** @throws AppError `key_missing` */
  bodyKey(epoch: EpochId): Uint8Array;
  /** @throws AppError `key_missing` */
  contentKey(epoch: EpochId): Uint8Array;
  /** Started epochs whose key is known. */
  known(): readonly EpochId[];
}

export function createKeyring(): Keyring {
  const keys = new Map<EpochId, Uint8Array>();
  const merges = new Map<EpochId, readonly EpochId[]>();
  const derived = new Map<string, Uint8Array>();

  function key(epoch: EpochId): Uint8Array | null {
    const own = keys.get(epoch);
    if (own) return own;
    const parts = merges.get(epoch);
    if (!parts) return null;
    const found = parts.map((id) => ({ id, key: keys.get(id) }));
    if (found.some((part) => part.key === undefined)) return null;
    return mergedEpochKey(found as { id: EpochId; key: Uint8Array }[]);
  }

  function derive(kind: string, epoch: EpochId, make: (key: Uint8Array) => Uint8Array): Uint8Array {
    const cached = derived.get(kind + epoch);
    if (cached) return cached;
    const epochKey = key(epoch);
    if (!epochKey) {
      throw new AppError('key_missing', 'The key to read this part of the drive has not arrived yet.', {
        details: { epoch },
      });
    }
    const made = make(epochKey);
    derived.set(kind + epoch, made);
    return made;
  }

  return {
    add(epoch, bytes) {
      if (keys.has(epoch)) return false;
      keys.set(epoch, bytes);
      return true;
    },
    merge(parts) {
      const id = mergedEpochId(parts);
      if (parts.length > 1) merges.set(id, [...parts]);
      return id;
    },
    key,
    bodyKey: (epoch) => derive('body', epoch, bodyKeyOf),
    contentKey: (epoch) => derive('content', epoch, contentKeyOf),
    known: () => [...keys.keys()],
  };
}
