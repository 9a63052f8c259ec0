import { merkleLeaves, merkleRoot } from '../history/index.ts';
import type { Entry, EntryDraft, History } from '../history/index.ts';
import type { Signer } from '../identity/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import type { RandomBytes } from '../../src-shared/runtime.ts';
import type { AccessLog } from './access/access-log.ts';
import { roleRank } from './access/evaluate.ts';
import { encodeBody, sealBytes, splitOps, targetBodyBytes, targetOpsPerBody } from './codec/body.ts';
import { byteKey, unhex } from './codec/bytes.ts';
import { encodeOp } from './codec/ops.ts';
import type { WireOp } from './codec/ops.ts';
import type { DriveIdentity } from './deps.ts';
import { createPace } from './pace.ts';
import type { Rights } from './rights.ts';
import type { Drafts } from './tree/drafts.ts';
import type { RegisterStore } from './registers.ts';
import type { DrivePurpose, OpDraft, OpId } from './types.ts';

/** Bodies signed and flushed to disk together. */
const bodiesPerAppend = 8;
/** Room for the writer certificate in the first body of a feed. */
const certificateRoom = 2048;
/** What the largest header and the sealing of an entry may add to its operations. */
const entryRoom = 4096;

export interface CommitDeps {
  /** Hash of the genesis entry. */
  readonly drive: Uint8Array;
  readonly signer: Signer;
  readonly identity: DriveIdentity;
  readonly history: History;
  readonly access: AccessLog;
  readonly rights: Rights;
  readonly drafts: Drafts;
  readonly registers: Pick<RegisterStore, 'touches' | 'translate'>;
  readonly purpose: () => DrivePurpose | null;
  /** Whether this person may write so many more bytes and entries into a collection. */
  readonly fits: (bytes: number, entries: number) => boolean;
  readonly random: RandomBytes;
  readonly certificate: () => Uint8Array;
  /** Applies and announces entries just stored; the map has the operations of each by `byteKey` of its hash. */
  readonly added: (
    entries: readonly Entry[],
    operations: ReadonlyMap<string, readonly WireOp[]>,
  ) => Promise<void>;
}

/** Operations translated and encoded, but not written yet. */
interface Batch {
  readonly ops: WireOp[];
  readonly encoded: Uint8Array[];
  bytes: number;
  /** For each draft the index of the operation that names it. */
  readonly mains: number[];
  /** Nodes made in this batch, and nodes it says anything of. */
  readonly made: Set<string>;
  readonly touched: Set<string>;
}

const emptyBatch = (): Batch => ({
  ops: [],
  encoded: [],
  bytes: 0,
  mains: [],
  made: new Set(),
  touched: new Set(),
});

/**
 * Turns what is asked for into signed entries of this device and applies them. Drafts go together into batches as long as none
 * needs the result of an earlier one; a batch becomes a few bodies, stored with one disk flush, applied one by one.
 * @returns the function behind `Drive.commit`; not to be called again before it is done
 */
export function createCommitter(deps: CommitDeps): (list: readonly OpDraft[]) => Promise<readonly OpId[]> {
  const { access, drafts, history, identity, random, registers, rights, signer } = deps;

  function checkRights(list: readonly OpDraft[]): void {
    const needed = list.some((draft) => draft.t === 'mount') ? 'manager' : 'editor';
    if (roleRank(rights.roleOf(identity.userId)) >= roleRank(needed)) return;
    rights.epoch(); // Not being able to read yet is the better answer when that is the reason.
    throw new AppError('forbidden', 'Your role in this drive does not allow changes.');
  }

  function checkKind(list: readonly OpDraft[]): void {
    const collection = deps.purpose() !== null;
    if (list.every((draft) => (draft.t === 'set') === collection)) return;
    throw new AppError('unsupported', 'A collection holds keys and values only, a drive of files has none.');
  }

  /** Writes a batch as entries; returns the id of each operation. */
  async function write({ ops, encoded }: Batch, pace: () => Promise<void>): Promise<readonly OpId[]> {
    const epoch = rights.epoch();
    const keyEpoch = unhex(epoch.id);
    const bodyKey = access.keyring.bodyKey(epoch.id);
    const links = rights.links();

    /** Seals one body; salts and nonce are fresh. */
    const seal = (bytes: readonly Uint8Array[]): EntryDraft => {
      const salt = random(32);
      const opsRoot = merkleRoot(merkleLeaves(salt, bytes));
      const binding = { drive: deps.drive, writer: signer.publicKey, keyEpoch, opsRoot };
      const body = sealBytes(bodyKey, random(12), encodeBody({ salt, ops: bytes }), binding);
      return { kind: 'ops', access: links, keyEpoch, opsRoot, body };
    };

    const ids: OpId[] = [];
    const parts = splitOps(
      encoded.map((op) => op.length),
      certificateRoom,
    );
    const bytes = encoded.reduce((sum, op) => sum + op.length, parts.length * entryRoom);
    if (deps.purpose() !== null && !deps.fits(bytes, parts.length)) {
      throw new AppError(
        'quota_exceeded',
        'You have written as much into this collection as one member may; begin another one.',
      );
    }
    for (let at = 0; at < parts.length; at += bodiesPerAppend) {
      const group: { wire: WireOp[]; draft: EntryDraft }[] = [];
      for (const part of parts.slice(at, at + bodiesPerAppend)) {
        const wire = ops.slice(part.start, part.end);
        const bytes = encoded.slice(part.start, part.end);
        // The first entry of a feed says who writes it.
        if (at + group.length === 0 && history.ownTip() === null) {
          const cert: WireOp = { t: 'cert', cert: deps.certificate() };
          wire.unshift(cert);
          bytes.unshift(encodeOp(cert));
        }
        group.push({ wire, draft: seal(bytes) });
        await pace();
      }
      const stored = await history.append(group.map((one) => one.draft));
      await deps.added(
        stored,
        new Map(stored.map((entry, i) => [byteKey(entry.hash), group[i]?.wire ?? []])),
      );
      stored.forEach((entry, i) => {
        group[i]?.wire.forEach((op, index) => {
          if (op.t !== 'cert') ids.push(`${entry.id}/${index}`);
        });
      });
    }
    return ids;
  }

  return async (list) => {
    if (list.length === 0) return [];
    checkRights(list);
    checkKind(list);
    const pace = createPace();
    const ids: OpId[] = [];
    let batch = emptyBatch();
    const flush = async (): Promise<void> => {
      if (batch.ops.length === 0) return;
      const written = await write(batch, pace);
      for (const main of batch.mains) ids.push(written[main] as OpId);
      batch = emptyBatch();
    };
    for (const draft of list) {
      const touches = draft.t === 'set' ? [registers.touches(draft)] : drafts.touches(draft).map(byteKey);
      if (touches.some((node) => batch.touched.has(node))) await flush();
      const { ops, main } =
        draft.t === 'set' ? registers.translate(draft) : drafts.translate(draft, batch.made);
      for (const node of touches) batch.touched.add(node);
      if (draft.t === 'make') batch.made.add(byteKey(unhex(draft.node)));
      batch.mains.push(batch.ops.length + main);
      for (const op of ops) {
        const bytes = encodeOp(op);
        batch.ops.push(op);
        batch.encoded.push(bytes);
        batch.bytes += bytes.length;
      }
      const full =
        batch.bytes >= targetBodyBytes * bodiesPerAppend ||
        batch.ops.length >= targetOpsPerBody * bodiesPerAppend;
      if (full) await flush();
      await pace();
    }
    await flush();
    return ids;
  };
}
