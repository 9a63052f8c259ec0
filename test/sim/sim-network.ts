import { createEmitter, type Emitter } from '../../src-shared/emitter.ts';
import { AppError } from '../../src-shared/errors.ts';
import type { FrameStream, Network, NetworkEvents, ProtocolOptions } from '../../src-main/network/index.ts';
import type { Scheduler } from './scheduler.ts';

/** Streams keep their order; everything else is late, out of order, or lost with its connection. */
export interface SimNetwork {
  /** A computer that has just started; `user` is whom its card names. */
  join(peerId: string, user: string): Network;
  /** It is gone at once; the others notice after a while. */
  leave(peerId: string): void;
  /** Who can reach whom from now on: peers in different groups can't. */
  partition(groups: readonly (readonly string[])[]): void;
  heal(): void;
  /** Ends one connection chosen at random; it comes back soon. */
  breakOne(): void;
  /** Who was penalised for what: nobody may be, as only honest computers take part. */
  readonly penalties: readonly string[];
}

interface Handler {
  readonly options: ProtocolOptions;
  readonly serve: (stream: FrameStream) => Promise<void>;
}
interface Peer {
  readonly id: string;
  readonly user: string;
  readonly events: Emitter<NetworkEvents>;
  readonly handlers: Map<string, Handler>;
  readonly connected: Map<string, Connection>;
  up: boolean;
}
interface Connection {
  readonly ends: readonly [Peer, Peer];
  readonly streams: Set<(error: AppError) => void>;
  up: boolean;
}
interface Pipe {
  readonly queue: Uint8Array[];
  ended: boolean;
  error: AppError | null;
  lastAt: number;
  wake: () => void;
}

const lost = (): AppError => new AppError('unreachable', 'The connection was lost.');

