import { AppError } from '../../src-shared/errors.ts';
import type { Clock, Logger } from '../../src-shared/runtime.ts';
import type { SealedBlock } from '../drive/index.ts';
import type { Entry, FeedTip } from '../history/index.ts';
import type { DeviceId } from '../identity/index.ts';
import type { FrameStream } from '../network/index.ts';
import { sameFrontier, tipKey, unknownOwnTip } from './frontier.ts';
import { createFeed } from './history-feed.ts';
import type { Feed } from './history-feed.ts';
import type { Rest } from './history-messages.ts';
import { createSubscription } from './history-subscription.ts';
import type { Subscription } from './history-subscription.ts';
import type { Membership } from './membership.ts';
import { createTurnQueue } from './turn-queue.ts';
import type { BlockSource, EarlyBlocks, ExchangedDrive, HostSync, MemberSync } from './types.ts';

export interface DriveExchangeDeps {
  readonly drive: ExchangedDrive;
  readonly source: BlockSource;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly membership: Membership;
  readonly open: (peer: DeviceId, signal: AbortSignal) => Promise<FrameStream>;
  readonly penalise: (peer: DeviceId, reason: string) => void;
  readonly onMembers: () => void;
  readonly onEarly: (early: EarlyBlocks) => void;
  readonly onOwnFeedBehind: () => void;
  /** Members, roles or keys of the drive changed. */
  readonly onAccess: () => void;
}

/** One drive's conversations with all its members. */
export interface DriveExchange {
  readonly drive: ExchangedDrive;
  readonly source: BlockSource;
  /** Subscribes to connected members and hosts, leaves those that are none (any more). */
  reconcile(): void;
  /** The peer turned to us for this drive, so it may serve us now, too. */
  retry(peer: DeviceId): void;
  /** Serves the drive to a subscriber until the stream ends. The caller checked that it is a member. */
  serve(stream: FrameStream, frontier: readonly FeedTip[]): Promise<void>;
  /** Peers that are told of early blocks. */
  listeners(): readonly DeviceId[];
  announce(token: string, node: string, blocks: readonly SealedBlock[]): void;
  setRest(rest: Rest): void;
  members(): readonly MemberSync[];
  hosts(): readonly HostSync[];
  stop(): Promise<void>;
}

/** Entries that came from a peer are passed on a little later: mostly everybody gets them from where they were made. ms. */
const passOnMs = 8;
/** A peer that sends its backlog lets the next one start when it is silent for so long. ms. */
const backlogPatienceMs = 2_000;
/** Streams one peer may have open for one drive; the oldest gives way. */
const feedsPerPeer = 2;

