import { z } from './zod.ts';
import { done, nothing, peerId, time, userId } from './common.ts';
import { command, query } from '../rpc/contract.ts';

const key = z.string().regex(/^[0-9a-f]{64}$/);

export const identityInfo = z.object({
  userId,
  /** The root signing key (Ed25519), hex. */
  signKey: key,
  /** The encryption key in use (X25519), hex. */
  encKey: key,
  /** The signed actor card as it is passed around: base64url of its bytes, without padding. */
  card: z.string(),
});
export type IdentityInfo = z.infer<typeof identityInfo>;

export const actor = z.object({ userId, name: z.string(), current: z.boolean() });
export type Actor = z.infer<typeof actor>;

const password = z.string().min(1).max(1024);
const actorName = z.string().trim().min(1).max(64);

export const identity = {
  create: command(z.object({ words: z.union([z.literal(12), z.literal(24)]).default(24) }), identityInfo),
  /** Words divided by spaces. */
  restore: command(z.object({ phrase: z.string().min(1).max(1024) }), identityInfo),
  show: query(nothing, identityInfo),
  /** For a backup that the person keeps; nothing prints or logs the answer. */
  phrase: command(nothing, z.object({ phrase: z.string() })),
  actors: query(nothing, z.array(actor)),
  addActor: command(z.object({ name: actorName }), identityInfo),
  useActor: command(z.object({ name: actorName }), identityInfo),
  /** Opens a keystore that has a password. */
  unlock: command(z.object({ password }), done),
  /** Wipes every secret from memory; refused while there is no password to come back with. */
  lock: command(nothing, done),
  /** Sets, replaces or (null) removes the password; `current` is needed when there is one. */
  setPassword: command(
    z.object({ password: password.nullable(), current: password.nullable().default(null) }),
    done,
  ),
};

export const device = z.object({
  peerId,
  name: z.string(),
  /** When it was linked; of one that waits, when it asked. */
  since: time,
  state: z.enum(['linked', 'waiting', 'revoked']),
  /** The one that answers. */
  current: z.boolean(),
  connected: z.boolean(),
  /** The short code to compare while it waits. */
  code: z.string().nullable(),
});
export type Device = z.infer<typeof device>;

export const deviceInvite = z.object({
  /** Typed (or scanned) on the new computer. */
  code: z.string(),
  expires: time,
});
export type DeviceInvite = z.infer<typeof deviceInvite>;

export const deviceJoin = z.object({
  peerId,
  /** Shown here, to be approved on the other computer. */
  code: z.string(),
  /** True when the other computer has already approved. */
  linked: z.boolean(),
  userId: userId.nullable(),
});
export type DeviceJoin = z.infer<typeof deviceJoin>;

export const devices = {
  list: query(nothing, z.array(device)),
  invite: command(nothing, deviceInvite),
  /** Returns once the other computer has the request. */
  join: command(z.object({ code: z.string().min(1).max(4096) }), deviceJoin),
  /** `code`: what `join` shows on the new computer (or the code of the invitation it used). */
  approve: command(z.object({ code: z.string().min(1).max(4096) }), device),
  /** By peer id or by name. */
  revoke: command(z.object({ device: z.string().min(1).max(128) }), done),
  /** By peer id or by name. Only a computer with the recovery phrase can: the name stands in a certificate. */
  name: command(
    z.object({ device: z.string().min(1).max(128), name: z.string().trim().min(1).max(64) }),
    device,
  ),
};
