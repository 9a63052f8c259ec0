import { randomBytes } from 'node:crypto';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import { createEmitter } from '../../src-shared/emitter.ts';
import type { Clock, Logger, RandomBytes } from '../../src-shared/runtime.ts';
import type { EntryId } from '../history/index.ts';
import type { DeviceId } from '../identity/index.ts';
import type { FrameStream, Network, ProtocolOptions } from '../network/index.ts';
import { createBulkChannel } from './bulk/bulk-channel.ts';
import { serveBlocks } from './block-provider.ts';
import { createDriveExchange, driveUnknown } from './drive-exchange.ts';
import type { DriveExchange } from './drive-exchange.ts';
import { createEarlyRing } from './early-ring.ts';
import { createFetcher } from './fetcher.ts';
import { fetchWholeHistory } from './history-fetch.ts';
import { decodeHistoryMessage, encodeHistoryMessage } from './history-messages.ts';
import { createHoldings, holdsOptions, holdsProtocol } from './holdings.ts';
import { limits } from './limits.ts';
import { createMembership } from './membership.ts';
import { createProgress } from './progress.ts';
import { createRefusals } from './refusals.ts';
import { fetchOrRebuild } from './rebuild.ts';
import { createServingLoad } from './serving-load.ts';
import type { Exchange, ExchangeEvents, OpenDrives, PlainFetch, Rebuild } from './types.ts';

export interface ExchangeDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For the tokens of the bulk channel; default `node:crypto`. */
  readonly random?: RandomBytes;
}

export interface ExchangeOptions {
  /** Memory for blocks announced early, bytes. */
  readonly earlyBytes?: number;
  /** Whether blocks of direct peers may go over a TLS connection of their own, asked every second. Default: yes. */
  readonly bulk?: () => boolean;
  /** Who may read beside members. Default: nobody. */
  readonly open?: OpenDrives;
  /** Bounds on what is sent to those who are neither members nor hosts. Default: none. */
  readonly readers?: ReaderBounds;
}

/** What readers of open drives may take of this computer's upload. */
export interface ReaderBounds {
  /** Counts what is about to be sent to one, and waits until it is their turn; null: now. */
  pay(bytes: number): Promise<void> | null;
  /** So many bytes went to one. */
  sent(bytes: number): void;
}

const historyProtocol = 'history/1';
const blocksProtocol = 'blocks/1';
const historyOptions: ProtocolOptions = {
  maxFrame: limits.historyFrame,
  maxStreams: limits.historyStreams,
  idleTimeout: 0,
  maxRate: 0,
};
const blocksOptions: ProtocolOptions = {
  maxFrame: limits.blocksFrame,
  maxStreams: 4,
  idleTimeout: 0,
  maxRate: 0,
  pooled: true,
};
/** A subscriber says what it wants within this time, ms; and so long its card is waited for. */
const helloMs = 10_000;
const cardMs = 10_000;
/** The same for a peer that has introduced itself: it may have no card at all. ms. */
const lateCardMs = 2_000;
/** Longest that announcing waits for slow takers, ms. */
const earlyPatienceMs = 2_000;

/**
 * Builds the exchange over a network. Drives may be added before or after `start`.
 * @param deps the host, the time, the log
 */
