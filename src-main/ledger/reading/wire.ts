import { signedHeaderShape, validatorSetShape } from '../codec/blocks.ts';
import { maxBlockBytes, maxBlockTxs, maxTxBytes } from '../codec/limits.ts';
import { amount, bytesOf, bytesUpTo, codecOf, flag, listOf, nullable, record, text } from '../codec/shape.ts';
import { union, whole } from '../codec/shape.ts';
import type { ValueOf } from '../codec/shape.ts';
import { addressShape } from '../codec/tx.ts';
import { maxKeyBytes, rowProofShape } from '../state/proof.ts';

/* What a light node asks those who keep the state: one question a stream on `chain-read-<chain>/1`, strict dag-cbor. */

export const maxKeys = 256;
export const maxScans = 16;
/** Rows that all scans of one answer may have together. */
export const maxScanned = 2048;
export const maxHistory = 50;
const maxProofBytes = 512 * 1024;
/** Rows are left out of an answer beyond it. */
export const rowsAnswerBytes = 3 * 1024 * 1024;

const key = bytesUpTo(maxKeyBytes);
const hash = bytesOf(32);
const place = record({ height: whole(), index: whole(maxBlockTxs) });
const keys = listOf(key, maxKeys);
const prefixes = listOf(key, maxScans);

const rowsRequest = record({ keys, prefixes });
const txRequest = record({ hash });
const accountRequest = record({
  address: addressShape,
  /** Older than this place; null: from the newest on. */
  before: nullable(place),
  limit: whole(maxHistory, 1),
});
const nonceRequest = record({ address: addressShape });
const blockRequest = record({ height: whole(undefined, 1) });

export type ReadRequest =
  /** Rows by their keys, and all rows whose keys begin so. */
  | ({ readonly type: 'rows' } & ValueOf<typeof rowsRequest>)
  | ({ readonly type: 'tx' } & ValueOf<typeof txRequest>)
  | ({ readonly type: 'account' } & ValueOf<typeof accountRequest>)
  /** The number of an account's next transaction, those waiting in the mempool counted. */
  | ({ readonly type: 'nonce' } & ValueOf<typeof nonceRequest>)
  | ({ readonly type: 'block' } & ValueOf<typeof blockRequest>);

const scanShape = record({ rows: listOf(rowProofShape, maxScanned), more: flag });
const rowsAnswer = record({
  /** The newest block, whose state the rows are of; null before the first. */
  block: nullable(record({ signed: signedHeaderShape, validators: validatorSetShape })),
  rows: listOf(rowProofShape, maxKeys),
  /** In the order of the prefixes. */
  scans: listOf(scanShape, maxScans),
});
const txAnswer = record({
  /** An encoded `LedgerProof`; null: in no block kept there. */
  proof: nullable(bytesUpTo(maxProofBytes)),
  /** The transaction while it waits for a block. */
  waiting: nullable(bytesUpTo(maxTxBytes)),
  /** Why it failed, for people; nothing vouches for it. */
  message: text(500),
});
const accountAnswer = record({
  txs: listOf(record({ place, proof: bytesUpTo(maxProofBytes), message: text(500) }), maxHistory),
});
const nonceAnswer = record({ nonce: whole() });
const resultShape = record({ hash, ok: flag, code: text(64), fee: amount });
const blockAnswer = record({
  block: nullable(bytesUpTo(maxBlockBytes)),
  results: listOf(resultShape, maxBlockTxs),
});

export type ReadAnswer =
  | ({ readonly type: 'rows' } & ValueOf<typeof rowsAnswer>)
  | ({ readonly type: 'tx' } & ValueOf<typeof txAnswer>)
  | ({ readonly type: 'account' } & ValueOf<typeof accountAnswer>)
  | ({ readonly type: 'nonce' } & ValueOf<typeof nonceAnswer>)
  | ({ readonly type: 'block' } & ValueOf<typeof blockAnswer>);

const maxReadRequestBytes = 128 * 1024;
export const maxReadAnswerBytes = 2 * maxBlockBytes + 64 * 1024;

const requests = codecOf(
  union<ReadRequest>({
    rows: rowsRequest,
    tx: txRequest,
    account: accountRequest,
    nonce: nonceRequest,
    block: blockRequest,
  }),
  'question about the ledger',
  maxReadRequestBytes,
);
export const encodeReadRequest = requests.encode;
export const decodeReadRequest = requests.decode;

const answers = codecOf(
  union<ReadAnswer>({
    rows: rowsAnswer,
    tx: txAnswer,
    account: accountAnswer,
    nonce: nonceAnswer,
    block: blockAnswer,
  }),
  'answer about the ledger',
  maxReadAnswerBytes,
);
export const encodeReadAnswer = answers.encode;
export const decodeReadAnswer = answers.decode;
