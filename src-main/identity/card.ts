import { AppError } from '../../src-shared/errors.ts';
import { isEncryptionKey } from './ecies.ts';
import { userIdOf } from './ids.ts';
import { isSigningKey, verifySignature } from './signature.ts';
import { compareBytes, decodeStrict, encodeStrict, equalBytes, fieldsOf, malformed } from './strict-cbor.ts';
import type { ActorCard, DeviceCertificate, Signer } from './types.ts';

/*
 * Both records go as strict dag-cbor `[body, sig]`: body is the strict dag-cbor of a map, sig the root key's signature over
 * domain + body. The user id is not in there, it is computed from the root key, so it cannot lie.
 */
const certificateDomain = Buffer.from('extrachain device v1\0');
const cardDomain = Buffer.from('extrachain card v1\0');

export const maxDevices = 256;
const maxRevoked = 1024;
export const maxCertificateBytes = 1024;
export const maxCardBytes = 256 * 1024;
/** SLIP-0010 child numbers end here. */
export const maxEncKeyNumber = 0x7fffffff;

/** What is wrong with a device's or actor's name, or null: 1..64 characters, NFC, nothing invisible. */
export function nameProblem(name: string): string | null {
  if (name.length === 0 || [...name].length > 64) return 'a name has 1 to 64 characters';
  if (name !== name.normalize('NFC') || !name.isWellFormed()) return 'a name is in Unicode form NFC';
  // Control and format characters (line breaks, right-to-left overrides) could make a name look like another text.
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(name) || name.trim() !== name)
    return 'a name has no invisible characters';
  return null;
}

/** Brings a name a person typed (or a host name) to the allowed form; throws `invalid_argument` when that can't be. */
export function cleanName(name: string): string {
  const clean = name.toWellFormed().normalize('NFC').trim();
  const problem = nameProblem(clean);
  if (problem) throw new AppError('invalid_argument', `This name cannot be used: ${problem}.`);
  return clean;
}

/** A signed pair as bytes, and its strict inverse. */
function encodeSigned(body: Uint8Array, sig: Uint8Array): Uint8Array {
  return encodeStrict([body, sig]);
}
function decodeSigned(
  bytes: Uint8Array,
  maxBytes: number,
  what: string,
): { body: Uint8Array; sig: Uint8Array } {
  const pair = decodeStrict(bytes, maxBytes, what);
  if (!Array.isArray(pair) || pair.length !== 2) throw malformed(what, 'not a pair');
  const [body, sig] = pair as unknown[];
  if (!(body instanceof Uint8Array) || !(sig instanceof Uint8Array) || sig.length !== 64) {
    throw malformed(what, 'not a signed pair');
  }
  return { body, sig };
}

function certificateBody(cert: Omit<DeviceCertificate, 'sig' | 'user'>): Uint8Array {
  const { v, rootKey, deviceKey, name, issuedAt } = cert;
  return encodeStrict({ v, rootKey, deviceKey, name, issuedAt });
}

/**
 * Certifies a device with the user's root key.
 * @param fields.issuedAt ms since the epoch
 * @throws AppError `invalid_argument` for an unacceptable key or name
 */
export function signDeviceCertificate(
  root: Signer,
  fields: { readonly deviceKey: Uint8Array; readonly name: string; readonly issuedAt: number },
): DeviceCertificate {
  if (!isSigningKey(fields.deviceKey)) throw new AppError('invalid_argument', 'This is not a device key.');
  const { deviceKey, issuedAt } = fields;
  const unsigned = {
    v: 1,
    rootKey: root.publicKey,
    deviceKey,
    name: cleanName(fields.name),
    issuedAt,
  } as const;
  const sig = root.sign(Buffer.concat([certificateDomain, certificateBody(unsigned)]));
  return { ...unsigned, user: userIdOf(root.publicKey), sig };
}

/** The one valid encoding, at most 1 KiB. */
export function encodeDeviceCertificate(cert: DeviceCertificate): Uint8Array {
  return encodeSigned(certificateBody(cert), cert.sig);
}

