import { base64urlnopad } from '@scure/base';
import { AppError } from '../../src-shared/errors.ts';
import type { Device, IdentityInfo } from '../../src-shared/contract/index.ts';
import type { NodeServices } from '../api/index.ts';
import { encodeCard, type UserId } from '../identity/index.ts';
import type { Base, Online } from './core.ts';
import type { Linking } from './linking.ts';
import { hex, iso } from './shown-values.ts';

interface Parts {
  readonly base: Base;
  /** Throws `keystore_locked` while locked. */
  readonly online: () => Online;
  readonly linking: () => Linking;
  /** Called after the keystore was opened. */
  readonly unlocked: () => Promise<void>;
  /** Ends everything that needs keys. */
  readonly locking: () => Promise<void>;
  /** Another actor is in use: drives belong to actors. */
  readonly actorChanged: () => Promise<void>;
  /** An identity came back from its phrase. */
  readonly restored: (user: UserId) => void;
  /** A device of ours was cut off: every drive it could write to must know. */
  readonly deviceRevoked: (device: string) => Promise<void>;
}

export function createIdentityServices(parts: Parts): Pick<NodeServices, 'identity' | 'devices'> {
  const { identity } = parts.base;

  function info(user?: UserId): IdentityInfo {
    const card = identity.card(user);
    return {
      userId: card.user,
      signKey: hex(card.rootKey),
      encKey: hex(card.encKey),
      card: base64urlnopad.encode(encodeCard(card)),
    };
  }

  function device(id: string): Device {
    const found = listDevices().find((one) => one.peerId === id);
    if (!found) throw new AppError('device_unknown', `There is no device ${id} of yours.`);
    return found;
  }

  function deviceNamed(wanted: string) {
    const all = identity.devices();
    const named = all.filter(
      (one) => one.deviceId === wanted || (one.name === wanted && one.revokedAt === null),
    );
    if (named.length === 0) throw new AppError('device_unknown', `There is no device ${wanted} of yours.`);
    if (named.length > 1)
      throw new AppError('invalid_argument', `Several devices are called ${wanted}; give the peer ID.`);
    return named[0]!;
  }

  function listDevices(): Device[] {
    const connected = new Set(
      parts
        .online()
        .network.peers()
        .map((peer) => peer.peerId),
    );
    const known = identity.devices().map((one): Device => ({
      peerId: one.deviceId,
      name: one.name,
      since: iso(one.linkedAt ?? one.revokedAt ?? 0),
      state: one.revokedAt === null ? 'linked' : 'revoked',
      current: one.thisDevice,
      connected: connected.has(one.deviceId),
      code: null,
    }));
    const waiting = identity
      .joinRequests()
      .filter((request) => !request.approved)
      .map((request): Device => ({
        peerId: request.deviceId,
        name: request.name,
        since: iso(parts.base.clock.now()),
        state: 'waiting',
        current: false,
        connected: connected.has(request.deviceId),
        code: request.digits,
      }));
    return [...known, ...waiting];
  }

  return {
    identity: {
      async create({ words }) {
        await identity.create({ words });
        await parts.actorChanged();
        return info();
      },
      async restore({ phrase }) {
        const user = await identity.restore(phrase);
        await parts.actorChanged();
        parts.restored(user);
        // The card with our other devices and the newest encryption key may be known out there.
        const { network } = parts.online();
        await network.cards.find(user).then(
          (card) => identity.acceptCard(card),
          () => false,
        );
        return info();
      },
      show: () => info(),
      phrase: () => ({ phrase: identity.backupPhrase() }),
      actors: () =>
        identity.actors().map((one) => ({ userId: one.userId, name: one.name, current: one.inUse })),
      addActor: ({ name }) => info(identity.addActor(name)),
      async useActor({ name }) {
        identity.useActor(name);
        await parts.actorChanged();
        return info();
      },
      async unlock({ password }) {
        await identity.unlock(password);
        await parts.unlocked();
        return { ok: true };
      },
      async lock() {
        if (identity.status().protection === 'none')
          throw new AppError(
            'not_allowed',
            'Set a password first: without one there is nothing to unlock with.',
          );
        await parts.locking();
        await identity.lock();
        return { ok: true };
      },
      async setPassword({ password, current }) {
        await identity.changePassword(password, current ?? undefined);
        parts.base.events.emit('status', {});
        return { ok: true };
      },
    },
    devices: {
      list: () => listDevices(),
      async invite() {
        const { code, expiresAt } = await identity.invite();
        const address = parts.online().network.addresses()[0];
        return { code: address === undefined ? code : `${code}@${address}`, expires: iso(expiresAt) };
      },
      async join({ code }, signal) {
        const { peerId, digits, linked } = await parts.linking().join(code, signal);
        return { peerId, code: digits, linked, userId: identity.userId() };
      },
      approve({ code }) {
        const text = code.trim();
        const request = identity.joinRequests().find((one) => one.digits === text.replace(/\s/g, ''));
        const invite = request?.code ?? text.split('@')[0]!;
        return device(identity.approve(invite).deviceId);
      },
      name({ device: wanted, name }) {
        const { deviceId } = deviceNamed(wanted);
        identity.renameDevice(deviceId, name);
        return device(deviceId);
      },
      async revoke({ device: wanted }) {
        const { deviceId } = deviceNamed(wanted);
        identity.revokeDevice(deviceId);
        await parts.deviceRevoked(deviceId);
        return { ok: true };
      },
    },
  };
}
