import { encode } from '@ipld/dag-cbor';
import { AppError, errorCodes } from '../../src-shared/errors.ts';
import type { ErrorCode } from '../../src-shared/errors.ts';
import { entryHash, entryId } from '../history/index.ts';
import type { EntryId } from '../history/index.ts';
import { decodeStrict, deviceIdOf, deviceKeyOf, malformed } from '../identity/index.ts';
import { leafBytes } from '../history/index.ts';
import type { LeafProof } from '../history/index.ts';
import { limits } from './limits.ts';
import type { PaidNotice } from './paid-copies.ts';
import type { Asks, Challenge, HeardOffer, KeptBlock, Offer, ReplicaStatus } from './types.ts';

/**
 * `/extrachain/host/1`: the side that opens a stream asks, the other answers each request with one message, in order. All
 * messages are strict dag-cbor lists that start with their name.
 */
export type HostRequest =
  /** What does this node lend? */
  | { readonly t: 'offer' }
  /** Who else lends, as far as this node asked them itself lately? */
  | { readonly t: 'others' }
  /** Keep this drive. The genesis entry comes along, as a host need not know anybody who has the drive. */
  | { readonly t: 'contract'; readonly contract: Uint8Array; readonly genesis: Uint8Array }
  | { readonly t: 'keep'; readonly drive: EntryId; readonly blocks: readonly KeptBlock[] }
  | { readonly t: 'drop'; readonly drive: EntryId; readonly ids: readonly Uint8Array[] }
  /** Encoded stripes of which the drive's hosts keep shards, and ids of those that are no more. */
  | {
      readonly t: 'stripes';
      readonly drive: EntryId;
      readonly add: readonly Uint8Array[];
      readonly remove: readonly Uint8Array[];
    }
  /** Which stripes hold these blocks? */
  | { readonly t: 'search'; readonly drive: EntryId; readonly ids: readonly Uint8Array[] }
  | { readonly t: 'status'; readonly drive: EntryId }
  /** Look at every file kept for that drive now and fetch again what is missing; answered like `status`. */
  | { readonly t: 'check'; readonly drive: EntryId }
  | { readonly t: 'audit'; readonly drive: EntryId; readonly challenges: readonly Challenge[] }
  | { readonly t: 'release'; readonly drive: EntryId; readonly number: number }
  /** A contract on a ledger pays for these blocks; a long list comes in several messages. */
  | ({ readonly t: 'paid' } & PaidNotice)
  /** Which replica contracts of that drive are known there? Asked of hosts and of members. */
  | { readonly t: 'contracts'; readonly drive: EntryId };

export type HostAnswer =
  | { readonly t: 'ok' }
  | ({ readonly t: 'offered' } & Offer)
  | { readonly t: 'offers'; readonly offers: readonly HeardOffer[] }
  | ({ readonly t: 'state' } & ReplicaStatus)
  /** One for each challenge; null: the block is not there. */
  | { readonly t: 'proofs'; readonly proofs: readonly (LeafProof | null)[] }
  | { readonly t: 'known'; readonly contracts: readonly Uint8Array[] }
  /** Encoded stripes, at most one for each block asked about. */
  | { readonly t: 'found'; readonly stripes: readonly Uint8Array[] }
  | { readonly t: 'refused'; readonly code: ErrorCode; readonly message: string };

const what = 'host message';
const maxPath = 16;

/** Encodes one request. */
export function encodeHostRequest(request: HostRequest): Uint8Array {
  return encode(requestFields(request));
}

function requestFields(request: HostRequest): unknown[] {
  switch (request.t) {
    case 'offer':
    case 'others':
      return [request.t];
    case 'contract':
      return ['contract', request.contract, request.genesis];
    case 'keep':
      return ['keep', entryHash(request.drive), request.blocks.map(({ id, size }) => [id, size])];
    case 'drop':
      return ['drop', entryHash(request.drive), request.ids];
    case 'stripes':
      return ['stripes', entryHash(request.drive), request.add, request.remove];
    case 'search':
      return ['search', entryHash(request.drive), request.ids];
    case 'audit':
      return ['audit', entryHash(request.drive), request.challenges.map(({ id, leaf }) => [id, leaf])];
    case 'release':
      return ['release', entryHash(request.drive), request.number];
    case 'paid': {
      const { drive, chain, contract, at, count: all, ids } = request;
      return ['paid', entryHash(drive), chain, contract, at, all, ids];
    }
    default:
      return [request.t, entryHash(request.drive)];
  }
}

