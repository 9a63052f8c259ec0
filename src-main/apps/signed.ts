import { createHash } from 'node:crypto';
import { base64urlnopad } from '@scure/base';
import { AppError } from '../../src-shared/errors.ts';
import { z } from '../../src-shared/contract/zod.ts';
import {
  decodeDeviceCertificate,
  encodeDeviceCertificate,
  verifyDeviceCertificate,
  verifySignature,
} from '../identity/index.ts';
import type { DeviceCertificate, Signer, UserId } from '../identity/index.ts';
import { canonicalJson } from './bundle/index.ts';

/*
 * Documents that travel as files and are signed by a person: by a device, with its certificate. The file is JSON; what is signed is the
 * canonical JSON of its payload.
 */

/** What a signature is made for. */
export type DocumentKind = 'release' | 'block list';

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
): { readonly payload: T; readonly user: UserId } {
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
  return { payload, user: certificate.user };
}
