import { AppError } from '../../../src-shared/errors.ts';
import { merkleLeaf, merklePath, merkleRoot, verifyMerklePath } from '../../history/index.ts';
import {
  blockId,
  listProofShape,
  proveInList,
  resultHash,
  sameBytes,
  signedPower,
  totalPower,
  isQuorum,
  txHash,
  validatorSetHash,
  verifyInHistory,
  verifyInList,
  decodeHistoryProof,
} from '../codec/index.ts';
import { headerShape, signedHeaderShape, validatorSetShape } from '../codec/blocks.ts';
import { historyProofShape } from '../codec/history.ts';
import {
  amount,
  bytesOf,
  bytesUpTo,
  codecOf,
  flag,
  listOf,
  nullable,
  record,
  text,
  union,
  whole,
} from '../codec/shape.ts';
import type { ValueOf } from '../codec/shape.ts';
import { maxTxBytes } from '../codec/limits.ts';
import { addressShape, symbolShape } from '../codec/tx.ts';
import { batches, batchKey, headKey, heads } from '../modules/anchor.ts';
import { account, balances } from '../modules/value.ts';
import { rowProofShape, verifyRow } from '../state/proof.ts';
import type { RowProof } from '../state/proof.ts';
import { keyBytes } from '../state/table.ts';
import type { Key } from '../state/table.ts';
import type { Address, Amount, Hash, TokenSymbol } from '../types.ts';
import type { LedgerReader } from './application.ts';

/*
 * Proofs that need no node: of a balance, of a transaction and how it ended, of a drive head that was anchored. Each carries the
 * header it rests on with its certificate and the set that signed it. What it proves is worth as much as the trust in that set
 * or in that block: whoever checks compares `checkpoint`, or the block's id, with what he knows of the chain.
 */

const hash = bytesOf(32);

const balanceShape = record({ address: addressShape, symbol: symbolShape, row: rowProofShape });

const txShape = record({
  tx: bytesUpTo(maxTxBytes),
  place: listProofShape,
  /** Where its result stands, at the same index. */
  resultPlace: listProofShape,
  result: record({ ok: flag, code: text(64), fee: amount }),
});

/** One operation of one drive head batch: the leaf with its salt, and the batch's row in the state. */
const headShape = record({
  sender: addressShape,
  root: hash,
  salt: hash,
  /** What was anchored: see `anchoredHead`. */
  head: bytesUpTo(256),
  index: whole(1_000_000),
  size: whole(1_000_000, 1),
  path: listOf(hash, 20),
  row: rowProofShape,
});

/** The newest head of a writer's feed as the state has it. */
const feedShape = record({ writer: bytesOf(32), incarnation: whole(2 ** 48 - 1), row: rowProofShape });

const anchoredHeadShape = record({
  /** Hash of the drive's genesis entry. */
  drive: hash,
  writer: bytesOf(32),
  incarnation: whole(2 ** 48 - 1),
  seq: whole(),
  /** Hash of the entry. */
  entry: hash,
});
/** The newest entry of a writer in a drive, as it is put into a batch. */
export type AnchoredHead = ValueOf<typeof anchoredHeadShape>;
const anchoredHeads = codecOf(anchoredHeadShape, 'anchored head', 256);
export const encodeAnchoredHead = anchoredHeads.encode;
export const decodeAnchoredHead = anchoredHeads.decode;

type Subject =
  | ({ readonly type: 'balance' } & ValueOf<typeof balanceShape>)
  | ({ readonly type: 'tx' } & ValueOf<typeof txShape>)
  | ({ readonly type: 'head' } & ValueOf<typeof headShape>)
  | ({ readonly type: 'feed' } & ValueOf<typeof feedShape>);

const proofShape = record({
  v: whole(1, 1),
  /** The header whose certificate is checked. */
  signed: signedHeaderShape,
  /** The set that decided its height. */
  validators: validatorSetShape,
  /** The header that the subject stands under when it is an older one, with its place in the signed header's history. */
  older: nullable(record({ header: headerShape, path: historyProofShape })),
  subject: union<Subject>({ balance: balanceShape, tx: txShape, head: headShape, feed: feedShape }),
});
export type LedgerProof = ValueOf<typeof proofShape>;

const codec = codecOf(proofShape, 'proof', 512 * 1024);
export const encodeLedgerProof = codec.encode;
/** @throws AppError `malformed`, `too_large` */
export const decodeLedgerProof = codec.decode;

