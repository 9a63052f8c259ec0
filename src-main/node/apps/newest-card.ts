import type { ActorCard, UserId } from '../../identity/index.ts';
import type { Online } from '../core.ts';

/** The newest card of somebody that can be had; null: nobody who is reached has one. */
export type CardOf = (user: UserId, signal: AbortSignal) => Promise<ActorCard | null>;

/** Asks the network, and goes by what is known here when it does not answer. */
export const createCardOf =
  (online: () => Pick<Online, 'identity' | 'network'>): CardOf =>
  async (user, signal) => {
    const { identity, network } = online();
    if (user === identity.userId()) return identity.card();
    const found = await network.cards.find(user, signal).catch(() => null);
    signal.throwIfAborted();
    return found ?? network.cards.get(user);
  };
