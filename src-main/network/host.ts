import { hash } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import type { CircuitRelayServerComponents } from '@libp2p/circuit-relay-v2';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { dcutr } from '@libp2p/dcutr';
import type { GossipSub } from '@libp2p/gossipsub';
import { identify, identifyPush } from '@libp2p/identify';
import { contentRoutingSymbol, peerRoutingSymbol, start, stop } from '@libp2p/interface';
import type { ConnectionGater, Libp2p } from '@libp2p/interface';
import type { AddressManager, TransportManager } from '@libp2p/interface-internal';
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht';
import type { KadDHT, KadDHTComponents, Selectors, Validators } from '@libp2p/kad-dht';
import { noise } from '@libp2p/noise';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { webSockets } from '@libp2p/websockets';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { nativeTls } from './native-tls.ts';
import type { CountWire } from './native-tls.ts';

/** What is inside the host that its public face does not show; libp2p hands it to every service. */
export interface HostComponents {
  readonly transportManager: TransportManager;
  readonly addressManager: AddressManager;
}

export interface Host {
  readonly libp2p: Libp2p;
  readonly components: HostComponents;
  readonly dht: KadDHT | null;
  /** Null while gossip is off. */
  readonly pubsub: GossipSub | null;
  /** True while every listen address is a loopback address. */
  readonly loopbackOnly: boolean;
  /** Starts or stops serving as a relay. */
  setRelay(on: boolean): Promise<void>;
  /** Announces the addresses as they are now (libp2p notices new listeners, not new interface addresses). */
  refreshAddresses(): Promise<void>;
}

export interface HostOptions {
  /** 32-byte Ed25519 seed of the device key. */
  readonly deviceSeed: Uint8Array;
  /** Multiaddrs to listen on. */
  readonly listen: readonly string[];
  readonly agent: string;
  readonly mdns: boolean;
  readonly upnp: boolean;
  readonly gossip: boolean;
  readonly gater: ConnectionGater;
  /** Told of bytes on the wire that the connections themselves do not see. */
  readonly onWire: CountWire;
  readonly dhtRules: { readonly validators: Validators; readonly selectors: Selectors };
}

/**
 * Receive windows of a stream, bytes. They are not negotiated: the first one is what every node of this network grants a
 * new stream, so it must never change without a new muxer protocol name.
 */
const firstWindow = 1024 * 1024;
const largestWindow = 4 * 1024 * 1024;
/** How many relays to hold a place on. */
const relayPlaces = 2;
/** What a relay grants each relayed connection; both ends come back when it is used up. */
const relayLimits = {
  maxReservations: 128,
  applyDefaultLimit: true,
  defaultDataLimit: 4n * 1024n * 1024n * 1024n,
  defaultDurationLimit: 6 * 60 * 60_000,
};

/**
 * Messages carry their own signatures, so libp2p adds none; the name of a message is its hash, so that what two say alike goes round
 * once. Small networks are the usual case: every message goes to everybody (`floodPublish`).
 */
const gossipOptions = {
  globalSignaturePolicy: 'StrictNoSign',
  msgIdFn: (message: { readonly topic: string; readonly data: Uint8Array }) =>
    hash('sha256', Buffer.concat([Buffer.from(message.topic), message.data]), 'buffer'),
  allowPublishToZeroTopicPeers: true,
  ignoreDuplicatePublishError: true,
  floodPublish: true,
  fallbackToFloodsub: false,
  // Several peers behind one address are the rule here: a household, a test on one computer.
  scoreParams: { IPColocationFactorWeight: 0 },
  maxInboundDataLength: 1024 * 1024,
  runOnLimitedConnection: true,
} as const;

export function isLoopbackAddress(address: string): boolean {
  return /^\/ip4\/127\.|^\/ip6\/::1\//.test(address);
}

