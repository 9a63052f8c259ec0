import type { EntryDraft, FeedTip, History } from '../history/index.ts';
import { deviceKeyOf, encryptionKeyOf, isEncryptionKey } from '../identity/index.ts';
import type { DeviceId, Signer, UserId } from '../identity/index.ts';
import type { RandomBytes } from '../../src-shared/runtime.ts';
import { AppError } from '../../src-shared/errors.ts';
import { sameBytes, unhex } from './codec/bytes.ts';
import type { AccessLog } from './access/access-log.ts';
import { buildAccessEntry } from './access/author.ts';
import type { AccessDraft } from './access/author.ts';
import { startsEpoch } from './access/codec.ts';
import { maxOpenInvites, roleRank } from './access/evaluate.ts';
import type { AccessInvite, AccessState } from './access/evaluate.ts';
import type { DriveIdentity } from './deps.ts';
import type { Entries } from './entries.ts';
import type { EpochId, Role } from './types.ts';

const maxAccessLinks = 16;

export interface RightsDeps {
  readonly drive: Uint8Array;
  readonly identity: DriveIdentity;
  readonly writer: Signer;
  readonly access: AccessLog;
  readonly entries: Entries;
  readonly history: History;
  readonly random: RandomBytes;
  readonly certificate: () => Uint8Array;
}

/** Stands for those who read without a role among the receivers of keys. */
const readersOf = (opening: string): string => `readers ${opening}`;

export type Rights = ReturnType<typeof createRights>;

