import type { FeedTip } from '../../history/index.ts';
import { byteList, decodeCbor, encodeCbor, hex, itemsOf, malformed, sha256, unhex } from '../codec/bytes.ts';
import type { Items } from '../codec/bytes.ts';
import type { EpochId, Role } from '../types.ts';

/**
 * `grant` gives or raises a role; `lower` takes one down, `remove` takes it away, `revoke` cuts off one device: these
 * three start a key epoch. `keys` hands keys to members who lack them and changes no rights. `invite` opens an invitation
 * by link, `uninvite` ends an unused one, `lapse` a used one and starts an epoch. `open` lets in whoever knows the read key
 * (unlisted) or everybody (public: the key stands in the readable part); `close` ends that and starts an epoch.
 */
export type AccessKind =
  | 'genesis'
  | 'grant'
  | 'lower'
  | 'remove'
  | 'revoke'
  | 'keys'
  | 'invite'
  | 'uninvite'
  | 'lapse'
  | 'open'
  | 'close';
const kinds: readonly AccessKind[] = [
  ...(['genesis', 'grant', 'lower', 'remove', 'revoke', 'keys'] as const),
  ...(['invite', 'uninvite', 'lapse', 'open', 'close'] as const),
];
const epochKinds: ReadonlySet<AccessKind> = new Set<AccessKind>([
  ...(['genesis', 'lower', 'remove', 'revoke', 'lapse', 'close'] as const),
]);
const roles: readonly Role[] = ['owner', 'manager', 'editor', 'reader'];
export const startsEpoch = (kind: AccessKind): boolean => epochKinds.has(kind);
export const isRemoval = (kind: AccessKind): boolean =>
  kind === 'lower' || kind === 'remove' || kind === 'revoke';

const what = 'access entry';
const maxBody = 2 * 1024 * 1024;
const maxList = 4096;
/** The only purpose so far. */
const collectionPurpose = 'collection';
const maxAppBytes = 128;

/** What anyone who holds the chain can read of an access entry. */
export interface ReadablePart {
  readonly kind: AccessKind;
  /** The epochs whose keys are in the boxes; `self` for the epoch this entry starts. */
  readonly epochs: readonly EpochId[];
  /** ECIES boxes that name nobody, each holding the keys of `epochs` in order (32 bytes each). */
  readonly wraps: readonly Uint8Array[];
  /** Commits to the key of the epoch this entry starts; null when it starts none. */
  readonly check: Uint8Array | null;
  /** Keys of the preceding epochs sealed under the new one. */
  readonly previous: readonly { readonly epoch: EpochId; readonly sealed: Uint8Array }[];
  /** Last accepted entry of every feed it cuts off. */
  readonly frontier: readonly FeedTip[];
  /** SHA-256 of the salted writer certificate inside the sealed part: lets a proof open that alone. */
  readonly certHash: Uint8Array;
  /** `open`, of a public drive: the X25519 secret that opens the boxes made for readers without a role. */
  readonly readSecret: Uint8Array | null;
}

/** What some kinds say beyond the rest, for members only. */
export type AccessExtra =
  /** `invite`: the terms. `key` verifies proofs of the link's secret; `expires` ms, `uses`: null means without limit. */
  | {
      readonly t: 'invite';
      readonly key: Uint8Array;
      readonly expires: number | null;
      readonly uses: number | null;
    }
  /** `grant`: the invitation it was given for. `uninvite`, `lapse`: the one that ends. 32 hex characters. */
  | { readonly t: 'via'; readonly invite: string }
  /** `genesis`: what the drive is for, when it is no ordinary one; see `DrivePurpose`. */
  | { readonly t: 'purpose'; readonly app: string }
  /** `open`: to whom, and the secret of the readers' X25519 key. */
  | { readonly t: 'open'; readonly visibility: 'unlisted' | 'public'; readonly secret: Uint8Array };

/** What only members can read. */
export interface SealedPart {
  readonly certSalt: Uint8Array;
  readonly cert: Uint8Array;
  /** Whom it is about; '' for `keys`. */
  readonly user: string;
  /** The new role; null where none is given. */
  readonly role: Role | null;
  /** The user's X25519 key the boxes are made for; null where no role is given. */
  readonly encKey: Uint8Array | null;
  /** The revoked device's key. */
  readonly device: Uint8Array | null;
  /** `keys`: to whom keys are handed. */
  readonly receivers: readonly string[];
  /** The drive's name, in the genesis entry; '' elsewhere. */
  readonly name: string;
  readonly extra: AccessExtra | null;
}

export const certHashOf = (salt: Uint8Array, cert: Uint8Array): Uint8Array =>
  sha256('extrachain cert v1\0', salt, cert);

/** The readable part alone: what the sealed part is bound to. */
export function encodeReadable(part: ReadablePart): Uint8Array {
  return encodeCbor([
    1,
    kinds.indexOf(part.kind),
    part.epochs.map((epoch) => (epoch === 'self' ? new Uint8Array(32) : unhex(epoch))),
    part.wraps,
    part.check,
    part.previous.map((item) => [unhex(item.epoch), item.sealed]),
    part.frontier.map((tip) => [tip.writer, tip.incarnation, tip.seq, tip.hash]),
    part.certHash,
    ...(part.readSecret === null ? [] : [part.readSecret]),
  ]);
}

