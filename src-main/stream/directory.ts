import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Clock, Logger, RandomBytes } from '../../src-shared/runtime.ts';
import { decodeStrict, encodeStrict, malformed } from '../identity/index.ts';
import type { DeviceId, UserId } from '../identity/index.ts';
import type { FrameStream, Network, ProtocolOptions, Topic } from '../network/index.ts';
import { maxAnnouncementBytes, readAnnouncement } from './codec/records.ts';
import type { StreamAnnouncement } from './codec/records.ts';
import { posterTypeOf } from './codec/poster.ts';
import { sha256 } from './codec/header.ts';
import { limits } from './types.ts';
import type { StreamId } from './types.ts';

/** One frame of `/extrachain/streams/1`. */
export type DirectoryFrame =
  /** Which streams are live? Answered by `have`. */
  | { readonly t: 'ask' }
  | { readonly t: 'have'; readonly announcements: readonly Uint8Array[] }
  /** The picture of a public stream? Answered by `picture`, empty when it is not here. */
  | { readonly t: 'poster'; readonly stream: StreamId }
  | { readonly t: 'picture'; readonly bytes: Uint8Array }
  /** A stream, which may be encrypted and stand in no list, would be glad of a repeater. */
  | { readonly t: 'help'; readonly stream: StreamId; readonly addresses: readonly string[] };

const mostAnnouncements = 64;
const mostHelpAddresses = 4;
const mostAddressLength = 256;
export const maxDirectoryFrame = 4096 + mostAnnouncements * (maxAnnouncementBytes + 8);

export function encodeDirectoryFrame(frame: DirectoryFrame): Uint8Array {
  if (frame.t === 'ask') return encodeStrict(['ask']);
  if (frame.t === 'have') return encodeStrict(['have', [...frame.announcements]]);
  if (frame.t === 'poster') return encodeStrict(['poster', Buffer.from(frame.stream, 'hex')]);
  if (frame.t === 'picture') return encodeStrict(['picture', frame.bytes]);
  return encodeStrict(['help', Buffer.from(frame.stream, 'hex'), [...frame.addresses]]);
}

/** The announcements in it are not opened here. @throws AppError `malformed`, `too_large` */
export function decodeDirectoryFrame(bytes: Uint8Array): DirectoryFrame {
  const what = 'message about streams';
  const value = decodeStrict(bytes, maxDirectoryFrame, what);
  if (!Array.isArray(value)) throw malformed(what, 'not a list');
  const [t, first, second] = value as unknown[];
  if (t === 'ask' && value.length === 1) return { t };
  if (t === 'poster' && value.length === 2 && first instanceof Uint8Array && first.length === 32)
    return { t, stream: Buffer.from(first).toString('hex') };
  if (t === 'picture' && value.length === 2 && first instanceof Uint8Array) {
    if (first.length > limits.posterBytes) throw malformed(what, 'a picture is too large');
    return { t, bytes: first };
  }
  if (t === 'have' && value.length === 2 && Array.isArray(first) && first.length <= mostAnnouncements) {
    const announcements = (first as unknown[]).map((one) => {
      if (!(one instanceof Uint8Array) || one.length > maxAnnouncementBytes)
        throw malformed(what, 'an announcement is too large');
      return one;
    });
    return { t, announcements };
  }
  if (t === 'help' && value.length === 3 && first instanceof Uint8Array && first.length === 32) {
    if (!Array.isArray(second) || second.length > mostHelpAddresses)
      throw malformed(what, 'too many addresses');
    const addresses = (second as unknown[]).map((one) => {
      if (typeof one !== 'string' || one.length > mostAddressLength)
        throw malformed(what, 'an address is too long');
      return one;
    });
    return { t, stream: Buffer.from(first).toString('hex'), addresses };
  }
  throw malformed(what, 'of no known kind');
}

interface Known {
  readonly said: StreamAnnouncement;
  /** When it came, ms; a source's clock may be ahead. */
  readonly heardAt: number;
  readonly own: boolean;
}

/** Who is live: own streams told to others, others' streams heard of. */
export interface StreamDirectory {
  /** Tells everybody; again at any time with a newer one. */
  announce(announcement: StreamAnnouncement): void;
  /** Those that are live as far as is known, newest first. */
  list(): readonly StreamAnnouncement[];
  get(stream: StreamId): StreamAnnouncement | null;
  /**
   * The picture of a stream that was announced: from here, from its source or from somebody who is connected. Null when nobody has it.
   */
  poster(stream: StreamId): Promise<Uint8Array | null>;
  /** Asks connected computers to pass on a stream. */
  askForHelp(stream: StreamId, addresses: readonly string[]): void;
  stop(): void;
}

