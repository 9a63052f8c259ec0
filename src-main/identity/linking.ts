import { scrypt, timingSafeEqual } from 'node:crypto';
import { AppError } from '../../src-shared/errors.ts';
import type { Clock, RandomBytes } from '../../src-shared/runtime.ts';
import { cleanName, nameProblem } from './card.ts';
import { deviceKeyOf } from './ids.ts';
import { aesGcmOpen, aesGcmSeal, hkdf, sha256, wipe, x25519, x25519Public } from './primitives.ts';
import { decodeStrict, encodeStrict, malformed } from './strict-cbor.ts';
import type { DeviceId, JoinInfo } from './types.ts';

/*
 * Linking a device: an ephemeral X25519 exchange authenticated by a pre-shared code, after Noise's NNpsk0 pattern
 * (noiseprotocol.org, revision 34), inside a stream that libp2p's TLS has already tied to both device keys.
 *
 *   K0 = scrypt(code, salt = H(proto, inviter key))      60 random bits, single use, ten minutes: stretched so that
 *                                                        guessing from a recorded message is out of reach
 *   join      new -> old   [1, eJ, AEAD(HKDF(K0, h1), name)]           h1 = H(proto, inviter key, joiner key, eJ)
 *   answer    old -> new   [2, eI, confirm]                            h2 = H(h1, join, eI)
 *                          ck = HKDF(K0 | DH(eJ, eI), h2); confirm and six digits are derived from it
 *   approval  old -> new   [3, AEAD(HKDF(ck), content)]                after a person compared the digits
 *
 * Keys are new in each exchange (h1 and h2 hold fresh ephemeral keys), each seals one message, so nonces are zero.
 */
const proto = Buffer.from('extrachain link v1\0');
const zeroNonce = new Uint8Array(12);
const maxHandshakeBytes = 2048;
export const maxApprovalBytes = 1024 * 1024;
export const inviteLifetime = 10 * 60 * 1000;
const maxInvites = 8;

/** Crockford's base 32: no letter that could be read as a digit. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const codeLength = 12;

/**
 * Reads what a person typed: `XXXX-XXXX-XXXX`, optionally followed by `@` and the other computer's address.
 * @throws AppError `code_invalid`
 */
export function parseInviteCode(text: string): { readonly code: string; readonly address: string | null } {
  const at = text.indexOf('@');
  const symbols = (at < 0 ? text : text.slice(0, at))
    .toUpperCase()
    .replace(/[\s-]/g, '')
    .replace(/O/g, '0')
    .replace(/[IL]/g, '1');
  if (symbols.length !== codeLength || [...symbols].some((symbol) => !alphabet.includes(symbol))) {
    throw new AppError('code_invalid', 'This is not a linking code; it looks like 7K3M-Q0ZB-R2XW.');
  }
  const address = at < 0 ? '' : text.slice(at + 1).trim();
  return { code: symbols.replace(/(.{4})(?=.)/g, '$1-'), address: address === '' ? null : address };
}

function newCode(random: RandomBytes): string {
  const symbols = [...random(codeLength)].map((byte) => alphabet[byte & 31]).join('');
  return parseInviteCode(symbols).code;
}

/** 32 MiB, about 0.1 s. Both sides must agree, so it is part of the protocol's version. */
function stretch(code: string, inviterKey: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const options = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
  scrypt(code.replaceAll('-', ''), sha256(proto, inviterKey), 32, options, (error, key) =>
    error ? reject(error) : resolve(key),
  );
  return promise;
}

/** What both sides know after the answer. */
function session(psk: Uint8Array, shared: Uint8Array, h2: Uint8Array) {
  const secret = Buffer.concat([psk, shared]);
  const chain = hkdf(secret, 'session', h2);
  const number = Buffer.from(hkdf(chain, 'digits', h2)).readUIntBE(0, 6) % 1_000_000;
  const keys = {
    confirm: hkdf(chain, 'confirm', h2),
    approval: hkdf(chain, 'approval', h2),
    digits: String(number).padStart(6, '0'),
  };
  wipe(secret, shared, chain);
  return keys;
}

/** `[kind, ...byte strings]`, strictly. */
function decodeMessage(
  bytes: Uint8Array,
  kind: number,
  fields: number,
  maxBytes: number,
): readonly Uint8Array[] {
  const what = 'linking message';
  const list = decodeStrict(bytes, maxBytes, what);
  if (!Array.isArray(list) || list.length !== fields + 1 || list[0] !== kind)
    throw malformed(what, 'not expected now');
  const parts = (list as unknown[]).slice(1);
  if (!parts.every((part) => part instanceof Uint8Array)) throw malformed(what, 'not made of bytes');
  return parts as Uint8Array[];
}

