import { createEmitter } from '../../../src-shared/emitter.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { DeviceId, UserId } from '../../identity/index.ts';
import type {
  CardBook,
  FrameStream,
  Network,
  NetworkEvents,
  PeerInfo,
  ProtocolOptions,
} from '../../network/index.ts';

/** How a pair of peers is connected: `delay` ms one way, `rate` bytes a second from `from` (null: as fast as it goes). */
export interface Line {
  delay: number;
  rate: number | null;
  /** Frames stand still without the connection ending. */
  frozen: boolean;
}

export interface MemoryNode extends Network {
  /** Reasons given to `penalise`, by peer. */
  readonly penalties: Map<DeviceId, string[]>;
  /** Frames and bytes this node sent, by protocol. */
  readonly sentBy: Map<string, { frames: number; bytes: number }>;
}

/** A network in memory for tests: the same back-pressure and limits as the real one, lines that can be made slow or cut. */
export interface MemoryHub {
  node(peerId: DeviceId): MemoryNode;
  connect(a: DeviceId, b: DeviceId): void;
  disconnect(a: DeviceId, b: DeviceId): void;
  /** Makes the card of a user known everywhere: the device speaks for it. */
  card(device: DeviceId, user: UserId): void;
  line(from: DeviceId, to: DeviceId): Line;
}

const penaltiesAllowed = 5;
const highWater = 512 * 1024;

interface Wire {
  queue: Uint8Array[];
  queued: number;
  ended: boolean;
  error: AppError | null;
  wake: () => void;
  drained: (() => void)[];
}

