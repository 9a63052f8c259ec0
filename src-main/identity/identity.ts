import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { createEmitter } from '../../src-shared/emitter.ts';
import { AppError } from '../../src-shared/errors.ts';
import { silentLogger } from '../../src-shared/runtime.ts';
import { cardDevices, cleanName, replacesCard, signCard, signDeviceCertificate, verifyCard } from './card.ts';
import { tryUnwrap } from './ecies.ts';
import { deviceIdOf, deviceKeyOf } from './ids.ts';
import { decodeDeviceKeys, encodeDeviceKeys } from './identity-records.ts';
import type { ActorRecord, SecretRecord } from './identity-records.ts';
import { createJoiner } from './linking.ts';
import { cardCovers, mergeCards, newerCard } from './merge-cards.ts';
import type { CardContent } from './merge-cards.ts';
import { createKeyTree, maxActors, parsePhrase, phraseOf } from './phrase.ts';
import type { KeyTree } from './phrase.ts';
import { hkdf, wipe, x25519Public } from './primitives.ts';
import { createSession } from './session.ts';
import { createSigner } from './signature.ts';
import { equalBytes } from './strict-cbor.ts';
import type { Identity, IdentityDeps } from './identity-types.ts';
import type { ActorCard, IdentityEvents, UserId } from './types.ts';