/** Encodes one answer. */
export function encodeHostAnswer(answer: HostAnswer): Uint8Array {
  switch (answer.t) {
    case 'ok':
      return encode(['ok']);
    case 'offered':
      return encode([
        ...['offered', answer.quota, answer.free, answer.leaving, answer.addresses],
        answer.asks && [answer.asks.chain, answer.asks.price.toString()],
      ]);
    case 'offers':
      return encode([
        'offers',
        answer.offers.map(({ peerId, addresses, quota, free }) => [
          deviceKeyOf(peerId),
          addresses.slice(0, limits.addressesPerOffer),
          quota,
          free,
        ]),
      ]);
    case 'state':
      return encode(['state', answer.bytes, answer.blocks, answer.missing]);
    case 'proofs':
      return encode(['proofs', answer.proofs.map((proof) => proof && [proof.leaf, proof.path])]);
    case 'known':
      return encode(['known', answer.contracts]);
    case 'found':
      return encode(['found', answer.stripes]);
    case 'refused':
      return encode(['refused', answer.code, answer.message]);
  }
}

/**
 * Decodes one request.
 * @throws AppError `too_large`, `malformed` for anything that is not exactly one of them, within the limits
 */
export function decodeHostRequest(frame: Uint8Array): HostRequest {
  const [kind, ...fields] = list(decodeStrict(frame, limits.frame, what), 7);
  switch (kind) {
    case 'offer':
    case 'others':
      count(fields, 0);
      return { t: kind };
    case 'contract':
      count(fields, 2);
      return { t: 'contract', contract: bytes(fields[0]), genesis: bytes(fields[1]) };
    case 'keep':
      count(fields, 2);
      return {
        t: 'keep',
        drive: drive(fields[0]),
        blocks: list(fields[1], limits.blocksPerMessage).map(block),
      };
    case 'drop':
      count(fields, 2);
      return {
        t: 'drop',
        drive: drive(fields[0]),
        ids: list(fields[1], limits.blocksPerMessage).map((id) => bytes(id, 32)),
      };
    case 'stripes':
      count(fields, 3);
      return {
        t: 'stripes',
        drive: drive(fields[0]),
        add: list(fields[1], limits.stripesPerMessage).map((one) => bytes(one)),
        remove: list(fields[2], limits.stripesPerMessage).map((id) => bytes(id, 32)),
      };
    case 'search':
      count(fields, 2);
      return {
        t: 'search',
        drive: drive(fields[0]),
        ids: list(fields[1], limits.blocksPerSearch).map((id) => bytes(id, 32)),
      };
    case 'audit':
      count(fields, 2);
      return {
        t: 'audit',
        drive: drive(fields[0]),
        challenges: list(fields[1], limits.challengesPerMessage).map((value) => {
          const [id, leaf] = pair(value);
          return { id: bytes(id, 32), leaf: integer(leaf, Math.ceil(limits.blockBytes / leafBytes)) };
        }),
      };
    case 'release':
      count(fields, 2);
      return { t: 'release', drive: drive(fields[0]), number: integer(fields[1]) };
    case 'paid':
      count(fields, 6);
      return {
        t: 'paid',
        drive: drive(fields[0]),
        chain: chainId(fields[1]),
        contract: integer(fields[2]),
        at: integer(fields[3], limits.blocksPerPaidCopy),
        count: integer(fields[4], limits.blocksPerPaidCopy),
        ids: list(fields[5], limits.blocksPerMessage).map((id) => bytes(id, 32)),
      };
    case 'status':
    case 'check':
    case 'contracts':
      count(fields, 1);
      return { t: kind, drive: drive(fields[0]) };
    default:
      throw malformed(what, 'its kind is unknown');
  }
}

/**
 * Decodes one answer.
 * @throws AppError `too_large`, `malformed` for anything that is not exactly one of them, within the limits
 */
