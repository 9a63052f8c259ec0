import { AppError } from '../../../src-shared/errors.ts';
import { blockId, commitHash, evidenceListHash, sameBytes, txRoot, verifyCommit } from '../codec/index.ts';
import type { Application, Block, Commit, Header } from '../types.ts';

/** True when the parts of a block are those its header names: then whoever sent it did not alter it. */
export function bodyFits({ header, txs, lastCommit, evidence }: Block): boolean {
  return (
    sameBytes(txRoot(txs), header.txRoot) &&
    sameBytes(commitHash(lastCommit), header.lastCommitHash) &&
    sameBytes(evidenceListHash(evidence), header.evidenceHash)
  );
}

/**
 * A cheap look before a block is executed: it extends the last committed one and its proposer is a member.
 * @throws AppError `block_invalid`
 */
export function checkLink(application: Application, block: Block): void {
  const { header } = block;
  const last = application.last();
  const { current } = application.validators();
  if (header.chainId !== application.chainId || header.height !== last.height + 1) {
    throw invalid('it is of another chain or height');
  }
  if (!sameBytes(header.prev, last.blockId)) throw invalid('it does not follow the last block');
  if (!current.some(({ id }) => sameBytes(id, header.proposer)))
    throw invalid('its proposer is no validator');
}

/**
 * A block from others with the certificate that made it final.
 * @throws AppError `block_invalid`, `commit_invalid`, `bad_signature`
 */
export function checkFinal(application: Application, block: Block, commit: Commit): void {
  if (commit.height !== block.header.height || !sameBytes(commit.blockId, blockId(block.header))) {
    throw new AppError('commit_invalid', 'The certificate is for another block.');
  }
  if (!bodyFits(block)) throw invalid('its parts are not those of its header');
  if (block.header.height !== application.last().height + 1) throw invalid('it is of another height');
  verifyCommit(application.chainId, application.validators().current, commit);
}

/** True when the header is one this node could have got from the proposer; tells nothing about its truth. */
export const isNamed = (header: Header, id: Uint8Array): boolean => sameBytes(blockId(header), id);

const invalid = (why: string): AppError => new AppError('block_invalid', `A block is not valid: ${why}.`);
