import { isIPv4 } from 'node:net';
import { AppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger, RandomBytes } from '../../../src-shared/runtime.ts';
import type { DeviceId } from '../../identity/index.ts';
import type { FrameStream, Network, PeerInfo, ProtocolOptions } from '../../network/index.ts';
import { bulkFrame, decodeBulkMessage, encodeBulkMessage } from './bulk-messages.ts';
import type { BulkAddress, BulkMessage, BulkOffer } from './bulk-messages.ts';
import { createBulkCertificate } from './certificate.ts';
import type { BulkCertificate } from './certificate.ts';
import { createBulkThread } from './bulk-thread.ts';
import type { BulkSocket } from './bulk-thread.ts';

export interface BulkDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: RandomBytes;
  /** Asked again and again: once it says no, open channels end and nobody gets one. */
  readonly enabled: () => boolean;
  /** Largest frame on the channel, bytes. */
  readonly maxFrame: number;
  /** Serves blocks over a channel somebody opened to us, until it ends. */
  readonly serve: (stream: FrameStream) => Promise<void>;
}

/**
 * A second connection for blocks between peers that reach each other directly: native TLS 1.3, which costs several CPU
 * seconds a GiB less than libp2p's, and runs in a thread of its own. The libp2p connection, which knows who is who, carries
 * certificate pin and token.
 */
export interface BulkChannel {
  /** Answers those who want a channel to us. */
  start(): void;
  /** A channel on which the peer serves blocks, or null when there can be none (now). Does not throw. */
  open(peer: DeviceId, signal: AbortSignal): Promise<FrameStream | null>;
  /** The peer is disconnected: its channels end with it. */
  dropPeer(peer: DeviceId): void;
  stop(): void;
}

interface Listening {
  readonly certificate: BulkCertificate;
  readonly addresses: readonly BulkAddress[];
}

const protocol = 'bulk/1';
const options: ProtocolOptions = { maxFrame: bulkFrame, maxStreams: 8, idleTimeout: 5_000, maxRate: 20 };
/** Asking, connecting and showing the token, ms. */
const patienceMs = 5_000;
/** After a failure libp2p is used without trying again for so long, ms. */
const restMs = 60_000;
const channelsPerPeer = 4;
/** How often open channels are compared with the bandwidth limits. ms. */
const limitsMs = 1_000;

