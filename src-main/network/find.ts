import { AppError, isAppError } from '../../src-shared/errors.ts';
import { decodeFindAnswer, decodeFindRequest, encodeMessage, maxFindPeers } from './messages.ts';
import { openPeerRecord } from './peer-record.ts';
import type { FrameStream, ProtocolOptions } from './types.ts';

/** What a third peer says about one that is looked for. */
export interface Sighting {
  readonly peer: string;
  readonly third: string;
  /** The third has a connection to it, so it may relay. */
  readonly connected: boolean;
  /** Signed by the peer itself; empty when the third has none. */
  readonly addresses: readonly string[];
}

/**
 * Rendezvous: `/extrachain/find/1`. Peers whose addresses all changed find each other through whoever is connected to
 * both. A third can't lie about addresses: they come as records signed by the peer itself.
 */
export interface Finder {
  serve(stream: FrameStream): Promise<void>;
  /** Asks one connected peer about others. Records that do not hold are a breach and are left out. */
  ask(third: string, peers: readonly string[], signal: AbortSignal): Promise<readonly Sighting[]>;
}

export interface FinderDeps {
  readonly open: (peer: string, signal: AbortSignal) => Promise<FrameStream>;
  readonly isConnected: (peer: string) => boolean;
  /** The signed record a peer gave us when it connected. */
  readonly recordOf: (peer: string) => Promise<Uint8Array | null>;
  readonly penalise: (peer: string, reason: string) => void;
}

export const findProtocol = 'find/1';
export const findOptions: ProtocolOptions = {
  maxFrame: 768 * 1024,
  maxStreams: 8,
  idleTimeout: 10_000,
  maxRate: 20,
};
const requestsPerStream = 16;
/** Newest record numbers remembered, so that nobody can bring back old addresses. */
const maxSeen = 1000;

export function createFinder(deps: FinderDeps): Finder {
  const newest = new Map<string, bigint>();

  function fresh(peer: string, seq: bigint): boolean {
    const known = newest.get(peer);
    if (known !== undefined && known > seq) return false;
    newest.delete(peer);
    newest.set(peer, seq);
    if (newest.size > maxSeen) newest.delete(newest.keys().next().value!);
    return true;
  }

  return {
    async serve(stream) {
      for (let n = 0; n < requestsPerStream; n++) {
        const frame = await stream.read();
        if (!frame) return;
        let peers: readonly string[];
        try {
          peers = decodeFindRequest(frame).peers;
        } catch (error) {
          deps.penalise(stream.peer, `find: ${(error as Error).message}`);
          throw error;
        }
        const found = [];
        for (const peer of new Set(peers)) {
          const connected = deps.isConnected(peer);
          const record = await deps.recordOf(peer);
          if (connected || record) found.push({ peer, connected, record });
        }
        await stream.send(encodeMessage({ t: 'found', found }));
      }
    },

    async ask(third, peers, signal) {
      const asked = peers.slice(0, maxFindPeers);
      const stream = await deps.open(third, signal);
      let frame: Uint8Array | null;
      try {
        await stream.send(encodeMessage({ t: 'find', peers: asked }));
        await stream.close();
        frame = await stream.read(signal);
      } catch (error) {
        stream.abort(error as Error);
        throw error;
      }
      const sightings: Sighting[] = [];
      try {
        if (!frame) throw new AppError('protocol_violation', 'The other computer gave no answer.');
        for (const found of decodeFindAnswer(frame).found) {
          if (!asked.includes(found.peer)) {
            throw new AppError('protocol_violation', 'An answer names a peer nobody asked for.');
          }
          const record = found.record ? await openPeerRecord(found.record, found.peer) : null;
          const addresses = record && fresh(found.peer, record.seq) ? record.addresses : [];
          sightings.push({ peer: found.peer, third, connected: found.connected, addresses });
        }
      } catch (error) {
        const breach =
          isAppError(error, 'protocol_violation') ||
          isAppError(error, 'malformed') ||
          isAppError(error, 'bad_signature');
        if (breach) deps.penalise(third, `find: ${error.message}`);
        throw error;
      }
      return sightings;
    },
  };
}
