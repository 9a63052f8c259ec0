import { AppError } from '../../../src-shared/errors.ts';
import { decodeStrict, encodeStrict, malformed } from '../../identity/index.ts';
import type { Signer } from '../../identity/index.ts';
import type { Address, Hash, TokenSymbol } from '../types.ts';
import { chainIdShape } from './blocks.ts';
import { compareBytes, hashIn, inDomain, sameBytes, sha256 } from './hash.ts';
import { hashLength, maxMessages, maxQuorumKeys, maxTxBytes } from './limits.ts';
import { listRoot } from './merkle.ts';
import { amount, bytesOf, listOf, nullable, oneOf, pattern, record, whole } from './shape.ts';
import type { Shape, ValueOf } from './shape.ts';

/*
 * A transaction is dag-cbor of [body, signatures]. The body is encoded for itself, so that what was signed is never encoded
 * anew; each signature brings its key, so that it can be checked without the state (in parallel, before the block's turn).
 */

export const symbolShape: Shape<TokenSymbol> = pattern(
  /^[A-Z0-9]{2,12}$/,
  'a symbol of 2 to 12 capital letters and digits',
);
export const addressShape: Shape<Address> = bytesOf(hashLength);

/** A message as it stands in a transaction: its module knows its fields. */
export type WireMessage = { readonly type: string } & Readonly<Record<string, unknown>>;

const wireMessage: Shape<WireMessage> = {
  to: (value) => value,
  most: () => null,
  from(wire, at) {
    if (typeof wire === 'object' && wire !== null && typeof (wire as WireMessage).type === 'string') {
      return wire as WireMessage;
    }
    throw malformed(at, 'not a message');
  },
};

const bodyShape = record({
  v: oneOf(1),
  chainId: chainIdShape,
  sender: addressShape,
  /** How many transactions of the sender stand in the chain before this one. */
  nonce: whole(),
  /** The last height it may stand in. */
  validUntil: whole(undefined, 1),
  feeAsset: symbolShape,
  /** The most that may be taken, in the smallest unit of `feeAsset`. */
  feeMax: amount,
  /** Who pays the fee when it is not the sender; signs too. */
  feePayer: nullable(addressShape),
  /** Happen together or not at all. */
  msgs: listOf(wireMessage, maxMessages, 1),
});
export type TxBody = ValueOf<typeof bodyShape>;

const signatureShape = record({ key: bytesOf(32), sig: bytesOf(64) });
export type TxSignature = ValueOf<typeof signatureShape>;
/** Of an account of several keys as many as its quorum asks for, and the sponsor's. */
const signaturesShape = listOf(signatureShape, maxQuorumKeys + 1, 1);

export interface Tx {
  readonly hash: Hash;
  readonly body: TxBody;
  /** What the signatures are over. */
  readonly signed: Uint8Array;
  /** The sender's (several in the order of their keys), then the fee payer's if there is one. */
  readonly sigs: readonly TxSignature[];
  readonly bytes: Uint8Array;
}

const names = new WeakMap<Uint8Array, Hash>();

/**
 * The name of a transaction: over body and signatures, as a block is bound to both. Remembered as long as those very bytes are,
 * since mempool, gossip, proposal and execution all ask for it: they must not be altered.
 */
export function txHash(tx: Uint8Array): Hash {
  let name = names.get(tx);
  if (!name) names.set(tx, (name = hashIn('tx', tx)));
  return name;
}

/** What `txRoot` of a header holds. */
export const txRoot = (txs: readonly Uint8Array[]): Hash => listRoot(txs.map(txHash));

/** The address of an account whose root signing key this is. */
export const addressOf = (rootKey: Uint8Array): Address => sha256(rootKey);

/** The bytes of a body, as they stand in the transaction. @throws AppError `invalid_argument` */
export const encodeTxBody = (body: TxBody): Uint8Array => encodeStrict(bodyShape.to(body, 'transaction'));

/** Reads a body on its own, before it is signed. @throws AppError `malformed`, `too_large` */
export const decodeTxBody = (bodyBytes: Uint8Array): TxBody =>
  bodyShape.from(decodeStrict(bodyBytes, maxTxBytes, 'transaction'), 'transaction');

/** What sender and fee payer sign. */
export const txSignBytes = (bodyBytes: Uint8Array): Uint8Array => inDomain('tx signature', bodyBytes);

/** Puts a transaction together. @throws AppError `invalid_argument` */
export function encodeTx(bodyBytes: Uint8Array, sigs: readonly TxSignature[]): Uint8Array {
  const bytes = encodeStrict([bodyBytes, signaturesShape.to(sigs, 'signatures')]);
  if (bytes.length <= maxTxBytes) return bytes;
  throw new AppError('invalid_argument', `A transaction may have ${maxTxBytes} bytes at most.`);
}

/** Signs a body: the sender first (all that its quorum asks for), then the sponsor if the body names one. */
export function signTx(
  body: TxBody,
  sender: Signer | readonly Signer[],
  feePayer: Signer | null = null,
): Uint8Array {
  const bodyBytes = encodeTxBody(body);
  const bytes = txSignBytes(bodyBytes);
  const own = ('sign' in sender ? [sender] : [...sender]).sort((a, b) =>
    compareBytes(a.publicKey, b.publicKey),
  );
  const signers = feePayer === null ? own : [...own, feePayer];
  return encodeTx(
    bodyBytes,
    signers.map((one) => ({ key: one.publicKey, sig: one.sign(bytes) })),
  );
}

/**
 * Decodes a transaction and checks what needs neither state nor a signature: one encoding, limits, and as many signatures
 * as there are parties. Its messages are looked at by their modules.
 * @throws AppError `malformed`, `too_large`
 */
export function decodeTx(bytes: Uint8Array): Tx {
  const what = 'transaction';
  const outer = decodeStrict(bytes, maxTxBytes, what);
  if (!Array.isArray(outer) || outer.length !== 2 || !(outer[0] instanceof Uint8Array)) {
    throw malformed(what, 'it is not a body with signatures');
  }
  const bodyBytes = outer[0];
  const body = decodeTxBody(bodyBytes);
  const sigs = signaturesShape.from(outer[1], 'signatures of a transaction');
  if (body.feePayer !== null && sigs.length < 2) throw malformed(what, 'a signature is missing');
  if (body.feePayer !== null && sameBytes(body.feePayer, body.sender)) {
    throw malformed(what, 'its sponsor is its sender');
  }
  const own = body.feePayer === null ? sigs : sigs.slice(0, -1);
  if (own.length > maxQuorumKeys) throw malformed(what, 'a signature is too much');
  for (const [i, { key }] of own.entries()) {
    const before = own[i - 1];
    if (before && compareBytes(before.key, key) >= 0)
      throw malformed(what, 'its signatures are not in order');
  }
  return { hash: txHash(bytes), body, signed: txSignBytes(bodyBytes), sigs, bytes };
}
