import { AppError } from '../../../src-shared/errors.ts';
import type { FrameStream, ProtocolOptions, Topic, TopicVerdict } from '../../network/index.ts';
import type { ChainNetwork } from '../chain/types.ts';
import type { Calls } from './calls.ts';
import type { FarNetwork } from './network-far.ts';
import { ownBytes } from './calls.ts';

/** The network as the thread of a chain calls it; streams have numbers. */
export interface NearNetwork {
  handle(protocol: string, options: ProtocolOptions): void;
  unhandle(protocol: string): void;
  open(peer: string, protocol: string, options: ProtocolOptions): Promise<number>;
  read(stream: number, signal?: AbortSignal): Promise<Uint8Array | null>;
  send(stream: number, frame: Uint8Array): Promise<void>;
  close(stream: number): Promise<void>;
  abort(stream: number): void;
  join(topic: string, maxBytes: number): void;
  publish(topic: string, data: Uint8Array): Promise<void>;
  leave(topic: string): void;
  penalise(peer: string, reason: string): void;
  want(peer: string, hints: readonly string[]): void;
  unwant(peer: string): void;
}

/** Serves the real network to the thread. */
export interface NetworkBridge {
  readonly functions: NearNetwork;
  /** Ends what the thread opened. */
  stop(): void;
}

/** @param far calls into the thread */
export function createNetworkBridge(network: ChainNetwork, far: () => Calls<FarNetwork>): NetworkBridge {
  const streams = new Map<number, FrameStream>();
  const topics = new Map<string, Topic>();
  const protocols = new Set<string>();
  let lastStream = 0;

  function add(stream: FrameStream): number {
    const id = ++lastStream;
    streams.set(id, stream);
    void stream.closed.then(() => {
      if (streams.delete(id)) far().tell('closed', [id]);
    });
    return id;
  }
  /** A stream that is gone meanwhile behaves like one that broke. */
  function streamOf(id: number): FrameStream {
    const stream = streams.get(id);
    if (stream) return stream;
    throw new AppError('unreachable', 'The connection to the other computer was lost.');
  }

  const offs = (['peerConnected', 'peerDisconnected'] as const).map((name) =>
    network.on(name, ({ peerId }) => far().tell(name, [peerId])),
  );

  return {
    functions: {
      handle(protocol, options) {
        protocols.add(protocol);
        network.handle(protocol, options, (stream) => {
          const id = add(stream);
          // Resolves when the thread is done with the stream; a failure there aborts it, as everywhere.
          return far().call('serve', [protocol, id, stream.peer]);
        });
      },
      unhandle(protocol) {
        protocols.delete(protocol);
        network.unhandle(protocol);
      },
      open: async (peer, protocol, options) => add(await network.open(peer, protocol, options)),
      async read(id, signal) {
        const frame = await streamOf(id).read(signal);
        return frame && ownBytes(frame);
      },
      send: (id, frame) => streamOf(id).send(frame),
      close: async (id) => streams.get(id)?.close(),
      abort: (id) => streams.get(id)?.abort(new Error('given up')),
      join(name, maxBytes) {
        topics.set(
          name,
          network.topic(name, {
            maxBytes,
            validate: (from, data): Promise<TopicVerdict> =>
              far().call('validate', [name, from, ownBytes(data)]),
          }),
        );
      },
      publish: async (name, data) => topics.get(name)?.publish(data),
      leave(name) {
        topics.get(name)?.leave();
        topics.delete(name);
      },
      penalise: (peer, reason) => network.penalise(peer, reason),
      want: (peer, hints) => network.want(peer, hints),
      unwant: (peer) => network.unwant(peer),
    },
    stop() {
      for (const off of offs) off();
      for (const topic of topics.values()) topic.leave();
      for (const protocol of protocols) network.unhandle(protocol);
      for (const stream of streams.values()) stream.abort(new Error('stopped'));
      topics.clear();
      streams.clear();
    },
  };
}