function ephemeralKey(bytes: Uint8Array | undefined): Uint8Array {
  if (bytes?.length === 32) return bytes;
  throw malformed('linking message', 'its key is not 32 bytes');
}

/** The old computer's side: holds open invites and who answered them. */
export interface Inviter {
  /** A new code, shown to the person; valid for ten minutes. Throws `rate_limited` beyond 8 open ones. */
  invite(): Promise<{ readonly code: string; readonly expiresAt: number }>;
  /**
   * Takes the first message of a computer that wants to join.
   * @param from the device at the other end of the stream, as the transport proved it
   * @returns the answer to send at once, and the approval to send when a person has given it (rejects with `timeout` or
   * `cancelled`). The same device may ask again, e.g. after a broken connection.
   * @throws AppError `code_invalid` for an unknown, expired or already used code, `malformed`, `too_large`
   */
  handleJoin(
    bytes: Uint8Array,
    from: DeviceId,
  ): { readonly answer: Uint8Array; readonly info: JoinInfo; readonly approval: Promise<Uint8Array> };
  pending(): readonly JoinInfo[];
  /**
   * Approves the computer waiting on a code; `content` makes what it is given and may throw to refuse.
   * @throws AppError `code_invalid`, `not_found` when nobody has asked with this code yet
   */
  approve(code: string, content: (info: JoinInfo) => Uint8Array): JoinInfo;
  /** Takes an invite back. */
  cancel(code: string): void;
  stop(): void;
}

interface Invite {
  readonly code: string;
  readonly psk: Uint8Array;
  readonly expiresAt: number;
  readonly disarm: () => void;
  request: Request | null;
  /** What was approved, to be sent again to the same device. */
  content: Uint8Array | null;
}
interface Request {
  readonly info: JoinInfo;
  readonly seal: (content: Uint8Array) => Uint8Array;
  readonly approval: PromiseWithResolvers<Uint8Array>;
}

/**
 * @param deps.deviceId of this computer
 * @param deps.onRequest told when a computer with a right code has asked
 */
export function createInviter(deps: {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly deviceId: DeviceId;
  readonly onRequest?: (info: JoinInfo) => void;
}): Inviter {
  const { clock, random, deviceId } = deps;
  const ownKey = deviceKeyOf(deviceId);
  const invites = new Map<string, Invite>();

  function drop(invite: Invite, code: 'timeout' | 'cancelled'): void {
    if (!invites.delete(invite.code)) return;
    invite.disarm();
    const why = code === 'timeout' ? 'The linking code has expired.' : 'The linking was cancelled.';
    invite.request?.approval.reject(new AppError(code, why));
    wipe(invite.psk, invite.content);
  }

  function find(text: string): Invite {
    const invite = invites.get(parseInviteCode(text).code);
    if (invite && clock.now() < invite.expiresAt) return invite;
    throw new AppError('code_invalid', 'This linking code is unknown or has expired.');
  }

  return {
    async invite() {
      if (invites.size >= maxInvites) {
        throw new AppError('rate_limited', 'Too many linking codes are open; wait until one has expired.');
      }
      const code = newCode(random);
      const psk = await stretch(code, ownKey);
      const expiresAt = clock.now() + inviteLifetime;
      const disarm = clock.after(inviteLifetime, () => drop(invite, 'timeout'));
      const invite: Invite = { code, psk, expiresAt, disarm, request: null, content: null };
      invites.set(code, invite);
      return { code, expiresAt };
    },

    handleJoin(bytes, from) {
      const [joinerEphemeral, sealed] = decodeMessage(bytes, 1, 2, maxHandshakeBytes);
      const eJ = ephemeralKey(joinerEphemeral);
      const h1 = sha256(proto, ownKey, deviceKeyOf(from), eJ);
      for (const invite of invites.values()) {
        if (clock.now() >= invite.expiresAt) continue;
        const opened = aesGcmOpen(hkdf(invite.psk, 'join', h1), zeroNonce, sealed as Uint8Array, h1);
        if (!opened) continue;
        const name = new TextDecoder().decode(opened);
        if (nameProblem(name)) throw malformed('linking message', 'the name cannot be used');
        const before = invite.request;
        if (before && before.info.deviceId !== from) {
          throw new AppError('code_invalid', 'This linking code was already used by another computer.');
        }
        const secret = random(32);
        const eI = x25519Public(secret);
        const h2 = sha256(h1, bytes, eI);
        const keys = session(invite.psk, x25519(secret, eJ), h2);
        wipe(secret);
        const approved = invite.content !== null;
        const info = { code: invite.code, deviceId: from, name, digits: keys.digits, approved };
        const seal = (content: Uint8Array): Uint8Array =>
          encodeStrict([3, aesGcmSeal(keys.approval, zeroNonce, content, h2)]);
        const approval = Promise.withResolvers<Uint8Array>();
        approval.promise.catch(() => {}); // whoever waits is told; nobody waiting is no crash
        before?.approval.reject(new AppError('cancelled', 'The computer asked again.'));
        invite.request = { info, seal, approval };
        if (invite.content) approval.resolve(seal(invite.content));
        else deps.onRequest?.(info);
        return { answer: encodeStrict([2, eI, keys.confirm]), info, approval: approval.promise };
      }
      throw new AppError('code_invalid', 'This linking code is unknown or has expired.');
    },

    pending: () => [...invites.values()].flatMap((invite) => (invite.request ? [invite.request.info] : [])),

    approve(code, content) {
      const invite = find(code);
      const { request } = invite;
      if (!request) throw new AppError('not_found', 'No computer has asked to be linked with this code yet.');
      if (!invite.content) {
        invite.content = content(request.info);
        invite.request = { ...request, info: { ...request.info, approved: true } };
        request.approval.resolve(request.seal(invite.content));
      }
      return (invite.request as Request).info;
    },

    cancel: (code) => drop(find(code), 'cancelled'),
    stop() {
      for (const invite of [...invites.values()]) drop(invite, 'cancelled');
    },
  };
}