/** Builds (and does not start) the libp2p host. */
export async function createHost(options: HostOptions): Promise<Host> {
  const loopbackOnly = options.listen.every(isLoopbackAddress);
  let components: HostComponents | null = null;
  const privateKey = await generateKeyPairFromSeed('Ed25519', options.deviceSeed);

  // Each of these costs start time and memory, so only what is used is loaded.
  const mdns = options.mdns ? (await import('@libp2p/mdns')).mdns : null;
  const autoNAT = loopbackOnly ? null : (await import('@libp2p/autonat')).autoNAT;
  const uPnPNAT = options.upnp && !loopbackOnly ? (await import('@libp2p/upnp-nat')).uPnPNAT : null;
  const gossipsub = options.gossip ? await import('@libp2p/gossipsub') : null;

  const libp2p = await createLibp2p({
    start: false,
    privateKey,
    nodeInfo: { name: 'extrachain', version: '1', userAgent: options.agent },
    addresses: { listen: [...options.listen, ...Array<string>(relayPlaces).fill('/p2p-circuit')] },
    transports: [tcp({ backlog: 256 }), webSockets(), circuitRelayTransport({ reservationConcurrency: 2 })],
    // TLS first: it is the fastest here, and Noise has only a slow cipher under Electron.
    connectionEncrypters: [nativeTls(options.onWire), noise()],
    streamMuxers: [
      yamux({
        streamOptions: {
          initialStreamWindowSize: firstWindow,
          maxStreamWindowSize: largestWindow,
          // A paused stream holds at most its window; more is a breach and resets it.
          maxReadBufferLength: largestWindow + firstWindow,
        },
      }),
    ],
    connectionGater: options.gater,
    connectionManager: {
      maxConnections: 300,
      inboundConnectionThreshold: 100,
      maxIncomingPendingConnections: 100,
      // Reconnecting is the keeper's business.
      reconnectRetries: 0,
      dialTimeout: 10_000,
      addressDialTimeout: 4000,
    },
    // Ours judges by traffic too: theirs drops a connection whose ping waits behind a bulk transfer.
    connectionMonitor: { enabled: false },
    ...(mdns ? { peerDiscovery: [mdns({ serviceTag: '_extrachain._udp.local', interval: 20_000 })] } : {}),
    services: {
      identify: identify({ runOnLimitedConnection: true }),
      identifyPush: identifyPush({ runOnLimitedConnection: true }),
      ping: ping({ runOnLimitedConnection: true, maxInboundStreams: 8, maxOutboundStreams: 8 }),
      dcutr: dcutr(),
      dht: (all: KadDHTComponents) =>
        unrouted(
          kadDHT({
            protocol: '/extrachain/kad/1.0.0',
            clientMode: true,
            ...options.dhtRules,
            // Networks may be LAN only or on one machine.
            peerInfoMapper: passthroughMapper,
            allowQueryWithZeroPeers: true,
            querySelfInterval: 10 * 60_000,
          })(all),
        ),
      ...(autoNAT ? { autoNAT: autoNAT() } : {}),
      ...(uPnPNAT ? { upnp: uPnPNAT() } : {}),
      ...(gossipsub ? { pubsub: gossipsub.gossipsub(gossipOptions) } : {}),
      inside: (all: HostComponents) => {
        components = all;
        return {};
      },
    },
  });

  const inside = components as unknown as HostComponents & CircuitRelayServerComponents;
  let relay: ReturnType<ReturnType<typeof circuitRelayServer>> | null = null;

  return {
    libp2p: libp2p as unknown as Libp2p,
    components: inside,
    dht: libp2p.services.dht,
    pubsub: (libp2p.services as { pubsub?: GossipSub }).pubsub ?? null,
    loopbackOnly,
    async setRelay(on) {
      if (on === (relay !== null)) return;
      if (on) {
        relay = circuitRelayServer({ reservations: relayLimits, maxInboundHopStreams: 64 })(inside);
        await start(relay);
      } else {
        const old = relay;
        relay = null;
        await stop(old);
      }
    },
    async refreshAddresses() {
      await libp2p.peerStore.patch(libp2p.peerId, {
        multiaddrs: libp2p
          .getMultiaddrs()
          .map((address) => address.decapsulate(`/p2p/${libp2p.peerId.toString()}`)),
      });
    },
  };
}

/**
 * A DHT that libp2p does not use for routing on its own: the relay transport would walk it for ever in a network with
 * fewer relays than places, and a dial would wait for it.
 */
function unrouted(dht: KadDHT): KadDHT {
  for (const symbol of [peerRoutingSymbol, contentRoutingSymbol]) {
    Object.defineProperty(dht, symbol, { value: undefined });
  }
  return dht;
}

/** A string that changes when this computer's addresses do. */
export function interfaceFingerprint(): string {
  return Object.values(networkInterfaces())
    .flat()
    .filter((address) => address !== undefined && !address.internal && !address.address.startsWith('fe80:'))
    .map((address) => address!.address)
    .sort()
    .join(' ');
}

/** True for a multiaddr of an address that is routed on the public internet. */
export function isPublicAddress(address: string): boolean {
  const { name, value } = multiaddr(address).getComponents()[0] ?? {};
  if (value === undefined || address.includes('/p2p-circuit')) return false;
  if (name === 'ip4') {
    return !/^(0|10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01])|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])|2(2[4-9]|[3-5]\d))\./.test(
      value,
    );
  }
  if (name === 'ip6') return /^[23]/.test(value);
  return name === 'dns' || name === 'dns4' || name === 'dns6';
}