export function decodeHostAnswer(frame: Uint8Array): HostAnswer {
  const [kind, ...fields] = list(decodeStrict(frame, limits.frame, what), 6);
  switch (kind) {
    case 'ok':
      count(fields, 0);
      return { t: 'ok' };
    case 'offered':
      count(fields, 5);
      return {
        t: 'offered',
        quota: integer(fields[0]),
        free: integer(fields[1]),
        leaving: flag(fields[2]),
        addresses: list(fields[3], limits.addressesPerHost).map(address),
        asks: asks(fields[4]),
      };
    case 'offers':
      count(fields, 1);
      return { t: 'offers', offers: list(fields[0], limits.offersPerMessage).map(heardOffer) };
    case 'state':
      count(fields, 3);
      return {
        t: 'state',
        bytes: integer(fields[0]),
        blocks: integer(fields[1]),
        missing: integer(fields[2]),
      };
    case 'proofs':
      count(fields, 1);
      return { t: 'proofs', proofs: list(fields[0], limits.challengesPerMessage).map(proof) };
    case 'known':
      count(fields, 1);
      return { t: 'known', contracts: list(fields[0], limits.contractsPerMessage).map((one) => bytes(one)) };
    case 'found':
      count(fields, 1);
      return { t: 'found', stripes: list(fields[0], limits.blocksPerSearch).map((one) => bytes(one)) };
    case 'refused': {
      count(fields, 2);
      const code = errorCodes.find((known) => known === fields[0]);
      const message = fields[1];
      if (!code || typeof message !== 'string' || message.length > 500)
        throw malformed(what, 'a refusal is wrong');
      return { t: 'refused', code, message };
    }
    default:
      throw malformed(what, 'its kind is unknown');
  }
}

/** What a refusal says, as the error the asking side throws. */
export function refusal(answer: HostAnswer & { readonly t: 'refused' }): AppError {
  return new AppError(answer.code, answer.message);
}

function block(value: unknown): KeptBlock {
  const [id, size] = pair(value);
  return { id: bytes(id, 32), size: integer(size, limits.blockBytes) };
}

function proof(value: unknown): LeafProof | null {
  if (value === null) return null;
  const [leaf, path] = pair(value);
  if (!(leaf instanceof Uint8Array) || leaf.length > leafBytes) throw malformed(what, 'a leaf is too long');
  return { leaf, path: list(path, maxPath).map((one) => bytes(one, 32)) };
}

function heardOffer(value: unknown): HeardOffer {
  const fields = list(value, 4);
  count(fields, 4);
  const key = bytes(fields[0], 32);
  const addresses = list(fields[1], limits.addressesPerOffer).map(address);
  try {
    return { peerId: deviceIdOf(key), addresses, quota: integer(fields[2]), free: integer(fields[3]) };
  } catch (cause) {
    throw malformed(what, 'a device key is none', cause);
  }
}

function asks(value: unknown): Asks | null {
  if (value === null) return null;
  const [chain, price] = pair(value);
  if (typeof price !== 'string' || !/^\d{1,39}$/.test(price)) throw malformed(what, 'a price is none');
  return { chain: chainId(chain), price: BigInt(price) };
}

function chainId(value: unknown): string {
  if (typeof value === 'string' && value.length >= 1 && value.length <= 128) return value;
  throw malformed(what, 'the id of a ledger is none');
}

function drive(value: unknown): EntryId {
  return entryId(bytes(value, 32));
}

function pair(value: unknown): readonly unknown[] {
  const fields = list(value, 2);
  count(fields, 2);
  return fields;
}

function list(value: unknown, max: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > max) throw malformed(what, 'a list is missing or too long');
  return value;
}

function count(fields: readonly unknown[], n: number): void {
  if (fields.length !== n) throw malformed(what, 'the number of fields is wrong');
}

function bytes(value: unknown, length?: number): Uint8Array {
  if (value instanceof Uint8Array && (length === undefined || value.length === length)) return value;
  throw malformed(what, 'a byte string is missing or of the wrong length');
}

function integer(value: unknown, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max) return value;
  throw malformed(what, 'a number is missing or out of range');
}

function address(value: unknown): string {
  if (typeof value === 'string' && value.length <= 512) return value;
  throw malformed(what, 'an address is not text');
}

function flag(value: unknown): boolean {
  if (typeof value !== 'boolean') throw malformed(what, 'a flag is missing');
  return value;
}
