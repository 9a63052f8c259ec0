import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import pLimit from 'p-limit';
import { createEmitter } from '../../src-shared/emitter.ts';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import { silentLogger } from '../../src-shared/runtime.ts';
import type { Clock, Events, Logger, RandomBytes } from '../../src-shared/runtime.ts';
import { cardDevices, cleanName, replacesCard, signCard, signDeviceCertificate, verifyCard } from './card.ts';
import { tryUnwrap } from './ecies.ts';
import { deviceIdOf, deviceKeyOf } from './ids.ts';
import {
  decodeDeviceKeys,
  decodePublic,
  decodeSecret,
  encodeDeviceKeys,
  encodePublic,
  encodeSecret,
} from './identity-records.ts';
import type { ActorRecord, PublicRecord, SecretRecord } from './identity-records.ts';
import { createKeystore } from './keystore.ts';
import { createKeystoreFiles } from './keystore-files.ts';
import type { KeystoreFiles } from './keystore-files.ts';
import { keyFileProtector, passwordProtector, removeKeyFile } from './keystore-protection.ts';
import type { KeyProtector, Protection, ScryptCost } from './keystore-protection.ts';
import { createInviter, createJoiner } from './linking.ts';
import type { Inviter, Joiner } from './linking.ts';
import { cardCovers, mergeCards, newerCard } from './merge-cards.ts';
import type { CardContent } from './merge-cards.ts';
import { createKeyTree, maxActors, parsePhrase, phraseOf } from './phrase.ts';
import type { KeyTree } from './phrase.ts';
import { hkdf, wipe, x25519Public } from './primitives.ts';
import { createSigner } from './signature.ts';
import type { ErasableSigner } from './signature.ts';
import { equalBytes } from './strict-cbor.ts';
import type {
  ActorCard,
  ActorInfo,
  DeviceCertificate,
  DeviceId,
  DeviceInfo,
  IdentityEvents,
  IdentityStatus,
  JoinInfo,
  Signer,
  UserId,
} from './types.ts';

export interface IdentityDeps {
  /** Folder of `keystore.json`, or the files themselves. */
  readonly files: string | KeystoreFiles;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** What this computer is called in its certificate; a host name will do. */
  readonly deviceName: string;
  /** The system's keychain, on the desktop. */
  readonly keychain?: KeyProtector;
  readonly scryptCost?: ScryptCost;
  readonly log?: Logger;
}

/** The new computer's side of a link in progress. */
export interface JoinSession extends Pick<Joiner, 'join' | 'handleAnswer'> {
  /** Checks and stores what the approval grants. Throws `bad_signature`, `malformed`, `too_large`, `already_exists`. */
  accept(approval: Uint8Array): Promise<void>;
}

/**
 * Who this node is: its device key (from the first start on), its user's actors and cards, and every secret of theirs.
 * Secrets never leave except where a method says so. Methods that need secrets throw `keystore_locked` while locked;
 * those about a user throw `no_identity` before one was created, restored or linked. `user` defaults to the actor in use.
 */
export interface Identity extends Events<IdentityEvents> {
  /** Opens the keystore, or makes it at the first start. Without its password the identity stays locked. */
  start(options?: { readonly password?: string | null }): Promise<void>;
  /** Wipes every secret; ends open invites. */
  stop(): Promise<void>;
  /** Throws `wrong_password`. */
  unlock(password: string): Promise<void>;
  /** Wipes every secret. Throws `not_allowed` when there is no password to come back with. */
  lock(): Promise<void>;
  /** Sets, replaces or (null) removes the password; `current` is needed when there is one. Throws `wrong_password`. */
  changePassword(next: string | null, current?: string): Promise<void>;
  status(): IdentityStatus;

  readonly deviceId: DeviceId;
  /** Signs with the device key. */
  readonly deviceSigner: Signer;
  /** The device key for libp2p, which keeps it: stop the network when locking. */
  devicePrivateKey(): Promise<Ed25519PrivateKey>;
  /** 32 bytes that only this device can derive, one per purpose (e.g. `writer <nonce>`): HKDF-SHA-256 of the device key. */
  deviceSecret(purpose: string): Uint8Array;

