import { AppError, isAppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import type { Drive } from '../drive/index.ts';
import { checkProofs, drawChallenges } from './audit.ts';
import type { AuditBeacon, PreparedChallenge } from './audit.ts';
import type { Ask } from './host-protocol.ts';
import { limits } from './limits.ts';
import type { StripeRecords } from './coding/stripe-records.ts';
import { keeps } from './replica-records.ts';
import type { HostRow, ReplicaRecords } from './replica-records.ts';
import { afterAudit } from './reputation.ts';
import type { ReplicaStatus } from './types.ts';

/** Blocks asked about in one audit. */
const challengesPerAudit = 8;

export interface ReplicaClientDeps {
  readonly drive: Drive;
  readonly records: ReplicaRecords;
  readonly stripes: Pick<StripeRecords, 'changesSince'>;
  readonly beacon: AuditBeacon;
  readonly clock: Clock;
}

/** What one side of a contract says to the other; each function tells the host one thing and returns what is known then. */
export interface ReplicaClient {
  /** Tells the host all changes of stripes and of the block list it was not told; throws `overcommitted` when it refuses what it reserved. */
  sendBlocks(ask: Ask, row: HostRow, mayDrop: boolean): Promise<HostRow>;
  /**
   * One audit. A failed one is answered by asking the host to look at everything it has. `questions` are asked again
   * until they were answered once.
   */
  audit(ask: Ask, row: HostRow): Promise<HostRow>;
}

export function createReplicaClient(deps: ReplicaClientDeps): ReplicaClient {
  const { drive, records, clock } = deps;
  /** What a host could not prove: only the same proofs make that good. */
  const unproven = new Map<string, PreparedChallenge[]>();

  /** @returns the number of the last change of stripes that the host knows now */
  async function sendStripes(ask: Ask, after: number): Promise<number> {
    let sent = after;
    for (;;) {
      const changes = deps.stripes.changesSince(drive.id, sent, limits.stripesPerMessage);
      if (changes.length === 0) return sent;
      const add = changes.filter(({ removed }) => !removed).map(({ bytes }) => bytes);
      const remove = changes.filter(({ removed }) => removed).map(({ id }) => id);
      await ask({ t: 'stripes', drive: drive.id, add, remove });
      sent = changes.at(-1)!.number;
    }
  }

  return {
    async sendBlocks(ask, row, mayDrop) {
      let sentSeq = row.sentSeq;
      const isTidied = row.sentSeq < 0;
      const sentStripe = mayDrop ? await sendStripes(ask, row.sentStripe) : row.sentStripe;
      for (;;) {
        const changes = records.changesSince(drive.id, sentSeq, limits.blocksPerMessage);
        if (changes.length === 0) return { ...row, sentSeq, sentStripe };
        const blocks = changes.filter((block) => keeps(row, block)).map(({ id, size }) => ({ id, size }));
        // Nobody gives up what he may still have from before until it is known to be safe elsewhere.
        const ids = changes
          .filter((block) => !keeps(row, block) && (block.gone || block.settled || isTidied))
          .map(({ id }) => id);
        try {
          // Room is made before it is used.
          if (ids.length > 0 && mayDrop) await ask({ t: 'drop', drive: drive.id, ids });
          if (blocks.length > 0) await ask({ t: 'keep', drive: drive.id, blocks });
        } catch (error) {
          if (!isAppError(error, 'quota_exceeded')) throw error;
          throw new AppError('overcommitted', 'A host refuses to keep what its own contract reserves.', {
            cause: error,
          });
        }
        sentSeq = changes.at(-1)!.seq;
      }
    },
    async audit(ask, row) {
      const before = unproven.get(row.host);
      const challenges =
        before ??
        drawChallenges(deps.beacon.seed(drive.id, row.host), challengesPerAudit, records, drive.id, row);
      if (challenges.length === 0) return row;
      const { proofs } = await ask({
        t: 'audit',
        drive: drive.id,
        challenges: challenges.map(({ id, leaf }) => ({ id, leaf })),
      });
      const passed = checkProofs(challenges, proofs);
      const now = clock.now();
      // A repair under way is one miss, however often it is looked at.
      if (passed || !before) {
        records.setReputation(row.host, afterAudit(records.reputation(row.host), passed));
      }
      if (passed) {
        unproven.delete(row.host);
        return { ...row, auditTime: now, auditOk: true, missSince: null };
      }
      unproven.set(row.host, challenges);
      const { missing }: ReplicaStatus = await ask({ t: 'check', drive: drive.id });
      return {
        ...row,
        auditTime: now,
        auditOk: false,
        missSince: row.missSince ?? now,
        complete: row.complete && missing === 0,
      };
    },
  };
}
