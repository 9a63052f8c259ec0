import { replacesCard } from './card.ts';
import type { ActorCard, DeviceCertificate } from './types.ts';

/** What a card should say; the number, time and signature are the signer's. */
export type CardContent = Pick<ActorCard, 'devices' | 'revoked' | 'encKeyNumber'>;

const keyName = (key: Uint8Array): string => Buffer.from(key).toString('hex');

/**
 * Joins two verified cards of one user, made by two computers that hold one phrase and did not know of each other's
 * changes. Devices leave only by revocation, so the union of both lists, less what either revoked, is what the user
 * wants. When one side revoked a device that the other's encryption key may still have been given to, the key is replaced.
 * Commutative, and idempotent on its own result, so computers that merge the same cards agree.
 */
export function mergeCards(a: ActorCard, b: ActorCard): CardContent {
  const revoked = new Map<string, { deviceKey: Uint8Array; at: number }>();
  for (const entry of [...a.revoked, ...b.revoked]) {
    const known = revoked.get(keyName(entry.deviceKey));
    if (!known || entry.at < known.at) revoked.set(keyName(entry.deviceKey), { ...entry });
  }
  const devices = new Map<string, DeviceCertificate>();
  for (const cert of [...a.devices, ...b.devices]) {
    const name = keyName(cert.deviceKey);
    const known = devices.get(name);
    const newer = !known || cert.issuedAt > known.issuedAt;
    if (!revoked.has(name) && newer) devices.set(name, cert);
  }
  const lacks = (card: ActorCard, other: ActorCard): boolean =>
    other.revoked.some(
      (entry) => !card.revoked.some((own) => keyName(own.deviceKey) === keyName(entry.deviceKey)),
    );
  const leaked =
    (lacks(a, b) && a.encKeyNumber >= b.encKeyNumber) || (lacks(b, a) && b.encKeyNumber >= a.encKeyNumber);
  return {
    devices: [...devices.values()],
    revoked: [...revoked.values()],
    encKeyNumber: Math.max(a.encKeyNumber, b.encKeyNumber) + (leaked ? 1 : 0),
  };
}

/** True when a card says no less than this content. */
export function cardCovers(card: ActorCard, content: CardContent): boolean {
  const names = (list: readonly { readonly deviceKey: Uint8Array }[]): string =>
    list
      .map((entry) => keyName(entry.deviceKey))
      .sort()
      .join();
  return (
    card.encKeyNumber === content.encKeyNumber &&
    names(card.devices) === names(content.devices) &&
    content.devices.every((cert) =>
      card.devices.some(
        (own) => keyName(own.deviceKey) === keyName(cert.deviceKey) && own.issuedAt >= cert.issuedAt,
      ),
    ) &&
    names(card.revoked) === names(content.revoked)
  );
}

/** Of two cards of one user the one that counts. */
export const newerCard = (a: ActorCard, b: ActorCard): ActorCard => (replacesCard(a, b) ? a : b);
