import { AppError, isAppError } from '../../../src-shared/errors.ts';
import { inviteRefOf, inviteSigner, signClaim } from '../../drive/index.ts';
import { entryHash } from '../../history/index.ts';
import { encodeCard } from '../../identity/index.ts';
import type { DeviceId } from '../../identity/index.ts';
import type { Online } from '../core.ts';
import type { Drives } from '../drives.ts';
import { askToShare, createSharingServer, sharingOptions } from './conversation.ts';
import { activityWords } from '../activity-words.ts';

const protocol = 'invite/1';
/** The answers that hold whoever gives them; after others the next computer is asked. */
const final = ['invite_expired', 'invite_used_up', 'invite_revoked'] as const;

/** Lets in who comes with an invitation's link: any device of an owner or manager can. */
export function serveInvites(node: Online, drives: () => Drives): void {
  const { network, clock, random } = node;
  const serve = createSharingServer({
    clock,
    random,
    async decide(peer, { drive: driveId, ref, nonce, proof, card }) {
      const drive = drives()
        .list()
        .find((one) => one.record.driveId === driveId)?.drive;
      if (!drive) throw new AppError('forbidden', 'This does not open anything here.');
      network.cards.add(card);
      const user = network.cards.userOf(peer);
      const known = user === null ? null : network.cards.get(user);
      if (user === null || !known) throw new AppError('user_unknown', 'No card of the person asking.');
      const claim = { user, device: peer, verifier: network.peerId, nonce };
      const role = await drive.admit(ref, claim, known.encKey, proof);
      drives().refreshMembers();
      const words = activityWords.joinedByLink(role, user);
      node.events.emit('activity', node.activity.add({ kind: 'member', driveId, ...words }));
    },
  });
  network.handle(protocol, sharingOptions, serve);
}

/**
 * Comes into a drive by an invitation's link.
 * @param peers devices that may let us in, in the order to ask
 * @returns the one that did
 * @throws AppError `invite_expired`, `invite_used_up`, `invite_revoked`; `forbidden` when one that has the drive knows no such
 * invitation; `unreachable` when nobody who may let us in was reached
 */
export async function claimInvite(
  node: Online,
  driveId: string,
  secret: Uint8Array,
  peers: readonly DeviceId[],
  signal: AbortSignal,
): Promise<DeviceId> {
  const { network, identity } = node;
  const card = identity.card();
  const ref = inviteRefOf(inviteSigner(secret).publicKey);
  let failure: unknown = null;
  for (const peer of peers) {
    try {
      const stream = await network.open(peer, protocol, sharingOptions, signal);
      const prove = (nonce: Uint8Array): { proof: Uint8Array; card: Uint8Array } => {
        const claim = { user: card.user, device: network.peerId, verifier: peer, nonce };
        const proof = signClaim(secret, { drive: entryHash(driveId), ...claim });
        return { proof, card: encodeCard(card) };
      };
      await askToShare(stream, { drive: driveId, ref }, prove, signal);
      return peer;
    } catch (error) {
      if (signal.aborted || final.some((code) => isAppError(error, code))) throw error;
      if (failure === null || isAppError(error, 'forbidden') || isAppError(error, 'rate_limited'))
        failure = error;
    }
  }
  if (isAppError(failure, 'forbidden') || isAppError(failure, 'rate_limited')) throw failure;
  throw new AppError('unreachable', 'No computer that may let you in can be reached now; try again later.', {
    cause: failure,
  });
}