/** Decodes without checking the signature (see `verifyDeviceCertificate`). Throws `malformed`, `too_large`. */
export function decodeDeviceCertificate(bytes: Uint8Array): DeviceCertificate {
  const what = 'device certificate';
  const { body, sig } = decodeSigned(bytes, maxCertificateBytes, what);
  const keys = ['v', 'rootKey', 'deviceKey', 'name', 'issuedAt'];
  const fields = fieldsOf(decodeStrict(body, maxCertificateBytes, what), keys, what);
  fields.integer('v', 1, 1);
  const rootKey = fields.bytes('rootKey', 32);
  const deviceKey = fields.bytes('deviceKey', 32);
  if (!isSigningKey(rootKey) || !isSigningKey(deviceKey)) throw malformed(what, 'a key is not acceptable');
  const name = fields.text('name');
  const problem = nameProblem(name);
  if (problem) throw malformed(what, problem);
  return {
    v: 1,
    user: userIdOf(rootKey),
    rootKey,
    deviceKey,
    name,
    issuedAt: fields.integer('issuedAt'),
    sig,
  };
}

/** True when the root key in it signed it and `user` is that key's id. */
export function verifyDeviceCertificate(cert: DeviceCertificate): boolean {
  if (cert.user !== userIdOf(cert.rootKey)) return false;
  return verifySignature(cert.rootKey, Buffer.concat([certificateDomain, certificateBody(cert)]), cert.sig);
}

function cardBody(card: Omit<ActorCard, 'sig' | 'user'>): Uint8Array {
  const { v, rootKey, number, encKey, encKeyNumber, time } = card;
  const devices = card.devices.map(encodeDeviceCertificate);
  const revoked = card.revoked.map(({ deviceKey, at }) => [deviceKey, at]);
  return encodeStrict({ v, rootKey, number, encKey, encKeyNumber, devices, revoked, time });
}

/**
 * Signs an actor card. Devices and revocations are put in their order (by key); a device that is revoked is left out.
 * @throws AppError `too_large` beyond 256 devices or 1024 revocations
 */
export function signCard(
  root: Signer,
  fields: Pick<ActorCard, 'number' | 'encKey' | 'encKeyNumber' | 'devices' | 'revoked' | 'time'>,
): ActorCard {
  const byKey = <T extends { readonly deviceKey: Uint8Array }>(list: readonly T[]): T[] =>
    [...list].sort((a, b) => compareBytes(a.deviceKey, b.deviceKey));
  const revoked = byKey(fields.revoked);
  const devices = byKey(fields.devices).filter(
    (cert) => !revoked.some((entry) => equalBytes(entry.deviceKey, cert.deviceKey)),
  );
  if (devices.length > maxDevices || revoked.length > maxRevoked) {
    throw new AppError(
      'too_large',
      `An actor can have at most ${maxDevices} devices, and ${maxRevoked} revoked ones.`,
    );
  }
  const unsigned = { ...fields, v: 1, rootKey: root.publicKey, devices, revoked } as const;
  const sig = root.sign(Buffer.concat([cardDomain, cardBody(unsigned)]));
  return { ...unsigned, user: userIdOf(root.publicKey), sig };
}

/** The one valid encoding, at most 256 KiB. */
export function encodeCard(card: ActorCard): Uint8Array {
  return encodeSigned(cardBody(card), card.sig);
}

