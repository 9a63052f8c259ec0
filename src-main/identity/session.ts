import pLimit from 'p-limit';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import { silentLogger } from '../../src-shared/runtime.ts';
import { cardDevices } from './card.ts';
import { deviceIdOf } from './ids.ts';
import { decodePublic, decodeSecret, encodePublic, encodeSecret } from './identity-records.ts';
import type { ActorRecord, PublicRecord, SecretRecord } from './identity-records.ts';
import { createKeystore } from './keystore.ts';
import { createKeystoreFiles } from './keystore-files.ts';
import { keyFileProtector, passwordProtector, removeKeyFile } from './keystore-protection.ts';
import type { KeyProtector, Protection } from './keystore-protection.ts';
import { createInviter } from './linking.ts';
import type { Inviter } from './linking.ts';
import { createKeyTree } from './phrase.ts';
import type { KeyTree } from './phrase.ts';
import { wipe } from './primitives.ts';
import { createSigner } from './signature.ts';
import type { ErasableSigner } from './signature.ts';
import type { Identity, IdentityDeps } from './identity-types.ts';
import type { IdentityStatus, JoinInfo, Signer, UserId } from './types.ts';

/** Everything in memory that must be wiped on locking. */
export interface Opened {
  secret: SecretRecord;
  readonly signer: ErasableSigner;
  tree: KeyTree | null;
  readonly inviter: Inviter;
  /** Derived encryption secrets by actor index and number. */
  readonly derived: Map<string, Uint8Array>;
}

/** The keystore with its content while it is open: what the identity service reads and writes. */
export interface Session extends Pick<
  Identity,
  'start' | 'stop' | 'unlock' | 'lock' | 'changePassword' | 'checkPassword' | 'status'
> {
  /** Throws `keystore_locked`. */
  secrets(): Opened;
  /** What is readable while locked. Throws `not_running` before the start. */
  record(): PublicRecord;
  /** The actor in use, or that of a user. Throws `no_identity`, `user_unknown`. */
  actor(user?: UserId): ActorRecord;
  /** Throws `not_allowed` on a linked device, `no_identity`. */
  keyTree(): KeyTree;
  /** Lends an actor's root key for one call. */
  withRoot<T>(actor: number, use: (root: Signer) => T): T;
  /** An encryption secret, not to be wiped by the caller; null when a linked device was not given this one. */
  encSecret(actor: ActorRecord, number: number): Uint8Array | null;
  /** Makes a new content durable; a failed write changes nothing. */
  commit(record: PublicRecord, secret?: SecretRecord): void;
  /** Runs slow steps one after another. */
  readonly oneAtATime: <T>(step: () => T | Promise<T>) => Promise<T>;
}

export function createSession(
  deps: IdentityDeps & {
    readonly onStatus: (status: IdentityStatus) => void;
    readonly onJoinRequest: (info: JoinInfo) => void;
  },
): Session {
  const { clock, random } = deps;
  const log = deps.log ?? silentLogger;
  const files = typeof deps.files === 'string' ? createKeystoreFiles(deps.files) : deps.files;
  const keystore = createKeystore({ files, random });
  const keyFile = keyFileProtector({ files, random });
  const withPassword = (password: string): KeyProtector =>
    passwordProtector(password, { random, ...(deps.scryptCost && { cost: deps.scryptCost }) });
  /** Slow steps (scrypt) wait for one another, so that no two of them write. */
  const oneAtATime = pLimit(1);

  let open: Opened | null = null;
  let content: PublicRecord | null = null;
  let protection: Protection = 'none';

  function secrets(): Opened {
    if (open) return open;
    throw new AppError('keystore_locked', 'The keystore is locked; a password is needed.');
  }
  function known(): PublicRecord {
    if (content) return content;
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
    const linked = open !== null && open.secret.linked !== null;
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
    content = nextRecord;
    opened.secret = nextSecret;
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
        onRequest: deps.onJoinRequest,
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
    const stored = await keystore.open(protector);
    try {
      const nextRecord = parsed(() => decodePublic(stored.public));
      const secret = parsed(() => decodeSecret(stored.secret));
      content = nextRecord;
      protection = protector.kind;
      // Copies: what the decoder returned may be views of the buffer wiped below.
      setOpen({
        deviceSeed: secret.deviceSeed.slice(),
        phrase: secret.phrase?.slice() ?? null,
        linked: secret.linked && new Map([...secret.linked].map(([number, key]) => [number, key.slice()])),
      });
      wipe(secret.deviceSeed, secret.phrase, ...(secret.linked?.values() ?? []));
    } catch (error) {
      keystore.lock();
      throw error;
    } finally {
      wipe(stored.secret);
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
    content = nextRecord;
    protection = protector.kind;
    setOpen(secret);
    log.info({ protection }, 'made a device key');
  }

  return {
    start: ({ password = null } = {}) =>
      oneAtATime(async () => {
        const stored = keystore.peek();
        if (!stored) {
          await firstStart(deps.keychain ?? (password === null ? keyFile : withPassword(password)));
        } else if (stored.protection === 'password' && password === null) {
          content = parsed(() => decodePublic(stored.public));
          protection = stored.protection;
        } else if (stored.protection === 'password') {
          await openWith(withPassword(password as string));
        } else {
          await openWith(stored.protection === 'keychain' && deps.keychain ? deps.keychain : keyFile);
        }
        deps.onStatus(status());
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
        deps.onStatus(status());
      }),
    lock: () =>
      oneAtATime(() => {
        if (protection === 'none')
          throw new AppError('not_allowed', 'Set a password first; without one nothing is locked.');
        forget();
        keystore.lock();
        deps.onStatus(status());
      }),
    checkPassword: (password) =>
      oneAtATime(async () => {
        secrets();
        if (protection === 'password') await keystore.verify(withPassword(password));
      }),

    changePassword: (next, current) =>
      oneAtATime(async () => {
        secrets();
        if (protection === 'password') await keystore.verify(withPassword(current ?? ''));
        else if (next === null) return;
        if (next === null) removeKeyFile(files); // one left behind by a crash may have been read by others
        const protector = next === null ? (deps.keychain ?? keyFile) : withPassword(next);
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
        deps.onStatus(status());
      }),
    status,
    secrets,
    record: known,
    actor: actorOf,
    keyTree,
    withRoot,
    encSecret,
    commit,
    oneAtATime,
  };
}