/** Fields of an array of `length` items, or of one more. */
function fieldsOf(bytes: Uint8Array, length: number): { items: Items; more: boolean } {
  const value = decodeCbor(bytes, maxBody, what);
  const more = Array.isArray(value) && value.length === length + 1;
  return { items: itemsOf(value, more ? length + 1 : length, what), more };
}

export function encodeAccessBody(readable: Uint8Array, sealed: Uint8Array): Uint8Array {
  return encodeCbor([readable, sealed]);
}

/** @throws AppError `too_large`, `malformed` */
export function decodeAccessBody(bytes: Uint8Array): {
  readonly readableBytes: Uint8Array;
  readonly readable: ReadablePart;
  readonly sealed: Uint8Array;
} {
  const pair = itemsOf(decodeCbor(bytes, maxBody, what), 2, what);
  const readableBytes = pair.bytes(0);
  const { items, more } = fieldsOf(readableBytes, 8);
  if (items.any(0) !== 1) throw malformed(what, 'its version is unknown');
  const kind = kinds[items.whole(1, kinds.length - 1)] as AccessKind;
  const epochs = byteList(items.list(2, 64), 32, what).map((epoch) =>
    epoch.every((byte) => byte === 0) ? ('self' as const) : hex(epoch),
  );
  const wraps = items.list(3, maxList).map((box) => {
    if (!(box instanceof Uint8Array)) throw malformed(what, 'a box is no byte string');
    return box;
  });
  const check = items.any(4) === null ? null : items.bytes(4, 32);
  if ((check !== null) !== startsEpoch(kind))
    throw malformed(what, 'its key epoch is not as its kind needs it');
  const previous = items.list(5, 64).map((value) => {
    const item = itemsOf(value, 2, what);
    return { epoch: hex(item.bytes(0, 32)), sealed: item.bytes(1, 48) };
  });
  const frontier = items.list(6, maxList).map((value) => {
    const item = itemsOf(value, 4, what);
    const incarnation = item.whole(1, 2 ** 48 - 1);
    return { writer: item.bytes(0, 32), incarnation, seq: item.whole(2), hash: item.bytes(3, 32) };
  });
  if (more && kind !== 'open') throw malformed(what, 'its fields are not those expected');
  const readSecret = more ? items.bytes(8, 32) : null;
  const certHash = items.bytes(7, 32);
  const readable = { kind, epochs, wraps, check, previous, frontier, certHash, readSecret };
  return { readableBytes, readable, sealed: pair.bytes(1) };
}

export function encodeSealedPart(part: SealedPart): Uint8Array {
  const role = part.role === null ? -1 : roles.indexOf(part.role);
  return encodeCbor([
    part.certSalt,
    part.cert,
    part.user,
    role + 1,
    part.encKey,
    part.device,
    part.receivers,
    part.name,
    ...(part.extra === null ? [] : [extraToWire(part.extra)]),
  ]);
}

function extraToWire(extra: AccessExtra): unknown[] {
  switch (extra.t) {
    case 'invite':
      return [1, extra.key, extra.expires, extra.uses];
    case 'via':
      return [2, unhex(extra.invite)];
    case 'open':
      return [3, extra.visibility === 'public' ? 1 : 0, extra.secret];
    case 'purpose':
      return [4, collectionPurpose, extra.app];
  }
}

function extraFromWire(value: unknown): AccessExtra {
  const length = Array.isArray(value) ? value.length : 0;
  const items = itemsOf(value, length, what);
  const limit = (index: number): number | null => (items.any(index) === null ? null : items.whole(index));
  if (length === 4 && items.any(0) === 1) {
    return { t: 'invite', key: items.bytes(1, 32), expires: limit(2), uses: limit(3) };
  }
  if (length === 2 && items.any(0) === 2) return { t: 'via', invite: hex(items.bytes(1, 16)) };
  if (length === 3 && items.any(0) === 3) {
    const visibility = items.whole(1, 1) === 1 ? 'public' : 'unlisted';
    return { t: 'open', visibility, secret: items.bytes(2, 32) };
  }
  if (length === 3 && items.any(0) === 4 && items.any(1) === collectionPurpose) {
    const app = items.text(2);
    if (app === '' || Buffer.byteLength(app) > maxAppBytes) throw malformed(what, 'its app has no usable id');
    return { t: 'purpose', app };
  }
  throw malformed(what, 'its last field is not one expected');
}

/** @throws AppError `too_large`, `malformed` */
export function decodeSealedPart(bytes: Uint8Array): SealedPart {
  const { items, more } = fieldsOf(bytes, 8);
  const role = items.whole(3, roles.length);
  const receivers = items.list(6, maxList).map((user) => {
    if (typeof user !== 'string') throw malformed(what, 'a receiver is no user');
    return user;
  });
  return {
    certSalt: items.bytes(0, 32),
    cert: items.bytes(1),
    user: items.text(2),
    role: role === 0 ? null : (roles[role - 1] as Role),
    encKey: items.any(4) === null ? null : items.bytes(4, 32),
    device: items.any(5) === null ? null : items.bytes(5, 32),
    receivers,
    name: items.text(7),
    extra: more ? extraFromWire(items.any(8)) : null,
  };
}
