import type { Connection, MultiaddrConnection, PeerId } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { createEmitter } from '../../src-shared/emitter.ts';
import { AppError } from '../../src-shared/errors.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import { migrate } from '../store/index.ts';
import type { Database } from '../store/index.ts';
import { createCardStore } from './card-store.ts';
import { cardOptions, cardProtocol, createCards } from './cards.ts';
import type { Cards } from './cards.ts';
import { createConnector, dialError, parsePeer, peerOf } from './connector.ts';
import { cardRules, createCardDirectory } from './dht.ts';
import { createFinder, findOptions, findProtocol } from './find.ts';
import { createHealth } from './health.ts';
import { createHost, interfaceFingerprint, isLoopbackAddress, isPublicAddress } from './host.ts';
import { createKeeper } from './keeper.ts';
import { networkMigrations } from './migrations.ts';
import { createPeerBook } from './peer-book.ts';
import { createPeerConnections } from './peer-connections.ts';
import { pingConnection } from './ping.ts';
import { createProtocols } from './protocols.ts';
import { createProviderRecords } from './providers.ts';
import type { ProviderRecords } from './providers.ts';
import { createReputation } from './reputation.ts';
import { createShaper } from './shaper.ts';
import { createTopics } from './topics.ts';
import { createTraffic } from './traffic.ts';
import type { BandwidthLimits, FrameStream, Network, NetworkEvents, ProtocolOptions } from './types.ts';

export interface NetworkDeps {
  /** 32-byte Ed25519 seed of the device key; the peer id is its public key. */
  readonly deviceSeed: Uint8Array;
  /** node.db: peer book, cards, breaches. */
  readonly db: Database;
  /** Multiaddrs to listen on, e.g. `/ip4/0.0.0.0/tcp/0`, `/ip4/0.0.0.0/tcp/0/ws`. */
  readonly listen: readonly string[];
  /** Full multiaddrs ending in /p2p/<id> of peers to stay connected to. May be empty. */
  readonly bootstrap: readonly string[];
  readonly mdns: boolean;
  /** `auto` serves as a relay once somebody could reach this node directly. Default `auto`. */
  readonly relay?: 'auto' | 'on' | 'off';
  /** Asks the router for a port. Default true; never on a loopback-only node. */
  readonly upnp?: boolean;
  /** Hosts gossipsub. Default false: it costs CPU for nothing while no layer uses it. */
  readonly gossip?: boolean;
  readonly limits?: BandwidthLimits;
  /** The actor card this node shows, null while it has no actor. */
  readonly ownCard: () => Uint8Array | null;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A number in [0, 1), for jitter. Default `Math.random`. */
  readonly random?: () => number;
  /** What other nodes see in `peers`. Default `extrachain`. */
  readonly agent?: string;
}

/** The network layer's face, with what only the node itself needs. */
export interface NodeNetwork extends Network {
  /** The own card changed: gives it to all connected peers and to the DHT. */
  announceCard(): void;
  readonly providers: ProviderRecords;
}

const interfaceCheck = 2500;
const greetPatience = 3000;
/** Two, when both dial at once, and one through a relay; more is a fault or an attack. */
const maxConnectionsPerPeer = 4;

/**
 * Builds the network layer. Nothing listens or dials before `start`.
 * @throws AppError of the database
 */
