import { merkleLeaves, merklePath, opSalt } from '../history/index.ts';
import type { History } from '../history/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import { hex, sameBytes } from './codec/bytes.ts';
import type { AccessLog } from './access/access-log.ts';
import type { Entries } from './entries.ts';
import { createPace } from './pace.ts';
import { encodeProof } from './proof-codec.ts';
import type { OpenedCert, OpenedOp, ProofParts } from './proof-codec.ts';
import { entryStatus } from './schema.ts';
import { rootId } from './tree/operations.ts';
import { entryOfRef, indexOfRef, refOf } from './tree/place.ts';
import { parseOpId } from './tree/reader.ts';
import type { TreeReader } from './tree/reader.ts';
import type { TreeStore } from './tree/store.ts';
import type { DriveCheck, OpId } from './types.ts';
import type { createVersions } from './versions.ts';

export interface ProverDeps {
  readonly drive: Uint8Array;
  readonly history: History;
  readonly entries: Entries;
  readonly access: AccessLog;
  readonly versions: ReturnType<typeof createVersions>;
  readonly reader: TreeReader;
  readonly store: TreeStore;
}

/** Makes proofs of single versions, and checks the whole drive. */
export function createProver(deps: ProverDeps) {
  const { drive, history, entries, access, store } = deps;

  function openOp(ref: Uint8Array): OpenedOp {
    const hash = entryOfRef(ref);
    const index = indexOfRef(ref);
    const body = entries.openBody(history.get(hash));
    const op = body?.ops[index];
    if (!body || !op) throw new AppError('key_missing', 'The key to this part of the history is not here.');
    return {
      chain: history.headerChain(hash),
      op,
      salt: opSalt(body.salt, index),
      index,
      size: body.ops.length,
      path: merklePath(merkleLeaves(body.salt, body.ops), index),
    };
  }

  function openCert(hash: Uint8Array): OpenedCert {
    const opened = access.opened(hex(hash));
    if (!opened) throw new AppError('key_missing', 'The key to this part of the history is not here.');
    const { certSalt, cert } = opened.sealed;
    return { chain: history.headerChain(hash), body: opened.entry.body, salt: certSalt, cert };
  }

  function writerPart(hash: Uint8Array): ProofParts['writer'] {
    const first = entries.firstBelow(hash);
    if (!first) throw new AppError('not_found', 'The certificate of the writer is not here.');
    if (sameBytes(first.hash, drive)) return null;
    if (first.access === 1) return { access: openCert(first.hash) };
    const ref = new Uint8Array(35);
    ref.set(first.hash);
    return { ops: openOp(ref) };
  }

  /** The path the operations give a node: a conflict name is not part of it. */
  function pathOf(node: Uint8Array): string {
    const names: string[] = [];
    for (let at = node; !sameBytes(at, rootId);) {
      const row = store.operations.locations(at).findLast((one) => one.skipped === 0);
      if (!row) break;
      names.push(row.name);
      at = row.parent;
    }
    return names.reverse().join('/');
  }

  /** The operations that place a node, from itself up to the top. */
  function places(node: Uint8Array): OpenedOp[] {
    const found: OpenedOp[] = [];
    for (let at = node; !sameBytes(at, rootId);) {
      const row = store.operations.locations(at).findLast((one) => one.skipped === 0);
      if (!row) throw new AppError('not_found', 'The folder of this file is not known.');
      found.push(openOp(refOf(row.ord)));
      at = row.parent;
    }
    return found;
  }

  /**
   * @param version of the file at `path`; the one shown there when left out
   * @throws AppError `not_found`, `invalid_argument`; `unsupported` for what shows under a name no operation gave it
   */
  function prove(path: string, version: OpId | undefined): Uint8Array {
    const node = deps.versions.nodeAt(path);
    const row = node && store.items.get(node);
    const known = deps.versions.versions(path).filter((one) => one.content !== null);
    const wanted = version ?? (row ? deps.reader.opName(refOf(row.ver)) : known[0]?.version);
    if (!node || wanted === undefined) throw new AppError('not_found', 'There is no such file in the drive.');
    const ref = parseOpId(wanted);
    const content = store.operations.contentNode(ref);
    if (!content) throw new AppError('not_found', 'There is no such version of this file.');
    const isCopy = row?.derived === 1;
    if (row && pathOf(isCopy ? row.node : node) !== path && deps.reader.tree.resolve(path)) {
      throw new AppError(
        'unsupported',
        'This is a conflict copy; its name is not in the history until somebody renames it. Rename it, then prove it.',
      );
    }
    const own = sameBytes(content, node) || (isCopy && sameBytes(content, row.node));
    const adoption = own ? null : store.operations.adoptionOf(ref, node);
    if (!own && !adoption) throw new AppError('not_found', 'There is no such version of this file.');
    return encodeProof({
      genesis: openCert(drive),
      writer: writerPart(entryOfRef(ref)),
      content: openOp(ref),
      adoption: adoption && openOp(refOf(adoption)),
      // A copy that nobody touched yet lies where its original lies.
      places: places(isCopy ? row.node : node),
    });
  }

  /** Reads the whole chain again: bytes, links, signatures, and the rights of every writer from genesis. */
  async function verify(): Promise<DriveCheck> {
    const check = await history.verify();
    const pace = createPace();
    const forbidden: { id: string; reason: string }[] = [];
    const quarantined: string[] = [];
    const rejected = [...check.rejected];
    for (const entry of history.inOrder()) {
      const booked = entries.status(entry.hash);
      const { status, reason } = entries.audit(entry);
      if (status === entryStatus.forbidden) forbidden.push({ id: entry.id, reason: reason ?? 'forbidden' });
      if (status === entryStatus.quarantined) quarantined.push(entry.id);
      if (status === entryStatus.malformed) {
        const error = new AppError('malformed', 'The content of this entry makes no sense.');
        rejected.push({ id: entry.id, error });
      }
      if (booked && booked.status !== status) {
        const error = new AppError('corrupt', 'The tree was built from another judgement of this entry.');
        rejected.push({ id: entry.id, error });
      }
      await pace();
    }
    return { ...check, ok: check.ok && rejected.length === 0, rejected, forbidden, quarantined };
  }

  return { prove, verify };
}
