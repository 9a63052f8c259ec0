import type { Database } from '../store/index.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';

/** Addresses of peers, kept across restarts. What can't be written is only logged: they are hints. */
export interface PeerBook {
  /** Adds or refreshes addresses (multiaddrs, with or without a final /p2p/<peer>). */
  add(peer: string, addresses: readonly string[]): void;
  /** A connection to this address worked. */
  succeeded(peer: string, address: string): void;
  /** Best first: the latest success, then the latest seen. */
  addresses(peer: string): readonly string[];
  /** Peers a connection once worked to, the latest first. */
  recent(limit: number): readonly string[];
}

const maxAddresses = 12;
const maxPeers = 2000;
const maxAddressLength = 300;

export function createPeerBook(db: Database, clock: Clock, logger: Logger): PeerBook {
  const upsert = db.prepare(
    `INSERT INTO peer_addresses (peer, address, seen, success) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET seen = excluded.seen, success = max(success, excluded.success)`,
  );
  const trim = db.prepare(
    `DELETE FROM peer_addresses WHERE peer = @peer AND address NOT IN
       (SELECT address FROM peer_addresses WHERE peer = @peer ORDER BY max(seen, success) DESC, success DESC, address LIMIT ${maxAddresses})`,
  );
  const select = db.prepare<[string], { address: string }>(
    'SELECT address FROM peer_addresses WHERE peer = ? ORDER BY success DESC, seen DESC, address',
  );
  const selectRecent = db.prepare<[number], { peer: string }>(
    'SELECT peer FROM peer_addresses WHERE success > 0 GROUP BY peer ORDER BY max(success) DESC, peer LIMIT ?',
  );
  const countPeers = db.prepare<[], { n: number }>('SELECT count(DISTINCT peer) AS n FROM peer_addresses');
  const dropOldest = db.prepare(
    `DELETE FROM peer_addresses WHERE peer IN
       (SELECT peer FROM peer_addresses GROUP BY peer ORDER BY max(success), max(seen) LIMIT ?)`,
  );

  const transaction = db.transaction((peer: string, addresses: readonly string[], success: number) => {
    const now = clock.now();
    for (const address of addresses) {
      const bare = withoutPeer(address, peer);
      if (bare.length > 0 && bare.length <= maxAddressLength) upsert.run(peer, bare, now, success);
    }
    trim.run({ peer });
    const { n } = countPeers.get()!;
    if (n > maxPeers) dropOldest.run(n - maxPeers);
  });

  function write(peer: string, addresses: readonly string[], success: number): void {
    try {
      transaction(peer, addresses, success);
    } catch (error) {
      logger.warn({ peer, error: String(error) }, 'addresses of a peer could not be stored');
    }
  }

  return {
    add: (peer, addresses) => write(peer, addresses.slice(0, maxAddresses), 0),
    succeeded: (peer, address) => write(peer, [address], clock.now()),
    addresses: (peer) => select.all(peer).map((row) => row.address),
    recent: (limit) => selectRecent.all(limit).map((row) => row.peer),
  };
}

function withoutPeer(address: string, peer: string): string {
  const suffix = `/p2p/${peer}`;
  return address.endsWith(suffix) ? address.slice(0, -suffix.length) : address;
}
