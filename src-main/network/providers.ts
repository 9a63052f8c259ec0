import type { KadDHT } from '@libp2p/kad-dht';
import { CID } from 'multiformats/cid';
import { create as createDigest } from 'multiformats/hashes/digest';

/** A device that says in the DHT that it has something. */
export interface Provider {
  readonly peerId: string;
  /** Multiaddrs ending in /p2p/<peerId>; hints. */
  readonly addresses: readonly string[];
}

/** Who has what, by 32-byte keys: provider records of the DHT (libp2p's Kademlia, after IPFS). */
export interface ProviderRecords {
  /** Says that this node has it. The DHT forgets after 48 hours; the node says it again before that, until `withdraw`. */
  provide(key: Uint8Array, signal: AbortSignal): Promise<void>;
  withdraw(key: Uint8Array): Promise<void>;
  /** At most `limit` others, as they are found. */
  find(key: Uint8Array, limit: number, signal: AbortSignal): Promise<readonly Provider[]>;
}

const rawCodec = 0x55;
const sha256Code = 0x12;
const maxAddresses = 8;

/** @param dht null when this node takes no part in a DHT: then nothing is said or found */
export function createProviderRecords(dht: KadDHT | null, self: string): ProviderRecords {
  const cidOf = (key: Uint8Array): CID => CID.createV1(rawCodec, createDigest(sha256Code, key));
  return {
    async provide(key, signal) {
      if (!dht) return;
      for await (const event of dht.provide(cidOf(key), { signal })) void event;
    },
    async withdraw(key) {
      await dht?.cancelReprovide(cidOf(key));
    },
    async find(key, limit, signal) {
      const found = new Map<string, Provider>();
      if (!dht) return [];
      try {
        for await (const event of dht.findProviders(cidOf(key), { signal })) {
          if (event.name !== 'PROVIDER' && event.name !== 'PEER_RESPONSE') continue;
          for (const { id, multiaddrs } of event.providers) {
            const peerId = id.toString();
            if (peerId === self || found.has(peerId)) continue;
            const tail = `/p2p/${peerId}`;
            const addresses = multiaddrs.slice(0, maxAddresses).map((address) => {
              const text = address.toString();
              return text.endsWith(tail) ? text : text + tail;
            });
            found.set(peerId, { peerId, addresses });
          }
          if (found.size >= limit) break;
        }
      } catch (error) {
        // Out of time: what was found so far is the answer.
        if (!signal.aborted) throw error;
      }
      return [...found.values()].slice(0, limit);
    },
  };
}
