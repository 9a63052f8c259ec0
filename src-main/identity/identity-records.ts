import { AppError } from '../../src-shared/errors.ts';
import { encodeCard, maxCardBytes, maxEncKeyNumber, nameProblem, openCard } from './card.ts';
import { maxActors } from './phrase.ts';
import { decodeStrict, encodeStrict, equalBytes, fieldsOf, malformed } from './strict-cbor.ts';
import { x25519Public } from './primitives.ts';
import type { ActorCard } from './types.ts';

/** One actor of this node, with the newest card known. */
export interface ActorRecord {
  /** Its number under the phrase (see phrase.ts); 0 on a linked device. */
  readonly index: number;
  readonly name: string;
  readonly card: ActorCard;
}

/** Encryption secrets by number. */
export type EncSecrets = ReadonlyMap<number, Uint8Array>;

/** What the keystore shows while locked. */
export interface PublicRecord {
  readonly deviceKey: Uint8Array;
  readonly actors: readonly ActorRecord[];
  /** Position in `actors` of the one in use; 0 when there is none. */
  readonly inUse: number;
}

/** What the keystore hides. `phrase` xor `linked` once there is an actor. */
export interface SecretRecord {
  /** Ed25519 seed, 32 bytes. */
  readonly deviceSeed: Uint8Array;
  /** BIP-39 entropy, 16 or 32 bytes. */
  readonly phrase: Uint8Array | null;
  readonly linked: EncSecrets | null;
}

const maxRecordBytes = 6 * 1024 * 1024;
const maxSecrets = 4096;

export function encodePublic(record: PublicRecord): Uint8Array {
  const actors = record.actors.map(({ index, name, card }) => ({ index, name, card: encodeCard(card) }));
  return encodeStrict({ v: 1, deviceKey: record.deviceKey, actors, inUse: record.inUse });
}

/** Throws `malformed`, `bad_signature`. */
export function decodePublic(bytes: Uint8Array): PublicRecord {
  const what = 'keystore content';
  const fields = fieldsOf(
    decodeStrict(bytes, maxRecordBytes, what),
    ['v', 'deviceKey', 'actors', 'inUse'],
    what,
  );
  fields.integer('v', 1, 1);
  const actors = fields.list('actors', maxActors).map((item) => {
    const actor = fieldsOf(item, ['index', 'name', 'card'], what);
    const name = actor.text('name');
    if (nameProblem(name)) throw malformed(what, 'a name cannot be used');
    return { index: actor.integer('index', 0, maxActors - 1), name, card: openCard(actor.bytes('card')) };
  });
  const inUse = fields.integer('inUse', 0, Math.max(0, actors.length - 1));
  return { deviceKey: fields.bytes('deviceKey', 32), actors, inUse };
}

export function encodeSecret(record: SecretRecord): Uint8Array {
  const linked = record.linked && secretPairs(record.linked);
  return encodeStrict({ v: 1, deviceSeed: record.deviceSeed, phrase: record.phrase, linked });
}

/** Throws `malformed`. */
export function decodeSecret(bytes: Uint8Array): SecretRecord {
  const what = 'keystore content';
  const value = decodeStrict(bytes, maxRecordBytes, what);
  const fields = fieldsOf(value, ['v', 'deviceSeed', 'phrase', 'linked'], what);
  fields.integer('v', 1, 1);
  const { phrase, linked } = value as { phrase: unknown; linked: unknown };
  const entropy = phrase === null ? null : fields.bytes('phrase');
  if (entropy && entropy.length !== 16 && entropy.length !== 32)
    throw malformed(what, 'the phrase has a wrong length');
  const secrets = linked === null ? null : parseSecrets(fields.list('linked', maxSecrets), what);
  return { deviceSeed: fields.bytes('deviceSeed', 32), phrase: entropy, linked: secrets };
}

/** What one device of a user hands to another: the newest card and the encryption secrets. Never the phrase or root key. */
export interface DeviceKeys {
  readonly card: ActorCard;
  readonly secrets: EncSecrets;
}

export function encodeDeviceKeys({ card, secrets }: DeviceKeys): Uint8Array {
  return encodeStrict({ v: 1, card: encodeCard(card), secrets: secretPairs(secrets) });
}

/**
 * Strict; also checks that the secret of the card's own encryption key is there and fits, and that none claims to be of a
 * later key than that, which could not be checked.
 * @throws AppError `malformed`, `too_large`, `bad_signature`
 */
export function decodeDeviceKeys(bytes: Uint8Array): DeviceKeys {
  const what = 'key message';
  const maxBytes = maxCardBytes + maxSecrets * 64;
  const fields = fieldsOf(decodeStrict(bytes, maxBytes, what), ['v', 'card', 'secrets'], what);
  fields.integer('v', 1, 1);
  const card = openCard(fields.bytes('card'));
  const secrets = parseSecrets(fields.list('secrets', maxSecrets), what, card.encKeyNumber);
  const newest = secrets.get(card.encKeyNumber);
  if (!newest || !equalBytes(x25519Public(newest), card.encKey)) {
    throw new AppError('malformed', 'The key message does not hold the key it promises.');
  }
  return { card, secrets };
}

function secretPairs(secrets: EncSecrets): (readonly [number, Uint8Array])[] {
  return [...secrets].sort(([a], [b]) => a - b);
}

function parseSecrets(
  list: readonly unknown[],
  what: string,
  maxNumber = maxEncKeyNumber,
): Map<number, Uint8Array> {
  const secrets = new Map<number, Uint8Array>();
  let last = -1;
  for (const item of list) {
    const pair = fieldsOf({ ...(Array.isArray(item) ? item : []) }, ['0', '1'], what);
    const number = pair.integer('0', last + 1, maxNumber);
    secrets.set(number, pair.bytes('1', 32));
    last = number;
  }
  return secrets;
}
