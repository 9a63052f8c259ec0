import { hashOfUserId } from '../../identity/index.ts';
import type { UserId } from '../../identity/index.ts';
import { cardView } from '../../ledger/index.ts';
import type { Online } from '../core.ts';
import type { Chains } from './chains.ts';
import { activityWords } from '../activity-words.ts';

/** How often the same person's card is compared, ms. */
const compareEvery = 600_000;
/** Cards come many at a time; they are compared together, ms. */
const gatherMs = 2000;
/** People compared in one look, so that a light node is not kept busy by a crowd. */
const mostAtOnce = 32;

/**
 * Compares the cards that others show with those anchored on the network in use. Whoever shows an old one hides what came later: a
 * computer that was revoked, a key that was changed. A newer one is looked for, and where nobody has it the person here is told.
 */
export function createCardWatch(
  {
    network,
    clock,
    events,
    activity,
    logger,
  }: Pick<Online, 'network' | 'clock' | 'events' | 'activity' | 'logger'>,
  chains: Pick<Chains, 'current'>,
): { stop(): void } {
  const due = new Set<UserId>();
  const comparedAt = new Map<UserId, number>();
  /** By person: the number of the anchored card that was told of. */
  const told = new Map<UserId, number>();
  const ended = new AbortController();
  let cancel: (() => void) | null = null;

  function soon(user: UserId | null): void {
    if (user === null || clock.now() - (comparedAt.get(user) ?? -compareEvery) < compareEvery) return;
    due.add(user);
    cancel ??= clock.after(gatherMs, () => {
      cancel = null;
      void compare();
    });
  }

  async function compare(): Promise<void> {
    const open = chains.current();
    const users = [...due].slice(0, mostAtOnce);
    for (const user of users) due.delete(user);
    // On a network of one nobody else anchors anything.
    if (!open || open.record.provisional || users.length === 0) return;
    try {
      const anchored = await open.reader.read(
        ({ state }) => users.map((user) => cardView(state, hashOfUserId(user))?.number ?? null),
        'anchored cards',
      );
      for (const [i, user] of users.entries()) {
        comparedAt.set(user, clock.now());
        await look(user, anchored[i] ?? null);
      }
      for (const user of due) soon(user);
    } catch (error) {
      logger.debug({ error: String(error) }, 'cards were not compared with the anchored ones');
    }
  }

  async function look(user: UserId, anchored: number | null): Promise<void> {
    const isOld = (): boolean =>
      anchored !== null && (network.cards.get(user)?.number ?? anchored) < anchored;
    if (!isOld() || told.get(user) === anchored) return;
    // Asks others for the newest; what comes is kept when it is newer.
    await network.cards.find(user, ended.signal).catch(() => null);
    if (!isOld() || anchored === null) return;
    told.set(user, anchored);
    events.emit('activity', activity.add({ kind: 'problem', userId: user, ...activityWords.cardOld() }));
  }

  const off = [
    network.on('card', ({ card }) => {
      comparedAt.delete(card.user);
      soon(card.user);
    }),
    network.on('peerConnected', ({ peerId }) => soon(network.cards.userOf(peerId))),
  ];
  return {
    stop() {
      ended.abort();
      cancel?.();
      for (const end of off) end();
    },
  };
}
