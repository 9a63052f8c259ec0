import type { LedgerProof } from '../execute/proofs.ts';
import type { HeadBatch } from '../execute/proofs.ts';
import type { TxPlace } from '../execute/block-records.ts';
import type { Address, Block, Commit, Hash, TokenSymbol, TxResult } from '../types.ts';
import type { LedgerView } from './simulate.ts';

/** A transaction that was found: in a block, or waiting for one (`place` null). */
export interface FoundTx {
  readonly bytes: Uint8Array;
  readonly place: {
    readonly height: number;
    readonly index: number;
    /** ms since the epoch. */
    readonly time: number;
    readonly result: TxResult;
  } | null;
}

export interface FoundBlock {
  readonly block: Block;
  readonly commit: Commit;
  readonly results: readonly TxResult[];
}

/**
 * Reads the ledger: from the state kept here, or, on a light node, row by row from others, each with its proof under a header
 * that this node verified. What a light node is told is true; that a list is whole is as good as those it asked.
 *
 * All of it throws, on a light node, `unreachable` when nobody gave an answer that holds, and the chain's own problem
 * (`trust_expired`, `light_attack`) while there is one.
 */
export interface LedgerAccess {
  /**
   * Looks at the state after one block.
   * @param look runs more than once on a light node: it may do nothing but look
   * @param about names what is looked at, so that it is fetched at once the next time
   */
  read<T>(look: (view: LedgerView) => T, about?: string): Promise<T>;
  proveBalance(address: Address, symbol: TokenSymbol): Promise<LedgerProof>;
  /** @throws AppError `not_found` */
  proveTx(hash: Hash): Promise<LedgerProof>;
  /** @throws AppError `not_found` */
  proveHead(sender: Address, batch: HeadBatch, index: number): Promise<LedgerProof>;
  /** @throws AppError `not_found` */
  proveFeed(writer: Uint8Array, incarnation: number): Promise<LedgerProof>;
  findTx(hash: Hash): Promise<FoundTx | null>;
  /** Transactions in blocks that concern an account, newest first. */
  accountTxs(address: Address, before: TxPlace | null, limit: number): Promise<readonly FoundTx[]>;
  /** The number of an account's next transaction, what waits counted. */
  nextNonce(address: Address): Promise<number>;
  block(height: number): Promise<FoundBlock | null>;
}
