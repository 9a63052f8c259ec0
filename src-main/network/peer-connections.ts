import type { Connection, Libp2p } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';

/** The open connections of the host, seen by peer. */
export interface PeerConnections {
  of(peer: string): readonly Connection[];
  /** The one to open streams on. */
  best(peer: string): Connection | null;
  peers(): readonly string[];
  state(peer: string): 'direct' | 'relayed' | 'none';
  /** Closes a connection unless it is the peer's only one. */
  closeSpare(peer: string, connection: Connection): void;
  /** Leaves one direct connection where both sides dialled at once. */
  pruneDuplicates(peer: string): void;
  /** Closes all connections of a peer. */
  drop(peer: string): Promise<void>;
}

/** @param inUse whether streams of ours run over a connection */
export function createPeerConnections(
  libp2p: Libp2p,
  inUse: (connection: Connection) => boolean,
): PeerConnections {
  const self = libp2p.peerId.toString();

  function open(connection: Connection): boolean {
    return connection.status === 'open';
  }
  function connectionsOf(peer: string): readonly Connection[] {
    try {
      return libp2p.getConnections(peerIdFromString(peer)).filter(open);
    } catch {
      return [];
    }
  }
  /** The direct one before a relayed one, then the oldest: both sides tend to agree. */
  function best(peer: string): Connection | null {
    const all = connectionsOf(peer);
    return all.find((connection) => connection.direct) ?? all[0] ?? null;
  }
  function connectedPeers(): readonly string[] {
    return libp2p.getPeers().map(String);
  }
  function state(peer: string): 'direct' | 'relayed' | 'none' {
    const connection = best(peer);
    return connection === null ? 'none' : connection.direct ? 'direct' : 'relayed';
  }
  function closeSpare(peer: string, connection: Connection): void {
    if (!open(connection) || connectionsOf(peer).length < 2) return;
    connection.close({ signal: AbortSignal.timeout(2000) }).catch((error: Error) => connection.abort(error));
  }

  /** Both sides dialled at once: keep the one dialled by the smaller peer id, so that both keep the same. */
  function pruneDuplicates(peer: string): void {
    const direct = connectionsOf(peer).filter((connection) => connection.direct);
    if (direct.length < 2 || self > peer) return;
    const ours = direct.filter((connection) => connection.direction === 'outbound');
    const keep = direct.find((connection) => inUse(connection)) ?? ours[0] ?? direct[0];
    for (const connection of direct) {
      if (connection !== keep && !inUse(connection)) closeSpare(peer, connection);
    }
  }

  async function drop(peer: string): Promise<void> {
    for (const connection of connectionsOf(peer)) {
      await connection
        .close({ signal: AbortSignal.timeout(1000) })
        .catch((error: Error) => connection.abort(error));
    }
  }

  return { of: connectionsOf, best, peers: connectedPeers, state, closeSpare, pruneDuplicates, drop };
}
