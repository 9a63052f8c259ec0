import type { Logger } from '../../../src-shared/runtime.ts';
import { isAppError } from '../../../src-shared/errors.ts';
import type { FrameStream, ProtocolOptions } from '../../network/index.ts';
import { decodePeerMessage, encodePeerMessage, maxPeerMessageBytes } from './wire.ts';
import type { PeerMessage } from './wire.ts';
import type { ChainNetwork } from './types.ts';

/** The long-lived streams to all peers that follow the chain: each side opens one and speaks on it. */
export interface PeerStreams {
  start(): void;
  stop(): void;
  /** Peers that follow this chain. */
  peers(): readonly string[];
  send(peer: string, message: PeerMessage): void;
  broadcast(message: PeerMessage): void;
}

export interface PeerStreamsDeps {
  readonly network: ChainNetwork;
  readonly protocol: string;
  readonly logger: Logger;
  /** Said first on a new stream. */
  readonly hello: () => PeerMessage;
  readonly onMessage: (peer: string, message: PeerMessage) => void;
  readonly onPeer: (peer: string, here: boolean) => void;
}

const options: ProtocolOptions = {
  maxFrame: maxPeerMessageBytes,
  maxStreams: 8,
  idleTimeout: 0,
  maxRate: 400,
};
/** Unsent bytes at which messages to a slow peer are left out: have/want brings what it missed. */
const maxQueued = 8 * 1024 * 1024;

interface Out {
  readonly stream: FrameStream;
  queued: number;
}

export function createPeerStreams(deps: PeerStreamsDeps): PeerStreams {
  const { network, logger, protocol } = deps;
  const outs = new Map<string, Out>();
  /** Opened by peers. */
  const ins = new Set<Out>();
  const opening = new Set<string>();
  const offs: (() => void)[] = [];
  let running = false;

  async function open(peer: string): Promise<void> {
    if (!running || outs.has(peer) || opening.has(peer)) return;
    opening.add(peer);
    try {
      const stream = await network.open(peer, protocol, options);
      if (!running) return stream.abort(new Error('stopped'));
      const out: Out = { stream, queued: 0 };
      outs.set(peer, out);
      void stream.closed.then(() => {
        if (outs.get(peer) !== out) return;
        outs.delete(peer);
        deps.onPeer(peer, false);
        // It speaks to us still, or again: it may have begun anew before it was known here that the old one ended.
        if (insOf(peer).length > 0) void open(peer);
      });
      write(out, encodePeerMessage(deps.hello()));
      deps.onPeer(peer, true);
      void hear(stream).catch((error: unknown) => stream.abort(error as Error));
    } catch (error) {
      // Most peers follow other chains, or none.
      if (!isAppError(error, 'unsupported')) {
        logger.debug({ peer, error: String(error) }, 'no stream of consensus to a peer');
      }
    } finally {
      opening.delete(peer);
    }
  }

  function write(out: Out, bytes: Uint8Array): void {
    if (out.queued > maxQueued) return;
    out.queued += bytes.length;
    out.stream.send(bytes).then(
      () => void (out.queued -= bytes.length),
      () => out.stream.abort(new Error('lost')),
    );
  }

  async function hear(stream: FrameStream): Promise<void> {
    for (;;) {
      const frame = await stream.read();
      if (frame === null || !running) return;
      let message: PeerMessage;
      try {
        message = decodePeerMessage(frame);
      } catch (error) {
        network.penalise(stream.peer, `${protocol}: ${String(error)}`);
        throw error;
      }
      deps.onMessage(stream.peer, message);
    }
  }

  const insOf = (peer: string): readonly Out[] => [...ins].filter(({ stream }) => stream.peer === peer);

  /**
   * Whom a peer's stream does not reach: two computers with one copied profile go by one id, and we speak to one of them. What is said
   * to it goes back on the streams that they opened, too, so that the copy hears that its key is in use, and where the chain is.
   */
  function twinsOf(peer: string): readonly Out[] {
    const all = insOf(peer);
    return all.length > 1 ? all : [];
  }

  async function serve(stream: FrameStream): Promise<void> {
    if (!running) return stream.abort(new Error('stopped'));
    // Whoever opens one to us follows the chain: we speak to it, too.
    void open(stream.peer);
    const back: Out = { stream, queued: 0 };
    ins.add(back);
    if (twinsOf(stream.peer).length > 0) write(back, encodePeerMessage(deps.hello()));
    try {
      await hear(stream);
    } finally {
      ins.delete(back);
    }
  }

  return {
    start() {
      running = true;
      network.handle(protocol, options, serve);
      offs.push(
        network.on('peerConnected', ({ peerId }) => void open(peerId)),
        network.on('peerDisconnected', ({ peerId }) => outs.get(peerId)?.stream.abort(new Error('gone'))),
      );
      for (const { peerId } of network.peers()) void open(peerId);
    },
    stop() {
      running = false;
      for (const off of offs.splice(0)) off();
      network.unhandle(protocol);
      // Theirs, too: who follows the chain here next must not be spoken to on a stream that nobody reads.
      for (const { stream } of ins) stream.abort(new Error('stopped'));
      for (const { stream } of outs.values()) stream.abort(new Error('stopped'));
      outs.clear();
    },
    peers: () => [...outs.keys()],
    send(peer, message) {
      const out = outs.get(peer);
      if (!out) return;
      const bytes = encodePeerMessage(message);
      for (const one of [out, ...twinsOf(peer)]) write(one, bytes);
    },
    broadcast(message) {
      if (outs.size === 0) return;
      const bytes = encodePeerMessage(message);
      for (const [peer, out] of outs) for (const one of [out, ...twinsOf(peer)]) write(one, bytes);
    },
  };
}