export function createBulkChannel(deps: BulkDeps): BulkChannel {
  const { network, clock, logger } = deps;
  const rests = new Map<DeviceId, number>();
  const channels = new Map<DeviceId, Set<FrameStream>>();
  /** What a token opens, by its hex form. */
  const expected = new Map<string, (socket: BulkSocket | null) => void>();
  const thread = createBulkThread(() => (listening = null));
  let listening: Promise<Listening> | null = null;
  let cancelWatch: (() => void) | null = null;
  let stopped = false;

  function allowed(): boolean {
    const { up, down } = network.limits();
    return up === null && down === null && deps.enabled();
  }

  /** The limits are kept by the libp2p streams only: once there are any, blocks go there. */
  function watchLimits(): void {
    if (cancelWatch || stopped || channels.size === 0) return;
    cancelWatch = clock.after(limitsMs, () => {
      cancelWatch = null;
      if (!allowed()) endAll(new AppError('unreachable', 'The bulk channel is not to be used any more.'));
      watchLimits();
    });
  }

  function endAll(error: AppError): void {
    for (const set of channels.values()) for (const stream of set) stream.abort(error);
  }

  function directPeer(peer: DeviceId): PeerInfo | null {
    if (stopped || !allowed()) return null;
    const known = network.peers().filter((info) => info.peerId === peer && !info.relayed);
    return known[0] ?? null;
  }

  function listen(): Promise<Listening> {
    listening ??= (async () => {
      const certificate = await createBulkCertificate(clock.now());
      if (stopped) throw new AppError('shutting_down', 'The node is stopping.');
      const ips = listenIps(network.addresses());
      const addresses = await thread.listen(certificate, ips, (token, socket) => {
        const key = Buffer.from(token).toString('hex');
        const open = expected.get(key);
        if (!open) return socket.destroy();
        expected.delete(key);
        open(socket);
      });
      return { certificate, addresses };
    })();
    listening.catch(() => (listening = null));
    return listening;
  }

  /** Makes an offer for one connection; the socket that takes it up, or null when none did in time. */
  async function offer(): Promise<{ message: BulkOffer; socket: Promise<BulkSocket | null> }> {
    const { certificate, addresses } = await listen();
    const token = deps.random(32);
    const key = Buffer.from(token).toString('hex');
    const socket = new Promise<BulkSocket | null>((resolve) => {
      const cancel = clock.after(patienceMs, () => {
        expected.delete(key);
        resolve(null);
      });
      expected.set(key, (taken) => {
        cancel();
        resolve(taken);
      });
    });
    const { fingerprint } = certificate;
    return { message: { t: 'offer', addresses, fingerprint, token }, socket };
  }

  async function take(
    peer: PeerInfo,
    { addresses, fingerprint, token }: BulkOffer,
    signal: AbortSignal,
  ): Promise<BulkSocket> {
    const ip = ipOf(peer.address);
    const there = addresses.find((each) => each.ip === ip) ?? addresses.find((each) => each.ip === '');
    // Only ever to the address libp2p is connected to: an offer can't make us dial somewhere else.
    if (!ip || !there)
      throw new AppError('unreachable', 'The other computer offers no address for the bulk channel.');
    return thread.dial(ip, there.port, fingerprint, token, signal);
  }

  function channel(peer: DeviceId, socket: BulkSocket): FrameStream {
    const stream = socket.frames(peer, deps.maxFrame, (sent, received) =>
      network.countBytes(peer, sent, received),
    );
    let set = channels.get(peer);
    if (!set) channels.set(peer, (set = new Set()));
    const mine = set.add(stream);
    watchLimits();
    if (mine.size > channelsPerPeer) mine.values().next().value!.abort(tooMany());
    void stream.closed.then(() => {
      mine.delete(stream);
      if (mine.size === 0 && channels.get(peer) === mine) channels.delete(peer);
    });
    return stream;
  }

  async function serve(peer: DeviceId, socket: BulkSocket): Promise<void> {
    const info = directPeer(peer);
    if (!info) return socket.destroy();
    await deps.serve(channel(peer, socket));
  }

  async function answer(stream: FrameStream): Promise<void> {
    const frame = await stream.read();
    if (frame === null) return;
    const message = decodeBulkMessage(frame);
    const peer = directPeer(stream.peer);
    if (message.t === 'ask' && peer) {
      const { message: reply, socket } = await offer();
      await say(stream, reply);
      void socket.then((taken) => taken && serve(stream.peer, taken));
    } else if (message.t === 'offer' && peer) {
      const { signal, done } = patience(null);
      try {
        const socket = await take(peer, message, signal);
        void serve(stream.peer, socket);
        await say(stream, { t: 'ok' });
      } catch {
        await say(stream, { t: 'no' });
      } finally {
        done();
      }
    } else {
      await say(stream, { t: 'no' });
    }
    await stream.close();
  }

  async function connect(peer: PeerInfo, signal: AbortSignal): Promise<BulkSocket> {
    const stream = await network.open(peer.peerId, protocol, options, signal);
    try {
      if (peer.direction === 'outbound') {
        await say(stream, { t: 'ask' });
        const reply = await hear(stream, signal);
        if (reply.t !== 'offer') throw refused();
        return await take(peer, reply, signal);
      }
      const { message, socket } = await offer();
      await say(stream, message);
      const reply = await hear(stream, signal);
      if (reply.t !== 'ok') throw refused();
      const taken = await socket;
      if (!taken) throw refused();
      return taken;
    } finally {
      stream.close().catch(() => {});
    }
  }

  /** A signal that also ends when our patience does. */
  function patience(signal: AbortSignal | null): { signal: AbortSignal; done: () => void } {
    const late = new AbortController();
    const done = clock.after(patienceMs, () => late.abort());
    return { signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal, done };
  }

  return {
    start() {
      network.handle(protocol, options, answer);
    },
    async open(peer, outer) {
      const info = directPeer(peer);
      if (!info || (rests.get(peer) ?? 0) > clock.now()) return null;
      const { signal, done } = patience(outer);
      try {
        return channel(peer, await connect(info, signal));
      } catch (error) {
        logger.debug({ peer, error }, 'no bulk channel; libp2p is used');
        rests.set(peer, clock.now() + restMs);
        return null;
      } finally {
        done();
      }
    },
    dropPeer(peer) {
      rests.delete(peer);
      for (const stream of channels.get(peer) ?? []) {
        stream.abort(new AppError('unreachable', 'The other computer is disconnected.'));
      }
    },
    stop() {
      stopped = true;
      cancelWatch?.();
      endAll(new AppError('shutting_down', 'The node is stopping.'));
      thread.stop();
    },
  };
}

/** On loopback each address by itself, as in tests; else one port on all addresses. */
function listenIps(addresses: readonly string[]): readonly string[] {
  const ips = [...new Set(addresses.flatMap((address) => ipOf(address) ?? []))];
  return ips.length > 0 && ips.every((ip) => isIPv4(ip) && ip.startsWith('127.')) ? ips : [''];
}

/** The IP address in a TCP multiaddr, or null. */
function ipOf(address: string): string | null {
  return /^\/ip[46]\/([0-9a-f.:]+)\/tcp\//i.exec(address)?.[1] ?? null;
}

async function say(stream: FrameStream, message: BulkMessage): Promise<void> {
  await stream.send(encodeBulkMessage(message));
}

async function hear(stream: FrameStream, signal: AbortSignal): Promise<BulkMessage> {
  const frame = await stream.read(signal);
  if (frame === null) throw refused();
  return decodeBulkMessage(frame);
}

function refused(): AppError {
  return new AppError('unreachable', 'The other computer opens no bulk channel.');
}

function tooMany(): AppError {
  return new AppError('rate_limited', 'Too many bulk channels are open.');
}
