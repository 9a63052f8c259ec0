import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../../../src-shared/errors.ts';
import type { DeviceId } from '../../identity/index.ts';
import type { NodeNetwork } from '../../network/index.ts';
import type { DriveLink } from '../drive-link.ts';
import { accessKeyOf } from './open-access.ts';

/** Finds devices that may have a drive. */
export interface Sources {
  /**
   * Connects to those a link names; with none of them there, to those that say in the DHT that they have the drive. Whoever is
   * connected already is named last.
   * @throws AppError `unreachable`
   */
  reach(link: DriveLink, signal: AbortSignal): Promise<readonly DeviceId[]>;
  /** Connects to those that say in the DHT that they have the drive: what is popular does not all come from who made the link. */
  others(link: DriveLink, signal: AbortSignal): Promise<readonly DeviceId[]>;
}

/** Providers dialled for one drive, and how long the DHT is asked, ms. */
const maxProviders = 8;
const searchMs = 5_000;
/** A link may name computers that are off: once one is reached the others are waited for so long, ms. */
const othersMs = 300;

/**
 * Under which key a drive stands in the DHT: that of an unlisted one can be computed only from its link.
 * @param readSecret null: the drive is public
 */
export function providerKey(driveId: string, readSecret: Uint8Array | null): Uint8Array {
  if (readSecret !== null) return unlistedKey(driveId, accessKeyOf(readSecret));
  const hash = createHash('sha256').update('extrachain public drive v1\0').update(driveId);
  return new Uint8Array(hash.digest());
}

/** The same of an unlisted drive, for who knows what proves knowledge of the link, but not the link. */
export function unlistedKey(driveId: string, access: Uint8Array): Uint8Array {
  const hash = createHash('sha256').update('extrachain unlisted drive v1\0').update(driveId).update(access);
  return new Uint8Array(hash.digest());
}

export function createSources(network: NodeNetwork): Sources {
  async function connectAll(addresses: readonly string[], signal: AbortSignal): Promise<DeviceId[]> {
    const reached: DeviceId[] = [];
    const dials = addresses.map(async (address) => reached.push(await network.connect(address, signal)));
    const enough = Promise.any(dials).then(
      () => delay(othersMs, undefined, { ref: false }),
      () => undefined,
    );
    await Promise.race([Promise.allSettled(dials), enough]);
    return [...reached];
  }

  async function search({ driveId, power }: DriveLink, signal: AbortSignal): Promise<DeviceId[]> {
    if (power?.t === 'invite') return [];
    const limit = AbortSignal.any([signal, AbortSignal.timeout(searchMs)]);
    const key = providerKey(driveId, power?.secret ?? null);
    const found = await network.providers.find(key, maxProviders, limit).catch(() => []);
    const reached = await Promise.all(
      found.map(async ({ peerId, addresses }) => {
        if (network.peers().some((peer) => peer.peerId === peerId)) return [peerId];
        return (await connectAll(addresses.slice(0, 4), signal))
          .filter((peer) => peer === peerId)
          .slice(0, 1);
      }),
    );
    return reached.flat();
  }

  return {
    others: search,
    async reach(link, signal) {
      let reached = await connectAll(link.addresses, signal);
      if (reached.length === 0) reached = await search(link, signal);
      const peers = new Set([...reached, ...network.peers().map((peer) => peer.peerId)]);
      peers.delete(network.peerId);
      if (peers.size > 0) return [...peers];
      throw new AppError('unreachable', 'No computer that has this drive can be reached now.');
    },
  };
}
