import { hash } from 'node:crypto';
import { AppError } from '../../src-shared/errors.ts';
import { entryHash, entryId } from '../history/index.ts';
import {
  decodeStrict,
  deviceIdOf,
  deviceKeyOf,
  encodeStrict,
  fieldsOf,
  malformed,
  maxCardBytes,
  verifySignature,
} from '../identity/index.ts';
import type { DeviceId, Signer, UserId } from '../identity/index.ts';
import type { EntryId } from '../history/index.ts';
import { limits } from './limits.ts';
import type { HostAddress, HostRole, Openness, ReplicaContract } from './types.ts';

const domain = Buffer.from('extrachain replica contract v1\0');
const what = 'replica contract';
const maxTime = 8.64e15;

/** A contract as it is stored and sent. */
export interface SignedContract {
  readonly contract: ReplicaContract;
  /** Strict dag-cbor of `[body, sig, card]`. */
  readonly bytes: Uint8Array;
  /** The signer's actor card, so that whoever is shown the contract can tell whose device signed; null: it has none. */
  readonly card: Uint8Array | null;
}

/**
 * Stands for a user in a contract: a host recognises those who come to it, and learns no names of the others.
 * @returns 32 bytes: SHA-256 over the drive and the user id
 */
export function memberTag(drive: EntryId, user: UserId): Uint8Array {
  return new Uint8Array(hash('sha256', `extrachain member tag v1\0${drive}\0${user}`, 'buffer'));
}

/** True when the user's tag is in the list. */
export function hasTag(tags: readonly Uint8Array[], drive: EntryId, user: UserId): boolean {
  const tag = memberTag(drive, user);
  return tags.some((one) => Buffer.compare(one, tag) === 0);
}

/** Sorted tags without repeats, as a contract holds them. */
export function memberTags(drive: EntryId, users: Iterable<UserId>): Uint8Array[] {
  return [...new Set(users)].map((user) => memberTag(drive, user)).sort(Buffer.compare);
}

/**
 * Signs a contract with the keeper's device key.
 * @param card the signer's actor card, encoded
 * @throws AppError `invalid_argument` when a list is longer than allowed
 */
export function signContract(
  contract: ReplicaContract,
  signer: Signer,
  card: Uint8Array | null,
): SignedContract {
  if (
    contract.members.length > limits.membersPerContract ||
    contract.hosts.length > limits.hostsPerContract
  ) {
    throw new AppError('invalid_argument', 'A drive with so many members or hosts cannot be hosted.');
  }
  const body = encodeStrict({
    v: 1,
    drive: entryHash(contract.drive),
    host: deviceKeyOf(contract.host),
    keeper: deviceKeyOf(contract.keeper),
    number: contract.number,
    copies: contract.copies,
    bytes: contract.bytes,
    members: contract.members,
    managers: contract.managers,
    hosts: contract.hosts.map(({ peerId, addresses, whole, slot }) => {
      const host = [deviceKeyOf(peerId), addresses.slice(0, limits.addressesPerHost)];
      // Most drives have no erasure-coded files: nothing more is said of their hosts.
      return whole && slot === null ? host : [...host, whole, slot];
    }),
    from: contract.from,
    until: contract.until,
    ...(contract.open !== null && { open: contract.open }),
  });
  const sig = signer.sign(Buffer.concat([domain, body]));
  return { contract, card, bytes: encodeStrict([body, sig, card]) };
}

/**
 * Reads a contract and checks its signature (not whether the signer had a right to it).
 * @throws AppError `too_large`, `malformed`, `bad_signature`
 */
export function openContract(bytes: Uint8Array): SignedContract {
  const parts = decodeStrict(bytes, limits.contractBytes, what);
  if (!Array.isArray(parts) || parts.length !== 3) throw malformed(what, 'not a list of three');
  const [body, sig, card] = parts as readonly unknown[];
  if (!(body instanceof Uint8Array) || !(sig instanceof Uint8Array) || sig.length !== 64) {
    throw malformed(what, 'body or signature is missing');
  }
  if (card !== null && !(card instanceof Uint8Array && card.length <= maxCardBytes)) {
    throw malformed(what, 'the card is not one');
  }
  const contract = readBody(body);
  if (!verifySignature(deviceKeyOf(contract.keeper), Buffer.concat([domain, body]), sig)) {
    throw new AppError('bad_signature', 'The signature of a replica contract is wrong.');
  }
  return { contract, card, bytes: new Uint8Array(bytes) };
}

function readBody(body: Uint8Array): ReplicaContract {
  const names = [
    ...['v', 'drive', 'host', 'keeper', 'number', 'copies'],
    ...['bytes', 'members', 'managers', 'hosts', 'from', 'until'],
  ];
  const map = decodeStrict(body, limits.contractBytes, what);
  // That a drive is private is said by saying nothing.
  const open = typeof map === 'object' && map !== null && 'open' in map ? openness(map.open) : null;
  const fields = fieldsOf(map, open === null ? names : [...names, 'open'], what);
  fields.integer('v', 1, 1);
  const members = fields.list('members', limits.membersPerContract).map(tag);
  const managers = fields.list('managers', limits.membersPerContract).map(tag);
  if (!isSorted(members) || !isSorted(managers)) throw malformed(what, 'its tags are not in order');
  const hosts = fields.list('hosts', limits.hostsPerContract).map(hostAddress);
  return {
    v: 1,
    drive: entryId(fields.bytes('drive', 32)),
    host: device(fields.bytes('host', 32)),
    keeper: device(fields.bytes('keeper', 32)),
    number: fields.integer('number', 1),
    copies: fields.integer('copies', 1, limits.copies),
    bytes: fields.integer('bytes'),
    members,
    managers,
    hosts,
    from: fields.integer('from', 0, maxTime),
    until: fields.integer('until', 0, maxTime),
    open,
  };
}

function openness(value: unknown): Openness {
  if (value === 'public' || (value instanceof Uint8Array && value.length === 32)) return value;
  throw malformed(what, 'who may read is not told');
}

function device(key: Uint8Array): DeviceId {
  try {
    return deviceIdOf(key);
  } catch (cause) {
    throw malformed(what, 'a device key is none', cause);
  }
}

function tag(value: unknown): Uint8Array {
  if (value instanceof Uint8Array && value.length === 32) return value;
  throw malformed(what, 'a tag is not 32 bytes');
}

function hostAddress(value: unknown): HostAddress & HostRole {
  if (!Array.isArray(value) || (value.length !== 2 && value.length !== 4)) {
    throw malformed(what, 'a host is not a list of two or four');
  }
  const [key, addresses, whole = true, slot = null] = value as readonly unknown[];
  if (
    !(key instanceof Uint8Array) ||
    !Array.isArray(addresses) ||
    addresses.length > limits.addressesPerHost
  ) {
    throw malformed(what, 'a host has no key or too many addresses');
  }
  if (!addresses.every((one): one is string => typeof one === 'string' && one.length <= 512)) {
    throw malformed(what, 'an address is not text');
  }
  if (
    typeof whole !== 'boolean' ||
    !(slot === null || isSlot(slot)) ||
    (whole && slot === null) !== (value.length === 2)
  ) {
    throw malformed(what, 'the role of a host is none');
  }
  return { peerId: device(key), addresses, whole, slot };
}

function isSlot(value: unknown): value is number {
  return (
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < limits.hostsPerContract
  );
}

function isSorted(tags: readonly Uint8Array[]): boolean {
  return tags.every((one, i) => i === 0 || Buffer.compare(tags[i - 1]!, one) < 0);
}
