import type { Online } from './core.ts';

const lookEvery = 3_000;
const firstLook = 2_000;
/** The DHT forgets after 48 hours; peers come and go sooner. ms. */
const announceAgain = 6 * 60 * 60_000;
const announceMs = 30_000;

/**
 * Says in the DHT that this node has something, as long as it has.
 * @param wanted keys of 32 bytes, asked for every few seconds: who brings a drive here is named while it is still coming, and serves what it has
 * @returns ends it
 */
export function keepAnnounced(node: Online, wanted: () => Iterable<Uint8Array>): () => void {
  const { clock, network, logger } = node;
  /** Key in hex, when it was said last. */
  const announced = new Map<string, number>();
  const ended = new AbortController();
  let cancel = (): void => {};

  async function announce(): Promise<void> {
    const keys = new Map([...wanted()].map((key) => [Buffer.from(key).toString('hex'), key]));
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

  async function look(): Promise<void> {
    await announce().catch((error: unknown) => logger.debug({ err: error }, 'nothing was announced'));
    if (!ended.signal.aborted) cancel = clock.after(lookEvery, () => void look());
  }

  cancel = clock.after(firstLook, () => void look());
  return () => {
    ended.abort();
    cancel();
  };
}
