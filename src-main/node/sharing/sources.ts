import { AppError } from '../../../src-shared/errors.ts';
import type { DeviceId } from '../../identity/index.ts';
import type { Network } from '../../network/index.ts';
import type { DriveLink } from '../drive-link.ts';

/** Finds devices that may have a drive. */
export interface Sources {
  /**
   * Connects to those a link names; with none of them there, whoever is connected already is named.
   * @throws AppError `unreachable`
   */
  reach(link: DriveLink, signal: AbortSignal): Promise<readonly DeviceId[]>;
}

export function createSources(network: Network): Sources {
  return {
    async reach({ addresses }, signal) {
      const reached = await Promise.allSettled(addresses.map((address) => network.connect(address, signal)));
      const peers = new Set([
        ...reached.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])),
        ...network.peers().map((peer) => peer.peerId),
      ]);
      peers.delete(network.peerId);
      if (peers.size > 0) return [...peers];
      throw new AppError('unreachable', 'None of the computers this link names can be reached now.');
    },
  };
}