/** The new computer's side of one exchange. */
export interface Joiner {
  /** First message, to send to the inviter. */
  readonly join: Uint8Array;
  /**
   * Takes the answer; proves that the other side knows the code.
   * @returns the digits to show
   * @throws AppError `code_invalid`, `malformed`, `too_large`
   */
  handleAnswer(bytes: Uint8Array): { readonly digits: string };
  /** Opens the approval. Throws `bad_signature` when it was not made by who answered, `malformed`, `too_large`. */
  handleApproval(bytes: Uint8Array): Uint8Array;
}

/**
 * @param options.code as typed
 * @param options.name of this computer, shown on the other
 * @param options.inviter the device at the other end of the stream, as the transport proved it
 * @throws AppError `code_invalid`, `invalid_argument`
 */
export async function createJoiner(
  deps: { readonly random: RandomBytes; readonly deviceId: DeviceId },
  options: { readonly code: string; readonly name: string; readonly inviter: DeviceId },
): Promise<Joiner> {
  const inviterKey = deviceKeyOf(options.inviter);
  const name = Buffer.from(cleanName(options.name));
  const psk = await stretch(parseInviteCode(options.code).code, inviterKey);
  const secret = deps.random(32);
  const eJ = x25519Public(secret);
  const h1 = sha256(proto, inviterKey, deviceKeyOf(deps.deviceId), eJ);
  const join = encodeStrict([1, eJ, aesGcmSeal(hkdf(psk, 'join', h1), zeroNonce, name, h1)]);
  let established: { readonly approval: Uint8Array; readonly h2: Uint8Array } | null = null;

  return {
    join,
    handleAnswer(bytes) {
      const [inviterEphemeral, confirm] = decodeMessage(bytes, 2, 2, maxHandshakeBytes);
      const eI = ephemeralKey(inviterEphemeral);
      const h2 = sha256(h1, join, eI);
      const keys = session(psk, x25519(secret, eI), h2);
      if (confirm?.length !== 32 || !timingSafeEqual(confirm, keys.confirm)) {
        throw new AppError('code_invalid', 'The other computer does not know this linking code.');
      }
      established = { approval: keys.approval, h2 };
      wipe(psk, secret);
      return { digits: keys.digits };
    },
    handleApproval(bytes) {
      if (!established) throw new AppError('protocol_violation', 'The approval came before the answer.');
      const [sealed] = decodeMessage(bytes, 3, 1, maxApprovalBytes);
      const content = aesGcmOpen(established.approval, zeroNonce, sealed as Uint8Array, established.h2);
      if (!content)
        throw new AppError('bad_signature', 'The approval was not made by the computer that invited.');
      return content;
    },
  };
}
