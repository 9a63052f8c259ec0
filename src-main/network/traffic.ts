import type { MultiaddrConnection } from '@libp2p/interface';
import type { Clock } from '../../src-shared/runtime.ts';

export interface PeerTraffic {
  readonly sent: number;
  readonly received: number;
}

/** Counts the bytes of connections as they are on the wire, encryption and handshakes included. */
export interface Traffic {
  /** Starts counting a connection; a second call for it does nothing. */
  attach(connection: MultiaddrConnection): void;
  /** Tells whose connection it is; what it carried so far is added to that peer. */
  assign(connection: MultiaddrConnection, peer: string): void;
  /** Counts bytes of a connection to a peer that is not libp2p's. */
  add(peer: string, sent: number, received: number): void;
  of(peer: string): PeerTraffic;
  totals(): { readonly sent: number; readonly received: number; readonly up: number; readonly down: number };
}

interface Counter {
  sent: number;
  received: number;
}
/** The two methods every libp2p 3 connection has below its public face, through which all its bytes go. */
interface Counted {
  onData?: (data: { readonly byteLength: number }) => void;
  sendData?: (data: { readonly byteLength: number }) => { readonly sentBytes: number };
}

/** Rates are means over this many seconds. */
const window = 4;
const maxPeers = 4096;

export function createTraffic(clock: Clock): Traffic {
  const counters = new WeakMap<MultiaddrConnection, Counter>();
  const targets = new WeakMap<Counter, Counter>();
  const peers = new Map<string, Counter>();
  const total: Counter = { sent: 0, received: 0 };
  const seconds = Array.from({ length: window + 1 }, () => ({ second: 0, sent: 0, received: 0 }));

  function count(counter: Counter, relayed: boolean, sent: number, received: number): void {
    const target = targets.get(counter) ?? counter;
    target.sent += sent;
    target.received += received;
    // Relayed bytes travel inside another connection that is counted itself.
    if (!relayed) countTotal(sent, received);
  }

  function countTotal(sent: number, received: number): void {
    total.sent += sent;
    total.received += received;
    const second = Math.floor(clock.now() / 1000);
    const slot = seconds[second % seconds.length]!;
    if (slot.second !== second) Object.assign(slot, { second, sent: 0, received: 0 });
    slot.sent += sent;
    slot.received += received;
  }

  function attach(connection: MultiaddrConnection): Counter {
    const known = counters.get(connection);
    if (known) return known;
    const counter: Counter = { sent: 0, received: 0 };
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

  function counterOf(peer: string): Counter {
    let counter = peers.get(peer);
    if (!counter) {
      if (peers.size >= maxPeers) peers.delete(peers.keys().next().value!);
      peers.set(peer, (counter = { sent: 0, received: 0 }));
    }
    return counter;
  }

  return {
    attach: (connection) => void attach(connection),
    assign(connection, peer) {
      const counter = attach(connection);
      if (targets.has(counter)) return;
      const target = counterOf(peer);
      target.sent += counter.sent;
      target.received += counter.received;
      targets.set(counter, target);
    },
    add(peer, sent, received) {
      const counter = counterOf(peer);
      counter.sent += sent;
      counter.received += received;
      countTotal(sent, received);
    },
    of: (peer) => peers.get(peer) ?? { sent: 0, received: 0 },
    totals() {
      const now = Math.floor(clock.now() / 1000);
      let sent = 0;
      let received = 0;
      for (const slot of seconds) {
        // The running second is not over: counting it would show too low a rate.
        if (slot.second >= now || slot.second < now - window) continue;
        sent += slot.sent;
        received += slot.received;
      }
      return { ...total, up: Math.round(sent / window), down: Math.round(received / window) };
    },
  };
}
