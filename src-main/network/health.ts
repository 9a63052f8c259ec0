import type { Connection } from '@libp2p/interface';
import type { Clock, Logger } from '../../src-shared/runtime.ts';

/**
 * Measures round trips and finds dead connections: a path can vanish (suspended laptop, changed address) without either
 * end being told.
 */
export interface Health {
  /** ms, of the last measurement. */
  rtt(connection: Connection): number | null;
  opened(connection: Connection): void;
  /** Checks all connections now, with little patience. */
  checkAll(): void;
  stop(): void;
}

export interface HealthDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly connections: () => readonly Connection[];
  /** Resolves with the round trip in ms. */
  readonly ping: (connection: Connection, signal: AbortSignal) => Promise<number>;
  /** Bytes received from the peer so far: a path that carries data is not dead, even if a ping is stuck behind it. */
  readonly received: (peer: string) => number;
}

/** Between two checks of a connection, ms; with many connections there is always another that notices. */
const interval = 5000;
const longInterval = 20_000;
const manyConnections = 24;
const patience = 6000;
const littlePatience = 3000;

export function createHealth(deps: HealthDeps): Health {
  const rtts = new WeakMap<Connection, number>();
  let stopped = false;
  let cancel: (() => void) | null = null;

  async function check(connection: Connection, timeout: number): Promise<void> {
    const peer = connection.remotePeer.toString();
    const before = deps.received(peer);
    try {
      const rtt = await deps.ping(connection, AbortSignal.timeout(timeout));
      const known = rtts.get(connection);
      // Smoothed as TCP does (RFC 6298), quicker at first.
      rtts.set(connection, known === undefined ? rtt : known * 0.75 + rtt * 0.25);
    } catch (error) {
      if (stopped || connection.status !== 'open' || deps.received(peer) !== before) return;
      deps.logger.debug({ peer, error: String(error) }, 'a connection is dead');
      connection.abort(new Error('the other end does not answer'));
    }
  }

  function tick(): void {
    if (stopped) return;
    const connections = deps.connections();
    for (const connection of connections) void check(connection, patience);
    cancel = deps.clock.after(connections.length > manyConnections ? longInterval : interval, tick);
  }
  cancel = deps.clock.after(interval, tick);

  return {
    rtt: (connection) => {
      const value = rtts.get(connection);
      return value === undefined ? null : Math.round(value * 10) / 10;
    },
    opened: (connection) => void check(connection, patience),
    checkAll() {
      for (const connection of deps.connections()) void check(connection, littlePatience);
    },
    stop() {
      stopped = true;
      cancel?.();
    },
  };
}
