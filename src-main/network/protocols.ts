import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { AppError } from '../../src-shared/errors.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import { createFrameStream } from './frame-stream.ts';
import type { Shaper } from './shaper.ts';
import type { FrameStream, ProtocolOptions } from './types.ts';

/** Our own protocols over libp2p: names, limits per peer, framing. */
export interface Protocols {
  handle(
    name: string,
    options: ProtocolOptions,
    handler: (stream: FrameStream) => Promise<void>,
  ): Promise<void>;
  unhandle(name: string): Promise<void>;
  /** @throws AppError `unreachable`, `rate_limited` (too many streams open), `unsupported`, `timeout`, `cancelled` */
  open(
    connection: Connection,
    name: string,
    options: ProtocolOptions,
    signal?: AbortSignal,
  ): Promise<FrameStream>;
  /** Ends every stream of a peer. */
  dropPeer(peer: string): void;
  /** True when streams of ours run over this connection, or did when it closed. */
  inUse(connection: Connection): boolean;
}

export interface ProtocolsDeps {
  readonly libp2p: Libp2p;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly up: Shaper;
  readonly down: Shaper;
  readonly onViolation: (peer: string, reason: string) => void;
}

const prefix = '/extrachain/';
const openTimeout = 10_000;
/** Seconds of the allowed rate that may come at once. */
const burst = 2;

/** `history/1` becomes `/extrachain/history/1`, `history` too. @throws AppError `invalid_argument` */
export function protocolId(name: string): string {
  const match = /^(?:\/extrachain\/)?([a-z][a-z0-9-]*)(?:\/([0-9]+))?$/.exec(name);
  if (!match) throw new AppError('invalid_argument', `"${name}" is not the name of a protocol.`);
  return `${prefix}${match[1]}/${match[2] ?? '1'}`;
}

export function createProtocols(deps: ProtocolsDeps): Protocols {
  const { libp2p, clock } = deps;
  /** By peer, then by protocol. */
  const peers = new Map<string, Map<string, { streams: Set<FrameStream>; tokens: number; at: number }>>();

  const carried = new WeakMap<Connection, Set<FrameStream>>();

  function entry(peer: string, id: string, options: ProtocolOptions) {
    let protocols = peers.get(peer);
    if (!protocols) peers.set(peer, (protocols = new Map()));
    let found = protocols.get(id);
    if (!found) {
      protocols.set(id, (found = { streams: new Set(), tokens: options.maxRate * burst, at: clock.now() }));
    }
    return found;
  }

  function wrap(stream: Stream, connection: Connection, id: string, options: ProtocolOptions): FrameStream {
    const peer = connection.remotePeer.toString();
    const state = entry(peer, id, options);
    const framed = createFrameStream(stream, peer, options, {
      clock,
      up: deps.up,
      down: deps.down,
      allowFrame() {
        if (options.maxRate === 0) return true;
        const now = clock.now();
        state.tokens = Math.min(
          options.maxRate * burst,
          state.tokens + (Math.max(0, now - state.at) / 1000) * options.maxRate,
        );
        state.at = now;
        if (state.tokens < 1) return false;
        state.tokens -= 1;
        return true;
      },
      onViolation: (error) => deps.onViolation(peer, `${id}: ${error.code}: ${error.message}`),
    });
    state.streams.add(framed);
    const over = carried.get(connection) ?? new Set();
    carried.set(connection, over.add(framed));
    void framed.closed.then(() => {
      state.streams.delete(framed);
      // A connection that dies closes its streams first; whoever asks right then must still see them.
      if (connection.status === 'open') over.delete(framed);
    });
    return framed;
  }

  async function serve(
    stream: FrameStream,
    id: string,
    handler: (stream: FrameStream) => Promise<void>,
  ): Promise<void> {
    try {
      await handler(stream);
      await stream.close();
    } catch (error) {
      deps.logger.debug({ protocol: id, peer: stream.peer, error: String(error) }, 'a stream ended in error');
      stream.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }

  return {
    async handle(name, options, handler) {
      const id = protocolId(name);
      await libp2p.handle(
        id,
        (stream, connection) => {
          const peer = connection.remotePeer.toString();
          if (entry(peer, id, options).streams.size >= options.maxStreams) {
            stream.abort(new AppError('rate_limited', 'Too many streams of one protocol are open.'));
            return;
          }
          void serve(wrap(stream, connection, id, options), id, handler);
        },
        {
          // One above ours, so that ours is the limit that answers.
          maxInboundStreams: options.maxStreams + 1,
          maxOutboundStreams: options.maxStreams + 1,
          runOnLimitedConnection: true,
        },
      );
    },

    unhandle: (name) => libp2p.unhandle(protocolId(name)),

    async open(connection, name, options, signal) {
      const id = protocolId(name);
      const peer = connection.remotePeer.toString();
      if (entry(peer, id, options).streams.size >= options.maxStreams) {
        throw new AppError('rate_limited', 'Too many streams of one protocol are open.');
      }
      const timeout = AbortSignal.timeout(openTimeout);
      try {
        const stream = await connection.newStream(id, {
          signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
          maxOutboundStreams: options.maxStreams + 1,
          runOnLimitedConnection: true,
        });
        return wrap(stream, connection, id, options);
      } catch (error) {
        throw openError(error, signal, timeout);
      }
    },

    dropPeer(peer) {
      const protocols = peers.get(peer);
      peers.delete(peer);
      for (const state of protocols?.values() ?? []) {
        for (const stream of state.streams) {
          stream.abort(new AppError('unreachable', 'The connection was closed.'));
        }
      }
    },

    inUse: (connection) => (carried.get(connection)?.size ?? 0) > 0,
  };
}

function openError(error: unknown, signal: AbortSignal | undefined, timeout: AbortSignal): AppError {
  if (error instanceof AppError) return error;
  const options = { cause: error };
  if (signal?.aborted) return new AppError('cancelled', 'Opening a stream was cancelled.', options);
  if (timeout.aborted) return new AppError('timeout', 'The other computer did not answer in time.', options);
  if ((error as Error).name === 'UnsupportedProtocolError') {
    return new AppError('unsupported', 'The other computer does not speak this protocol.', options);
  }
  return new AppError('unreachable', 'No stream to the other computer could be opened.', options);
}