  /** Makes a new phrase and its first actor. Throws `already_exists`. */
  create(options?: { readonly words?: 12 | 24 }): Promise<UserId>;
  /** From a phrase. The card found for the user afterwards goes to `acceptCard`. Throws `phrase_invalid`, `already_exists`. */
  restore(phrase: string): Promise<UserId>;
  /** The recovery phrase in clear. Throws `not_allowed` on a linked device, which has none. */
  backupPhrase(): string;

  /** The actor in use; null before there is one. */
  userId(): UserId | null;
  /** Works while locked. */
  card(user?: UserId): ActorCard;
  /** This device's certificate. Throws `forbidden` when the device was revoked. */
  certificate(user?: UserId): DeviceCertificate;
  actors(): readonly ActorInfo[];
  /** The phrase's next actor. Throws `already_exists` for a name in use, `not_allowed` on a linked device. */
  addActor(name: string): UserId;
  /** Throws `not_found`. */
  useActor(name: string): UserId;

  /** Opens a box made with `wrapFor` for any encryption key the user has or had. Null when it is for someone else. */
  tryUnwrap(box: Uint8Array, user?: UserId): Uint8Array | null;
  /** As `tryUnwrap`; throws `key_missing` instead. */
  unwrap(box: Uint8Array, user?: UserId): Uint8Array;

  devices(): readonly DeviceInfo[];
  /** Publishes a card without the device and with a new encryption key. Throws `device_unknown`, `not_allowed`. */
  revokeDevice(device: DeviceId): void;
  /**
   * Takes a card found on the network. A card of an own actor is kept when newer; where the phrase is, it is merged with
   * changes made here (and signed anew). True when the own card changed. Throws `bad_signature`.
   */
  acceptCard(card: ActorCard): boolean;
  /** Card and encryption secrets for another device of the user, to send over its own stream. Throws `forbidden`. */
  keysFor(device: DeviceId): Uint8Array;
  /** On a linked device: takes what `keysFor` made. True when anything was new. Throws `forbidden`, `malformed`. */
  acceptKeys(bytes: Uint8Array, from: DeviceId): boolean;

  /** Linking, on the computer that has the phrase (see linking.ts). */
  invite(): Promise<{ readonly code: string; readonly expiresAt: number }>;
  handleJoin: Inviter['handleJoin'];
  joinRequests(): readonly JoinInfo[];
  /** Certifies the computer waiting on a code. Throws `code_invalid`, `not_found`, `not_allowed`. */
  approve(code: string): JoinInfo;
  cancelInvite(code: string): void;
  /** Linking, on the new computer. `inviter` is who the transport says is at the other end. */
  join(options: {
    readonly code: string;
    readonly inviter: DeviceId;
    readonly name?: string;
  }): Promise<JoinSession>;
}

/** Everything that must be wiped on locking. */
interface Opened {
  secret: SecretRecord;
  readonly signer: ErasableSigner;
  tree: KeyTree | null;
  readonly inviter: Inviter;
  /** Derived encryption secrets by actor index and number. */
  readonly derived: Map<string, Uint8Array>;
}

