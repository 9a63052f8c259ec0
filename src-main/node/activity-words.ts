import type { Activity } from '../../src-shared/contract/index.ts';
import type { AppError } from '../../src-shared/errors.ts';

/** A sentence for people, in English and as a code with what stands in it, for a window in another language. */
export type ActivityWords = Pick<Activity, 'message' | 'said'>;

const words = (
  message: string,
  code: string,
  values: Record<string, string | number> = {},
): ActivityWords => ({
  message,
  said: { code, values },
});

/** Everything the node tells of by itself. The window has a sentence for each code: `activity.said` of its languages. */
export const activityWords = {
  failure: (error: AppError) => words(error.message, 'error', { code: error.code }),
  linked: () => words('This computer was linked.', 'linked'),
  linkingEnded: () => words('Linking this computer ended without approval.', 'linking_ended'),
  freed: (n: number, bytes: number) =>
    words(
      `The disk runs low: ${n} files (${bytes} bytes) that other computers hold are online-only now.`,
      'freed',
      { n },
    ),
  folderShared: (path: string) => words(`“${path}” is a drive of its own now.`, 'folder_shared', { path }),
  folderJoined: (path: string) => words(`“${path}” is an ordinary folder again.`, 'folder_joined', { path }),
  roleKept: (outer: string, inner: string) =>
    words(
      `Somebody who was removed from “${outer}” keeps a role in “${inner}”, which only its owner can take away.`,
      'role_kept',
      { outer, inner },
    ),
  signatureWanted: () => words('Your signature is asked for.', 'signature_wanted'),
  chainLight: (name: string) =>
    words(
      `The ledger ${name} has grown beyond what this computer keeps of it; it checks headers only now.`,
      'chain_light',
      { name },
    ),
  chainFull: (name: string) =>
    words(`This computer checks every block of ${name} again.`, 'chain_full', { name }),
  chainBroken: (name: string, why: string) =>
    words(`The network ${name} can't be opened: ${why}`, 'chain_broken', { name, why }),
  cardOld: () =>
    words(
      'The card of somebody you know is older than the one anchored on the network: a computer that was revoked may still pass for one of theirs.',
      'card_old',
    ),
  walletAsked: (name: string) => words(`${name} asks to use the wallet.`, 'wallet_asked', { name }),
  fork: (seq: number) =>
    words(
      `A device signed two different entries at one place (${seq}) of its history. Both are kept.`,
      'fork',
      { seq },
    ),
  live: (title: string) => words(`"${title}" is live now.`, 'live', { title }),
  recordingFinished: (file: string) =>
    words(`The interrupted recording ${file} was finished.`, 'recording_finished', { file }),
  drivesFound: (names: readonly string[]) =>
    words(`Drives of yours were found: ${names.join(', ')}`, 'drives_found', { names: names.join(', ') }),
  driveShared: (name: string) => words(`A drive is shared with you: ${name}`, 'drive_shared', { name }),
  joinedByLink: (role: string, user: string) =>
    words(`Somebody joined by a link, as ${role}: ${user}`, 'joined_by_link', { role, user }),
} as const;
