import { isAppError } from '../../src-shared/errors.ts';
import type { Drive } from '../drive/index.ts';
import { deviceIdOf } from '../identity/index.ts';
import type { Online } from './core.ts';
import type { DriveRecord } from './drive-records.ts';

/** ms between looks for drives that do not know yet; a drive may be opened or joined at any time, or its key come late. */
const lookEvery = 10_000;

interface KeptDrive {
  readonly drive: Drive;
  readonly record: Pick<DriveRecord, 'driveId' | 'user'>;
}

/** Sees to it that every drive kept here knows which of its user's devices were revoked, and which encryption key replaced theirs. */
export interface Revocations {
  /** Tells all drives now. */
  sweep(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * A revoked device knows the keys of every drive it could read. So each of them names the user's new encryption key and starts a
 * new epoch, whatever the user's role there, and whether the device ever wrote or not. What can't be told now (a drive that is not open, a
 * key that has not come) is told later, also after a restart: the card remembers who was revoked.
 */
/** @param drives all that are kept here, collections included */
export function createRevocations(node: Online, drives: () => Iterable<KeptDrive>): Revocations {
  const { identity, clock, logger } = node;
  let stopped = false;
  let cancel = (): void => {};
  let turn: Promise<void> = Promise.resolve();

  function lacksKey(drive: Drive): boolean {
    try {
      drive.currentEpoch();
      return false;
    } catch {
      return true;
    }
  }

  async function look(): Promise<void> {
    for (const { drive, record } of drives()) {
      if (stopped || drive.roleOf(record.user) === null) continue;
      const { encKey, revoked } = identity.card(record.user);
      try {
        const known = drive.encKeyOf(record.user);
        // Its own new key first: others box for it from then on.
        if (lacksKey(drive) || !known || !Buffer.from(known).equals(encKey)) await drive.repairAccess();
        for (const { deviceKey } of revoked) {
          const device = deviceIdOf(deviceKey);
          if (!drive.isRevoked(device, record.user)) await drive.revokeDevice(device, record.user);
        }
      } catch (error) {
        if (!isAppError(error)) throw error;
        logger.debug(
          { err: error, driveId: record.driveId },
          'a drive could not be told of revoked devices yet',
        );
      }
    }
  }

  function sweep(): Promise<void> {
    turn = turn.catch(() => {}).then(look);
    return turn;
  }

  function later(): void {
    cancel = clock.after(lookEvery, () => {
      void sweep()
        .catch((error: unknown) => logger.error({ err: error }, 'revoked devices could not be looked at'))
        .finally(() => {
          if (!stopped) later();
        });
    });
  }
  later();

  return {
    sweep,
    async stop() {
      stopped = true;
      cancel();
      await turn.catch(() => {});
    },
  };
}
