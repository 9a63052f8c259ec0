import { isAppError } from '../../../src-shared/errors.ts';
import type { Online } from '../core.ts';
import type { Drives } from '../drives.ts';
import { providerKey } from './sources.ts';

/** Drives one node speaks of in the DHT, at most. */
const maxAnnounced = 256;
const lookEvery = 10_000;
/** The DHT forgets after 48 hours; peers come and go sooner. ms. */
const announceAgain = 6 * 60 * 60_000;
const announceMs = 30_000;
const sweepEvery = 10 * 60_000;

/**
 * What sharing needs from time to time: says in the DHT which open drives are held here, and ends invitations that have run out.
 * @returns ends it
 */
export function keepSharing(node: Online, drives: Drives): () => void {
  const { clock, network, logger } = node;
  /** Key in hex, when it was said last. */
  const announced = new Map<string, number>();
  const ended = new AbortController();
  let sweptAt = 0;
  let cancel = (): void => {};

  function wanted(): Map<string, Uint8Array> {
    const keys = new Map<string, Uint8Array>();
    for (const { drive } of drives.list()) {
      const visibility = drive.visibility();
      if (visibility === 'private' || keys.size >= maxAnnounced) continue;
      const key = providerKey(drive.id, visibility === 'public' ? null : drive.readSecret());
      keys.set(Buffer.from(key).toString('hex'), key);
    }
    return keys;
  }

  async function announce(): Promise<void> {
    const keys = wanted();
    for (const name of announced.keys()) {
      if (keys.has(name)) continue;
      announced.delete(name);
      await network.providers.withdraw(Buffer.from(name, 'hex'));
    }
    if (network.peers().length === 0) return;
    for (const [name, key] of keys) {
      if (clock.now() - (announced.get(name) ?? -Infinity) < announceAgain || ended.signal.aborted) continue;
      await network.providers.provide(key, AbortSignal.any([ended.signal, AbortSignal.timeout(announceMs)]));
      announced.set(name, clock.now());
    }
  }

  async function sweep(): Promise<void> {
    if (clock.now() - sweptAt < sweepEvery) return;
    sweptAt = clock.now();
    for (const { drive } of drives.list()) {
      await drive.sweepInvites().catch((error: unknown) => {
        // Without the keys of the drive, or while it closes, there is nothing to do.
        if (!isAppError(error)) throw error;
      });
    }
  }

  async function look(): Promise<void> {
    await announce().catch((error: unknown) =>
      logger.debug({ err: error }, 'open drives were not announced'),
    );
    await sweep().catch((error: unknown) =>
      logger.warn({ err: error }, 'invitations could not be looked at'),
    );
    if (!ended.signal.aborted) cancel = clock.after(lookEvery, () => void look());
  }

  cancel = clock.after(lookEvery / 5, () => void look());
  return () => {
    ended.abort();
    cancel();
  };
}