export async function createNetwork(deps: NetworkDeps): Promise<NodeNetwork> {
  const { clock, logger } = deps;
  migrate(deps.db, 'network', networkMigrations);
  const emitter = createEmitter<NetworkEvents>((error) => {
    logger.error({ error: String(error) }, 'a listener of the network failed');
  });
  const book = createPeerBook(deps.db, clock, logger);
  const reputation = createReputation(deps.db, clock, logger);
  const cardStore = createCardStore(deps.db, clock);
  const traffic = createTraffic(clock);
  let limits: BandwidthLimits = deps.limits ?? { up: null, down: null };
  const up = createShaper(clock, limits.up);
  const down = createShaper(clock, limits.down);
  const agents = new Map<string, string>();
  const greeted = new Map<string, () => void>();
  const announced = new Set<string>();
  let stopping = false;
  let reachable = false;
  const cancels = new Set<() => void>();

  const refuse = (peer: PeerId): boolean => reputation.refused(peer.toString());
  const admit = (peer: PeerId, connection: MultiaddrConnection): boolean => {
    if (refuse(peer)) return true;
    traffic.assign(connection, peer.toString());
    return false;
  };
  const host = await createHost({
    deviceSeed: deps.deviceSeed,
    listen: deps.listen,
    agent: deps.agent ?? 'extrachain',
    mdns: deps.mdns,
    upnp: deps.upnp ?? true,
    gossip: deps.gossip ?? false,
    dhtRules: cardRules,
    onWire: (connection, sent, received) =>
      traffic.carried(connection as MultiaddrConnection, sent, received),
    gater: {
      denyDialPeer: refuse,
      denyInboundConnection(connection) {
        traffic.attach(connection);
        return false;
      },
      denyOutboundConnection(_peer, connection) {
        traffic.attach(connection);
        return false;
      },
      denyInboundEncryptedConnection: admit,
      denyOutboundEncryptedConnection: admit,
      denyInboundRelayReservation: refuse,
      denyOutboundRelayedConnection: (source, destination) => refuse(source) || refuse(destination),
      denyInboundRelayedConnection: (_relay, remote) => refuse(remote),
    },
  });
  const { libp2p } = host;
  const self = libp2p.peerId.toString();

  function later(ms: number, fn: () => void): void {
    if (stopping) return;
    const cancel = clock.after(ms, () => {
      cancels.delete(cancel);
      fn();
    });
    cancels.add(cancel);
  }

  function penalise(peer: string, reason: string): void {
    logger.warn({ peer, reason }, 'a peer broke a protocol');
    if (reputation.penalise(peer)) void drop(peer);
  }
  const protocols = createProtocols({ libp2p, clock, logger, up, down, onViolation: penalise });

  const topics = createTopics(host.pubsub, logger, penalise);

  const connections = createPeerConnections(libp2p, (connection) => protocols.inUse(connection));
  const { best, state } = connections;

  async function drop(peer: string): Promise<void> {
    protocols.dropPeer(peer);
    await connections.drop(peer);
  }

  async function openStream(
    peer: string,
    protocol: string,
    options: ProtocolOptions,
    signal?: AbortSignal,
  ): Promise<FrameStream> {
    const connection = best(peer);
    if (!connection) throw new AppError('unreachable', 'The other computer is not connected.');
    return protocols.open(connection, protocol, options, signal);
  }

  const directory = createCardDirectory(host.dht, clock, logger);
  const cards: Cards = createCards({
    store: cardStore,
    logger,
    ownCard: deps.ownCard,
    open: (peer, signal) => openStream(peer, cardProtocol, cardOptions, signal),
    connected: connections.peers,
    directory,
    onCard: (card) => emitter.emit('card', { card }),
    penalise,
  });
  const finder = createFinder({
    open: (peer, signal) => openStream(peer, findProtocol, findOptions, signal),
    isConnected: (peer) => peer === self || connections.of(peer).some((connection) => connection.direct),
    async recordOf(peer) {
      try {
        return (await libp2p.peerStore.get(peerIdFromString(peer))).peerRecordEnvelope ?? null;
      } catch {
        return null;
      }
    },
    penalise,
  });

  const { connect, dial } = createConnector({
    libp2p,
    transports: host.components.transportManager,
    clock,
    book,
    connections,
    refused: (peer) => reputation.refused(peer),
  });
  const keeper = createKeeper({
    clock,
    logger,
    random: deps.random ?? Math.random,
    book,
    finder,
    self,
    refused: (peer) => reputation.refused(peer),
    state,
    connectedPeers: connections.peers,
    dial,
    bootstrap: deps.bootstrap.flatMap((address) => {
      const peer = peerOf(address);
      return peer === null ? [] : [{ peer, address }];
    }),
    active: () => libp2p.status === 'started' && !stopping,
  });
  const health = createHealth({
    clock,
    logger,
    connections: () => libp2p.getConnections(),
    ping: pingConnection,
    received: (peer) => traffic.of(peer).received,
  });

  /** Somebody reached us directly from elsewhere: others can too, so we can serve them. */
  function becomeReachable(): void {
    if (reachable || stopping) return;
    reachable = true;
    void host.dht?.setMode('server').catch(() => {});
    if ((deps.relay ?? 'auto') === 'auto' && !host.loopbackOnly) {
      void host.setRelay(true).catch((error: unknown) => {
        logger.warn({ error: String(error) }, 'this node could not become a relay');
      });
    }
  }

  function announceConnected(peer: string): void {
    greeted.delete(peer);
    if (announced.has(peer) || connections.of(peer).length === 0) return;
    announced.add(peer);
    keeper.connected(peer);
    emitter.emit('peerConnected', { peerId: peer });
  }
  function announceDisconnected(peer: string): void {
    if (!announced.delete(peer)) return;
    emitter.emit('peerDisconnected', { peerId: peer });
  }

  function onOpen(connection: Connection): void {
    const peer = connection.remotePeer.toString();
    if (connections.of(peer).length > maxConnectionsPerPeer) return connections.closeSpare(peer, connection);
    health.opened(connection);
    if (connection.direct) {
      if (connection.direction === 'outbound') {
        book.succeeded(peer, connection.remoteAddr.toString());
        // libp2p's own dialler would have noted it; the DHT hands it on to others.
        const known = { multiaddrs: [connection.remoteAddr] };
        libp2p.peerStore.merge(connection.remotePeer, known).catch(() => {});
      } else if (!isLoopbackAddress(connection.remoteAddr.toString()) || host.loopbackOnly) becomeReachable();
      // A relay gets us together; once there is a direct way it is only a detour.
      for (const other of connections.of(peer))
        if (!other.direct) later(1000, () => connections.closeSpare(peer, other));
    }
    later(5000, () => connections.pruneDuplicates(peer));
    if (announced.has(peer)) return;
    if (connection.direction === 'outbound') {
      cards
        .greet(peer)
        .catch((error: unknown) => logger.debug({ peer, error: String(error) }, 'no card from a peer'))
        .finally(() => announceConnected(peer));
    } else {
      greeted.set(peer, () => announceConnected(peer));
      later(greetPatience, () => announceConnected(peer));
    }
  }

  function onClose(connection: Connection): void {
    const peer = connection.remotePeer.toString();
    if (connections.of(peer).length === 0) {
      protocols.dropPeer(peer);
      greeted.delete(peer);
      announceDisconnected(peer);
      keeper.disconnected(peer);
      if (agents.size > 2000) agents.clear();
    } else if (announced.has(peer) && protocols.inUse(connection)) {
      // Streams died with it although the peer is still here: users must open them anew.
      announceDisconnected(peer);
      later(10, () => announceConnected(peer));
    }
  }

  libp2p.addEventListener('connection:open', (event) => onOpen(event.detail));
  libp2p.addEventListener('connection:close', (event) => onClose(event.detail));
  libp2p.addEventListener('peer:identify', (event) => {
    if (stopping) return;
    const peer = event.detail.peerId.toString();
    if (event.detail.agentVersion !== undefined) agents.set(peer, event.detail.agentVersion.slice(0, 100));
    const record = event.detail.signedPeerRecord;
    if (record) book.add(peer, record.addresses.map(String));
  });
  libp2p.addEventListener('peer:discovery', (event) => {
    if (stopping) return;
    const addresses = event.detail.multiaddrs.map(String);
    const peer = event.detail.id.toString();
    // The DHT and mDNS tell of many strangers; the book is for those we care about.
    if (addresses.length > 0 && keeper.wanted(peer)) keeper.hint(peer, addresses);
  });
  libp2p.addEventListener('self:peer:update', () => {
    const addresses = listAddresses();
    if (addresses.some(isPublicAddress)) becomeReachable();
    emitter.emit('addresses', { addresses });
  });

  function listAddresses(): readonly string[] {
    return libp2p.getMultiaddrs().map(String);
  }

  function watchInterfaces(before: string): void {
    later(interfaceCheck, () => {
      const now = interfaceFingerprint();
      watchInterfaces(now);
      if (now === before) return;
      logger.info({}, 'the addresses of this computer changed');
      health.checkAll();
      void host.refreshAddresses().catch(() => {});
      keeper.networkChanged();
    });
  }

  const ready = Promise.all([
    protocols.handle(cardProtocol, cardOptions, (stream) =>
      cards.serve(stream, () => greeted.get(stream.peer)?.()),
    ),
    protocols.handle(findProtocol, findOptions, (stream) => finder.serve(stream)),
  ]);

  return {
    peerId: self,
    cards,
    on: emitter.on,
    async start() {
      await ready;
      await libp2p.start();
      if (deps.relay === 'on') await host.setRelay(true);
      if (listAddresses().some(isPublicAddress)) becomeReachable();
      watchInterfaces(interfaceFingerprint());
      // Given by a person: believed more than what the peer book remembers of them.
      for (const address of deps.bootstrap) {
        const peer = peerOf(address);
        if (peer !== null && peer !== self) keeper.want(peer, [address]);
      }
      const card = deps.ownCard();
      if (card) later(30_000, () => void directory.put(card));
    },
    async stop() {
      if (stopping) return;
      stopping = true;
      for (const cancel of cancels) cancel();
      keeper.stop();
      health.stop();
      directory.stop();
      up.stop();
      down.stop();
      await host.setRelay(false);
      await libp2p.stop();
    },
    addresses: listAddresses,
    peers() {
      return connections.peers().flatMap((peer) => {
        const connection = best(peer);
        if (!connection) return [];
        const { sent, received, up: upNow, down: downNow } = traffic.of(peer);
        return [
          {
            peerId: peer,
            userId: cardStore.userOf(peer),
            address: connection.remoteAddr.toString(),
            direction: connection.direction,
            relayed: !connection.direct,
            rtt: health.rtt(connection),
            sent,
            received,
            up: upNow,
            down: downNow,
            agent: agents.get(peer) ?? '',
          },
        ];
      });
    },
    connect,
    disconnect: drop,
    want: (peer, hints = []) => keeper.want(parsePeer(peer), hints),
    unwant: (peer) => keeper.unwant(peer),
    handle(protocol, options, handler) {
      protocols.handle(protocol, options, handler).catch((error: unknown) => {
        logger.error({ protocol, error: String(error) }, 'a protocol could not be served');
      });
    },
    unhandle(protocol) {
      protocols.unhandle(protocol).catch((error: unknown) => {
        logger.debug({ protocol, error: String(error) }, 'a protocol was served on');
      });
    },
    async open(peer, protocol, options, signal) {
      if (state(peer) === 'none') await connect(peer, signal);
      return openStream(peer, protocol, options, signal);
    },
    topic: (name, options) => topics.join(name, options),
    penalise,
    async ping(peer, signal) {
      if (state(peer) === 'none') await connect(peer, signal);
      const connection = best(peer);
      if (!connection) throw new AppError('unreachable', 'The other computer is not connected.');
      const timeout = AbortSignal.timeout(10_000);
      try {
        return await pingConnection(connection, signal ? AbortSignal.any([signal, timeout]) : timeout);
      } catch (error) {
        throw dialError(error, signal);
      }
    },
    limits: () => limits,
    setLimits(next) {
      for (const rate of [next.up, next.down]) {
        if (rate !== null && !(Number.isSafeInteger(rate) && rate > 0)) {
          throw new AppError(
            'invalid_argument',
            'A bandwidth limit is a whole number of bytes a second above zero.',
          );
        }
      }
      limits = next;
      up.setRate(next.up);
      down.setRate(next.down);
    },
    countBytes: (peer, sent, received) => traffic.add(peer, sent, received),
    peerTraffic: () => traffic.all(),
    traffic: () => traffic.totals(),
    announceCard: () => cards.announce(),
    providers: createProviderRecords(host.dht, self),
  };
}
