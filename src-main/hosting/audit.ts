import { hash } from 'node:crypto';
import type { EntryId } from '../history/index.ts';
import type { DeviceId } from '../identity/index.ts';
import type { RandomBytes } from '../../src-shared/runtime.ts';
import { leafCount, verifyLeaf } from '../history/index.ts';
import type { LeafProof } from '../history/index.ts';
import type { ReplicaRecords } from './replica-records.ts';
import type { Challenge, HostRole } from './types.ts';

/**
 * Where the randomness of audits comes from. Local randomness serves a keeper that audits for itself; a beacon that
 * everybody can check (the ledger's) lets it show others that its questions were not chosen.
 */
export interface AuditBeacon {
  /** 32 bytes that nobody could know before this period. */
  seed(drive: EntryId, host: DeviceId): Uint8Array;
}

export function createLocalBeacon(random: RandomBytes): AuditBeacon {
  return { seed: () => random(32) };
}

/** A question with what the answer is checked against. */
export interface PreparedChallenge extends Challenge {
  readonly size: number;
  readonly root: Uint8Array;
}

/**
 * Questions of one audit: blocks spread over all those the host keeps and one leaf of each, all of them functions of the seed.
 * @returns fewer than `count` (repeats are left out) when the drive has few blocks; none when no root is known yet
 */
export function drawChallenges(
  seed: Uint8Array,
  count: number,
  records: Pick<ReplicaRecords, 'blockNear'>,
  drive: EntryId,
  role: HostRole,
): PreparedChallenge[] {
  const drawn = new Map<string, PreparedChallenge>();
  for (let i = 0; i < count; i++) {
    const point = hash('sha256', Buffer.concat([seed, Buffer.from([0, i])]), 'buffer');
    const block = records.blockNear(drive, point, role);
    if (!block) break;
    const leaf = hash('sha256', Buffer.concat([seed, Buffer.from([1, i])]), 'buffer').readUInt32BE(0);
    const challenge = { ...block, leaf: leaf % leafCount(block.size) };
    drawn.set(Buffer.from(block.id).toString('hex'), challenge);
  }
  return [...drawn.values()];
}

/**
 * Whether a host's answers prove what was asked: one valid leaf for each question.
 */
export function checkProofs(
  challenges: readonly PreparedChallenge[],
  proofs: readonly (LeafProof | null)[],
): boolean {
  if (proofs.length !== challenges.length) return false;
  return challenges.every(({ root, size, leaf }, i) => {
    const proof = proofs[i];
    return proof ? verifyLeaf(root, size, leaf, proof) : false;
  });
}