/** What a proof says when it holds. */
export type Proven = {
  readonly chainId: string;
  /** Of the block the statement is of. */
  readonly height: number;
  /** ms since the epoch. */
  readonly time: number;
  /** What the answer rests on: this block is final if more than two thirds of this set are honest. */
  readonly checkpoint: { readonly height: number; readonly blockId: Hash; readonly validatorsHash: Hash };
} & (
  | {
      readonly type: 'balance';
      readonly address: Address;
      readonly symbol: TokenSymbol;
      readonly amount: Amount;
    }
  | {
      readonly type: 'tx';
      readonly hash: Hash;
      readonly tx: Uint8Array;
      readonly ok: boolean;
      readonly code: string;
      readonly fee: Amount;
    }
  | {
      readonly type: 'head';
      readonly sender: Address;
      readonly head: AnchoredHead;
      /** Block and time (ms) of the batch. */
      readonly anchoredIn: number;
      readonly anchoredAt: number;
    }
  | {
      /** The newest head of a feed that the ledger knows. */
      readonly type: 'feed';
      readonly writer: Uint8Array;
      readonly incarnation: number;
      readonly seq: number;
      /** Hash of the entry. */
      readonly head: Hash;
      /** Two heads of one number were signed. */
      readonly forked: boolean;
      readonly anchoredIn: number;
      readonly anchoredAt: number;
    }
);

const invalid = (why: string): AppError => new AppError('proof_invalid', `The proof does not hold: ${why}.`);

/**
 * Checks a proof with nothing but itself.
 * @throws AppError `proof_invalid`
 */
export function verifyLedgerProof(proof: LedgerProof): Proven {
  const { signed, validators, older, subject } = proof;
  const { header, commit } = signed;
  const id = blockId(header);
  if (!sameBytes(validatorSetHash(validators), header.validatorsHash))
    throw invalid('the set is not that of its block');
  if (!sameBytes(commit.blockId, id) || commit.height !== header.height) {
    throw invalid('its certificate is of another block');
  }
  let power: bigint;
  try {
    power = signedPower(header.chainId, validators, commit);
  } catch (cause) {
    throw new AppError('proof_invalid', 'The proof does not hold: a signature of its certificate is wrong.', {
      cause,
    });
  }
  if (!isQuorum(power, totalPower(validators)))
    throw invalid('its certificate has not two thirds of the power');
  let under = header;
  if (older !== null) {
    const { path } = older;
    const fits = path.size === header.height - 1 && path.height === older.header.height;
    if (!fits || !verifyInHistory(header.historyRoot, blockId(older.header), path)) {
      throw invalid('its older block is not of that chain');
    }
    under = older.header;
  }
  const common = {
    chainId: header.chainId,
    height: under.height,
    time: under.time,
    checkpoint: { height: header.height, blockId: id, validatorsHash: header.validatorsHash },
  };

  switch (subject.type) {
    case 'balance': {
      const { address, symbol, row } = subject;
      const key = keyBytes(balanceRowKey(address, symbol));
      if (!sameBytes(row.key, key) || !verifyRow(under.stateRoot, row))
        throw invalid('the state says something else');
      const value = row.value === null ? 0n : balances.decode(row.value);
      return { ...common, type: 'balance', address, symbol, amount: value };
    }
    case 'tx': {
      const { tx, place, resultPlace, result } = subject;
      const name = txHash(tx);
      if (!verifyInList(under.txRoot, name, place)) throw invalid('the transaction is not in its block');
      const ended = resultHash({ ...result, hash: name, message: '' });
      if (place.index !== resultPlace.index || !verifyInList(under.resultsRoot, ended, resultPlace))
        throw invalid('the transaction ended otherwise');
      return { ...common, type: 'tx', hash: name, tx, ...result };
    }
    case 'head': {
      const { sender, root, salt, head, index, size, path, row } = subject;
      if (!verifyMerklePath(root, { salt, op: head, index, size, path }))
        throw invalid('the head is not in its batch');
      const key = keyBytes(batchRowKey(sender, root));
      if (!sameBytes(row.key, key) || row.value === null || !verifyRow(under.stateRoot, row)) {
        throw invalid('its batch is not anchored');
      }
      const batch = batches.decode(row.value);
      if (batch.count !== size) throw invalid('its batch is of another size');
      return {
        ...common,
        type: 'head',
        sender,
        head: decodeAnchoredHead(head),
        anchoredIn: batch.height,
        anchoredAt: batch.time,
      };
    }
    case 'feed': {
      const { writer, incarnation, row } = subject;
      const key = keyBytes(feedRowKey(writer, incarnation));
      if (!sameBytes(row.key, key) || row.value === null || !verifyRow(under.stateRoot, row)) {
        throw invalid('the ledger has no such head');
      }
      const { height: anchoredIn, time: anchoredAt, seq, head, forked } = heads.decode(row.value);
      return { ...common, type: 'feed', writer, incarnation, seq, head, forked, anchoredIn, anchoredAt };
    }
    default:
      throw invalid('it proves nothing known');
  }
}

/** A batch of heads to be anchored: `root` and `count` go into `anchor.commit`, the rest stays with the node. */
export interface HeadBatch {
  readonly root: Hash;
  readonly count: number;
  /** One for each head, 32 random bytes: without it nobody can tell what was anchored. */
  readonly salts: readonly Uint8Array[];
  readonly heads: readonly Uint8Array[];
}

/** @param random gives so many random bytes */
export function createHeadBatch(
  heads: readonly AnchoredHead[],
  random: (bytes: number) => Uint8Array,
): HeadBatch {
  const encoded = heads.map(encodeAnchoredHead);
  const salts = encoded.map(() => random(32));
  const root = merkleRoot(encoded.map((head, i) => merkleLeaf(salts[i] as Uint8Array, head)));
  return { root, count: encoded.length, salts, heads: encoded };
}

