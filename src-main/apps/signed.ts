import { createHash } from 'node:crypto';
import { base64urlnopad } from '@scure/base';
import { AppError } from '../../src-shared/errors.ts';
import { z } from '../../src-shared/contract/zod.ts';
import {
  cardDevices,
  decodeDeviceCertificate,
  encodeDeviceCertificate,
  verifyDeviceCertificate,
  verifySignature,
} from '../identity/index.ts';
import type { ActorCard, DeviceCertificate, Signer, UserId } from '../identity/index.ts';
import { canonicalJson } from './bundle/index.ts';

/*
 * Documents that travel as files and are signed by a person: by a device, with its certificate. The file is JSON; what is signed is the
 * canonical JSON of its payload.
 */

/** What a signature is made for. */
export type DocumentKind = 'release' | 'block list';

/** Who signed a document, with which computer. */
export interface SignedBy {
  readonly user: UserId;
  readonly device: Uint8Array;
}

/** Who signs. */
export interface DocumentSigner {
  readonly certificate: DeviceCertificate;
  readonly device: Signer;
}

/** Bytes in the one spelling they have: with bits left over at the end, one signature could be written in several ways. */
const base64url = z
  .string()
  .min(1)
  .max(8192)
  .transform((text) => base64urlnopad.decode(text));
const envelope = z.strictObject({
  payload: z.record(z.string(), z.unknown()),
  certificate: base64url,
  signature: base64url,
});

const signBytes = (kind: DocumentKind, payload: unknown): Uint8Array =>
  createHash('sha256').update(`extrachain app ${kind} v1\0`).update(canonicalJson(payload)).digest();

/** The file of a signed document. */
export function signDocument(
  kind: DocumentKind,
  payload: object,
  { certificate, device }: DocumentSigner,
): string {
  const signature = device.sign(signBytes(kind, payload));
  const signed = {
    payload,
    certificate: base64urlnopad.encode(encodeDeviceCertificate(certificate)),
    signature: base64urlnopad.encode(signature),
  };
  return `${canonicalJson(signed, 2)}\n`;
}

/**
 * What a document says, and who signed it.
 * @throws AppError `malformed`, `bad_signature`
 */
export function readDocument<T>(
  kind: DocumentKind,
  bytes: Uint8Array,
  schema: z.ZodType<T>,
): { readonly payload: T } & SignedBy {
  let parsed: z.infer<typeof envelope>;
  let payload: T;
  let certificate: DeviceCertificate;
  try {
    parsed = envelope.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
    certificate = decodeDeviceCertificate(parsed.certificate);
    payload = schema.parse(parsed.payload);
  } catch (cause) {
    throw new AppError('malformed', `The signed ${kind} can't be read.`, { cause });
  }
  if (
    !verifyDeviceCertificate(certificate) ||
    !verifySignature(certificate.deviceKey, signBytes(kind, parsed.payload), parsed.signature)
  ) {
    throw new AppError('bad_signature', `The ${kind} is not signed by who it says.`);
  }
  return { payload, user: certificate.user, device: certificate.deviceKey };
}

/**
 * Sees to it that a document is not signed by a computer that its owner has taken back. When it was signed nobody can tell but whoever
 * signed it, so a document from before has to be signed anew.
 * @param card the newest that is known of the one who signed; null: none is
 * @throws AppError `bad_signature`
 */
export function refuseRevoked(card: ActorCard | null, { user, device }: SignedBy): void {
  if (card?.user !== user || cardDevices(card).revokedAt(device) === null) return;
  throw new AppError('bad_signature', 'This is signed by a computer that its owner has taken back since.');
}