export function createDriveExchange(deps: DriveExchangeDeps): DriveExchange {
  const { drive, clock, membership } = deps;
  const subscriptions = new Map<DeviceId, Subscription>();
  const feeds = new Map<DeviceId, Set<Feed>>();
  const backlogTurn = createTurnQueue(clock, backlogPatienceMs);
  let rest: Rest = 'busy';
  let passOn: Entry[] = [];
  let cancelPassOn: (() => void) | null = null;
  let membersDue = false;
  let behindTold = '';
  let stopped = false;

  function allFeeds(): Feed[] {
    return [...feeds.values()].flatMap((set) => [...set]);
  }

  function membersChanged(): void {
    if (membersDue) return;
    membersDue = true;
    queueMicrotask(() => {
      membersDue = false;
      if (!stopped) deps.onMembers();
    });
  }

  const off = [
    drive.on('entries', ({ entries, local }) => {
      if (local) {
        for (const feed of allFeeds()) feed.push(entries);
      } else {
        passOn.push(...entries);
        cancelPassOn ??= clock.after(passOnMs, () => {
          cancelPassOn = null;
          const batch = passOn;
          passOn = [];
          for (const feed of allFeeds()) feed.push(batch);
        });
      }
      for (const subscription of subscriptions.values()) subscription.localChanged();
      membersChanged();
    }),
    drive.on('access', () => {
      membership.changed();
      reconcile();
      deps.onAccess();
      membersChanged();
    }),
  ];

  function reconcile(): void {
    if (stopped) return;
    const wanted = new Set(membership.holders(drive));
    for (const [peer, subscription] of subscriptions) {
      if (wanted.has(peer)) continue;
      subscriptions.delete(peer);
      void subscription.stop();
      membersChanged();
    }
    for (const peer of wanted) {
      const known = subscriptions.get(peer);
      if (known) continue;
      subscriptions.set(peer, subscribe(peer));
      membersChanged();
    }
    for (const feed of allFeeds()) feed.recheck();
  }

  function subscribe(peer: DeviceId): Subscription {
    return createSubscription({
      drive,
      peer,
      clock,
      logger: deps.logger,
      open: (signal) => deps.open(peer, signal),
      penalise: (reason) => deps.penalise(peer, reason),
      backlogTurn,
      onIngested(result) {
        for (const feed of feeds.get(peer) ?? []) feed.peerHas(result.added, []);
      },
      onTips(tips) {
        for (const feed of feeds.get(peer) ?? []) feed.peerHas([], tips);
        noticeOwnFeed(tips);
      },
      onEarly: (token, node, blocks) =>
        deps.onEarly({
          from: peer,
          token,
          node,
          blocks: blocks.map(({ offset, ...ref }) => ({ ref, offset })),
        }),
      onChange: membersChanged,
    });
  }

  function noticeOwnFeed(tips: readonly FeedTip[]): void {
    const own = drive.ownTip();
    if (!own) return;
    const unknown = unknownOwnTip(own, drive.frontier(), tips);
    if (!unknown || tipKey(unknown) === behindTold) return;
    behindTold = tipKey(unknown);
    deps.onOwnFeedBehind();
  }

  return {
    drive,
    source: deps.source,
    reconcile,
    retry: (peer) => subscriptions.get(peer)?.retry(),
    async serve(stream, frontier) {
      const { peer } = stream;
      const feed = createFeed({
        drive,
        stream,
        frontier,
        allowed: () => !stopped && membership.mayHave(drive, peer),
        rest: () => rest,
      });
      noticeOwnFeed(frontier);
      let set = feeds.get(peer);
      if (!set) feeds.set(peer, (set = new Set()));
      set.add(feed);
      if (set.size > feedsPerPeer) set.values().next().value!.stop();
      try {
        await feed.run();
      } finally {
        set.delete(feed);
        if (set.size === 0 && feeds.get(peer) === set) feeds.delete(peer);
      }
    },
    listeners: () =>
      [...feeds]
        .filter(([peer, set]) => membership.isMember(drive, peer) && [...set].some((f) => f.caughtUp()))
        .map(([peer]) => peer),
    announce(token, node, blocks) {
      const wire = blocks.map(({ ref, offset }) => ({
        id: ref.id,
        epoch: ref.epoch,
        plainHash: ref.plainHash,
        len: ref.len,
        weak: ref.weak,
        offset,
      }));
      for (const feed of allFeeds()) if (feed.caughtUp()) feed.early(token, node, wire);
    },
    setRest(value) {
      if (value === rest) return;
      rest = value;
      for (const feed of allFeeds()) feed.settledChanged();
    },
    members() {
      const ours = drive.frontier();
      return membership.holders(drive).flatMap((peerId) => {
        const userId = membership.userOf(peerId);
        if (userId === null || !membership.isMember(drive, peerId)) return [];
        const subscription = subscriptions.get(peerId);
        const tips = subscription?.tips ?? null;
        return [
          {
            peerId,
            userId,
            sameHistory: tips !== null && sameFrontier(tips, ours),
            refused: subscription?.refused ?? false,
            settled: subscription !== undefined && subscription.rest !== 'busy',
            whole: subscription?.rest === 'whole',
          },
        ];
      });
    },
    hosts() {
      const ours = drive.frontier();
      return membership
        .holders(drive)
        .filter((peerId) => !membership.isMember(drive, peerId))
        .map((peerId) => {
          const tips = subscriptions.get(peerId)?.tips ?? null;
          return { peerId, sameHistory: tips !== null && sameFrontier(tips, ours) };
        });
    },
    async stop() {
      stopped = true;
      for (const remove of off) remove();
      cancelPassOn?.();
      for (const feed of allFeeds()) feed.stop();
      await Promise.all([...subscriptions.values()].map((subscription) => subscription.stop()));
      subscriptions.clear();
    },
  };
}

export function driveUnknown(): AppError {
  return new AppError('drive_unknown', 'This drive is not open here.');
}
