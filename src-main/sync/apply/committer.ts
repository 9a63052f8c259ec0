import { isAppError, AppError } from '../../../src-shared/errors.ts';
import type { Content, Drive, FileContent, NodeId, OpDraft } from '../../drive/index.ts';
import { createPace } from '../pace.ts';
import type { LocalRow, SyncState } from '../state/index.ts';
import type { PlanOp } from '../types.ts';

export type CommitOp = Extract<PlanOp, { t: 'make' | 'move' | 'put' | 'del' }>;

export function isCommit(op: PlanOp): op is CommitOp {
  return op.t === 'make' || op.t === 'move' || op.t === 'put' || op.t === 'del';
}

export interface Committer {
  /**
   * Signs local changes into the history and remembers them as agreed. @returns nodes whose content is not known any more
   * and has to be read again, so that nothing was committed for them
   * @throws AppError `forbidden` when this device may only read the drive
   */
  commit(ops: readonly CommitOp[]): Promise<readonly NodeId[]>;
}

export function createCommitter(deps: {
  readonly drive: Drive;
  readonly state: SyncState;
  readonly pending: Map<NodeId, FileContent>;
}): Committer {
  const { drive, state, pending } = deps;
  const pace = createPace();

  function contentOf(row: LocalRow): Content | null | 'unknown' {
    if (row.kind === 'dir') return null;
    if (row.held !== 'here') return 'unknown';
    if (row.kind === 'link') return { kind: 'link', target: row.content.slice('link:'.length) };
    const known = pending.get(row.id);
    if (known && Buffer.from(known.hash).toString('hex') === row.content && known.exec === row.exec)
      return known;
    const synced = state.synced.get(row.id);
    const before = synced === null ? null : drive.contentOf(synced.version);
    if (before?.kind === 'file' && Buffer.from(before.hash).toString('hex') === row.content) {
      return { ...before, exec: row.exec };
    }
    return 'unknown';
  }

  function draftOf(op: CommitOp, row: LocalRow | null): OpDraft | null | 'unknown' {
    if (op.t === 'del') {
      // The last of several doors: what is held online only is absent by choice, not deleted.
      if (row !== null || state.synced.get(op.id)?.held !== undefined) return null;
      return { t: 'del', node: op.id, base: op.base };
    }
    if (row === null) return null;
    if (op.t === 'move') return { t: 'move', node: op.id, parent: row.parent, name: row.name };
    const content = contentOf(row);
    if (content === 'unknown') return 'unknown';
    if (op.t === 'make') {
      return { t: 'make', node: op.id, kind: row.kind, parent: row.parent, name: row.name, content };
    }
    return content === null ? null : { t: 'put', node: op.id, base: op.base, content };
  }

  return {
    async commit(ops) {
      const drafts: OpDraft[] = [];
      const rows: { readonly op: CommitOp; readonly row: LocalRow | null }[] = [];
      const unknown: NodeId[] = [];
      for (const op of ops) {
        await pace.breathe();
        const row = state.local.get(op.id);
        const draft = draftOf(op, row);
        if (draft === 'unknown') {
          // What follows may rest on it (a file in a folder does not, but a chain of names does): stop here.
          unknown.push(op.id);
          continue;
        }
        if (draft === null) continue;
        drafts.push(draft);
        rows.push({ op, row });
      }
      if (drafts.length === 0) return unknown;
      if (drive.ownRole() === 'reader') {
        throw new AppError(
          'forbidden',
          'You may only read this drive, so changes made here stay on this computer.',
        );
      }
      const versions = await drive.commit(drafts);
      await state.inSlices(rows.entries(), ([index, { op, row }]) => {
        const version = versions[index] ?? '';
        if (op.t === 'del') return state.synced.remove(op.id);
        if (row === null) return;
        if (op.t === 'make') return state.synced.set({ ...plain(row), version });
        const base = state.synced.get(op.id);
        if (op.t === 'move') {
          if (base !== null) state.synced.set({ ...base, parent: row.parent, name: row.name });
        } else {
          state.synced.set({ ...(base ?? plain(row)), content: row.content, exec: row.exec, version });
          state.synced.setOnline(op.id, false);
        }
      });
      for (const { op } of rows) if (op.t !== 'move') pending.delete(op.id);
      return unknown;
    },
  };
}

function plain({ id, parent, name, kind, content, exec, version }: LocalRow) {
  return { id, parent, name, kind, content, exec, version };
}

/** A commit that failed because of rights: local changes stay local. */
export function isForbidden(error: unknown): boolean {
  return isAppError(error, 'forbidden') || isAppError(error, 'not_allowed');
}
