import { z } from 'zod';
import { AppError } from '../../../../src-shared/errors.ts';
import {
  decodeStrict,
  encodeStrict,
  hashOfUserId,
  malformed,
  verifySignature,
} from '../../../identity/index.ts';
import type { UserId } from '../../../identity/index.ts';
import {
  addressOf,
  compareBytes,
  decodeTxBody,
  encodeTx,
  fieldsOfMessage,
  inDomain,
  maxQuorumKeys,
  rotationBytes,
  sameBytes,
  sha256,
  txSignBytes,
} from '../../../ledger/index.ts';
import type { Address, TxBody } from '../../../ledger/index.ts';

/*
 * What several people sign before it can be done: a transaction of an account of several keys, one whose fee a sponsor pays, or
 * the consent to sign for such an account. It travels over the network, in a file or as a QR code; signatures are gathered by
 * putting together what different people hold, in any order.
 */

export interface Signature {
  /** Ed25519, 32 bytes. */
  readonly key: Uint8Array;
  readonly sig: Uint8Array;
}

interface Common {
  readonly chainId: string;
  /** Who asked first. Nothing rests on it but whose word ends the gathering. */
  readonly by: Address;
  /** ms since the epoch; keeps two questions of the same words apart. */
  readonly made: number;
  readonly sigs: readonly Signature[];
}
/** Consent to sign for an account: each signature is over `rotationBytes`. */
export interface AccountRequest extends Common {
  readonly t: 'account';
  readonly account: Address;
  readonly threshold: number;
  /** Accounts whose root keys are to sign, in the order of their bytes. */
  readonly signers: readonly Address[];
}
export interface TxRequest extends Common {
  readonly t: 'tx';
  /** Encoded body, as it will stand in the transaction. */
  readonly body: Uint8Array;
}
export type SigningRequest = AccountRequest | TxRequest;

export const maxRequestBytes = 64 * 1024;
const maxSignatures = maxQuorumKeys + 1;
const bytes = (length: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === length);
const common = {
  chainId: z.string().min(1).max(80),
  by: bytes(32),
  made: z.int().min(0).max(8_640_000_000_000_000),
  sigs: z.array(z.strictObject({ key: bytes(32), sig: bytes(64) })).max(maxSignatures),
};
const shape = z.discriminatedUnion('t', [
  z.strictObject({
    t: z.literal('account'),
    ...common,
    account: bytes(32),
    threshold: z.int().min(1).max(maxQuorumKeys),
    signers: z.array(bytes(32)).min(2).max(maxQuorumKeys),
  }),
  z.strictObject({
    t: z.literal('tx'),
    ...common,
    body: z.custom<Uint8Array>((value) => value instanceof Uint8Array),
  }),
]);

const what = 'request for signatures';

/** Strict dag-cbor. @throws AppError `too_large` */
export function encodeRequest(request: SigningRequest): Uint8Array {
  const encoded = encodeStrict(request);
  if (encoded.length <= maxRequestBytes) return encoded;
  throw new AppError('too_large', 'This is too large to be passed on for signing.');
}

/** @throws AppError `malformed`, `too_large`, `message_unknown`, and of a body that can't be read */
export function decodeRequest(encoded: Uint8Array): SigningRequest {
  const parsed = shape.safeParse(decodeStrict(encoded, maxRequestBytes, what));
  if (!parsed.success) throw malformed(what, parsed.error.issues[0]?.message ?? 'it is something else');
  const request = parsed.data;
  if (request.t === 'account') checkAccount(request);
  else checkBody(request);
  return request;
}

/** What can't be shown to people is not taken from others. */
function checkBody(request: TxRequest): void {
  const { chainId, msgs } = txBodyOf(request);
  if (chainId !== request.chainId) throw malformed(what, 'it names two networks');
  for (const one of msgs) fieldsOfMessage(one);
}

function checkAccount({ threshold, signers }: AccountRequest): void {
  if (threshold > signers.length) throw malformed(what, 'more are to sign than there are');
  const ordered = signers.every((one, i) => i === 0 || compareBytes(signers[i - 1] as Address, one) < 0);
  if (!ordered) throw malformed(what, 'its signers are not in order');
}

/** The body that is to be signed. @throws AppError `malformed` */
export const txBodyOf = ({ body }: TxRequest): TxBody => decodeTxBody(body);

/** Names a request whatever signatures it has: 32 bytes. */
export const requestId = (request: SigningRequest): Uint8Array =>
  sha256(encodeStrict({ ...request, sigs: [] }));

/** What is signed. */
export const signedBytes = (request: SigningRequest): Uint8Array =>
  request.t === 'tx' ? txSignBytes(request.body) : rotationBytes(request.chainId, request.account);