/** Decodes without checking the signature (see `verifyCard`). Throws `malformed`, `too_large`. */
export function decodeCard(bytes: Uint8Array): ActorCard {
  const what = 'actor card';
  const { body, sig } = decodeSigned(bytes, maxCardBytes, what);
  const keys = ['v', 'rootKey', 'number', 'encKey', 'encKeyNumber', 'devices', 'revoked', 'time'];
  const fields = fieldsOf(decodeStrict(body, maxCardBytes, what), keys, what);
  fields.integer('v', 1, 1);
  const rootKey = fields.bytes('rootKey', 32);
  const encKey = fields.bytes('encKey', 32);
  if (!isSigningKey(rootKey) || !isEncryptionKey(encKey)) throw malformed(what, 'a key is not acceptable');

  const devices = fields.list('devices', maxDevices).map((item) => {
    if (!(item instanceof Uint8Array)) throw malformed(what, 'a device is not a certificate');
    const cert = decodeDeviceCertificate(item);
    if (!equalBytes(cert.rootKey, rootKey)) throw malformed(what, 'a device belongs to another user');
    return cert;
  });
  const revoked = fields.list('revoked', maxRevoked).map((item) => {
    const pair = fieldsOf({ ...(Array.isArray(item) ? item : []) }, ['0', '1'], what);
    return { deviceKey: pair.bytes('0', 32), at: pair.integer('1') };
  });
  for (const list of [devices, revoked]) {
    for (let i = 1; i < list.length; i++) {
      const [before, here] = [list[i - 1], list[i]] as [{ deviceKey: Uint8Array }, { deviceKey: Uint8Array }];
      if (compareBytes(before.deviceKey, here.deviceKey) >= 0)
        throw malformed(what, 'a list is not in order');
    }
  }
  const revokedKeys = new Set(revoked.map((entry) => Buffer.from(entry.deviceKey).toString('hex')));
  if (devices.some((cert) => revokedKeys.has(Buffer.from(cert.deviceKey).toString('hex')))) {
    throw malformed(what, 'a device is both certified and revoked');
  }
  return {
    v: 1,
    user: userIdOf(rootKey),
    rootKey,
    number: fields.integer('number', 1),
    encKey,
    encKeyNumber: fields.integer('encKeyNumber', 0, maxEncKeyNumber),
    devices,
    revoked,
    time: fields.integer('time'),
    sig,
  };
}

/**
 * True when the root key in it signed it and `user` is that key's id. The signature covers the device certificates whole,
 * so a card with 256 of them costs one verification; a certificate that travels alone is checked by itself.
 */
export function verifyCard(card: ActorCard): boolean {
  if (card.user !== userIdOf(card.rootKey)) return false;
  return verifySignature(card.rootKey, Buffer.concat([cardDomain, cardBody(card)]), card.sig);
}

/** Decodes and verifies a card from the network or disk. Throws `malformed`, `too_large`, `bad_signature`. */
export function openCard(bytes: Uint8Array): ActorCard {
  const card = decodeCard(bytes);
  if (!verifyCard(card)) throw new AppError('bad_signature', 'The actor card was not signed by its user.');
  return card;
}

/**
 * True when `candidate` replaces `known` (cards of one user): the higher number wins; between two cards with one number
 * (two computers holding one phrase) the larger signature, so that everybody picks the same.
 */
export function replacesCard(candidate: ActorCard, known: ActorCard): boolean {
  if (candidate.number !== known.number) return candidate.number > known.number;
  return compareBytes(candidate.sig, known.sig) > 0;
}

/** The devices of a card, as questions. */
export interface CardDevices {
  /** Certified by the card and not revoked. */
  has(deviceKey: Uint8Array): boolean;
  certificate(deviceKey: Uint8Array): DeviceCertificate | null;
  /** When it was revoked, ms since the epoch; null when it was not. */
  revokedAt(deviceKey: Uint8Array): number | null;
}

/** Indexes a card's devices by key. The card must be verified. */
export function cardDevices(card: ActorCard): CardDevices {
  const name = (key: Uint8Array): string => Buffer.from(key).toString('hex');
  const revoked = new Map(card.revoked.map((entry) => [name(entry.deviceKey), entry.at]));
  const certified = new Map(card.devices.map((cert) => [name(cert.deviceKey), cert]));
  const certificate = (key: Uint8Array): DeviceCertificate | null =>
    revoked.has(name(key)) ? null : (certified.get(name(key)) ?? null);
  return {
    certificate,
    has: (key) => certificate(key) !== null,
    revokedAt: (key) => revoked.get(name(key)) ?? null,
  };
}