export function createMemoryHub(): MemoryHub {
  interface Handler {
    readonly options: ProtocolOptions;
    readonly serve: (stream: FrameStream) => Promise<void>;
  }
  interface Inner {
    readonly network: MemoryNode;
    readonly events: ReturnType<typeof createEmitter<NetworkEvents>>;
    readonly handlers: Map<string, Handler>;
    readonly peers: Set<DeviceId>;
    readonly streams: Set<FrameStream>;
  }
  const nodes = new Map<DeviceId, Inner>();
  const users = new Map<DeviceId, UserId>();
  const lines = new Map<string, Line>();

  const line = (from: DeviceId, to: DeviceId): Line => {
    const key = `${from}>${to}`;
    let found = lines.get(key);
    if (!found) lines.set(key, (found = { delay: 0, rate: null, frozen: false }));
    return found;
  };

  function pair(
    a: Inner,
    b: Inner,
    name: string,
    ours: ProtocolOptions,
    theirs: ProtocolOptions,
  ): [FrameStream, FrameStream] {
    const ab = wire();
    const ba = wire();
    const closedA = Promise.withResolvers<void>();
    const closedB = Promise.withResolvers<void>();
    const finish = (): void => {
      if ((ab.ended || ab.error) && (ba.ended || ba.error)) {
        closedA.resolve();
        closedB.resolve();
      }
    };
    const end = (
      me: Inner,
      other: Inner,
      out: Wire,
      into: Wire,
      options: ProtocolOptions,
      closed: Promise<void>,
    ): FrameStream => {
      const lineOut = line(me.network.peerId, other.network.peerId);
      let free = 0;
      let tail: Promise<void> = Promise.resolve();
      const stream: FrameStream = {
        peer: other.network.peerId,
        closed,
        send(frame) {
          const bytes = Buffer.concat(frame instanceof Uint8Array ? [frame] : frame);
          if (bytes.length > options.maxFrame)
            return Promise.reject(new AppError('too_large', 'Too large a frame.'));
          const sent = tail.then(async () => {
            if (out.error) throw out.error;
            if (out.ended) throw new AppError('unreachable', 'The stream is closed.');
            const count = me.network.sentBy.get(name) ?? { frames: 0, bytes: 0 };
            count.frames++;
            count.bytes += bytes.length;
            me.network.sentBy.set(name, count);
            while (lineOut.frozen && !out.error) await sleep(5);
            if (lineOut.rate !== null || lineOut.delay > 0) {
              const now = performance.now();
              const takes = lineOut.rate === null ? 0 : (bytes.length * 1000) / lineOut.rate;
              free = Math.max(free, now) + takes;
              await sleep(free - now);
              if (lineOut.delay > 0) {
                const at = tail;
                void sleep(lineOut.delay)
                  .then(() => at)
                  .then(() => deliver(out, bytes));
                return;
              }
            }
            deliver(out, bytes);
            while (out.queued > highWater && !out.error) await new Promise<void>((r) => out.drained.push(r));
            if (out.error) throw out.error;
          });
          tail = sent.catch(() => {});
          return sent;
        },
        async read(signal) {
          for (;;) {
            if (into.error) throw into.error;
            const frame = into.queue.shift();
            if (frame) {
              into.queued -= frame.length;
              for (const go of into.drained.splice(0)) go();
              if (frame.length > options.maxFrame) {
                const error = new AppError('too_large', 'A frame is too large.');
                stream.abort(error);
                throw error;
              }
              return frame;
            }
            if (into.ended) return null;
            if (signal?.aborted) throw new AppError('cancelled', 'Reading was cancelled.');
            await new Promise<void>((resolve) => {
              into.wake = resolve;
              signal?.addEventListener('abort', () => resolve(), { once: true });
            });
          }
        },
        async close() {
          await tail;
          out.ended = true;
          out.wake();
          finish();
        },
        abort(error) {
          const reset = new AppError('unreachable', 'The other side reset the stream.', { cause: error });
          into.error ??= error instanceof AppError ? error : reset;
          out.error ??= reset;
          for (const side of [into, out]) {
            side.wake();
            for (const go of side.drained.splice(0)) go();
          }
          finish();
        },
      };
      me.streams.add(stream);
      void closed.then(() => me.streams.delete(stream));
      return stream;
    };
    return [end(a, b, ab, ba, ours, closedA.promise), end(b, a, ba, ab, theirs, closedB.promise)];
  }

  const hub: MemoryHub = {
    line,
    node(peerId) {
      const events = createEmitter<NetworkEvents>();
      const inner: Inner = {
        events,
        handlers: new Map(),
        peers: new Set(),
        streams: new Set(),
        network: null!,
      };
      const cards: CardBook = {
        get: () => null,
        find: async () => {
          throw new AppError('user_unknown', 'Not in memory.');
        },
        add: () => false,
        userOf: (device) => users.get(device) ?? null,
      };
      const network: MemoryNode = {
        peerId,
        penalties: new Map(),
        sentBy: new Map(),
        cards,
        on: (name, listener) => events.on(name, listener),
        start: async () => {},
        stop: async () => {},
        addresses: () => [],
        peers: () => [...inner.peers].map((id) => info(peerId, id)),
        async connect(target) {
          if (!nodes.has(target)) throw new AppError('unreachable', 'No such peer.');
          hub.connect(peerId, target);
          return target;
        },
        async disconnect(peer) {
          hub.disconnect(peerId, peer);
        },
        want: () => {},
        unwant: () => {},
        handle: (name, options, serve) => void inner.handlers.set(name, { options, serve }),
        async open(peer, name, options, signal) {
          await sleep(line(peerId, peer).delay);
          const other = nodes.get(peer);
          if (!other || !inner.peers.has(peer)) throw new AppError('unreachable', 'Not connected.');
          const handler = other.handlers.get(name);
          if (!handler) throw new AppError('unsupported', 'Not spoken there.');
          if (signal?.aborted) throw new AppError('cancelled', 'Cancelled.');
          const [ours, theirs] = pair(inner, other, name, options, handler.options);
          void handler
            .serve(theirs)
            .then(() => theirs.close())
            .catch((error: Error) => theirs.abort(error));
          return ours;
        },
        unhandle: (name) => void inner.handlers.delete(name),
        topic() {
          throw new AppError('unsupported', 'There is no gossip in memory.');
        },
        penalise(peer, reason) {
          const list = network.penalties.get(peer) ?? [];
          list.push(reason);
          network.penalties.set(peer, list);
          if (list.length >= penaltiesAllowed) hub.disconnect(peerId, peer);
        },
        ping: async () => 1,
        limits: () => ({ up: null, down: null }),
        setLimits: () => {},
        countBytes() {},
        peerTraffic: () => [],
        traffic: () => ({ sent: 0, received: 0, up: 0, down: 0 }),
      };
      nodes.set(peerId, Object.assign(inner, { network }));
      return network;
    },
    connect(a, b) {
      const [one, two] = [nodes.get(a)!, nodes.get(b)!];
      if (one.peers.has(b)) return;
      one.peers.add(b);
      two.peers.add(a);
      one.events.emit('peerConnected', { peerId: b });
      two.events.emit('peerConnected', { peerId: a });
    },
    disconnect(a, b) {
      const [one, two] = [nodes.get(a)!, nodes.get(b)!];
      if (!one.peers.delete(b)) return;
      two.peers.delete(a);
      const gone = new AppError('unreachable', 'The connection was lost.');
      for (const stream of [...one.streams]) if (stream.peer === b) stream.abort(gone);
      for (const stream of [...two.streams]) if (stream.peer === a) stream.abort(gone);
      one.events.emit('peerDisconnected', { peerId: b });
      two.events.emit('peerDisconnected', { peerId: a });
    },
    card(device, user) {
      users.set(device, user);
      for (const { events } of nodes.values()) events.emit('card', { card: null! });
    },
  };

  function info(from: DeviceId, to: DeviceId): PeerInfo {
    return {
      peerId: to,
      userId: users.get(to) ?? null,
      address: `/memory/${to}`,
      direction: 'outbound',
      relayed: false,
      rtt: line(from, to).delay + line(to, from).delay,
      sent: 0,
      received: 0,
      up: 0,
      down: 0,
      agent: 'memory',
    };
  }
  return hub;
}

function wire(): Wire {
  return { queue: [], queued: 0, ended: false, error: null, wake: () => {}, drained: [] };
}

function deliver(to: Wire, frame: Uint8Array): void {
  to.queue.push(frame);
  to.queued += frame.length;
  to.wake();
}

function sleep(ms: number): Promise<void> {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve();
}
