import { AppError } from '../../src-shared/errors.ts';
import type { Clock, RandomBytes } from '../../src-shared/runtime.ts';
import type { EntryDraft } from '../history/index.ts';
import type { UserId } from '../identity/index.ts';
import type { AccessInvite } from './access/evaluate.ts';
import { roleRank } from './access/evaluate.ts';
import { inviteRefOf, inviteSecretBytes, inviteSigner, verifyClaim } from './access/invite-key.ts';
import type { InviteClaim } from './access/invite-key.ts';
import type { Rights } from './rights.ts';
import type { DriveInvite, InviteTerms, Role, Visibility } from './types.ts';

export interface SharingDeps {
  /** Hash of the genesis entry. */
  readonly drive: Uint8Array;
  readonly self: UserId;
  readonly rights: Rights;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Appends entries of this device and applies them. */
  readonly write: (drafts: readonly EntryDraft[]) => Promise<void>;
  /** Runs one thing after another, with all else that writes. */
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Who may read or come in beside those named: invitations by link and visibility. */
export function createSharing(deps: SharingDeps) {
  const { rights, clock, exclusive } = deps;

  function inviteState(one: AccessInvite): DriveInvite['state'] {
    if (one.expires !== null && one.expires <= clock.now()) return 'expired';
    if (one.uses !== null && one.used.length >= one.uses) return 'used_up';
    return one.ended || !rights.stands(one) ? 'revoked' : 'open';
  }

  const shown = (one: AccessInvite): DriveInvite => ({
    id: one.ref,
    role: one.role,
    author: one.author,
    made: one.made,
    expires: one.expires,
    uses: one.uses,
    used: one.used,
    state: inviteState(one),
    ended: one.ended,
  });

  function find(id: string): AccessInvite {
    const found = rights.state().invites.get(id);
    if (!found) throw new AppError('not_found', 'There is no such invitation in this drive.');
    return found;
  }

  return {
    visibility: (): Visibility => rights.state().opening?.visibility ?? 'private',
    readSecret: (): Uint8Array | null => rights.state().opening?.secret ?? null,
    invites: (): readonly DriveInvite[] =>
      [...rights.state().invites.values()]
        .map(shown)
        .sort((a, b) => a.made - b.made || (a.id < b.id ? -1 : 1)),

    invite: (role: Exclude<Role, 'owner'>, terms: InviteTerms) =>
      exclusive(async () => {
        const secret = deps.random(inviteSecretBytes);
        const { publicKey } = inviteSigner(secret);
        await deps.write([rights.invite(publicKey, role, terms)]);
        return { id: inviteRefOf(publicKey), secret };
      }),

    endInvite: (id: string) =>
      exclusive(async () => {
        const invite = find(id);
        if (!invite.ended) await deps.write([rights.endInvite(invite)]);
      }),

    admit: (id: string, claim: Omit<InviteClaim, 'drive'>, encKey: Uint8Array, signature: Uint8Array) =>
      exclusive(async (): Promise<Role> => {
        const invite = rights.state().invites.get(id);
        // Who cannot prove the secret learns nothing, not even whether there is such an invitation.
        if (!invite || !verifyClaim(invite.key, { drive: deps.drive, ...claim }, signature)) {
          throw new AppError('forbidden', 'This does not open anything here.');
        }
        if (roleRank(rights.roleOf(deps.self)) < roleRank('manager')) {
          throw new AppError('not_allowed', 'Only the computers of owners and managers let people in.');
        }
        const role = rights.roleOf(claim.user);
        const again = invite.used.includes(claim.user) && role !== null;
        if (again || roleRank(role) >= roleRank(invite.role)) return role ?? invite.role;
        const state = inviteState(invite);
        if (state !== 'open') throw refusals[state]();
        const draft = rights.admit(invite, claim.user, encKey);
        if (draft) await deps.write([draft]);
        return invite.role;
      }),

    /** Ends invitations of this user that were used and have run out since. */
    sweepInvites: () =>
      exclusive(async (): Promise<number> => {
        if (roleRank(rights.roleOf(deps.self)) < roleRank('manager')) return 0;
        const due = [...rights.state().invites.values()].filter(
          (one) => one.author === deps.self && !one.ended && inviteState(one) !== 'open',
        );
        for (const one of due) await deps.write([rights.endInvite(one)]);
        return due.length;
      }),

    setVisibility: (visibility: Visibility) =>
      exclusive(async () => {
        const opening = rights.state().opening;
        if ((opening?.visibility ?? 'private') === visibility) return;
        // The key of a public drive is known to all: its links are worth nothing once it is unlisted.
        if (opening !== null && visibility !== 'public') await deps.write([rights.close()]);
        if (visibility === 'private') return;
        const secret = rights.state().opening?.secret ?? deps.random(32);
        await deps.write([rights.open(visibility, secret)]);
      }),
  };
}

const refusals = {
  expired: () => new AppError('invite_expired', 'This invitation has expired; ask for a new link.'),
  used_up: () =>
    new AppError(
      'invite_used_up',
      'This invitation has let in as many people as it may; ask for a new link.',
    ),
  revoked: () => new AppError('invite_revoked', 'This invitation was taken back; ask for a new link.'),
} as const;
