import type { Database } from '../store/index.ts';
import { deviceIdOf, openCard, replacesCard } from '../identity/index.ts';
import type { ActorCard, DeviceId, UserId } from '../identity/index.ts';
import type { Clock } from '../../src-shared/runtime.ts';

/** Actor cards in node.db: the highest number of each user. */
export interface CardStore {
  get(user: UserId): ActorCard | null;
  bytes(user: UserId): Uint8Array | null;
  /**
   * The newest card known of its user afterwards; `fresh` when that is this one and it was not known.
   * @throws AppError `malformed`, `bad_signature`, `too_large`
   */
  add(bytes: Uint8Array): { readonly card: ActorCard; readonly fresh: boolean };
  /** A device said over its own connection that it speaks for this user. */
  claim(device: DeviceId, user: UserId): void;
  userOf(device: DeviceId): UserId | null;
}

const maxCards = 20_000;
const cacheSize = 512;

export function createCardStore(db: Database, clock: Clock): CardStore {
  const select = db.prepare<[string], { number: number; bytes: Buffer }>(
    'SELECT number, bytes FROM cards WHERE user = ?',
  );
  const upsert = db.prepare('INSERT OR REPLACE INTO cards (user, number, bytes, at) VALUES (?, ?, ?, ?)');
  const count = db.prepare<[], { n: number }>('SELECT count(*) AS n FROM cards');
  const oldest = db.prepare<[number], { user: string }>('SELECT user FROM cards ORDER BY at, user LIMIT ?');
  const remove = db.prepare('DELETE FROM cards WHERE user = ?');
  const clearDevices = db.prepare('DELETE FROM card_devices WHERE user = ?');
  const addDevice = db.prepare('INSERT OR IGNORE INTO card_devices (device, user) VALUES (?, ?)');
  const selectUsers = db.prepare<[string], { user: string }>(
    'SELECT user FROM card_devices WHERE device = ?',
  );
  const selectClaim = db.prepare<[string], { user: string }>(
    'SELECT user FROM device_claims WHERE device = ?',
  );
  const upsertClaim = db.prepare('INSERT OR REPLACE INTO device_claims (device, user) VALUES (?, ?)');
  const cards = new Map<UserId, ActorCard>();
  const users = new Map<DeviceId, UserId | null>();

  const store = db.transaction((card: ActorCard, bytes: Uint8Array) => {
    upsert.run(card.user, card.number, bytes, clock.now());
    clearDevices.run(card.user);
    for (const device of certified(card)) addDevice.run(device, card.user);
    const { n } = count.get()!;
    for (const { user } of n > maxCards ? oldest.all(n - maxCards) : []) {
      remove.run(user);
      clearDevices.run(user);
      cards.delete(user);
    }
  });

  function remember(card: ActorCard): ActorCard {
    cards.delete(card.user);
    cards.set(card.user, card);
    if (cards.size > cacheSize) cards.delete(cards.keys().next().value!);
    return card;
  }

  function get(user: UserId): ActorCard | null {
    const cached = cards.get(user);
    if (cached) return cached;
    const row = select.get(user);
    return row ? remember(openCard(row.bytes)) : null;
  }

  return {
    get,
    bytes: (user) => select.get(user)?.bytes ?? null,
    add(bytes) {
      const card = openCard(bytes);
      const known = get(card.user);
      if (known && !replacesCard(card, known)) return { card: known, fresh: false };
      store(card, bytes);
      users.clear();
      return { card: remember(card), fresh: true };
    },
    claim(device, user) {
      if (selectClaim.get(device)?.user === user) return;
      upsertClaim.run(device, user);
      users.clear();
    },
    userOf(device) {
      const cached = users.get(device);
      if (cached !== undefined) return cached;
      // Anybody can certify a stranger's device in a card of his own: what the device itself says decides between them.
      const candidates = selectUsers.all(device).map((row) => row.user);
      const claimed = selectClaim.get(device)?.user;
      let user: UserId | null = null;
      if (claimed !== undefined && candidates.includes(claimed)) user = claimed;
      else if (candidates.length === 1) user = candidates[0]!;
      if (users.size > 10_000) users.clear();
      users.set(device, user);
      return user;
    },
  };
}

/** Devices a card certifies; identity refuses cards that certify and revoke one device. */
export function certified(card: ActorCard): readonly DeviceId[] {
  return card.devices.map((device) => deviceIdOf(device.deviceKey));
}