/** Decides what access entries this device writes. Each function returns the draft to append, or throws before anything happens. */
export function createRights(deps: RightsDeps) {
  const { access, identity, history, entries } = deps;

  const state = (): AccessState => access.graph.current();
  const roleOf = (user: UserId): Role | null => state().members.get(user)?.role ?? null;

  /** Access heads new entries name, sorted. */
  function links(): readonly Uint8Array[] {
    return access.graph.heads().slice(0, maxAccessLinks).map(unhex);
  }

  /** The epoch in use. @throws AppError `key_missing` */
  function epoch(): { id: EpochId; key: Uint8Array } {
    const { epochs } = state();
    const id = epochs.length === 0 ? null : access.keyring.merge(epochs);
    const key = id && access.keyring.key(id);
    if (id && key) return { id, key };
    throw new AppError('key_missing', 'This drive cannot be read here yet: nobody has sent its key.');
  }

  function keysOf(ids: readonly EpochId[]): { id: EpochId; key: Uint8Array }[] {
    return ids.map((id) => {
      const key = access.keyring.key(id);
      if (!key) throw new AppError('key_missing', 'A key of this drive has not arrived yet.');
      return { id, key };
    });
  }

  /** Started epochs whose keys no other known key opens: handing these out gives everything. */
  function topEpochs(known: readonly EpochId[]): EpochId[] {
    const below = new Set(known.flatMap((id) => [...closure([id])].filter((other) => other !== id)));
    return known.filter((id) => !below.has(id)).sort();
  }

  /** Epochs a holder of these keys can open. */
  function closure(ids: Iterable<EpochId>): Set<EpochId> {
    const reached = new Set<EpochId>();
    const open = [...ids];
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (reached.has(id)) continue;
      reached.add(id);
      open.push(...access.previousOf(id));
    }
    return reached;
  }

  const encKeyOf = (user: UserId): Uint8Array =>
    user === identity.userId ? identity.encKey : (state().members.get(user)?.encKey as Uint8Array);

  /** Keys boxes of a new epoch are made for: those members' and, while the drive is open, its readers'. */
  function boxKeys(users: Iterable<UserId>): Uint8Array[] {
    const { opening } = state();
    const keys = [...users].map(encKeyOf);
    return opening === null ? keys : [...keys, encryptionKeyOf(opening.secret)];
  }

  function build(draft: Pick<AccessDraft, 'kind'> & Partial<AccessDraft>): EntryDraft {
    return buildAccessEntry(
      {
        user: '',
        role: null,
        encKey: null,
        device: null,
        receivers: [],
        name: '',
        frontier: [],
        boxesFor: [],
        handOut: [],
        previous: startsEpoch(draft.kind) ? keysOf(state().epochs) : [],
        ...draft,
      },
      {
        drive: deps.drive,
        writer: deps.writer.publicKey,
        cert: deps.certificate(),
        links: links(),
        epoch: epoch(),
        random: deps.random,
      },
    );
  }

  /** Last accepted entries of a user's feeds (of one device's, if given). */
  function frontierOf(user: UserId, device: Uint8Array | null): readonly FeedTip[] {
    const feeds = entries
      .feedsOfUser(user)
      .filter((feed) => device === null || sameBytes(feed.device_key, device));
    return history
      .frontier()
      .filter((tip) =>
        feeds.some((feed) => sameBytes(feed.writer, tip.writer) && feed.incarnation === tip.incarnation),
      );
  }

  function refuse(): never {
    throw new AppError('forbidden', 'Your role in this drive does not allow this.');
  }

  function checkMayChange(user: UserId, newRole: Role | null): void {
    const own = roleRank(roleOf(identity.userId));
    const target = roleRank(roleOf(user));
    const owner = roleRank('owner');
    const below = (rank: number): boolean => (own === owner ? rank < owner : rank < roleRank('manager'));
    if (own < roleRank('manager') || !below(target) || !below(roleRank(newRole))) refuse();
  }

  return {
    state,
    roleOf,
    links,
    epoch,

    /** The key of the epoch in use has not come. */
    lacksKey: (): boolean => state().epochs.some((id) => access.keyring.key(id) === null),

    /** null when nothing would change. */
    share(user: UserId, encKey: Uint8Array, role: Exclude<Role, 'owner'>): EntryDraft | null {
      if (!isEncryptionKey(encKey))
        throw new AppError('invalid_argument', 'The encryption key is not valid.');
      const member = state().members.get(user);
      if (member?.role === role && sameBytes(member.encKey, encKey)) return null;
      if (user !== identity.userId || member?.role !== role) checkMayChange(user, role);
      if (member && roleRank(role) < roleRank(member.role)) {
        const others = [...state().members.keys()].filter((one) => one !== user);
        const boxesFor = [...boxKeys(others), encKey];
        return build({ kind: 'lower', user, role, encKey, frontier: frontierOf(user, null), boxesFor });
      }
      const handOut = keysOf(topEpochs(access.keyring.known()));
      return build({ kind: 'grant', user, role, encKey, boxesFor: [encKey], handOut });
    },

    unshare(user: UserId): EntryDraft {
      const role = roleOf(user);
      if (role === null) throw new AppError('user_unknown', 'This user is not a member of the drive.');
      if (role === 'owner') throw new AppError('forbidden', 'The owner of a drive cannot be removed.');
      if (user !== identity.userId) checkMayChange(user, null);
      const others = [...state().members.keys()].filter((one) => one !== user);
      return build({
        kind: 'remove',
        user,
        frontier: frontierOf(user, null),
        boxesFor: boxKeys(others),
      });
    },

    /** @param owner whose device it is, as the card says; needed when it has not written here: it may have read all the same */
    revokeDevice(device: DeviceId, owner: UserId | null): EntryDraft {
      const key = deviceKeyOf(device);
      const feed = entries.feedOfDevice(key);
      const user =
        feed?.user ?? owner ?? (sameBytes(key, identity.device.publicKey) ? identity.userId : null);
      if (user === null) throw new AppError('device_unknown', 'This device has not written in the drive.');
      if (user !== identity.userId) checkMayChange(user, null);
      const boxesFor = boxKeys(state().members.keys());
      return build({ kind: 'revoke', user, device: key, frontier: frontierOf(user, key), boxesFor });
    },

    /** Opens an invitation whose link's secret belongs to `key`. */
    invite(
      key: Uint8Array,
      role: Exclude<Role, 'owner'>,
      terms: { readonly expires: number | null; readonly uses: number | null },
    ): EntryDraft {
      checkMayChange('', role);
      if ([...state().invites.values()].filter((one) => !one.ended).length >= maxOpenInvites) {
        throw new AppError(
          'too_many_invites',
          `A drive has at most ${maxOpenInvites} open invitations; end one of them first.`,
        );
      }
      return build({ kind: 'invite', role, extra: { t: 'invite', key, ...terms } });
    },

    /** Ends an invitation; a used one with a new key epoch. */
    endInvite(invite: AccessInvite): EntryDraft {
      checkMayChange('', null);
      const extra = { t: 'via', invite: invite.ref } as const;
      if (invite.used.length === 0) return build({ kind: 'uninvite', extra });
      return build({ kind: 'lapse', extra, boxesFor: boxKeys(state().members.keys()) });
    },

    /** Lets somebody in by an invitation; null when he may do as much already. The caller checked proof and terms. */
    admit(invite: AccessInvite, user: UserId, encKey: Uint8Array): EntryDraft | null {
      if (!isEncryptionKey(encKey))
        throw new AppError('invalid_argument', 'The encryption key is not valid.');
      const { role } = invite;
      if (roleRank(roleOf(user)) >= roleRank(role)) return null;
      checkMayChange(user, role);
      const handOut = keysOf(topEpochs(access.keyring.known()));
      const extra = { t: 'via', invite: invite.ref } as const;
      return build({ kind: 'grant', user, role, encKey, extra, boxesFor: [encKey], handOut });
    },

    /** Whether the author of an invitation may still give its role. */
    stands(invite: AccessInvite): boolean {
      const author = roleRank(roleOf(invite.author));
      const needed = roleRank(invite.role) >= roleRank('manager') ? 'owner' : 'manager';
      return !invite.ended && author >= roleRank(needed);
    },

    /** Opens the drive to whoever knows `secret`, or to everybody. */
    open(visibility: 'unlisted' | 'public', secret: Uint8Array): EntryDraft {
      checkMayChange('', null);
      return build({
        kind: 'open',
        extra: { t: 'open', visibility, secret },
        boxesFor: [encryptionKeyOf(secret)],
        handOut: keysOf(topEpochs(access.keyring.known())),
      });
    },

    /** Makes the drive private: what is written from now on has a key readers do not get. */
    close(): EntryDraft {
      checkMayChange('', null);
      return build({ kind: 'close', boxesFor: [...state().members.keys()].map(encKeyOf) });
    },

    /**
     * What this device should write so that every member can read: his own new encryption key, and keys others lack
     * (handed out before a concurrent removal, for one). Managers see to everybody, editors only to what no manager holds.
     */
    repair(): readonly EntryDraft[] {
      const { members, epochs } = state();
      const own = members.get(identity.userId);
      if (!own || epochs.some((id) => access.keyring.key(id) === null)) return [];
      const drafts: EntryDraft[] = [];
      if (!sameBytes(own.encKey, identity.encKey)) {
        const { userId: user, role } = own;
        drafts.push(build({ kind: 'grant', user, role, encKey: identity.encKey }));
      }
      const needed = neededEpochs();
      const held = holdings();
      const lacks = (user: UserId): EpochId[] => needed.filter((id) => !held.get(user)?.has(id));
      const managers = [...members.values()].filter((one) => roleRank(one.role) >= roleRank('manager'));
      const isManager = roleRank(own.role) >= roleRank('manager');
      if (roleRank(own.role) < roleRank('editor')) return drafts;
      const receivers = (isManager ? [...members.values()] : managers).filter((one) => {
        if (one.userId === identity.userId) return false;
        const missing = lacks(one.userId);
        return isManager
          ? missing.length > 0
          : missing.some((id) => managers.every((m) => !held.get(m.userId)?.has(id)));
      });
      const users = receivers.map((one) => one.userId).sort();
      const boxesFor = users.map(encKeyOf);
      const { opening } = state();
      if (isManager && opening !== null && lacks(readersOf(opening.id)).length > 0) {
        users.push(readersOf(opening.id));
        boxesFor.push(encryptionKeyOf(opening.secret));
      }
      if (users.length > 0) {
        const handOut = keysOf(topEpochs(access.keyring.known()));
        drafts.push(build({ kind: 'keys', receivers: users, boxesFor, handOut }));
      }
      return drafts;
    },
  };

  /** Epochs entries may be sealed under and whose keys are known here. */
  function neededEpochs(): EpochId[] {
    return access.keyring.known().filter((id) => access.graph.has(id) && access.graph.isValid(id));
  }

  /** Which epochs' keys each user was handed, by those who wrote the boxes. */
  function holdings(): ReadonlyMap<UserId, ReadonlySet<EpochId>> {
    const given = new Map<UserId, Set<EpochId>>();
    const give = (user: UserId, ids: readonly EpochId[]): void => {
      const set = given.get(user) ?? new Set();
      for (const id of ids) set.add(id);
      given.set(user, set);
    };
    for (const event of access.graph.events()) {
      const opened = access.opened(event.id);
      if (!opened || !access.graph.isValid(event.id)) continue;
      const epochs = opened.readable.epochs.map((id) => (id === 'self' ? event.id : id));
      if (startsEpoch(event.kind)) {
        const then = access.graph.at([event.id]);
        for (const user of then?.members.keys() ?? []) give(user, epochs);
        if (then?.opening) give(readersOf(then.opening.id), epochs);
      } else if (event.kind === 'open') {
        give(readersOf(event.id), epochs);
      } else if (event.kind === 'grant' && opened.readable.wraps.length > 0) {
        give(event.user, epochs);
      }
      for (const user of opened.sealed.receivers) give(user, epochs);
    }
    return new Map([...given].map(([user, ids]) => [user, closure(ids)]));
  }
}