const protocol = 'streams/1';
const options: ProtocolOptions = {
  maxFrame: maxDirectoryFrame,
  maxStreams: 4,
  idleTimeout: 10_000,
  maxRate: 20,
};
const topicName = 'streams/1';
const askMs = 10_000;
/** A live stream says so each minute; after this it is taken to be over. */
export const keptFor = 150_000;
/** Clocks may differ by so much. */
const clockSlack = 10 * 60_000;
const mostStreams = 2048;
const mostOfOneDevice = 8;
/** The same stream is not told of more often. */
const leastBetween = 2_000;
const mostHelpers = 32;
/** Pictures that are remembered, and computers that are asked for one. */
const mostPictures = 64;
const mostAsked = 4;

/**
 * Announcements are signed by their source and spread by gossip at once; who comes later asks those it is connected to.
 * @param deps.heard a stream that is new here, or has ended
 * @param deps.helpWanted somebody who is connected asks this node to pass on a stream
 */
export function createStreamDirectory(deps: {
  readonly network: Pick<
    Network,
    'handle' | 'unhandle' | 'open' | 'connect' | 'topic' | 'peers' | 'on' | 'penalise' | 'peerId'
  >;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: RandomBytes;
  /** Their streams are not forgotten to make room. */
  readonly followed: () => readonly UserId[];
  /** Streams that are remembered. */
  readonly mostKept?: number;
  readonly heard: (announcement: StreamAnnouncement, isNew: boolean) => void;
  readonly helpWanted: (stream: StreamId, from: DeviceId, addresses: readonly string[]) => void;
  /** The picture of a public stream that this node takes part in. */
  readonly pictureOf: (stream: StreamId) => Uint8Array | null;
}): StreamDirectory {
  const { network, clock, logger, mostKept = mostStreams } = deps;
  const known = new Map<StreamId, Known>();
  /** By their hash. */
  const pictures = new Map<string, Uint8Array>();
  const fetching = new Map<string, Promise<Uint8Array | null>>();
  let topic: Topic | null = null;
  let stopped = false;

  function forgetOld(): void {
    const oldest = clock.now() - keptFor;
    for (const [id, { said, heardAt }] of known) if (Math.min(said.time, heardAt) < oldest) known.delete(id);
  }

  /** Makes room at random: whoever fills the list with many streams pushes out mostly its own. False: nothing may go. */
  function evict(): boolean {
    const others: StreamId[] = [];
    const followed = new Set(deps.followed());
    for (const [id, { said, own }] of known) if (!own && !followed.has(said.genesis.user)) others.push(id);
    if (others.length === 0) return false;
    const at = Buffer.from(deps.random(4)).readUInt32BE() % others.length;
    return known.delete(others[at]!);
  }

  /** True when it was news. @throws AppError when it is not what it says */
  function take(bytes: Uint8Array, own = false): boolean {
    const said = readAnnouncement(bytes);
    const now = clock.now();
    if (said.time > now + clockSlack || said.time < now - keptFor) return false;
    const before = known.get(said.genesis.streamId)?.said;
    if (
      before &&
      (said.time < before.time + (said.state === before.state ? leastBetween : 0) || before.state === 'ended')
    )
      return false;
    if (!before) {
      forgetOld();
      let ofDevice = 0;
      for (const one of known.values()) if (one.said.genesis.device === said.genesis.device) ofDevice += 1;
      if (ofDevice >= mostOfOneDevice || (known.size >= mostKept && !evict())) return false;
    }
    known.set(said.genesis.streamId, { said, heardAt: now, own });
    if (!own) deps.heard(said, !before);
    return true;
  }

  async function serve(stream: FrameStream): Promise<void> {
    for (;;) {
      const bytes = await stream.read();
      if (bytes === null) return;
      const frame = decodeDirectoryFrame(bytes);
      if (frame.t === 'help') deps.helpWanted(frame.stream, stream.peer, frame.addresses);
      else if (frame.t === 'ask') {
        forgetOld();
        const announcements = [...known.values()].slice(-mostAnnouncements).map((one) => one.said.bytes);
        await stream.send(encodeDirectoryFrame({ t: 'have', announcements }));
      } else if (frame.t === 'poster') {
        const bytes = pictureHere(frame.stream) ?? new Uint8Array();
        await stream.send(encodeDirectoryFrame({ t: 'picture', bytes }));
      } else return;
    }
  }

  /** What is said of a stream's picture, and the picture if it is here. */
  function pictureHere(stream: StreamId): Uint8Array | null {
    const own = deps.pictureOf(stream);
    if (own) return own;
    const hash = known.get(stream)?.said.poster;
    return hash ? (pictures.get(hexOf(hash)) ?? null) : null;
  }

  /** @returns null when that computer does not have it, or has another one */
  async function askPicture(peer: DeviceId, stream: StreamId, hash: string): Promise<Uint8Array | null> {
    const signal = AbortSignal.timeout(askMs);
    const opened = await network.open(peer, protocol, options, signal);
    try {
      await opened.send(encodeDirectoryFrame({ t: 'poster', stream }));
      const bytes = await opened.read(signal);
      const frame = bytes && decodeDirectoryFrame(bytes);
      if (frame?.t !== 'picture' || hexOf(sha256(frame.bytes)) !== hash) return null;
      return posterTypeOf(frame.bytes) === null ? null : frame.bytes;
    } finally {
      await opened.close().catch(() => {});
    }
  }

  async function fetchPicture({ genesis, addresses }: StreamAnnouncement, hash: string) {
    const { device, streamId } = genesis;
    const connected = network.peers().map(({ peerId }) => peerId);
    // The source has it; it is spared where somebody else is at hand, but not looked for in vain among many.
    const near = connected.filter((peer) => peer !== device).slice(0, mostAsked - 1);
    for (const peer of [...near, device]) {
      try {
        if (peer === device && !connected.includes(device)) await reach(addresses);
        const bytes = await askPicture(peer, streamId, hash);
        if (!bytes) continue;
        pictures.set(hash, bytes);
        if (pictures.size > mostPictures) pictures.delete(pictures.keys().next().value as string);
        return bytes;
      } catch (error) {
        if (isAppError(error, 'malformed')) network.penalise(peer, 'it sends what is no picture of a stream');
        logger.debug({ err: error, peer }, 'a peer did not give the picture of a stream');
      }
    }
    return null;
  }

  async function reach(addresses: readonly string[]): Promise<void> {
    let last: unknown = new AppError('unreachable', 'Nobody said where the source of the stream is.');
    for (const address of addresses) {
      try {
        await network.connect(address, AbortSignal.timeout(askMs));
        return;
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  async function ask(peer: DeviceId): Promise<void> {
    const signal = AbortSignal.timeout(askMs);
    try {
      const stream = await network.open(peer, protocol, options, signal);
      try {
        await stream.send(encodeDirectoryFrame({ t: 'ask' }));
        const bytes = await stream.read(signal);
        const frame = bytes && decodeDirectoryFrame(bytes);
        if (frame?.t === 'have') for (const one of frame.announcements) take(one);
      } finally {
        await stream.close().catch(() => {});
      }
    } catch (error) {
      if (isAppError(error, 'malformed') || isAppError(error, 'bad_signature'))
        network.penalise(peer, 'it passes on what is no announcement of a stream');
      logger.debug({ err: error, peer }, 'a peer did not say which streams are live');
    }
  }

  async function help(peer: DeviceId, bytes: Uint8Array): Promise<void> {
    try {
      const stream = await network.open(peer, protocol, options, AbortSignal.timeout(askMs));
      await stream.send(bytes);
      await stream.close();
    } catch (error) {
      logger.debug({ err: error, peer }, 'a peer could not be asked for help');
    }
  }

  network.handle(protocol, options, serve);
  try {
    topic = network.topic(topicName, {
      maxBytes: maxAnnouncementBytes,
      validate(_, data) {
        try {
          return take(data) ? 'accept' : 'ignore';
        } catch {
          return 'reject';
        }
      },
    });
  } catch (error) {
    // Without gossip (offline) neighbours are still asked.
    if (!(error instanceof AppError)) throw error;
  }
  const off = network.on('peerConnected', ({ peerId }) => {
    if (!stopped) void ask(peerId);
  });

  return {
    announce(announcement) {
      take(announcement.bytes, true);
      void topic
        ?.publish(announcement.bytes)
        .catch((error: unknown) => logger.debug({ err: error }, 'a stream could not be announced by gossip'));
    },
    list() {
      forgetOld();
      return [...known.values()]
        .map((one) => one.said)
        .filter((one) => one.state === 'live')
        .sort((a, b) => b.time - a.time);
    },
    get(stream) {
      forgetOld();
      return known.get(stream)?.said ?? null;
    },
    async poster(stream) {
      const here = pictureHere(stream);
      const said = known.get(stream)?.said;
      if (here || !said?.poster) return here;
      const hash = hexOf(said.poster);
      let fetched = fetching.get(hash);
      if (!fetched) {
        fetched = fetchPicture(said, hash).finally(() => fetching.delete(hash));
        fetching.set(hash, fetched);
      }
      return fetched;
    },
    askForHelp(stream, addresses) {
      const frame = encodeDirectoryFrame({
        t: 'help',
        stream,
        addresses: addresses.filter((one) => one.length <= mostAddressLength).slice(0, mostHelpAddresses),
      });
      for (const { peerId } of network.peers().slice(0, mostHelpers)) void help(peerId, frame);
    },
    stop() {
      stopped = true;
      off();
      topic?.leave();
      network.unhandle(protocol);
    },
  };
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
