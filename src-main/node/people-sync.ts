import { isAppError } from '../../src-shared/errors.ts';
import type { DeviceId, UserId } from '../identity/index.ts';
import type { FrameStream, ProtocolOptions } from '../network/index.ts';
import type { Online } from './core.ts';
import { decodeNames, encodeNames, maxNamesFrame, namesPerFrame } from './people-messages.ts';
import type { NameGiven, People } from './people.ts';

/** Brings the names a person gave to others to all computers of that person. */
export interface PeopleSync {
  /** Somebody was given a name here, or lost it. */
  changed(user: UserId): void;
  /** Another identity is in use here. */
  actorChanged(): void;
  stop(): void;
}

const protocol = 'people/1';
const options: ProtocolOptions = { maxFrame: maxNamesFrame, maxStreams: 4, idleTimeout: 10_000, maxRate: 64 };
const sendMs = 20_000;
const tellAfter = 500;

/**
 * Each computer tells its person's other ones all names when they meet, and each change at once; what is news to one it tells on. Only
 * devices that the person's own card certifies are told and believed.
 */
export function createPeopleSync(node: Online, people: People): PeopleSync {
  const { network, identity, clock, logger, events } = node;
  const dirty = new Set<UserId>();
  let cancel: (() => void) | null = null;

  const owner = (): UserId | null => identity.userId();
  const isOwn = (peer: DeviceId): boolean => owner() !== null && network.cards.userOf(peer) === owner();

  function* everything(of: UserId): Iterable<readonly NameGiven[]> {
    for (let after: UserId = ''; ;) {
      const page: readonly NameGiven[] = people.page(of, after, namesPerFrame);
      if (page.length > 0) yield page;
      if (page.length < namesPerFrame) return;
      after = page.at(-1)!.user;
    }
  }

  async function send(peer: DeviceId, pages: Iterable<readonly NameGiven[]>): Promise<void> {
    let stream: FrameStream | null = null;
    for (const page of pages) {
      stream ??= await network.open(peer, protocol, options, AbortSignal.timeout(sendMs));
      await stream.send(encodeNames(page));
      // An empty list back says that it was taken.
      await stream.read(AbortSignal.timeout(sendMs));
    }
    await stream?.close();
  }

  function trySend(peer: DeviceId, pages: Iterable<readonly NameGiven[]>): void {
    send(peer, pages).catch((error: unknown) => {
      // Of a version that does not know this; or it is told when it is back.
      if (!isAppError(error, 'unsupported')) logger.debug({ err: error, peer }, 'names were not told');
    });
  }

  function meet(peer: DeviceId): void {
    const of = owner();
    if (of !== null && isOwn(peer)) trySend(peer, everything(of));
  }

  function tellSoon(): void {
    cancel ??= clock.after(tellAfter, () => {
      cancel = null;
      const of = owner();
      const news = of === null ? [] : [...dirty].flatMap((user) => people.given(of, user) ?? []);
      dirty.clear();
      if (news.length === 0) return;
      const pages: NameGiven[][] = [];
      for (let at = 0; at < news.length; at += namesPerFrame) pages.push(news.slice(at, at + namesPerFrame));
      const peers = new Set(network.peers().map(({ peerId }) => peerId));
      for (const peer of peers) if (isOwn(peer)) trySend(peer, pages);
    });
  }

  network.handle(protocol, options, async (stream) => {
    for (;;) {
      const frame = await stream.read();
      if (frame === null) break;
      const names = decodeNames(frame);
      const of = owner();
      if (of === null || !isOwn(stream.peer)) break;
      const news = people.merge(of, names);
      for (const user of news) dirty.add(user);
      if (news.length > 0) {
        tellSoon();
        events.emit('people', {});
      }
      await stream.send(encodeNames([]));
    }
    await stream.close();
  });

  function adopt(): void {
    const of = owner();
    if (of !== null) people.adopt(of);
  }

  function meetAll(): void {
    for (const peer of new Set(network.peers().map(({ peerId }) => peerId))) meet(peer);
  }

  adopt();
  const off = [
    network.on('peerConnected', ({ peerId }) => meet(peerId)),
    network.on('card', ({ card }) => {
      if (card.user === owner()) meetAll();
    }),
    // A computer that was linked, or whose card came late, is one of ours only now.
    identity.on('card', () => {
      adopt();
      meetAll();
    }),
  ];
  return {
    changed(user) {
      dirty.add(user);
      tellSoon();
    },
    actorChanged() {
      dirty.clear();
      adopt();
      meetAll();
    },
    stop() {
      cancel?.();
      for (const end of off) end();
    },
  };
}