/** The block of a height, the newest if none is given. @throws AppError `not_found` before the first */
export function groundOf(ledger: LedgerReader, height = ledger.last().height): Ground {
  const signed = ledger.signedHeaderAt(height);
  const validators = ledger.validatorsAt(height);
  if (signed && validators) return { signed, validators };
  throw new AppError('not_found', 'There is no block to prove this by yet.');
}

/** Puts the newest header around a statement about the block at `height`. @throws AppError `not_found` */
function proofOf(ledger: LedgerReader, height: number, subject: Subject): LedgerProof {
  const under = groundOf(ledger);
  const newest = under.signed.header.height;
  const header = ledger.signedHeaderAt(height)?.header;
  if (!header) throw new AppError('not_found', 'There is no block to prove this by yet.');
  const older =
    height === newest ? null : { header, path: decodeHistoryProof(ledger.proveHistory(height, newest)) };
  return { v: 1, ...under, older, subject };
}

/** A block that a statement about its own state is proven under. */
export type Ground = Pick<LedgerProof, 'signed' | 'validators'>;

/** The row of a balance in the state. */
export const balanceRowKey = (address: Address, symbol: TokenSymbol): Key =>
  balances.tag + account(address) + symbol;
/** The row of a batch of heads in the state. */
export const batchRowKey = (sender: Address, root: Hash): Key => batches.tag + batchKey(sender, root);

/** The row of the newest head of a feed in the state. */
export const feedRowKey = (writer: Uint8Array, incarnation: number): Key =>
  heads.tag + headKey(writer, incarnation);

/** A proof of the newest head of a feed from its row under a block. @throws AppError `not_found` when there is none */
export function feedProof(
  under: Ground,
  writer: Uint8Array,
  incarnation: number,
  row: RowProof,
): LedgerProof {
  if (row.value === null) throw new AppError('not_found', 'No head of this feed is anchored.');
  return { v: 1, ...under, older: null, subject: { type: 'feed', writer, incarnation, row } };
}

/** Proves the newest head of a feed. @throws AppError `not_found` */
export async function proveFeed(
  ledger: LedgerReader,
  writer: Uint8Array,
  incarnation: number,
): Promise<LedgerProof> {
  const { height, row } = await ledger.proveRow(keyBytes(feedRowKey(writer, incarnation)));
  return feedProof(groundOf(ledger, height), writer, incarnation, row);
}

/** A proof of a balance from its row under a block. */
export const balanceProof = (
  under: Ground,
  address: Address,
  symbol: TokenSymbol,
  row: RowProof,
): LedgerProof => ({ v: 1, ...under, older: null, subject: { type: 'balance', address, symbol, row } });

/** Proves a balance after the newest block; one of nothing, too. @throws AppError `not_found` before the first block */
export async function proveBalance(
  ledger: LedgerReader,
  address: Address,
  symbol: TokenSymbol,
): Promise<LedgerProof> {
  const { height, row } = await ledger.proveRow(keyBytes(balanceRowKey(address, symbol)));
  return balanceProof(groundOf(ledger, height), address, symbol, row);
}

/** Proves that a transaction is in its block, and how it ended. @throws AppError `not_found` */
export function proveTx(ledger: LedgerReader, name: Hash): LedgerProof {
  const found = ledger.findTx(name);
  const stored = found && ledger.blockAt(found.height);
  const results = found && ledger.results(found.height);
  if (!found || !stored || !results)
    throw new AppError('not_found', 'This transaction is in no block kept here.');
  const { ok, code, fee } = found.result;
  return proofOf(ledger, found.height, {
    type: 'tx',
    tx: stored.block.txs[found.index] as Uint8Array,
    place: proveInList(stored.block.txs.map(txHash), found.index),
    resultPlace: proveInList(results.map(resultHash), found.index),
    result: { ok, code, fee },
  });
}

/** Proves that a head of a batch is anchored. @throws AppError `not_found` when the batch is not, or has no such head */
export async function proveHead(
  ledger: LedgerReader,
  sender: Address,
  batch: HeadBatch,
  index: number,
): Promise<LedgerProof> {
  const { height, row } = await ledger.proveRow(keyBytes(batchRowKey(sender, batch.root)));
  return headProof(groundOf(ledger, height), sender, batch, index, row);
}

/** As `proveHead`, from the batch's row under a block. @throws AppError `not_found` */
export function headProof(
  under: Ground,
  sender: Address,
  batch: HeadBatch,
  index: number,
  row: RowProof,
): LedgerProof {
  const head = batch.heads[index];
  const salt = batch.salts[index];
  if (!head || !salt || row.value === null) throw new AppError('not_found', 'This head is not anchored.');
  const leaves = batch.heads.map((one, i) => merkleLeaf(batch.salts[i] as Uint8Array, one));
  const path = merklePath(leaves, index);
  const { root, count: size } = batch;
  const subject: Subject = { type: 'head', sender, root, salt, head, index, size, path, row };
  return { v: 1, ...under, older: null, subject };
}
