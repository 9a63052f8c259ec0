import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Clock, Logger, RandomBytes } from '../../src-shared/runtime.ts';
import { decodeStrict, encodeStrict, malformed } from '../identity/index.ts';
import type { DeviceId, UserId } from '../identity/index.ts';
import type { FrameStream, Network, ProtocolOptions, Topic } from '../network/index.ts';
import { maxAnnouncementBytes, readAnnouncement } from './codec/records.ts';
import type { StreamAnnouncement } from './codec/records.ts';
import type { StreamId } from './types.ts';

/** One frame of `/extrachain/streams/1`. */
export type DirectoryFrame =
  /** Which streams are live? Answered by `have`. */
  | { readonly t: 'ask' }
  | { readonly t: 'have'; readonly announcements: readonly Uint8Array[] }
  /** A stream, which may be encrypted and stand in no list, would be glad of a repeater. */
  | { readonly t: 'help'; readonly stream: StreamId; readonly addresses: readonly string[] };

const mostAnnouncements = 64;
const mostHelpAddresses = 4;
const mostAddressLength = 256;
export const maxDirectoryFrame = 4096 + mostAnnouncements * (maxAnnouncementBytes + 8);

export function encodeDirectoryFrame(frame: DirectoryFrame): Uint8Array {
  if (frame.t === 'ask') return encodeStrict(['ask']);
  if (frame.t === 'have') return encodeStrict(['have', [...frame.announcements]]);
  return encodeStrict(['help', Buffer.from(frame.stream, 'hex'), [...frame.addresses]]);
}

/** The announcements in it are not opened here. @throws AppError `malformed`, `too_large` */
export function decodeDirectoryFrame(bytes: Uint8Array): DirectoryFrame {
  const what = 'message about streams';
  const value = decodeStrict(bytes, maxDirectoryFrame, what);
  if (!Array.isArray(value)) throw malformed(what, 'not a list');
  const [t, first, second] = value as unknown[];
  if (t === 'ask' && value.length === 1) return { t };
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

/**
 * Announcements are signed by their source and spread by gossip at once; who comes later asks those it is connected to.
 * @param deps.heard a stream that is new here, or has ended
 * @param deps.helpWanted somebody who is connected asks this node to pass on a stream
 */
export function createStreamDirectory(deps: {
  readonly network: Pick<
    Network,
    'handle' | 'unhandle' | 'open' | 'topic' | 'peers' | 'on' | 'penalise' | 'peerId'
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
}): StreamDirectory {
  const { network, clock, logger, mostKept = mostStreams } = deps;
  const known = new Map<StreamId, Known>();
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
      } else return;
    }
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
