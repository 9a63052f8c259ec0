import type { ActorCard, UserId, DeviceId } from '../identity/index.ts';
import type { Events, Service } from '../../src-shared/runtime.ts';

/** One frame-oriented stream to a peer: each frame is length-prefixed (unsigned varint) and at most `maxFrame` bytes. */
export interface FrameStream {
  readonly peer: DeviceId;
  /**
   * Resolves when the frame is handed to the transport and there is room again (back-pressure). Concatenates chunks; those in
   * shared memory are released once they are written.
   */
  send(frame: Uint8Array | readonly Uint8Array[]): Promise<void>;
  /** The next frame, or null when the other side closed cleanly. Rejects with `protocol_violation`, `too_large`, `timeout`. */
  read(signal?: AbortSignal): Promise<Uint8Array | null>;
  /** Nobody reads the frame any more: its memory is used again; only with `pooled` it matters. */
  release?(frame: Uint8Array): void;
  /** Ends our side; pending sends go out first. */
  close(): Promise<void>;
  abort(error: Error): void;
  readonly closed: Promise<void>;
}

export interface ProtocolOptions {
  /** Largest frame accepted, bytes. */
  readonly maxFrame: number;
  /** Streams of this protocol open at once per peer (both directions). */
  readonly maxStreams: number;
  /** A read that waits longer than this fails; 0 = for ever (long-lived streams). ms. */
  readonly idleTimeout: number;
  /** Frames a second per peer before it is `rate_limited`; 0 = none. */
  readonly maxRate: number;
  /** Large frames come in shared memory that is used again after `release`. */
  readonly pooled?: boolean;
}

export interface PeerInfo {
  readonly peerId: DeviceId;
  /** Known once its actor card was checked. */
  readonly userId: UserId | null;
  readonly address: string;
  readonly direction: 'inbound' | 'outbound';
  /** Through a relay rather than directly. */
  readonly relayed: boolean;
  /** ms; null before the first measurement. */
  readonly rtt: number | null;
  readonly sent: number;
  readonly received: number;
  /** Bytes a second, over the last seconds. */
  readonly up: number;
  readonly down: number;
  readonly agent: string;
}

export interface BandwidthLimits {
  /** Bytes a second; null = unlimited. */
  readonly up: number | null;
  readonly down: number | null;
}

export type NetworkEvents = {
  peerConnected: { readonly peerId: DeviceId };
  peerDisconnected: { readonly peerId: DeviceId };
  /** A newer card of some user was checked and stored. */
  card: { readonly card: ActorCard };
  addresses: { readonly addresses: readonly string[] };
};

/** `accept`: it is taken and passed on; `ignore`: not now, nobody's fault; `reject`: its sender broke the rules. */
export type TopicVerdict = 'accept' | 'ignore' | 'reject';

export interface TopicOptions {
  /** Longer messages are rejected. */
  readonly maxBytes: number;
  /** Looks at a message before it is passed on, and takes it. */
  readonly validate: (from: DeviceId, data: Uint8Array) => TopicVerdict | Promise<TopicVerdict>;
}

/** A gossip topic this node joined. Messages are named by their SHA-256: the same bytes come once. */
export interface Topic {
  /** To all that joined it, without a promise that it arrives. @throws AppError `too_large` */
  publish(data: Uint8Array): Promise<void>;
  /** Connected peers that joined it. */
  peers(): readonly DeviceId[];
  leave(): void;
}

/** Actor cards known here, kept on disk; the highest number of each user wins. */
export interface CardBook {
  get(user: UserId): ActorCard | null;
  /** Asks connected peers, then the DHT. Throws `user_unknown`. */
  find(user: UserId, signal?: AbortSignal): Promise<ActorCard>;
  /** Checks and stores; throws `bad_signature`, `malformed`. Returns false when an equal or newer one is known. */
  add(bytes: Uint8Array): boolean;
  /** The user a connected or known device speaks for (certified and not revoked). */
  userOf(device: DeviceId): UserId | null;
}

export interface Network extends Service, Events<NetworkEvents> {
  readonly peerId: DeviceId;
  /** Full multiaddrs ending in /p2p/<peerId>. */
  addresses(): readonly string[];
  peers(): readonly PeerInfo[];
  /** Dials a multiaddr (remembered in the peer book) or a known peer id. Throws `unreachable`. */
  connect(target: string, signal?: AbortSignal): Promise<DeviceId>;
  disconnect(peer: DeviceId): Promise<void>;
  /**
   * Peers to keep a connection to, and to look for when they are away (members' devices). Hints are multiaddrs. Several parts of the program
   * may want one peer: each takes its own wish back.
   */
  want(peer: DeviceId, hints?: readonly string[]): void;
  unwant(peer: DeviceId): void;
  /** `name` becomes `/extrachain/<name>/<version>`. A handler that throws aborts its stream. */
  handle(protocol: string, options: ProtocolOptions, handler: (stream: FrameStream) => Promise<void>): void;
  /** Serves a protocol no more; its open streams stay. */
  unhandle(protocol: string): void;
  open(
    peer: DeviceId,
    protocol: string,
    options: ProtocolOptions,
    signal?: AbortSignal,
  ): Promise<FrameStream>;
  /** Joins `/extrachain/<name>`, e.g. `chain-id/votes/1`. @throws AppError `unsupported` when gossip is off, `already_exists` */
  topic(name: string, options: TopicOptions): Topic;
  /** Counts a breach of protocol; a peer with too many is disconnected and refused for a while. */
  penalise(peer: DeviceId, reason: string): void;
  ping(peer: DeviceId, signal?: AbortSignal): Promise<number>;
  readonly cards: CardBook;
  limits(): BandwidthLimits;
  setLimits(limits: BandwidthLimits): void;
  /** Counts bytes that went to or came from a peer beside libp2p. */
  countBytes(peer: DeviceId, sent: number, received: number): void;
  /** Bytes since start of every peer that was connected since then; of thousands the latest. */
  peerTraffic(): readonly { readonly peerId: DeviceId; readonly sent: number; readonly received: number }[];
  /** Bytes since start, all peers, and the rates of the last seconds (bytes a second). */
  traffic(): { readonly sent: number; readonly received: number; readonly up: number; readonly down: number };
}
