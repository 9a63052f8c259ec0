import { AppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import type { FrameStream, Network, ProtocolOptions } from '../../network/index.ts';
import type { PartEntry } from '../part-window.ts';
import type { StreamId } from '../types.ts';
import { maxLiveFrame } from './frames.ts';
import type { LiveFrame } from './frames.ts';
import { createLink } from './link.ts';
import type { PartSink, UplinkSample } from './link.ts';
import type { Peer } from './overlay-driver.ts';

export const liveProtocol = 'live/1';
export const liveOptions: ProtocolOptions = {
  maxFrame: maxLiveFrame,
  maxStreams: 32,
  idleTimeout: 0,
  maxRate: 0,
};

const openMs = 8_000;
/** Frames that wait for a link that is being opened. */
const mostOpening = 64;
/** Records (descriptions, keys) that one link may bring in a minute. */
const mostRecords = 240;
/** Messages of the overlay that one link may bring at once, and each second: many times what a member in trouble says. */
const mostMessages = 300;
const messagesPerSecond = 60;

type OpenLink = ReturnType<typeof createLink>;

export interface LinksEvents {
  /** Throwing ends the link as a breach. */
  frame(peer: Peer, frame: LiveFrame): void;
  part(peer: Peer, header: Uint8Array): PartSink | null;
  drained(peer: Peer, entry: PartEntry): void;
  /** No link could be opened. */
  unreachable(peer: Peer, error: unknown): void;
  /** The last link to a peer has ended. @param broken neither side closed it in order */
  closed(peer: Peer, broken: boolean, byOther: boolean): void;
  /** A peer broke the rules; it is banned. */
  bad(peer: Peer): void;
}

/** The links of one node to the other members of a stream. Two may be open to one peer for a moment, when both opened one. */
export interface Links {
  /** Opens a link first if there is none. */
  send(peer: Peer, addresses: readonly string[], frame: LiveFrame): void;
  /** The link to a peer, if one is open. */
  to(peer: Peer): OpenLink | undefined;
  /** Opens a link unless one is there or on its way. */
  meet(peer: Peer, addresses: readonly string[]): void;
  /** Takes over a link that was opened by either side. */
  attach(stream: FrameStream): OpenLink;
  /** To everybody but who told it. */
  spread(frame: LiveFrame, from: Peer | null): void;
  close(peer: Peer): void;
  ban(peer: Peer): void;
  isBanned(peer: Peer): boolean;
  /** Bytes of frames, of links that have ended, too. */
  sent(): number;
  received(): number;
  /** Opens no more, from now on. */
  stop(): void;
  closeAll(): void;
}

export function createLinks(
  deps: {
    readonly streamId: StreamId;
    readonly network: Pick<Network, 'open' | 'connect' | 'penalise'>;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly onUplink: (sample: UplinkSample) => void;
  },
  events: LinksEvents,
): Links {
  const { streamId, network, clock, logger } = deps;
  const links = new Map<Peer, OpenLink[]>();
  const opening = new Map<Peer, LiveFrame[]>();
  const banned = new Set<Peer>();
  let stopping = false;
  let closedSent = 0;
  let closedReceived = 0;

  async function open(peer: Peer, addresses: readonly string[]): Promise<void> {
    const signal = AbortSignal.timeout(openMs);
    try {
      let stream: FrameStream | null = null;
      try {
        stream = await network.open(peer, liveProtocol, liveOptions, signal);
      } catch (error) {
        // Not connected, or never heard of: where it was said to be.
        let last: unknown = error;
        for (const address of addresses) {
          try {
            if ((await network.connect(address, signal)) !== peer) continue;
            stream = await network.open(peer, liveProtocol, liveOptions, signal);
            break;
          } catch (again) {
            last = again;
          }
        }
        if (!stream) throw last;
      }
      if (stopping) return stream.abort(new AppError('cancelled', 'The stream was left.'));
      await stream.send([Uint8Array.of(0), Buffer.from(streamId, 'hex')]);
      attach(stream);
    } catch (error) {
      opening.delete(peer);
      logger.debug({ err: error, peer, streamId }, 'a member of a stream could not be reached');
      events.unreachable(peer, error);
    }
  }

  /** Counts what one link brings. @returns false when it is too much */
  function createBudget(): (frame: LiveFrame) => boolean {
    let recordsLeft = mostRecords;
    let recordsSince = clock.now();
    let messagesLeft = mostMessages;
    let messagesAt = clock.now();
    return (frame) => {
      const now = clock.now();
      if (now - recordsSince > 60_000) {
        recordsSince = now;
        recordsLeft = mostRecords;
      }
      messagesLeft = Math.min(mostMessages, messagesLeft + ((now - messagesAt) * messagesPerSecond) / 1000);
      messagesAt = now;
      return frame.t === 'message' || frame.t === 'viewers' ? --messagesLeft >= 0 : --recordsLeft >= 0;
    };
  }

  function attach(stream: FrameStream): OpenLink {
    const { peer } = stream;
    const allows = createBudget();
    const link: OpenLink = createLink(
      stream,
      {
        frame(frame) {
          if (!allows(frame)) throw new AppError('rate_limited', 'A member of a stream says too much.');
          events.frame(peer, frame);
        },
        part: (bytes) => events.part(peer, bytes),
        drained: (entry) => events.drained(peer, entry),
        closed(how, error, unsent) {
          closedSent += link.sent();
          closedReceived += link.received();
          const rest = (links.get(peer) ?? []).filter((one) => one !== link);
          if (rest.length > 0) links.set(peer, rest);
          else links.delete(peer);
          if (error) logger.debug({ err: error, peer, streamId }, 'a link of a stream ended');
          if (rest.length === 0) events.closed(peer, how === 'broken', how === 'theirs');
          // There is another link: only what was on its way is lost.
          else for (const entry of unsent) events.drained(peer, entry);
        },
      },
      {
        clock,
        onUplink: deps.onUplink,
        onBreach(error) {
          // Counted where the part was refused; here the network's own book learns of it.
          network.penalise(peer, `live stream: ${error.message}`);
          banned.add(peer);
          events.bad(peer);
        },
      },
    );
    const all = links.get(peer);
    if (all) all.push(link);
    else links.set(peer, [link]);
    const frames = opening.get(peer);
    opening.delete(peer);
    for (const frame of frames ?? []) link.send(frame);
    void link.run();
    return link;
  }

  const all = (): OpenLink[] => [...links.values()].flat();

  return {
    send(peer, addresses, frame) {
      if (banned.has(peer) || stopping) return;
      const link = links.get(peer)?.[0];
      if (link) return link.send(frame);
      const frames = opening.get(peer);
      if (frames) {
        if (frames.length < mostOpening) frames.push(frame);
        return;
      }
      opening.set(peer, [frame]);
      void open(peer, addresses);
    },
    to: (peer) => links.get(peer)?.[0],
    meet(peer, addresses) {
      if (links.has(peer) || opening.has(peer)) return;
      opening.set(peer, []);
      void open(peer, addresses);
    },
    attach,
    spread(frame, from) {
      for (const [peer, some] of links) if (peer !== from) some[0]?.send(frame);
    },
    close(peer) {
      for (const link of [...(links.get(peer) ?? [])]) link.close();
    },
    ban(peer) {
      banned.add(peer);
      for (const link of [...(links.get(peer) ?? [])])
        link.abort(new AppError('protocol_violation', 'A member of a stream broke its rules.'));
    },
    isBanned: (peer) => banned.has(peer),
    sent: () => all().reduce((sum, link) => sum + link.sent(), closedSent),
    received: () => all().reduce((sum, link) => sum + link.received(), closedReceived),
    stop() {
      stopping = true;
    },
    closeAll() {
      for (const link of all()) link.close();
    },
  };
}
