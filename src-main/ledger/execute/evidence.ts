import { AppError } from '../../../src-shared/errors.ts';
import { verifySignature } from '../../identity/index.ts';
import {
  blockId,
  commitSignBytes,
  maxTime,
  sameBytes,
  verifyInHistory,
  voteSignBytes,
} from '../codec/index.ts';
import { whole } from '../codec/shape.ts';
import type { BlockContext } from '../modules/context.ts';
import type { StateWriter } from '../state/overlay.ts';
import { consensusKeys, punishDoubleSigning, validatorOf } from '../modules/validators.ts';
import { bytesKey, numberKey, table } from '../state/table.ts';
import type { Evidence, Hash, ValidatorId } from '../types.ts';

/*
 * Evidence is judged from the state and the block alone, so that a node which began with a snapshot judges as all others do.
 * That somebody was in the set at that height is not asked: who signs two blocks with a consensus key is at fault anyway.
 */

/** Blocks between two entries of the table below. */
const step = 256;
/** The times of every 256th block, as long as evidence of that age may be brought. */
const times = table('y', 'times of blocks', whole(maxTime));

const invalid = (why: string): AppError =>
  new AppError('evidence_invalid', `The evidence does not hold: ${why}.`);

/** Notes the time of the block, every so often, and forgets what no evidence can reach any more. */
export function noteTime(ctx: BlockContext): void {
  if (ctx.height % step !== 0 && ctx.height !== 1) return;
  const { state, params } = ctx;
  state.set(times, numberKey(Math.floor(ctx.height / step)), ctx.time);
  let before: string | null = null;
  for (const [key, time] of state.rows(times)) {
    // The entry before one that is too old itself serves nobody.
    if (time + params.evidenceMs >= ctx.time) break;
    if (before !== null) state.set(times, before, null);
    before = key;
  }
}

/** Forgets the times of another chain's blocks. */
export function forgetTimes(state: StateWriter): void {
  for (const [key] of [...state.rows(times)]) state.set(times, key, null);
}

/** @throws AppError `evidence_expired`, `evidence_invalid` */
function checkAge(ctx: BlockContext, height: number): void {
  if (height >= ctx.height) throw invalid('it is of a block that is not final yet');
  const time = ctx.state.get(times, numberKey(Math.floor(height / step)));
  if (time === null || time + ctx.params.evidenceMs < ctx.time) {
    throw new AppError('evidence_expired', 'The offence is too long ago to be punished.');
  }
}

/** The key of a validator that can be punished. @throws AppError `evidence_invalid` */
function keyOf(ctx: BlockContext, id: ValidatorId): Uint8Array {
  const operator = ctx.state.get(consensusKeys, bytesKey(id));
  if (!operator) throw invalid('it names no validator');
  const row = validatorOf(ctx.state, operator);
  if (row.tombstoned) throw invalid('its validator is punished already');
  return row.key;
}

/** Who is at fault. @throws AppError `evidence_invalid`, `evidence_expired` */
function offenders(ctx: BlockContext, evidence: Evidence, historyRoot: Hash): readonly ValidatorId[] {
  if (evidence.type === 'duplicateVote') {
    const { a, b } = evidence;
    checkAge(ctx, a.height);
    const same =
      a.type === b.type &&
      a.height === b.height &&
      a.round === b.round &&
      sameBytes(a.validator, b.validator);
    if (!same) throw invalid('its votes do not exclude each other');
    const key = keyOf(ctx, a.validator);
    for (const vote of [a, b]) {
      if (!verifySignature(key, voteSignBytes(ctx.chainId, vote), vote.sig))
        throw invalid('a signature is wrong');
    }
    return [a.validator];
  }
  const { header, commit, actual, path } = evidence;
  checkAge(ctx, header.height);
  if (header.chainId !== ctx.chainId || header.height !== actual.height || path.height !== header.height) {
    throw invalid('its headers are not of one height');
  }
  if (path.size !== ctx.height - 1 || !verifyInHistory(historyRoot, blockId(actual), path)) {
    throw invalid('its other header is not of this chain');
  }
  // What follows from the blocks before alone. An honest validator may have voted for another block of that height, but none
  // that contradicts these.
  const settled = ['prev', 'historyRoot', 'validatorsHash', 'nextValidatorsHash'] as const;
  if (settled.every((field) => sameBytes(header[field], actual[field]))) {
    throw invalid('its header contradicts nothing that was settled before');
  }
  if (!sameBytes(commit.blockId, blockId(header)) || commit.height !== header.height) {
    throw invalid('its certificate is of another block');
  }
  const bytes = commitSignBytes(ctx.chainId, commit);
  const guilty = commit.signatures.filter(({ validator, sig }) => {
    const operator = ctx.state.get(consensusKeys, bytesKey(validator));
    const row = operator && validatorOf(ctx.state, operator);
    return row && !row.tombstoned && verifySignature(row.key, bytes, sig);
  });
  if (guilty.length === 0) throw invalid('nobody who could be punished signed it');
  return guilty.map(({ validator }) => validator);
}

/**
 * Checks evidence and punishes who is at fault.
 * @param historyRoot of the header of the block that brings it
 * @throws AppError `evidence_invalid`, `evidence_expired`
 */
export function punish(ctx: BlockContext, evidence: Evidence, historyRoot: Hash): void {
  const { height } = evidence.type === 'duplicateVote' ? evidence.a : evidence.header;
  for (const id of offenders(ctx, evidence, historyRoot)) punishDoubleSigning(ctx, id, height);
}
