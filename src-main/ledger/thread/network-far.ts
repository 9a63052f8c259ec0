import { AppError } from '../../../src-shared/errors.ts';
import { createEmitter } from '../../../src-shared/emitter.ts';
import type { FrameStream, TopicOptions, TopicVerdict } from '../../network/index.ts';
import type { ChainNetwork } from '../chain/types.ts';
import { ownBytes } from './calls.ts';
import type { Calls } from './calls.ts';
import type { NearNetwork } from './network-near.ts';

/** What the main thread tells the thread of a chain about the network. */
export interface FarNetwork {
  peerConnected(peer: string): void;
  peerDisconnected(peer: string): void;
  /** A peer opened a stream; resolves when it is served. */
  serve(protocol: string, stream: number, peer: string): Promise<void>;
  validate(topic: string, from: string, data: Uint8Array): Promise<TopicVerdict>;
  closed(stream: number): void;
}

/** The network of the node, reached from another thread. */
export interface NetworkAcross {
  readonly network: ChainNetwork;
  readonly functions: FarNetwork;
}

/**
 * @param near calls into the main thread
 * @param connected peer ids at the beginning
 */
export function createNetworkAcross(
  near: () => Calls<NearNetwork>,
  connected: readonly string[],
): NetworkAcross {
  const emitter = createEmitter<{
    peerConnected: { readonly peerId: string };
    peerDisconnected: { readonly peerId: string };
  }>();
  const peers = new Set(connected);
  const handlers = new Map<string, (stream: FrameStream) => Promise<void>>();
  const validators = new Map<string, TopicOptions['validate']>();
  const closing = new Map<number, () => void>();
  /** Closed before this side had heard that they are open. */
  const early = new Set<number>();

  function streamOf(id: number, peer: string): FrameStream {
    const closed = early.delete(id)
      ? Promise.resolve()
      : new Promise<void>((resolve) => closing.set(id, resolve));
    return {
      peer: peer as FrameStream['peer'],
      send: (frame) =>
        near().call('send', [id, ownBytes(frame instanceof Uint8Array ? frame : Buffer.concat(frame))]),
      read: (signal) => near().call('read', [id], signal),
      close: () => near().call('close', [id]),
      abort: () => near().tell('abort', [id]),
      closed,
    };
  }

  return {
    network: {
      handle(protocol, options, handler) {
        handlers.set(protocol, handler);
        near().tell('handle', [protocol, options]);
      },
      unhandle(protocol) {
        handlers.delete(protocol);
        near().tell('unhandle', [protocol]);
      },
      open: (peer, protocol, options, signal) =>
        new Promise((resolve, reject) => {
          const cancel = (): void => reject(new AppError('cancelled', 'It was cancelled.'));
          if (signal?.aborted) return cancel();
          signal?.addEventListener('abort', cancel, { once: true });
          near()
            .call('open', [peer, protocol, options])
            .then((id) => {
              signal?.removeEventListener('abort', cancel);
              const stream = streamOf(id, peer);
              if (signal?.aborted) stream.abort(new Error('cancelled'));
              resolve(stream);
            }, reject);
        }),
      topic(name, { maxBytes, validate }) {
        validators.set(name, validate);
        near().tell('join', [name, maxBytes]);
        return {
          publish: (data) => near().call('publish', [name, ownBytes(data)]),
          peers: () => [],
          leave() {
            validators.delete(name);
            near().tell('leave', [name]);
          },
        };
      },
      penalise: (peer, reason) => near().tell('penalise', [peer, reason]),
      want: (peer, hints = []) => near().tell('want', [peer, hints]),
      unwant: (peer) => near().tell('unwant', [peer]),
      peers: () => [...peers].map((peerId) => ({ peerId })),
      on: (name, listener) => emitter.on(name, listener),
    },
    functions: {
      peerConnected(peerId) {
        peers.add(peerId);
        emitter.emit('peerConnected', { peerId });
      },
      peerDisconnected(peerId) {
        peers.delete(peerId);
        emitter.emit('peerDisconnected', { peerId });
      },
      serve(protocol, id, peer) {
        const handler = handlers.get(protocol);
        if (handler) return handler(streamOf(id, peer));
        throw new AppError('unsupported', 'This protocol is not served any more.');
      },
      validate: async (topic, from, data) => validators.get(topic)?.(from, data) ?? 'ignore',
      closed(id) {
        const tell = closing.get(id);
        closing.delete(id);
        if (tell) tell();
        else early.add(id);
      },
    },
  };
}