/** Makes the identity service of one data folder; `start` it before anything else. */
export function createIdentity(deps: IdentityDeps): Identity {
  const { clock, random } = deps;
  const log = deps.log ?? silentLogger;
  const events = createEmitter<IdentityEvents>((error) =>
    log.error({ err: error }, 'an identity listener failed'),
  );
  const session = createSession({
    ...deps,
    onStatus: (status) => events.emit('status', status),
    onJoinRequest: (info) => events.emit('joinRequest', info),
  });
  const {
    secrets,
    record,
    actor: actorOf,
    keyTree,
    withRoot,
    encSecret,
    commit,
    oneAtATime,
    status,
  } = session;

  function commitCard(actor: ActorRecord, card: ActorCard, nextSecret?: SecretRecord): void {
    const { actors } = record();
    const next = actors.map((a) => (a.card.user === actor.card.user ? { ...a, card } : a));
    commit({ ...record(), actors: next }, nextSecret);
    events.emit('card', card);
    events.emit('status', status());
  }

  /** Signs the actor's card anew, one number above every card it follows. */
  function signNext(actor: ActorRecord, content: CardContent, above: number): ActorCard {
    const number = content.encKeyNumber;
    const encKey = x25519Public(encSecret(actor, number) as Uint8Array);
    return withRoot(actor.index, (root) =>
      signCard(root, { ...content, encKey, number: above + 1, time: clock.now() }),
    );
  }

  function firstCard(tree: KeyTree, index: number): ActorCard {
    const seed = tree.rootSecret(index);
    const enc = tree.encSecret(index, 0);
    const root = createSigner(seed);
    const time = clock.now();
    const { deviceKey } = record();
    const own = signDeviceCertificate(root, { deviceKey, name: deviceName(), issuedAt: time });
    const encKey = x25519Public(enc);
    const card = signCard(root, { number: 1, encKey, encKeyNumber: 0, devices: [own], revoked: [], time });
    root.forget();
    wipe(seed, enc);
    return card;
  }

  function deviceName(): string {
    try {
      return cleanName(deps.deviceName.slice(0, 64));
    } catch {
      return 'Computer';
    }
  }

  function begin(entropy: Uint8Array): UserId {
    const current = secrets().secret;
    if (record().actors.length > 0) throw new AppError('already_exists', 'This computer has a user already.');
    const tree = createKeyTree(entropy);
    const card = firstCard(tree, 0);
    const actors = [{ index: 0, name: 'main', card }];
    commit({ ...record(), actors, inUse: 0 }, { ...current, phrase: entropy });
    secrets().tree = tree;
    events.emit('card', card);
    events.emit('status', status());
    return card.user;
  }

  return {
    on: events.on,
    start: session.start,
    stop: session.stop,
    unlock: session.unlock,
    lock: session.lock,
    changePassword: session.changePassword,
    checkPassword: session.checkPassword,
    status,

    get deviceId() {
      return deviceIdOf(record().deviceKey);
    },
    deviceSigner: {
      get publicKey() {
        return record().deviceKey;
      },
      sign: (bytes) => secrets().signer.sign(bytes),
    },
    devicePrivateKey: () => generateKeyPairFromSeed('Ed25519', secrets().secret.deviceSeed.slice()),
    deviceSecret: (purpose) => hkdf(secrets().secret.deviceSeed, `extrachain device secret v1\0${purpose}`),

    appSecret(appId, purpose, user) {
      const first = encSecret(actorOf(user), 0);
      if (!first) throw new AppError('key_missing', 'This computer was not given all keys yet.');
      return hkdf(first, `extrachain app account v1\0${appId}\0${purpose}`);
    },

    accountSigner(user) {
      const { index, card } = actorOf(user);
      return { publicKey: card.rootKey, sign: (bytes) => withRoot(index, (root) => root.sign(bytes)) };
    },

    create: ({ words = 12 } = {}) => oneAtATime(() => begin(random(words === 24 ? 32 : 16))),
    restore: (phrase) => oneAtATime(() => begin(parsePhrase(phrase))),
    backupPhrase() {
      keyTree();
      return phraseOf(secrets().secret.phrase as Uint8Array);
    },

    userId: () => record().actors[record().inUse]?.card.user ?? null,
    card: (user) => actorOf(user).card,
    certificate(user) {
      const cert = cardDevices(actorOf(user).card).certificate(record().deviceKey);
      if (cert) return cert;
      throw new AppError('forbidden', 'This computer was revoked by its user.');
    },
    actors: () =>
      record().actors.map(({ name, card }, i) => ({ name, userId: card.user, inUse: i === record().inUse })),
    addActor(name) {
      const { actors } = record();
      const clean = cleanName(name);
      const tree = keyTree();
      if (actors.some((actor) => actor.name === clean)) {
        throw new AppError('already_exists', `There is an actor named ${clean} already.`);
      }
      if (actors.length >= maxActors)
        throw new AppError('too_large', `There can be at most ${maxActors} actors.`);
      const index = Math.max(...actors.map((actor) => actor.index)) + 1;
      const card = firstCard(tree, index);
      commit({ ...record(), actors: [...actors, { index, name: clean, card }] });
      events.emit('card', card);
      return card.user;
    },
    useActor(name) {
      const inUse = record().actors.findIndex((actor) => actor.name === name);
      if (inUse < 0) throw new AppError('not_found', `There is no actor named ${name}.`);
      commit({ ...record(), inUse });
      events.emit('status', status());
      return actorOf().card.user;
    },

    tryUnwrap: tryOwnKeys,
    unwrap(box, user) {
      const content = tryOwnKeys(box, user);
      if (content) return content;
      throw new AppError('key_missing', 'This was encrypted for another key.');
    },

    devices() {
      const { card } = actorOf();
      const own = record().deviceKey;
      const certified = card.devices.map((cert) => ({
        deviceId: deviceIdOf(cert.deviceKey),
        name: cert.name,
        linkedAt: cert.issuedAt,
        revokedAt: null,
        thisDevice: equalBytes(cert.deviceKey, own),
      }));
      const revoked = card.revoked.map(({ deviceKey, at }) => ({
        deviceId: deviceIdOf(deviceKey),
        name: '',
        linkedAt: null,
        revokedAt: at,
        thisDevice: equalBytes(deviceKey, own),
      }));
      return [...certified, ...revoked];
    },
    revokeDevice(device) {
      const actor = actorOf();
      keyTree();
      const deviceKey = deviceKeyOf(device);
      if (equalBytes(deviceKey, record().deviceKey)) {
        throw new AppError('not_allowed', 'A computer cannot revoke itself; do it from another one.');
      }
      const { card } = actor;
      if (!cardDevices(card).has(deviceKey))
        throw new AppError('device_unknown', 'This is none of your devices.');
      const revoked = [...card.revoked, { deviceKey, at: clock.now() }];
      const content = { devices: card.devices, revoked, encKeyNumber: card.encKeyNumber + 1 };
      commitCard(actor, signNext(actor, content, card.number));
    },
    renameDevice(device, name) {
      const actor = actorOf();
      keyTree();
      const { card } = actor;
      const deviceKey = deviceKeyOf(device);
      const old = card.devices.find((cert) => equalBytes(cert.deviceKey, deviceKey));
      if (!old) throw new AppError('device_unknown', 'This is none of your devices.');
      const clean = cleanName(name);
      if (clean === old.name) return;
      // Of two certificates of one device the newer counts, whatever this clock says.
      const issuedAt = Math.max(clock.now(), old.issuedAt + 1);
      const renamed = withRoot(actor.index, (root) =>
        signDeviceCertificate(root, { deviceKey, name: clean, issuedAt }),
      );
      const devices = card.devices.map((cert) => (cert === old ? renamed : cert));
      const { revoked, encKeyNumber } = card;
      commitCard(actor, signNext(actor, { devices, revoked, encKeyNumber }, card.number));
    },
    acceptCard(card) {
      const actor = record().actors.find((a) => a.card.user === card.user);
      if (!actor || equalBytes(actor.card.sig, card.sig)) return false;
      if (!verifyCard(card))
        throw new AppError('bad_signature', 'The actor card was not signed by its user.');
      const { tree } = secrets();
      if (!tree) {
        if (!replacesCard(card, actor.card)) return false;
        commitCard(actor, card);
        return true;
      }
      const content = mergeCards(actor.card, card);
      const newer = newerCard(card, actor.card);
      if (!cardCovers(newer, content)) {
        commitCard(actor, signNext(actor, content, newer.number));
        return true;
      }
      if (newer === actor.card) return false;
      commitCard(actor, newer);
      return true;
    },
    keysFor(device) {
      const actor = actorOf();
      if (!cardDevices(actor.card).has(deviceKeyOf(device))) {
        throw new AppError('forbidden', 'This is none of your devices.');
      }
      return encodeDeviceKeys({ card: actor.card, secrets: allSecrets(actor) });
    },
    acceptKeys(bytes, from) {
      const actor = actorOf();
      const { secret } = secrets();
      if (!secret.linked)
        throw new AppError('not_allowed', 'This computer derives its keys from the recovery phrase.');
      const received = decodeDeviceKeys(bytes);
      if (received.card.user !== actor.card.user)
        throw new AppError('forbidden', 'These are keys of another user.');
      const card = newerCard(received.card, actor.card);
      if (!cardDevices(card).has(deviceKeyOf(from)))
        throw new AppError('forbidden', 'This is none of your devices.');
      const fresh = [...received.secrets].filter(([number]) => !secret.linked?.has(number));
      if (fresh.length === 0 && card === actor.card) return false;
      const linked = new Map([...secret.linked, ...fresh.map(([n, key]) => [n, key.slice()] as const)]);
      commitCard(actor, card, { ...secret, linked });
      return true;
    },

    async invite() {
      keyTree();
      return secrets().inviter.invite();
    },
    handleJoin: (bytes, from) => secrets().inviter.handleJoin(bytes, from),
    joinRequests: () => secrets().inviter.pending(),
    approve(code) {
      keyTree();
      return secrets().inviter.approve(code, (info) => {
        certify(deviceKeyOf(info.deviceId), info.name);
        const actor = actorOf();
        return encodeDeviceKeys({ card: actor.card, secrets: allSecrets(actor) });
      });
    },
    cancelInvite: (code) => secrets().inviter.cancel(code),
    async join({ code, inviter, name }) {
      const mustBeNew = (): void => {
        if (record().actors.length === 0) return;
        throw new AppError('already_exists', 'This computer has a user already.');
      };
      secrets();
      mustBeNew();
      const deviceId = deviceIdOf(record().deviceKey);
      const joiner = await createJoiner({ random, deviceId }, { code, name: name ?? deviceName(), inviter });
      return {
        join: joiner.join,
        handleAnswer: joiner.handleAnswer,
        accept: (approval) =>
          oneAtATime(() => {
            mustBeNew();
            const content = joiner.handleApproval(approval);
            const { card, secrets: given } = decodeDeviceKeys(content);
            if (!cardDevices(card).has(record().deviceKey)) {
              throw new AppError('bad_signature', 'The approval does not certify this computer.');
            }
            const linked = new Map([...given].map(([number, key]) => [number, key.slice()]));
            wipe(content);
            const actors = [{ index: 0, name: 'main', card }];
            commit({ ...record(), actors, inUse: 0 }, { ...secrets().secret, linked });
            events.emit('card', card);
            events.emit('status', status());
          }),
      };
    },
  };

  /** Newest key first: most boxes are for it. */
  function tryOwnKeys(box: Uint8Array, user?: UserId): Uint8Array | null {
    const actor = actorOf(user);
    for (let number = actor.card.encKeyNumber; number >= 0; number--) {
      const secret = encSecret(actor, number);
      const content = secret && tryUnwrap(secret, box);
      if (content) return content;
    }
    return null;
  }

  function certify(deviceKey: Uint8Array, name: string): void {
    const actor = actorOf();
    const { card } = actor;
    const devices = cardDevices(card);
    if (devices.revokedAt(deviceKey) !== null) {
      throw new AppError(
        'not_allowed',
        'This computer was revoked before; start it with a new data folder to link it again.',
      );
    }
    if (devices.has(deviceKey)) return;
    const issuedAt = clock.now();
    const cert = withRoot(actor.index, (root) => signDeviceCertificate(root, { deviceKey, name, issuedAt }));
    commitCard(actor, signNext(actor, { ...card, devices: [...card.devices, cert] }, card.number));
  }

  /** Every encryption secret this device has. Throws `key_missing` when the newest is not among them. */
  function allSecrets(actor: ActorRecord): Map<number, Uint8Array> {
    const found = new Map<number, Uint8Array>();
    for (let number = 0; number <= actor.card.encKeyNumber; number++) {
      const secret = encSecret(actor, number);
      if (secret) found.set(number, secret);
    }
    if (found.has(actor.card.encKeyNumber)) return found;
    throw new AppError('key_missing', 'This device was not given the newest encryption key yet.');
  }
}
