import type { MultiaddrConnection } from '@libp2p/interface';
import type { Clock } from '../../src-shared/runtime.ts';

export interface PeerTraffic {
  /** Bytes. */
  readonly sent: number;
  readonly received: number;
  /** Bytes a second, means over the last seconds. */
  readonly up: number;
  readonly down: number;
}

/** Counts the bytes of connections as they are on the wire, encryption and handshakes included. */
export interface Traffic {
  /** Starts counting a connection; a second call for it does nothing. */
  attach(connection: MultiaddrConnection): void;
  /** Tells whose connection it is; what it carried so far is added to that peer. */
  assign(connection: MultiaddrConnection, peer: string): void;
  /** Counts bytes of a connection that did not go through its methods. */
  carried(connection: MultiaddrConnection, sent: number, received: number): void;
  /** Counts bytes of a connection to a peer that is not libp2p's. */
  add(peer: string, sent: number, received: number): void;
  of(peer: string): PeerTraffic;
  /** Sums of every peer that is remembered. */
  all(): readonly { readonly peerId: string; readonly sent: number; readonly received: number }[];
  totals(): PeerTraffic;
}

interface Counter {
  sent: number;
  received: number;
  add(sent: number, received: number): void;
}
/** The two methods every libp2p 3 connection has below its public face, through which all its bytes go. */
interface Counted {
  onData?: (data: { readonly byteLength: number }) => void;
  sendData?: (data: { readonly byteLength: number }) => { readonly sentBytes: number };
}

/** Rates are means over this many seconds. */
const window = 4;
const maxPeers = 4096;

/** Sums, and the bytes of each of the last seconds. */
function createCounter(clock: Clock): Counter & { read(): PeerTraffic } {
  const seconds = Array.from({ length: window + 1 }, () => ({ second: 0, sent: 0, received: 0 }));
  const counter = {
    sent: 0,
    received: 0,
    add(sent: number, received: number): void {
      counter.sent += sent;
      counter.received += received;
      const second = Math.floor(clock.now() / 1000);
      const slot = seconds[second % seconds.length]!;
      if (slot.second !== second) Object.assign(slot, { second, sent: 0, received: 0 });
      slot.sent += sent;
      slot.received += received;
    },
    read(): PeerTraffic {
      const now = Math.floor(clock.now() / 1000);
      let up = 0;
      let down = 0;
      for (const slot of seconds) {
        // The running second is not over: counting it would show too low a rate.
        if (slot.second >= now || slot.second < now - window) continue;
        up += slot.sent;
        down += slot.received;
      }
      const { sent, received } = counter;
      return { sent, received, up: Math.round(up / window), down: Math.round(down / window) };
    },
  };
  return counter;
}

/** What a connection carried before it was known whose it is. */
function createSum(): Counter {
  const sum: Counter = {
    sent: 0,
    received: 0,
    add(sent, received) {
      sum.sent += sent;
      sum.received += received;
    },
  };
  return sum;
}

export function createTraffic(clock: Clock): Traffic {
  const counters = new WeakMap<MultiaddrConnection, Counter>();
  const targets = new WeakMap<Counter, Counter>();
  const peers = new Map<string, ReturnType<typeof createCounter>>();
  const total = createCounter(clock);

  function count(counter: Counter, relayed: boolean, sent: number, received: number): void {
    (targets.get(counter) ?? counter).add(sent, received);
    // Relayed bytes travel inside another connection that is counted itself.
    if (!relayed) total.add(sent, received);
  }

  function attach(connection: MultiaddrConnection): Counter {
    const known = counters.get(connection);
    if (known) return known;
    const counter = createSum();
    counters.set(connection, counter);
    const relayed = connection.remoteAddr.toString().includes('/p2p-circuit');
    const inner = connection as Counted;
    const onData = inner.onData?.bind(connection);
    if (onData) {
      inner.onData = (data) => {
        count(counter, relayed, 0, data.byteLength);
        onData(data);
      };
    }
    const sendData = inner.sendData?.bind(connection);
    if (sendData) {
      inner.sendData = (data) => {
        const result = sendData(data);
        count(counter, relayed, result.sentBytes, 0);
        return result;
      };
    }
    return counter;
  }

  function counterOf(peer: string): ReturnType<typeof createCounter> {
    let counter = peers.get(peer);
    if (!counter) {
      if (peers.size >= maxPeers) peers.delete(peers.keys().next().value!);
      peers.set(peer, (counter = createCounter(clock)));
    }
    return counter;
  }

  return {
    attach: (connection) => void attach(connection),
    assign(connection, peer) {
      const counter = attach(connection);
      if (targets.has(counter)) return;
      const target = counterOf(peer);
      target.add(counter.sent, counter.received);
      targets.set(counter, target);
    },
    carried: (connection, sent, received) => count(attach(connection), false, sent, received),
    add(peer, sent, received) {
      counterOf(peer).add(sent, received);
      total.add(sent, received);
    },
    of: (peer) => peers.get(peer)?.read() ?? { sent: 0, received: 0, up: 0, down: 0 },
    all: () => [...peers].map(([peerId, { sent, received }]) => ({ peerId, sent, received })),
    totals: () => total.read(),
  };
}
