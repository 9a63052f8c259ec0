import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { createEmitter } from '../../src-shared/emitter.ts';
import { AppError } from '../../src-shared/errors.ts';
import { createSteadyClock } from '../../src-shared/steady-clock.ts';
import type { DeviceId } from '../identity/index.ts';
import type { FrameStream } from '../network/index.ts';
import type { Receipt } from './codec/records.ts';
import { createStreamDirectory } from './directory.ts';
import type { StreamDirectory } from './directory.ts';
import { formatStreamLink, parseStreamLink, peerOfAddress } from './link-text.ts';
import { decodeLive } from './live/frames.ts';
import { liveOptions, liveProtocol } from './live/links.ts';
import { createSession } from './live/session.ts';
import type { Contact, Session, SessionDeps } from './live/session-types.ts';
import { measureUplink, noUplink } from './overlay/index.ts';
import { beginOwnStream } from './own-stream.ts';
import type { OwnStream } from './own-stream.ts';
import { readOwnState } from './own-state.ts';
import type { OwnState, StreamPosition } from './own-state.ts';
import { openPartRing } from './part-ring.ts';
import type { PartRing, RingPlace } from './part-ring.ts';
import { createPlayers } from './players.ts';
import type { Players } from './players.ts';
import { relayConditions } from './relay-conditions.ts';
import { listStreams } from './stream-list.ts';
import type { StartOptions, Streams, StreamsDeps, StreamsEvents } from './streams-types.ts';
import type { StreamId } from './types.ts';

const watchMs = 8_000;
const helloMs = 5_000;
const announceEvery = 60_000;
const helpEvery = 15_000;
const lookEvery = 1_000;
/** A stream that no player asked for so long is left. */
const idleMs = 60_000;
/** An encoder that sends nothing for so long has gone: its stream ends. */
const silentMs = 120_000;
/** A stream that an earlier start sent is taken up again when it ran so short a time ago, ms. */
const resumeMs = 300_000;
/** Nothing came for so long and nobody says why: the source has gone for good. */
const lostMs = 180_000;
/** An encoder that is silent for so long is away, as those who watch are told. */
const awayMs = 5_000;
/** Without anybody to get parts from for so long, the source itself is looked for: it may have come back elsewhere. */
const seekMs = 4_000;
/** Viewers that a source remembers over a restart, to go to them when it is back. */
const mostNear = 8;
/** An ended stream is shown so long, and its last parts are still given to those who come late. */
const afterlifeMs = 120_000;
const mostOwn = 4;
const mostSessions = 32;
const mostRelayed = 8;
const mostReceipts = 10_000;

interface Kept {
  readonly session: Session;
  readonly players: Players;
  /** Somebody wants to watch; otherwise it is only passed on. */
  watching: boolean;
  /** When it last had a parent, or began to look for one. */
  parentAt: number;
  /** Since when it has had none. */
  aloneSince: number | null;
  endedAt: number | null;
  /** Computers that the network looks for on behalf of this stream. */
  readonly sought: Set<DeviceId>;
  contacts: readonly string[];
  key: Uint8Array | null;
  own: OwnStream | null;
}

