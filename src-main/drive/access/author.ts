import type { EntryDraft, FeedTip } from '../../history/index.ts';
import { wrapFor } from '../../identity/index.ts';
import type { RandomBytes } from '../../../src-shared/runtime.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { concat, unhex, zero32 } from '../codec/bytes.ts';
import { sealBytes } from '../codec/body.ts';
import { bodyKeyOf, keyCheckOf, sealPreviousKey } from '../keys.ts';
import type { EpochId, Role } from '../types.ts';
import { accessBinding } from './access-log.ts';
import { certHashOf, encodeAccessBody, encodeReadable, encodeSealedPart, startsEpoch } from './codec.ts';
import type { AccessExtra, AccessKind } from './codec.ts';

export interface AccessDraft {
  readonly kind: AccessKind;
  readonly user: string;
  readonly role: Role | null;
  readonly encKey: Uint8Array | null;
  readonly device: Uint8Array | null;
  readonly receivers: readonly string[];
  readonly name: string;
  /** Left out: none. */
  readonly extra?: AccessExtra | null;
  readonly frontier: readonly FeedTip[];
  /** X25519 keys the boxes are made for. */
  readonly boxesFor: readonly Uint8Array[];
  /** Known keys to put into the boxes; an entry that starts an epoch puts the new one there. */
  readonly handOut: readonly { readonly id: EpochId; readonly key: Uint8Array }[];
  /** Epochs in use before, whose keys the new one shall open. */
  readonly previous: readonly { readonly id: EpochId; readonly key: Uint8Array }[];
}

export interface AccessContext {
  /** null for the genesis entry. */
  readonly drive: Uint8Array | null;
  readonly writer: Uint8Array;
  readonly cert: Uint8Array;
  readonly links: readonly Uint8Array[];
  /** The epoch in use; null for the genesis entry, which is sealed under the key it starts. */
  readonly epoch: { readonly id: EpochId; readonly key: Uint8Array } | null;
  readonly random: RandomBytes;
}

/** Builds the body of an access entry and, for those that start an epoch, its key. */
export function buildAccessEntry(draft: AccessDraft, context: AccessContext): EntryDraft {
  const { random } = context;
  const newKey = startsEpoch(draft.kind) ? random(32) : null;
  const sealKey = context.epoch?.key ?? newKey;
  if (!sealKey) throw new AppError('key_missing', 'The key of this drive has not arrived yet.');
  const content = newKey ?? concat(...draft.handOut.map((item) => item.key));
  const certSalt = random(32);
  const extra = draft.extra ?? null;
  const published = extra?.t === 'open' && extra.visibility === 'public';
  const readable = encodeReadable({
    kind: draft.kind,
    epochs: newKey ? ['self'] : draft.handOut.map((item) => item.id),
    wraps: draft.boxesFor.map((encKey) => wrapFor(encKey, content, random)),
    check: newKey && keyCheckOf(newKey),
    previous: newKey
      ? draft.previous.map((item) => ({ epoch: item.id, sealed: sealPreviousKey(newKey, item.id, item.key) }))
      : [],
    frontier: draft.frontier,
    certHash: certHashOf(certSalt, context.cert),
    readSecret: published ? extra.secret : null,
  });
  const { user, role, encKey, device, receivers, name } = draft;
  const sealedPart = encodeSealedPart({
    certSalt,
    cert: context.cert,
    user,
    role,
    encKey,
    device,
    receivers,
    name,
    extra,
  });
  const keyEpoch = context.epoch ? unhex(context.epoch.id) : zero32;
  const binding = accessBinding(context.drive, context.writer, keyEpoch, readable);
  return {
    kind: 'access',
    access: context.links,
    keyEpoch,
    opsRoot: zero32,
    body: encodeAccessBody(readable, sealBytes(bodyKeyOf(sealKey), random(12), sealedPart, binding)),
  };
}
