import type { EntryDraft, FeedTip, History } from '../history/index.ts';
import { deviceKeyOf, isEncryptionKey } from '../identity/index.ts';
import type { DeviceId, Signer, UserId } from '../identity/index.ts';
import type { RandomBytes } from '../../src-shared/runtime.ts';
import { AppError } from '../../src-shared/errors.ts';
import { sameBytes, unhex } from './codec/bytes.ts';
import type { AccessLog } from './access/access-log.ts';
import { buildAccessEntry } from './access/author.ts';
import type { AccessDraft } from './access/author.ts';
import { startsEpoch } from './access/codec.ts';
import { roleRank } from './access/evaluate.ts';
import type { AccessState } from './access/evaluate.ts';
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

    /** null when nothing would change. */
    share(user: UserId, encKey: Uint8Array, role: Exclude<Role, 'owner'>): EntryDraft | null {
      if (!isEncryptionKey(encKey))
        throw new AppError('invalid_argument', 'The encryption key is not valid.');
      const member = state().members.get(user);
      if (member?.role === role && sameBytes(member.encKey, encKey)) return null;
      if (user !== identity.userId || member?.role !== role) checkMayChange(user, role);
      if (member && roleRank(role) < roleRank(member.role)) {
        const others = [...state().members.values()].filter((one) => one.userId !== user);
        const boxesFor = [...others.map((one) => encKeyOf(one.userId)), encKey];
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
        boxesFor: others.map(encKeyOf),
      });
    },

    revokeDevice(device: DeviceId): EntryDraft {
      const key = deviceKeyOf(device);
      const feed = entries.feedOfDevice(key);
      const user = feed?.user ?? (sameBytes(key, identity.device.publicKey) ? identity.userId : null);
      if (user === null) throw new AppError('device_unknown', 'This device has not written in the drive.');
      if (user !== identity.userId) checkMayChange(user, null);
      const boxesFor = [...state().members.keys()].map(encKeyOf);
      return build({ kind: 'revoke', user, device: key, frontier: frontierOf(user, key), boxesFor });
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
      if (receivers.length > 0) {
        const users = receivers.map((one) => one.userId).sort();
        const handOut = keysOf(topEpochs(access.keyring.known()));
        drafts.push(build({ kind: 'keys', receivers: users, boxesFor: users.map(encKeyOf), handOut }));
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
        for (const user of access.graph.at([event.id])?.members.keys() ?? []) give(user, epochs);
      } else if (event.kind === 'grant' && opened.readable.wraps.length > 0) {
        give(event.user, epochs);
      }
      for (const user of opened.sealed.receivers) give(user, epochs);
    }
    return new Map([...given].map(([user, ids]) => [user, closure(ids)]));
  }
}