export function createIdentity(deps: IdentityDeps): Identity {
  const { clock, random } = deps;
  const log = deps.log ?? silentLogger;
  const files = typeof deps.files === 'string' ? createKeystoreFiles(deps.files) : deps.files;
  const keystore = createKeystore({ files, random });
  const keyFile = keyFileProtector({ files, random });
  const withPassword = (password: string): KeyProtector =>
    passwordProtector(password, { random, ...(deps.scryptCost && { cost: deps.scryptCost }) });
  const events = createEmitter<IdentityEvents>((error) =>
    log.error({ err: error }, 'an identity listener failed'),
  );
  /** Slow steps (scrypt) wait for one another, so that no two of them write. */
  const oneAtATime = pLimit(1);

  let open: Opened | null = null;
  let record: PublicRecord | null = null;
  let protection: Protection = 'none';

  function secrets(): Opened {
    if (open) return open;
    throw new AppError('keystore_locked', 'The keystore is locked; a password is needed.');
  }
  function known(): PublicRecord {
    if (record) return record;
    throw new AppError('not_running', 'The identity is not started.');
  }
  function actorOf(user?: UserId): ActorRecord {
    const { actors, inUse } = known();
    const actor = user === undefined ? actors[inUse] : actors.find((a) => a.card.user === user);
    if (actor) return actor;
    if (user !== undefined) throw new AppError('user_unknown', 'This user is not one of yours.');
    throw new AppError('no_identity', 'There is no user yet; create one, restore one or link this computer.');
  }
  function keyTree(): KeyTree {
    const { tree, secret } = secrets();
    if (tree) return tree;
    if (secret.linked) {
      throw new AppError('not_allowed', 'Only a computer that holds the recovery phrase can do this.');
    }
    throw new AppError('no_identity', 'There is no user yet; create one or restore one.');
  }
  function withRoot<T>(actor: number, use: (root: Signer) => T): T {
    const seed = keyTree().rootSecret(actor);
    const root = createSigner(seed);
    wipe(seed);
    try {
      return use(root);
    } finally {
      root.forget();
    }
  }

  /** Null when a linked device was not given this one. */
  function encSecret(actor: ActorRecord, number: number): Uint8Array | null {
    const { derived, secret, tree } = secrets();
    if (!tree) return secret.linked?.get(number) ?? null;
    const name = `${actor.index}/${number}`;
    let found = derived.get(name);
    if (!found) derived.set(name, (found = tree.encSecret(actor.index, number)));
    return found;
  }

  function status(): IdentityStatus {
    const { deviceKey, actors, inUse } = known();
    const actor = actors[inUse];
    const linked = open?.secret.linked != null;
    return {
      state: open ? (actor ? 'open' : 'none') : 'locked',
      protection,
      deviceId: deviceIdOf(deviceKey),
      userId: actor?.card.user ?? null,
      linked,
      revoked: actor !== undefined && !cardDevices(actor.card).has(deviceKey),
      keysMissing: linked && actor !== undefined && encSecret(actor, actor.card.encKeyNumber) === null,
    };
  }

  /** Writes first, remembers then: a failed write changes nothing. */
  function commit(nextRecord: PublicRecord, nextSecret: SecretRecord = secrets().secret): void {
    const opened = secrets();
    const secret = encodeSecret(nextSecret);
    try {
      keystore.save({ public: encodePublic(nextRecord), secret });
    } finally {
      wipe(secret);
    }
    record = nextRecord;
    opened.secret = nextSecret;
  }
  function commitCard(actor: ActorRecord, card: ActorCard, nextSecret?: SecretRecord): void {
    const { actors } = known();
    const next = actors.map((a) => (a.card.user === actor.card.user ? { ...a, card } : a));
    commit({ ...known(), actors: next }, nextSecret);
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
    const { deviceKey } = known();
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

  function setOpen(secret: SecretRecord): void {
    forget();
    const signer = createSigner(secret.deviceSeed);
    open = {
      secret,
      signer,
      tree: secret.phrase && createKeyTree(secret.phrase),
      derived: new Map(),
      inviter: createInviter({
        clock,
        random,
        deviceId: deviceIdOf(signer.publicKey),
        onRequest: (info) => events.emit('joinRequest', info),
      }),
    };
  }
  function forget(): void {
    if (!open) return;
    const { secret, signer, tree, derived, inviter } = open;
    open = null;
    inviter.stop();
    signer.forget();
    tree?.forget();
    wipe(secret.deviceSeed, secret.phrase, ...(secret.linked?.values() ?? []), ...derived.values());
  }

  /** Reads what the keystore gave. A valid file with a content we can't read is damaged all the same. */
  function parsed<T>(decode: () => T): T {
    try {
      return decode();
    } catch (cause) {
      if (!isAppError(cause)) throw cause;
      throw new AppError('corrupt', 'The content of the keystore is damaged.', { cause });
    }
  }
  async function openWith(protector: KeyProtector): Promise<void> {
    const content = await keystore.open(protector);
    try {
      const nextRecord = parsed(() => decodePublic(content.public));
      const secret = parsed(() => decodeSecret(content.secret));
      record = nextRecord;
      protection = protector.kind;
      // The decoder's byte strings are views of the buffer wiped below.
      setOpen({
        deviceSeed: secret.deviceSeed.slice(),
        phrase: secret.phrase?.slice() ?? null,
        linked: secret.linked && new Map([...secret.linked].map(([number, key]) => [number, key.slice()])),
      });
    } catch (error) {
      keystore.lock();
      throw error;
    } finally {
      wipe(content.secret);
    }
  }

  async function firstStart(protector: KeyProtector): Promise<void> {
    const deviceSeed = random(32);
    const deviceKey = createSigner(deviceSeed).publicKey;
    const nextRecord = { deviceKey, actors: [], inUse: 0 };
    const secret = { deviceSeed, phrase: null, linked: null };
    const encoded = encodeSecret(secret);
    await keystore.create(protector, { public: encodePublic(nextRecord), secret: encoded });
    wipe(encoded);
    record = nextRecord;
    protection = protector.kind;
    setOpen(secret);
    log.info({ protection }, 'made a device key');
  }

  function begin(entropy: Uint8Array): UserId {
    const current = secrets().secret;
    if (known().actors.length > 0) throw new AppError('already_exists', 'This computer has a user already.');
    const tree = createKeyTree(entropy);
    const card = firstCard(tree, 0);
    const actors = [{ index: 0, name: 'main', card }];
    commit({ ...known(), actors, inUse: 0 }, { ...current, phrase: entropy });
    secrets().tree = tree;
    events.emit('card', card);
    events.emit('status', status());
    return card.user;
  }

  return {
    on: events.on,
    start: ({ password = null } = {}) =>
      oneAtATime(async () => {
        const stored = keystore.peek();
        if (!stored) {
          await firstStart(deps.keychain ?? (password === null ? keyFile : withPassword(password)));
        } else if (stored.protection === 'password' && password === null) {
          record = parsed(() => decodePublic(stored.public));
          protection = stored.protection;
        } else if (stored.protection === 'password') {
          await openWith(withPassword(password as string));
        } else {
          await openWith(stored.protection === 'keychain' && deps.keychain ? deps.keychain : keyFile);
        }
        events.emit('status', status());
      }),
    stop: () =>
      oneAtATime(() => {
        forget();
        keystore.lock();
      }),
    unlock: (password) =>
      oneAtATime(async () => {
        if (open) return;
        await openWith(protection === 'keychain' && deps.keychain ? deps.keychain : withPassword(password));
        events.emit('status', status());
      }),
    lock: () =>
      oneAtATime(() => {
        if (protection === 'none')
          throw new AppError('not_allowed', 'Set a password first; without one nothing is locked.');
        forget();
        keystore.lock();
        events.emit('status', status());
      }),
    changePassword: (next, current) =>
      oneAtATime(async () => {
        secrets();
        if (protection === 'password') await keystore.verify(withPassword(current ?? ''));
        else if (next === null) return;
        if (next === null) removeKeyFile(files); // one left behind by a crash may have been read by others
        const protector = next === null ? keyFile : withPassword(next);
        let secret: Uint8Array | null = null;
        try {
          await keystore.protect(protector, () => {
            secret = encodeSecret(secrets().secret);
            return { public: encodePublic(known()), secret };
          });
        } finally {
          wipe(secret);
        }
        protection = protector.kind;
        events.emit('status', status());
      }),
    status,

    get deviceId() {
      return deviceIdOf(known().deviceKey);
    },
    deviceSigner: {
      get publicKey() {
        return known().deviceKey;
      },
      sign: (bytes) => secrets().signer.sign(bytes),
    },
    devicePrivateKey: () => generateKeyPairFromSeed('Ed25519', secrets().secret.deviceSeed.slice()),
    deviceSecret: (purpose) => hkdf(secrets().secret.deviceSeed, `extrachain device secret v1\0${purpose}`),

    create: ({ words = 12 } = {}) => oneAtATime(() => begin(random(words === 24 ? 32 : 16))),
    restore: (phrase) => oneAtATime(() => begin(parsePhrase(phrase))),
    backupPhrase() {
      keyTree();
      return phraseOf(secrets().secret.phrase as Uint8Array);
    },

    userId: () => known().actors[known().inUse]?.card.user ?? null,
    card: (user) => actorOf(user).card,
    certificate(user) {
      const cert = cardDevices(actorOf(user).card).certificate(known().deviceKey);
      if (cert) return cert;
      throw new AppError('forbidden', 'This computer was revoked by its user.');
    },
    actors: () =>
      known().actors.map(({ name, card }, i) => ({ name, userId: card.user, inUse: i === known().inUse })),
    addActor(name) {
      const { actors } = known();
      const clean = cleanName(name);
      const tree = keyTree();
      if (actors.some((actor) => actor.name === clean)) {
        throw new AppError('already_exists', `There is an actor named ${clean} already.`);
      }
      if (actors.length >= maxActors)
        throw new AppError('too_large', `There can be at most ${maxActors} actors.`);
      const index = Math.max(...actors.map((actor) => actor.index)) + 1;
      const card = firstCard(tree, index);
      commit({ ...known(), actors: [...actors, { index, name: clean, card }] });
      events.emit('card', card);
      return card.user;
    },
    useActor(name) {
      const inUse = known().actors.findIndex((actor) => actor.name === name);
      if (inUse < 0) throw new AppError('not_found', `There is no actor named ${name}.`);
      commit({ ...known(), inUse });
      events.emit('status', status());
      return actorOf().card.user;
    },

    tryUnwrap(box, user) {
      const actor = actorOf(user);
      for (let number = actor.card.encKeyNumber; number >= 0; number--) {
        const secret = encSecret(actor, number);
        const content = secret && tryUnwrap(secret, box);
        if (content) return content;
      }
      return null;
    },
    unwrap(box, user) {
      const content = this.tryUnwrap(box, user);
      if (content) return content;
      throw new AppError('key_missing', 'This was encrypted for another key.');
    },

    devices() {
      const { card } = actorOf();
      const own = known().deviceKey;
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
      if (equalBytes(deviceKey, known().deviceKey)) {
        throw new AppError('not_allowed', 'A computer cannot revoke itself; do it from another one.');
      }
      const { card } = actor;
      if (!cardDevices(card).has(deviceKey))
        throw new AppError('device_unknown', 'This is none of your devices.');
      const revoked = [...card.revoked, { deviceKey, at: clock.now() }];
      const content = { devices: card.devices, revoked, encKeyNumber: card.encKeyNumber + 1 };
      commitCard(actor, signNext(actor, content, card.number));
    },
    acceptCard(card) {
      const actor = known().actors.find((a) => a.card.user === card.user);
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
        if (known().actors.length === 0) return;
        throw new AppError('already_exists', 'This computer has a user already.');
      };
      secrets();
      mustBeNew();
      const deviceId = deviceIdOf(known().deviceKey);
      const joiner = await createJoiner({ random, deviceId }, { code, name: name ?? deviceName(), inviter });
      return {
        join: joiner.join,
        handleAnswer: joiner.handleAnswer,
        accept: (approval) =>
          oneAtATime(() => {
            mustBeNew();
            const content = joiner.handleApproval(approval);
            const { card, secrets: given } = decodeDeviceKeys(content);
            if (!cardDevices(card).has(known().deviceKey)) {
              throw new AppError('bad_signature', 'The approval does not certify this computer.');
            }
            const linked = new Map([...given].map(([number, key]) => [number, key.slice()]));
            wipe(content);
            const actors = [{ index: 0, name: 'main', card }];
            commit({ ...known(), actors, inUse: 0 }, { ...secrets().secret, linked });
            events.emit('card', card);
            events.emit('status', status());
          }),
      };
    },
  };

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