export function createStreams(deps: StreamsDeps): Streams {
  const { network, clock, logger, random } = deps;
  /** For everything that waits; `clock` tells the time of day. */
  const steady = createSteadyClock(clock);
  const events = createEmitter<StreamsEvents>((error) =>
    logger.error({ err: error }, 'a listener of streams failed'),
  );
  const kept = new Map<StreamId, Kept>();
  const receipts = new Map<string, Receipt>();
  const startedAt = steady.now();
  let directory: StreamDirectory | null = null;
  let estimate = noUplink;
  let cancelLook = (): void => {};
  let unfollow = (): void => {};
  let lastAnnounced = 0;
  let lastHelp = 0;
  let stopping = false;

  const changed = (): void => events.emit('changed', {});

  const { folder } = deps;
  const openRing = (
    at: string,
    found?: (header: Uint8Array, place: RingPlace) => number | null,
  ): Promise<PartRing> =>
    openPartRing({
      folder: at,
      logger,
      ...(found && { found }),
      ...(deps.ringBytes !== undefined && { maxBytes: deps.ringBytes }),
    });

  function sessionDeps(): SessionDeps {
    return {
      network,
      clock,
      logger,
      random,
      device: deps.device,
      tryUnwrap: deps.tryUnwrap,
      conditions: () => relayConditions(deps, steady.now() - startedAt),
      openRing: folder === undefined ? null : (id, found) => openRing(path.join(folder, id), found),
      hotBytes: deps.hotBytes,
      uplink: {
        rate: () => estimate.rate,
        add(sample: { readonly bytes: number; readonly ms: number }, backlogged: boolean) {
          estimate = measureUplink(estimate, { ...sample, backlogged }, steady.now());
        },
      },
      changed,
      receipt(receipt: Receipt) {
        const key = `${receipt.streamId} ${receipt.to}`;
        const before = receipts.get(key);
        if (before && before.bytes >= receipt.bytes) return;
        receipts.delete(key);
        receipts.set(key, receipt);
        if (receipts.size > mostReceipts) receipts.delete(receipts.keys().next().value as string);
        events.emit('receipt', { receipt });
      },
      ...(deps.without ? { without: deps.without } : {}),
    };
  }

  function contactsOf(addresses: readonly string[]): Contact[] {
    const byPeer = new Map<DeviceId, string[]>();
    for (const address of addresses) {
      const peer = peerOfAddress(address);
      byPeer.set(peer, [...(byPeer.get(peer) ?? []), address]);
    }
    return [...byPeer].map(([peer, all]) => ({ peer, addresses: all }));
  }

  function join(streamId: StreamId, addresses: readonly string[], key: Uint8Array | null): Kept {
    const present = kept.get(streamId);
    if (present) {
      if (key) {
        // Passed on so far without being read.
        present.session.unlock(key);
        present.key = key;
      }
      present.session.meet(contactsOf(addresses));
      return present;
    }
    if (kept.size >= mostSessions)
      throw new AppError('too_many', 'This computer takes part in too many streams already.');
    const session = createSession(sessionDeps(), streamId, null);
    if (key) session.unlock(key);
    const one = keptOf(session, key, addresses);
    kept.set(streamId, one);
    session.meet(contactsOf(addresses));
    return one;
  }

  const keptOf = (session: Session, key: Uint8Array | null, contacts: readonly string[]): Kept => ({
    session,
    players: createPlayers(session, steady),
    watching: false,
    parentAt: steady.now(),
    aloneSince: null,
    endedAt: null,
    sought: new Set(),
    contacts,
    key,
    own: null,
  });

  async function drop(streamId: StreamId): Promise<void> {
    const one = kept.get(streamId);
    if (!one) return;
    kept.delete(streamId);
    for (const peer of one.sought) network.unwant(peer);
    const goesOn = one.own && !one.session.ended() && one.session.description()?.state !== 'ended';
    if (stopping && deps.keeper && goesOn) await one.session.suspend();
    else await one.session.stop();
    changed();
  }

  /** By id, by link, or by a part of the id that only one has. */
  function find(text: string): Kept {
    const one = kept.get(parseStreamLink(text).streamId);
    if (one) return one;
    throw new AppError('stream_unknown', 'This computer takes part in no such stream.');
  }

  /** Once a second: who still watches, what they want, what is to be said again. */
  function look(): void {
    cancelLook = clock.after(lookEvery, () => {
      if (stopping) return;
      const now = steady.now();
      for (const [streamId, one] of [...kept]) {
        one.players.refresh(one.watching);
        if (one.own && !one.session.ended()) lookAfterOwn(one, one.own, now);
        else if (!one.own) seek(one, now);
        if (!one.own && now - one.session.heardAt() > lostMs) one.session.lose();
        if (one.session.ended()) {
          one.endedAt ??= now;
          if (now - one.endedAt > afterlifeMs && one.players.count() === 0) void drop(streamId);
        } else if (isForlorn(one, now)) {
          // Named by anybody who likes, and nobody has it: the place is for others.
          void drop(streamId);
        } else if (!one.own && one.players.count() === 0 && now - one.players.usedAt() > idleMs) {
          // Watched no more: left, unless this computer was told to pass it on.
          if (deps.relay().enabled === 'on') one.watching = false;
          else void drop(streamId);
        }
      }
      if (now - lastAnnounced > announceEvery) {
        lastAnnounced = now;
        for (const one of kept.values()) if (!one.session.ended()) one.own?.announce();
      }
      if (now - lastHelp > helpEvery) {
        lastHelp = now;
        for (const one of kept.values()) {
          if (one.own && one.own.genesis.audience !== 'public' && !one.session.ended())
            directory?.askForHelp(one.session.streamId, network.addresses());
        }
        relayAll();
      }
      look();
    });
  }

  function lookAfterOwn({ sought }: Kept, own: OwnStream, now: number): void {
    const { children } = own.session.stats();
    if (now - own.heardAt() > silentMs) void own.stop();
    else if (now - own.heardAt() > awayMs) own.away();
    own.remember(children.slice(0, mostNear));
    // Who watched before a restart is here again, or has left.
    for (const peer of sought) {
      if (!children.includes(peer) && now - startedAt < lostMs) continue;
      sought.delete(peer);
      network.unwant(peer);
    }
  }

  /** Nobody has a place for this node: perhaps the source is back at another address, where only the network can find it. */
  function seek(one: Kept, now: number): void {
    const source = one.session.genesis()?.device;
    if (source === undefined) return;
    const isAlone = one.session.stats().depth === null && !one.session.ended();
    if (!isAlone) {
      one.aloneSince = null;
      if (one.sought.delete(source)) network.unwant(source);
      return;
    }
    one.aloneSince ??= now;
    if (now - one.aloneSince < seekMs || one.sought.has(source)) return;
    one.sought.add(source);
    network.want(source);
  }

  /** Only passed on, and for long nobody was found to get it from. */
  function isForlorn(one: Kept, now: number): boolean {
    if (one.own || one.watching || one.players.count() > 0) return false;
    if (one.session.stats().depth !== null) one.parentAt = now;
    return now - Math.max(one.parentAt, one.players.usedAt()) > idleMs;
  }

  // ---- passing on ----------------------------------------------------------------------------------------------------------

  function relayAll(): void {
    if (deps.relay().enabled !== 'on' || stopping) return;
    for (const said of directory?.list() ?? []) relay(said.genesis.streamId, said.addresses);
  }

  function relay(streamId: StreamId, addresses: readonly string[]): void {
    if (kept.has(streamId) || addresses.length === 0) return;
    let relayed = 0;
    for (const one of kept.values()) if (!one.own && !one.watching) relayed += 1;
    if (relayed >= mostRelayed || kept.size >= mostSessions) return;
    const one = join(streamId, addresses, null);
    one.session.watch([], 0);
  }

  // ---- own streams ---------------------------------------------------------------------------------------------------------

  async function begin(options: StartOptions, signal: AbortSignal): Promise<Kept> {
    let running = 0;
    for (const one of kept.values()) if (one.own && !one.session.ended()) running += 1;
    if (running >= mostOwn) throw new AppError('too_many', 'This computer sends too many streams already.');
    return send(options, signal, null);
  }

  /** Streams that were running when this program ended; their encoders come back by `resume`. */
  async function takeUp(): Promise<void> {
    const { keeper } = deps;
    if (!keeper) return;
    for (const { streamId, state: bytes, position, at, near } of keeper.list()) {
      try {
        if (clock.now() - at > resumeMs) {
          keeper.remove(streamId);
          continue;
        }
        const state = readOwnState(bytes);
        const options: StartOptions = {
          ...state,
          audience: state.genesis.audience === 'private' ? state.users : state.genesis.audience,
        };
        const one = await send(options, AbortSignal.timeout(watchMs), { state, position });
        // Its port may be another one: who watched can't know where it is.
        for (const peer of near) {
          one.sought.add(peer);
          network.want(peer);
        }
        logger.info({ streamId }, 'a stream goes on after a restart');
      } catch (error) {
        logger.warn({ err: error, streamId }, 'a stream could not be taken up again');
        keeper.remove(streamId);
      }
    }
  }

  async function send(
    options: StartOptions,
    signal: AbortSignal,
    before: { readonly state: OwnState; readonly position: StreamPosition } | null,
  ): Promise<Kept> {
    const own = await beginOwnStream(
      {
        ...deps,
        steady,
        sessionDeps,
        announce: (announcement) => directory?.announce(announcement),
        askForHelp: (streamId) => directory?.askForHelp(streamId, ownAddresses()),
        addresses: ownAddresses,
        changed,
        keeper: deps.keeper ?? null,
      },
      options,
      signal,
      before,
    );
    const one: Kept = { ...keptOf(own.session, own.linkKey, []), watching: true, own };
    kept.set(own.session.streamId, one);
    own.start();
    changed();
    return one;
  }

  const ownAddresses = (): string[] =>
    network
      .addresses()
      .filter((one) => one.endsWith(`/p2p/${network.peerId}`) && one.length <= 256)
      .slice(0, 4);

  function linkOf(one: Kept): string {
    const addresses = one.own ? ownAddresses() : one.contacts;
    return formatStreamLink({ streamId: one.session.streamId, addresses, key: one.key });
  }

  async function serve(stream: FrameStream): Promise<void> {
    const signal = AbortSignal.timeout(helloMs);
    const first = await stream.read(signal);
    const hello = first && decodeLive(first);
    if (hello?.t !== 'hello')
      throw new AppError('protocol_violation', 'A link of a stream begins with its id.');
    const one = kept.get(hello.stream);
    if (!one || one.session.genesis() === null) {
      await stream.send([Uint8Array.of(11)]);
      await stream.close();
      return;
    }
    await one.session.accept(stream);
  }

  return {
    on: events.on,
    async start() {
      // What a crash left behind: a ring lasts as long as its stream.
      const going = new Set(deps.keeper?.list().map(({ streamId }) => streamId));
      if (folder !== undefined)
        for (const name of await readdir(folder).catch(() => []))
          if (!going.has(name)) await rm(path.join(folder, name), { recursive: true, force: true });
      network.handle(liveProtocol, liveOptions, serve);
      directory = createStreamDirectory({
        network,
        clock,
        logger,
        random,
        followed: deps.followed ?? (() => []),
        heard(announcement, isNew) {
          if (isNew && announcement.state === 'live') events.emit('live', { announcement });
          const known = kept.get(announcement.genesis.streamId);
          // It may have come back at another address.
          if (known && !known.own && isNew) known.session.meet(contactsOf(announcement.addresses));
          if (announcement.state === 'live' && deps.relay().enabled === 'on')
            relay(announcement.genesis.streamId, announcement.addresses);
          changed();
        },
        helpWanted(streamId, _, addresses) {
          if (deps.relay().enabled === 'on') relay(streamId, addresses);
        },
        // Of other streams the picture is for those they are for.
        pictureOf(streamId) {
          const session = kept.get(streamId)?.session;
          return session?.genesis()?.audience === 'public' ? (session.programme()?.poster ?? null) : null;
        },
      });
      await takeUp();
      // A source that comes back, perhaps after a restart: nobody waits until it is tried again.
      unfollow = network.on('peerConnected', ({ peerId }) => {
        for (const { own, session } of kept.values())
          if (!own && session.genesis()?.device === peerId && session.stats().parent === null)
            session.meet([{ peer: peerId, addresses: [] }]);
      });
      look();
    },
    async stop() {
      if (stopping) return;
      cancelLook();
      unfollow();
      for (const { own, session } of kept.values()) {
        if (!own || session.ended()) continue;
        // Bytes can't go on in the middle, and a camera not without the window that has it.
        const goesOn =
          deps.keeper && own.options.outlives === true && own.options.renditions[0]?.kind !== 'data';
        if (goesOn) own.suspend();
        else await own.stop();
      }
      stopping = true;
      await Promise.all([...kept.keys()].map(drop));
      directory?.stop();
      network.unhandle(liveProtocol);
    },
    async begin(options, signal) {
      const one = await begin(options, signal);
      return { streamId: one.session.streamId, link: linkOf(one) };
    },
    async end(stream) {
      const one = find(stream);
      if (!one.own) throw new AppError('not_allowed', 'Only who streams can end a stream; leave it instead.');
      await one.own.stop();
    },
    invite(stream, change, signal) {
      const { own } = find(stream);
      if (!own) throw new AppError('not_allowed', 'Only who streams can say whom a stream is for.');
      return own.invite(change, signal);
    },
    list: () =>
      listStreams(
        [...kept.values()].map((one) => ({
          session: one.session,
          watching: one.watching,
          own: one.own !== null,
          link: () => linkOf(one),
        })),
        directory?.list() ?? [],
      ),
    async watch(stream, signal) {
      const link = parseStreamLink(stream);
      const said = directory?.get(link.streamId);
      const addresses = [...new Set([...link.addresses, ...(said?.addresses ?? [])])];
      const present = kept.get(link.streamId);
      if (!present && addresses.length === 0)
        throw new AppError(
          'stream_unknown',
          'Nobody this computer is connected to knows this stream; use its link.',
        );
      const one = join(link.streamId, addresses, link.key);
      one.watching = true;
      one.players.used();
      one.players.refresh(true);
      try {
        await one.session.ready(AbortSignal.any([signal, AbortSignal.timeout(watchMs)]));
      } catch (error) {
        one.watching = false;
        if (!present) await drop(link.streamId);
        throw error;
      }
      return link.streamId;
    },
    async leave(stream) {
      const one = find(stream);
      if (one.own) throw new AppError('not_allowed', 'This is your own stream; end it instead.');
      await drop(one.session.streamId);
    },
    stats: (stream) => find(stream).session.stats(),
    async poster(stream) {
      const { streamId } = parseStreamLink(stream);
      const here = kept.get(streamId)?.session.programme();
      if (here) return here.poster;
      if (kept.has(streamId) || directory?.get(streamId)) return directory?.poster(streamId) ?? null;
      throw new AppError('stream_unknown', 'Nobody this computer is connected to knows this stream.');
    },
    ingest(stream) {
      const own = find(stream).own;
      if (own) return own.ingest;
      throw new AppError('not_allowed', 'Only who streams can send parts.');
    },
    playback(stream) {
      const one = find(stream);
      return one.players.open(() => one.watching);
    },
    resume(stream) {
      const one = find(stream);
      if (!one.own) throw new AppError('not_allowed', 'Only who streams can send parts.');
      if (one.session.ended()) throw new AppError('stream_ended', 'This stream has ended.');
      return { streamId: one.session.streamId, link: linkOf(one) };
    },
    record(stream, to) {
      find(stream).own?.record(to);
    },
    receipts: () => [...receipts.values()].reverse(),
    relayChanged() {
      relayAll();
      if (deps.relay().enabled !== 'on') {
        for (const [streamId, one] of [...kept]) if (!one.own && !one.watching) void drop(streamId);
      }
      changed();
    },
  };
}
