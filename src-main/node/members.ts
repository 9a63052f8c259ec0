import type { DeviceId, UserId } from '../identity/index.ts';
import { cardDevices, deviceIdOf } from '../identity/index.ts';
import type { Online } from './core.ts';

/** Keeps this node in touch with the devices of everyone it shares drives with, and with the user's own. */
export interface MemberWatch {
  /** Call when drives, members or the actor in use changed. */
  refresh(): void;
  stop(): void;
}

/** Someone whose card nobody had is asked for again after this time, ms. */
const retryCard = 60_000;

/** @param users who to keep in touch with: members of all drives */
export function createMemberWatch(node: Online, users: () => ReadonlySet<UserId>): MemberWatch {
  const { network, identity, clock, logger } = node;
  const wanted = new Set<DeviceId>();
  const asked = new Map<UserId, number>();
  const ended = new AbortController();

  function findCard(user: UserId): void {
    const now = clock.now();
    if (now - (asked.get(user) ?? -Infinity) < retryCard) return;
    asked.set(user, now);
    network.cards
      .find(user, ended.signal)
      .then(refresh)
      .catch((error: unknown) => logger.debug({ err: error, user }, 'no card of this member yet'));
  }

  function refresh(): void {
    if (ended.signal.aborted) return;
    const own = identity.userId();
    const devices = new Set<DeviceId>();
    for (const user of new Set([...users(), ...(own === null ? [] : [own])])) {
      const card = user === own ? identity.card() : network.cards.get(user);
      if (!card) {
        findCard(user);
        continue;
      }
      const certified = cardDevices(card);
      for (const { deviceKey } of card.devices)
        if (certified.has(deviceKey)) devices.add(deviceIdOf(deviceKey));
    }
    devices.delete(network.peerId);
    for (const device of devices) if (!wanted.has(device)) network.want(device);
    for (const device of wanted) if (!devices.has(device)) network.unwant(device);
    wanted.clear();
    for (const device of devices) wanted.add(device);
  }

  const off = [
    network.on('card', ({ card }) => {
      if (card.user === identity.userId()) identity.acceptCard(card);
      refresh();
    }),
    network.on('peerConnected', refresh),
  ];
  return {
    refresh,
    stop() {
      ended.abort();
      for (const end of off) end();
    },
  };
}