/** Those of the signatures that are what they say, one of each key. */
export function validSignatures(request: SigningRequest, sigs: readonly Signature[]): Signature[] {
  const signed = signedBytes(request);
  const found = new Map<string, Signature>();
  for (const one of sigs) {
    const name = Buffer.from(one.key).toString('hex');
    if (!found.has(name) && verifySignature(one.key, signed, one.sig)) found.set(name, one);
  }
  return [...found.values()].sort((a, b) => compareBytes(a.key, b.key));
}

/** Whose signatures a request wants, as the ledger stands now. */
export interface Parties {
  /** How many of `keys` sign. */
  readonly threshold: number;
  readonly keys: readonly KeyHolder[];
  /** Who pays the fee beside them; null: nobody else. */
  readonly sponsor: readonly KeyHolder[] | null;
}
/** A key that may sign, and the account whose root key it is (of a rotated or delegated key: the account it speaks for). */
export interface KeyHolder {
  readonly address: Address;
  /** Null: any key whose hash is the address. */
  readonly key: Uint8Array | null;
}

const isOf = (key: Uint8Array, holder: KeyHolder): boolean =>
  holder.key === null ? sameBytes(addressOf(key), holder.address) : sameBytes(key, holder.key);
export const speaksFor = (key: Uint8Array, holders: readonly KeyHolder[]): KeyHolder | null =>
  holders.find((one) => isOf(key, one)) ?? null;

/** Signatures of the account itself, as many as are needed at the most, and the sponsor's. */
export function gathered(
  request: SigningRequest,
  { threshold, keys, sponsor }: Parties,
): { readonly own: readonly Signature[]; readonly sponsor: Signature | null; readonly complete: boolean } {
  const own = request.sigs.filter(({ key }) => speaksFor(key, keys)).slice(0, threshold);
  const paying = sponsor && (request.sigs.find(({ key }) => speaksFor(key, sponsor)) ?? null);
  return {
    own,
    sponsor: paying,
    complete: own.length === threshold && (sponsor === null || paying !== null),
  };
}

/** Puts the transaction together. @throws AppError `key_not_allowed` when a signature is missing */
export function signedTx(request: TxRequest, parties: Parties): Uint8Array {
  const { own, sponsor, complete } = gathered(request, parties);
  if (!complete) throw new AppError('key_not_allowed', 'Not everybody whose signature is needed has signed.');
  return encodeTx(request.body, sponsor ? [...own, sponsor] : own);
}

/** A transaction as long as the signed one, with nobody's signature: for looking at what it does. */
export function unsignedTx(body: Uint8Array, { threshold, sponsor }: Omit<Parties, 'keys'>): Uint8Array {
  const count = threshold + (sponsor === null ? 0 : 1);
  // Keys are named in their order, and none twice.
  const nobody = (_: unknown, i: number): Signature => ({
    key: new Uint8Array(32).fill(i + 1),
    sig: new Uint8Array(64),
  });
  return encodeTx(body, Array.from({ length: count }, nobody));
}

const scheme = 'extrachain://sign/';

/** As it goes from hand to hand: with a checksum, as people copy it. */
export function formatRequest(request: SigningRequest): string {
  const encoded = encodeRequest(request);
  return `${scheme}${Buffer.concat([checksum(encoded), encoded]).toString('base64url')}`;
}

/** @throws AppError `invalid_argument`, `link_cut_short`, and what `decodeRequest` throws */
export function parseRequest(text: string): SigningRequest {
  const trimmed = text.replace(/\s+/g, '');
  if (!trimmed.startsWith(scheme)) {
    throw new AppError('invalid_argument', `A request for signatures begins with ${scheme}.`);
  }
  const all = new Uint8Array(Buffer.from(trimmed.slice(scheme.length), 'base64url'));
  const encoded = all.slice(4);
  if (all.length < 5 || !sameBytes(all.slice(0, 4), checksum(encoded))) {
    throw new AppError('link_cut_short', 'The request for signatures is not whole; copy all of it.');
  }
  return decodeRequest(encoded);
}

const checksum = (encoded: Uint8Array): Uint8Array =>
  sha256(inDomain('signing request', encoded)).slice(0, 4);

/** A new request for consent to sign for an account. @throws AppError `invalid_argument` */
export function accountRequest(
  chainId: string,
  account: UserId,
  terms: { readonly threshold: number; readonly signers: readonly UserId[] },
  made: number,
): AccountRequest {
  const address = hashOfUserId(account);
  const signers = [...new Set(terms.signers)].map((one) => hashOfUserId(one)).sort(compareBytes);
  const { threshold } = terms;
  if (signers.length < 2) throw new AppError('invalid_argument', 'Name two people or more who are to sign.');
  if (signers.length > maxQuorumKeys) {
    throw new AppError('invalid_argument', `At most ${maxQuorumKeys} people can sign for an account.`);
  }
  if (threshold < 1 || threshold > signers.length) {
    throw new AppError('invalid_argument', 'More are to sign than there are people.');
  }
  return { t: 'account', chainId, by: address, made, sigs: [], account: address, threshold, signers };
}
