import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import {
  boxOverhead,
  decodeStrict,
  encodeStrict,
  malformed,
  parseUserId,
  wrapFor,
  type DeviceId,
} from '../../identity/index.ts';
import type { RandomBytes } from '../../../src-shared/runtime.ts';
import type { NameGiven } from '../people.ts';
import type { SharedNotice } from '../sharing/shared-messages.ts';

/**
 * What a person needs to know to come back with nothing but the recovery phrase: which drives there are, who keeps them, which
 * network the money is on, and what other people are called. Written by one computer of that person.
 */
export interface RecoveryRecord {
  /** The computer that wrote it. */
  readonly device: DeviceId;
  /** When, ms; grows with each version of that computer. Inside, as who keeps records must not make an old one the newest. */
  readonly time: number;
  readonly drives: readonly SharedNotice[];
  /** Multiaddrs of computers that keep these drives, hints. */
  readonly holders: readonly string[];
  /** Link of the network in use; '' when there is none. */
  readonly network: string;
  readonly names: readonly NameGiven[];
}

/** A sealed record is no longer than this, bytes. */
export const maxRecordBox = 64 * 1024;
/** So long sealed records are multiples of this, bytes: their length does not tell how many drives there are. */
const step = 1024;
export const mostHolders = 32;
const mostDrives = 256;
const mostNames = 512;
/** The year 9999, ms. */
const latest = 253_402_300_799_999;
const what = 'recovery record';

const userId = z.string().refine((text) => {
  try {
    parseUserId(text);
    return true;
  } catch {
    return false;
  }
});
const shape = z.strictObject({
  v: z.literal(1),
  device: z.string().max(100),
  time: z.int().min(0).max(latest),
  drives: z
    .array(
      z.strictObject({
        driveId: z.string().regex(/^b[a-z2-7]{40,100}$/),
        name: z.string().max(255),
        role: z.enum(['owner', 'manager', 'editor', 'reader']),
      }),
    )
    .max(mostDrives),
  holders: z.array(z.string().max(300)).max(mostHolders),
  network: z.string().max(4096),
  names: z
    .array(
      z.strictObject({
        user: userId,
        name: z.string().min(1).max(64).nullable(),
        time: z.int().min(0).max(latest),
      }),
    )
    .max(mostNames),
  pad: z.custom<Uint8Array>((value) => value instanceof Uint8Array),
});

const macBytes = 32;
const macOf = (key: Uint8Array, body: Uint8Array): Uint8Array =>
  new Uint8Array(createHmac('sha256', key).update('extrachain recovery record v1\0').update(body).digest());

/**
 * Encrypts a record for its own person: any computer that has the phrase opens it with `openRecord`. Where not all fits, names give
 * way first, then the drives named last. Anybody can encrypt for a person, so what is inside is authenticated as well (HMAC-SHA-256,
 * RFC 2104): a computer that keeps it cannot make up another.
 * @param encKey the person's encryption key of now, 32 bytes: one of a computer that was cut off does not open it
 * @param macKey 32 bytes that the person's computers alone derive
 * @returns at most `maxRecordBox` bytes
 */
export function sealRecord(
  record: RecoveryRecord,
  encKey: Uint8Array,
  macKey: Uint8Array,
  random: RandomBytes,
): Uint8Array {
  const overhead = boxOverhead + macBytes;
  const room = maxRecordBox - overhead;
  let drives = record.drives.slice(0, mostDrives);
  let names = record.names.slice(0, mostNames);
  const encoded = (pad: number): Uint8Array =>
    encodeStrict({
      v: 1,
      device: record.device,
      time: record.time,
      drives,
      holders: record.holders.slice(0, mostHolders),
      network: record.network,
      names,
      pad: new Uint8Array(pad),
    });
  let length = encoded(0).length;
  while (length > room - step && (names.length > 0 || drives.length > 0)) {
    if (names.length > 0) names = names.slice(0, Math.floor(names.length / 2));
    else drives = drives.slice(0, Math.floor(drives.length / 2));
    length = encoded(0).length;
  }
  // The length of the padding is itself encoded in up to three bytes more.
  const body = encoded((step - ((length + 2 + overhead) % step)) % step);
  return wrapFor(encKey, Buffer.concat([macOf(macKey, body), body]), random);
}

/**
 * @param unwrap opens boxes made for the person; null: it is for someone else
 * @returns null for what no computer of this person made
 * @throws AppError `malformed`, `too_large`
 */
export function openRecord(
  box: Uint8Array,
  unwrap: (box: Uint8Array) => Uint8Array | null,
  macKey: Uint8Array,
): RecoveryRecord | null {
  const bytes = unwrap(box);
  if (bytes === null || bytes.length < macBytes) return null;
  const body = bytes.subarray(macBytes);
  if (!timingSafeEqual(bytes.subarray(0, macBytes), macOf(macKey, body))) return null;
  const parsed = shape.safeParse(decodeStrict(body, maxRecordBox, what));
  if (!parsed.success) throw malformed(what, parsed.error.issues[0]?.message ?? 'it is something else');
  const { v: _, pad: __, ...record } = parsed.data;
  return record;
}