export function createSimNetwork(scheduler: Scheduler, random: () => number): SimNetwork {
  const peers = new Map<string, Peer>();
  const users = new Map<string, string>();
  const penalties: string[] = [];
  let groupOf = new Map<string, number>();
  const reachable = (a: Peer, b: Peer): boolean =>
    a.up && b.up && (groupOf.get(a.id) ?? 0) === (groupOf.get(b.id) ?? 0);
  const delay = (): number => (random() < 0.9 ? random() * 20 : random() * 2000);

  function connectSoon(a: Peer, b: Peer): void {
    scheduler.after(random() * 3000, () => {
      if (peers.get(a.id) !== a || peers.get(b.id) !== b || !reachable(a, b) || a.connected.has(b.id)) return;
      const connection: Connection = { ends: [a, b], streams: new Set(), up: true };
      a.connected.set(b.id, connection);
      b.connected.set(a.id, connection);
      a.events.emit('peerConnected', { peerId: b.id });
      b.events.emit('peerConnected', { peerId: a.id });
    });
  }

  function end(connection: Connection): void {
    if (!connection.up) return;
    connection.up = false;
    const [a, b] = connection.ends;
    // A process that is gone notices nothing; its peer does, a little later.
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      one.connected.delete(other.id);
      if (one.up) one.events.emit('peerDisconnected', { peerId: other.id });
    }
    for (const reset of [...connection.streams]) reset(lost());
    if (reachable(a, b)) connectSoon(a, b);
  }

  function openPair(
    connection: Connection,
    me: Peer,
    other: Peer,
    ours: ProtocolOptions,
    theirs: ProtocolOptions,
  ): [FrameStream, FrameStream] {
    const pipe = (): Pipe => ({ queue: [], ended: false, error: null, lastAt: 0, wake: () => {} });
    const [out, back] = [pipe(), pipe()];
    const closed = Promise.withResolvers<void>();
    const reset = (error: AppError): void => {
      for (const one of [out, back]) {
        one.error ??= error;
        one.wake();
      }
      connection.streams.delete(reset);
      closed.resolve();
    };
    connection.streams.add(reset);
    const deliver = (to: Pipe, what: () => void): Promise<void> =>
      new Promise((resolve) => {
        to.lastAt = Math.max(to.lastAt, scheduler.elapsed() + delay());
        scheduler.after(to.lastAt - scheduler.elapsed(), () => {
          if (to.error === null) what();
          to.wake();
          resolve();
        });
      });
    const half = (peer: Peer, send: Pipe, receive: Pipe, options: ProtocolOptions): FrameStream => {
      const stream: FrameStream = {
        peer: peer.id,
        closed: closed.promise,
        async send(frame) {
          const bytes = new Uint8Array(Buffer.concat(frame instanceof Uint8Array ? [frame] : [...frame]));
          if (bytes.length > options.maxFrame) throw new AppError('too_large', 'Too large a frame.');
          if (send.error) throw send.error;
          if (send.ended) throw lost();
          await deliver(send, () => send.queue.push(bytes));
          if (send.error) throw send.error;
        },
        async read(signal) {
          for (;;) {
            if (receive.error) throw receive.error;
            const frame = receive.queue.shift();
            if (frame) return frame;
            if (receive.ended) return null;
            if (signal?.aborted) throw new AppError('cancelled', 'Reading was cancelled.');
            await new Promise<void>((resolve) => {
              receive.wake = resolve;
              signal?.addEventListener('abort', () => resolve(), { once: true });
            });
          }
        },
        async close() {
          await deliver(send, () => (send.ended = true));
          if (out.ended && back.ended) {
            connection.streams.delete(reset);
            closed.resolve();
          }
        },
        abort: (error) =>
          reset(new AppError('unreachable', 'The other side reset the stream.', { cause: error })),
      };
      return stream;
    };
    return [half(other, out, back, ours), half(me, back, out, theirs)];
  }

  return {
    penalties,
    join(peerId, user) {
      const peer: Peer = {
        id: peerId,
        user,
        events: createEmitter<NetworkEvents>(),
        handlers: new Map(),
        connected: new Map(),
        up: true,
      };
      users.set(peerId, user);
      peers.set(peerId, peer);
      for (const other of peers.values())
        if (other !== peer && reachable(peer, other)) connectSoon(peer, other);
      return {
        peerId,
        on: (name, listener) => peer.events.on(name, listener),
        async start() {},
        async stop() {},
        addresses: () => [],
        peers: () =>
          [...peer.connected.keys()].map((id) => ({
            peerId: id,
            userId: users.get(id) ?? null,
            address: `/sim/${id}`,
            direction: 'outbound' as const,
            relayed: false,
            rtt: 5,
            sent: 0,
            received: 0,
            up: 0,
            down: 0,
            agent: 'sim',
          })),
        connect: () => Promise.reject(new AppError('unreachable', 'No such peer.')),
        async disconnect(id) {
          const connection = peer.connected.get(id);
          if (connection) end(connection);
        },
        want() {},
        unwant() {},
        handle: (name, options, serve) => void peer.handlers.set(name, { options, serve }),
        async open(id, name, options, signal) {
          await new Promise<void>((resolve) => void scheduler.after(delay(), resolve));
          const connection = peer.connected.get(id);
          const other = peers.get(id);
          if (!peer.up || !connection?.up || !other?.up) throw lost();
          const handler = other.handlers.get(name);
          if (!handler) throw new AppError('unsupported', 'Not spoken there.');
          if (signal?.aborted) throw new AppError('cancelled', 'Cancelled.');
          const [mine, theirs] = openPair(connection, peer, other, options, handler.options);
          void handler
            .serve(theirs)
            .then(() => theirs.close())
            .catch((error: Error) => theirs.abort(error));
          return mine;
        },
        unhandle() {},
        topic() {
          throw new Error('there is no gossip in the simulation');
        },
        penalise(id, reason) {
          penalties.push(`${peerId} penalised ${id}: ${reason}`);
          throw new Error(penalties.at(-1));
        },
        ping: async () => 5,
        cards: {
          get: () => null,
          find: () => Promise.reject(new AppError('user_unknown', 'Not here.')),
          add: () => false,
          userOf: (device) => users.get(device) ?? null,
        },
        limits: () => ({ up: null, down: null }),
        setLimits() {},
        countBytes() {},
        peerTraffic: () => [],
        traffic: () => ({ sent: 0, received: 0, up: 0, down: 0 }),
      };
    },
    leave(peerId) {
      const peer = peers.get(peerId);
      if (!peer) return;
      peer.up = false;
      peers.delete(peerId);
      for (const connection of [...peer.connected.values()]) end(connection);
    },
    partition(groups) {
      groupOf = new Map(groups.flatMap((group, index) => group.map((id) => [id, index] as const)));
      for (const peer of peers.values()) {
        for (const connection of [...peer.connected.values()]) {
          if (!reachable(...(connection.ends as [Peer, Peer]))) end(connection);
        }
      }
    },
    heal() {
      groupOf = new Map();
      const all = [...peers.values()];
      for (const [i, a] of all.entries())
        for (const b of all.slice(i + 1)) if (!a.connected.has(b.id)) connectSoon(a, b);
    },
    breakOne() {
      const all = [...new Set([...peers.values()].flatMap((peer) => [...peer.connected.values()]))];
      const one = all[Math.floor(random() * all.length)];
      if (one) end(one);
    },
  };
}