export function createExchange(deps: ExchangeDeps, options: ExchangeOptions = {}): Exchange {
  const { network, clock, logger } = deps;
  const events = createEmitter<ExchangeEvents>((error) =>
    logger.error({ error }, 'an exchange listener failed'),
  );
  const changes = createEmitter<{ changed: Record<string, never> }>();
  const open = options.open ?? null;
  const membership = createMembership(network, clock, open);
  const drives = new Map<EntryId, DriveExchange>();
  const rebuilders = new Map<EntryId, Rebuild>();
  /** Drives of which only parts are read. */
  const lookedAt = new Set<EntryId>();
  const serving = new Set<FrameStream>();
  /** Peers that told who they are when they connected, or had their time for it. */
  const introduced = new Set<DeviceId>();
  const ring = createEarlyRing(clock, options.earlyBytes ?? limits.earlyRingBytes, earlyPatienceMs);
  const progress = createProgress(clock, (totals) => events.emit('progress', totals));
  const refusals = createRefusals(clock, (peer) =>
    network.penalise(peer, 'it keeps asking for drives it is no member of'),
  );
  const load = createServingLoad(clock);
  const off: (() => void)[] = [];
  let running = false;

  const bulk = createBulkChannel({
    network,
    clock,
    logger,
    random: deps.random ?? ((n) => randomBytes(n)),
    enabled: options.bulk ?? (() => true),
    maxFrame: limits.blocksFrame,
    serve: (stream) => handler(handleBlocks)(stream),
  });
  /** Whether whole drives come from that peer. */
  const isTransferring = (peer: DeviceId): boolean =>
    [...drives].some(([id, { drive }]) => !lookedAt.has(id) && membership.holders(drive).includes(peer));

  const fetcher = createFetcher({
    clock,
    logger,
    sources: (id) => {
      const known = drives.get(id);
      const holders = known ? membership.holders(known.drive) : [];
      return open === null ? holders : holders.filter((peer) => open.introduced(id, peer));
    },
    rtt: (peer) => membership.rtt(peer),
    self: network.peerId,
    open: async (peer, signal) =>
      (isTransferring(peer) ? await bulk.open(peer, signal) : null) ??
      network.open(peer, blocksProtocol, blocksOptions, signal),
    penalise: (peer, reason) => network.penalise(peer, reason),
    onReceived: (drive, bytes) => progress.received(drive, bytes),
  });

  const holdings = createHoldings({
    clock,
    logger,
    open: (peer, signal) => network.open(peer, holdsProtocol, holdsOptions, signal),
    source(id, peer) {
      const known = drives.get(id);
      return known && running && membership.isMember(known.drive, peer) ? known.source : null;
    },
    onRefused: (peer) => refusals.count(peer),
    penalise: (peer, reason) => network.penalise(peer, reason),
  });

  /** Connections, cards or rights changed: who sees what is worked out anew. */
  function peersChanged(): void {
    if (!running) return;
    membership.changed();
    for (const drive of drives.values()) drive.reconcile();
    fetcher.sourcesChanged();
    changes.emit('changed', {});
  }

  /** Waits until `ready` holds after some change, at most `ms`. */
  async function settle(ready: () => boolean, ms: number): Promise<boolean> {
    if (ready()) return true;
    const done = Promise.withResolvers<void>();
    const stop = changes.on('changed', () => {
      if (ready() || !running) done.resolve();
    });
    const cancel = clock.after(ms, () => done.resolve());
    await done.promise;
    stop();
    cancel();
    return ready();
  }

  async function handleHistory(stream: FrameStream): Promise<void> {
    const { peer } = stream;
    const slow = new AbortController();
    const cancel = clock.after(helloMs, () => slow.abort());
    const first = await stream.read(slow.signal).finally(cancel);
    if (first === null) return;
    const hello = decodeHistoryMessage(first);
    if (hello.t !== 'hello') {
      throw new AppError('protocol_violation', 'A subscriber did not begin by saying what it wants.');
    }
    const asked = drives.get(hello.drive);
    if (asked) {
      const ready = (): boolean => membership.mayHave(asked.drive, peer) || membership.userOf(peer) !== null;
      await settle(ready, introduced.has(peer) ? lateCardMs : cardMs);
    }
    const known = drives.get(hello.drive);
    if (!known || !running || !membership.mayHave(known.drive, peer)) {
      refusals.count(peer);
      await stream.send(encodeHistoryMessage({ t: 'forbidden' }));
      await stream.close();
      return;
    }
    known.retry(peer);
    await known.serve(stream, hello.frontier);
  }

  async function handleBlocks(stream: FrameStream): Promise<void> {
    const { peer } = stream;
    await serveBlocks({
      stream,
      logger,
      load: load.share(),
      onRefused: () => refusals.count(peer),
      servable: (id) => {
        const known = drives.get(id);
        if (!known || !running || !membership.mayHave(known.drive, peer)) return null;
        const reader = options.readers !== undefined && !membership.holders(known.drive).includes(peer);
        return {
          source: known.source,
          cached: (key) => ring.take(id, key, peer),
          onSent(bytes) {
            progress.sent(id, bytes);
            if (reader) options.readers?.sent(bytes);
          },
          ...(reader && { pay: (bytes: number) => options.readers?.pay(bytes) ?? null }),
        };
      },
    });
  }

  /** Counts breaches against the peer; what the transport says about a lost connection is no breach. */
  function handler(serve: (stream: FrameStream) => Promise<void>): (stream: FrameStream) => Promise<void> {
    return async (stream) => {
      if (!running) return stream.abort(new AppError('shutting_down', 'The node is stopping.'));
      serving.add(stream);
      try {
        await serve(stream);
        await stream.close();
      } catch (error) {
        if (isBreach(error)) network.penalise(stream.peer, error.message);
        else logger.debug({ peer: stream.peer, error }, 'an exchange stream ended');
        stream.abort(error instanceof Error ? error : new Error(String(error)));
      } finally {
        serving.delete(stream);
      }
    };
  }

  async function openTo(driveId: EntryId, peer: DeviceId, signal: AbortSignal): Promise<FrameStream> {
    if (!membership.isConnected(peer)) await network.connect(peer, signal);
    if (open !== null && !open.introduced(driveId, peer)) {
      await open.introduce(driveId, peer, signal);
      fetcher.sourcesChanged();
    }
    return network.open(peer, historyProtocol, historyOptions, signal);
  }

  return {
    on: (name, listener) => events.on(name, listener),
    async start() {
      running = true;
      network.handle(historyProtocol, historyOptions, handler(handleHistory));
      network.handle(holdsProtocol, holdsOptions, handler(holdings.serve));
      network.handle(blocksProtocol, blocksOptions, handler(handleBlocks));
      bulk.start();
      off.push(
        network.on('peerConnected', ({ peerId }) => {
          introduced.add(peerId);
          peersChanged();
          // Streams may have died with an older connection of a peer that never was quite away.
          for (const drive of drives.values()) drive.retry(peerId);
        }),
        network.on('peerDisconnected', ({ peerId }) => {
          introduced.delete(peerId);
          membership.changed();
          // One of several connections may have ended.
          if (!membership.isConnected(peerId)) {
            fetcher.dropPeer(peerId);
            bulk.dropPeer(peerId);
            ring.forgetPeer(peerId);
          }
          peersChanged();
        }),
        network.on('card', peersChanged),
      );
      peersChanged();
    },
    async stop() {
      running = false;
      for (const remove of off.splice(0)) remove();
      changes.emit('changed', {});
      await fetcher.stop();
      await Promise.all([...drives.values()].map((drive) => drive.stop()));
      drives.clear();
      const error = new AppError('shutting_down', 'The node is stopping.');
      for (const stream of serving) stream.abort(error);
      bulk.stop();
      ring.stop();
      progress.stop();
    },
    addDrive(drive, source, isLookedAt = false) {
      if (drives.has(drive.id)) throw new AppError('already_exists', 'This drive is open here already.');
      if (isLookedAt) lookedAt.add(drive.id);
      drives.set(
        drive.id,
        createDriveExchange({
          drive,
          source,
          clock,
          logger,
          membership,
          open: (peer, signal) => openTo(drive.id, peer, signal),
          penalise: (peer, reason) => network.penalise(peer, reason),
          onMembers: () => events.emit('members', { driveId: drive.id }),
          onEarly: (early) => events.emit('early', { driveId: drive.id, early }),
          onOwnFeedBehind: () => events.emit('ownFeedBehind', { driveId: drive.id }),
          onAccess: () => fetcher.sourcesChanged(),
        }),
      );
      peersChanged();
    },
    setRebuilder(driveId, rebuild) {
      if (rebuild === null) rebuilders.delete(driveId);
      else rebuilders.set(driveId, rebuild);
    },
    async removeDrive(driveId) {
      const known = drives.get(driveId);
      if (!known) return;
      drives.delete(driveId);
      lookedAt.delete(driveId);
      fetcher.dropDrive(driveId);
      ring.forgetDrive(driveId);
      progress.forget(driveId);
      membership.changed();
      await known.stop();
    },
    async fetchHistory(driveId, from, signal) {
      return fetchWholeHistory(
        {
          clock,
          open: (peer, limit) => openTo(driveId, peer, limit),
          penalise: (peer, reason) => network.penalise(peer, reason),
        },
        driveId,
        from,
        signal,
      );
    },
    async fetch(driveId, requests, signal) {
      if (!drives.has(driveId)) throw driveUnknown();
      const plain: PlainFetch = (some, limit) => fetcher.fetch(driveId, some, limit);
      await fetchOrRebuild(plain, rebuilders.get(driveId), requests, signal);
    },
    async announceEarly(driveId, token, node, blocks) {
      const known = drives.get(driveId);
      if (!known) throw driveUnknown();
      const listeners = known.listeners();
      if (blocks.length === 0) return;
      const kept = ring.put(
        driveId,
        blocks.map(({ ref, ciphertext }) => ({ id: ref.id, bytes: ciphertext })),
        listeners,
      );
      if (listeners.length > 0) known.announce(token, node, blocks);
      await kept;
    },
    wantsSealed: (driveId) => ring.wants(drives.get(driveId)?.listeners() ?? []),
    keepSealed(driveId, blocks) {
      const kept = blocks.map(({ ref, ciphertext }) => ({ id: ref.id, bytes: ciphertext }));
      ring.keep(driveId, kept, drives.get(driveId)?.listeners() ?? []);
    },
    sealedRoom: () => ring.halfFree(),
    setSettled(driveId, settled, whole) {
      drives.get(driveId)?.setRest(!settled ? 'busy' : whole ? 'whole' : 'rest');
    },
    setHosts(driveId, hosts) {
      membership.setHosts(driveId, hosts);
      peersChanged();
    },
    sourcesChanged: peersChanged,
    async holders(driveId, items, signal) {
      const known = drives.get(driveId);
      if (!known) throw driveUnknown();
      const peers = membership.holders(known.drive).filter((peer) => membership.isMember(known.drive, peer));
      return holdings.ask(driveId, peers, items, signal);
    },
    members: (driveId) => drives.get(driveId)?.members() ?? [],
    hosts: (driveId) => drives.get(driveId)?.hosts() ?? [],
  };
}

function isBreach(error: unknown): error is AppError {
  return (
    isAppError(error, 'malformed') ||
    isAppError(error, 'protocol_violation') ||
    isAppError(error, 'too_large')
  );
}
