import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import type { Drive, NodeId } from '../../drive/index.ts';
import { isCommit, isForbidden, type Committer, type CommitOp } from '../apply/committer.ts';
import type { Executor, Landing } from '../apply/executor.ts';
import type { Staging } from '../apply/staging.ts';
import type { Boundary } from '../mounts/boundary.ts';
import { startPlan } from '../plan/plan.ts';
import { contentKey } from '../plan/rows.ts';
import type { Problems } from '../problems.ts';
import type { SyncState } from '../state/index.ts';
import type { Plan, PlanOp, SyncRow } from '../types.ts';
import type { Agenda } from './agenda.ts';
import type { RemoteView } from './remote-view.ts';

export interface PlanRunnerDeps {
  readonly drive: Drive;
  readonly remote: RemoteView;
  readonly state: SyncState;
  readonly agenda: Agenda;
  readonly staging: Staging;
  readonly executor: Executor;
  readonly committer: Committer;
  readonly problems: Problems;
  readonly boundary: Boundary;
  readonly newId: () => NodeId;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Deletes may go into the history now (no scan under way, no mass delete that waits for a person). */
  readonly deletesAllowed: () => boolean;
  /** What is in the folder is known, so nothing is fetched that is here already. */
  readonly fetchesAllowed: () => boolean;
  /** This device does not take that step; it is a difference that stays. */
  readonly refuses: (op: PlanOp) => boolean;
  readonly diskFull: () => void;
  readonly diskFine: () => void;
  /** The content of these is not known any more. */
  readonly readAgain: (ids: readonly NodeId[]) => void;
}

/** About how many nodes are compared for one plan: large enough to share flushes of the disk, small enough to stay current. */
export const planSize = 512;

/** Plans at a few nodes and does what the plan says. Must run alone (nothing else changes rows meanwhile). */
export function createPlanRunner(deps: PlanRunnerDeps): (ids: readonly NodeId[]) => Promise<void> {
  const { agenda, state, staging, problems } = deps;
  const { tree } = deps.drive;
  /** Nodes with a problem: how often it failed and the path the problem is shown at. */
  const failing = new Map<NodeId, { times: number; path: string }>();

  function pathOf(id: NodeId): string {
    return deps.drive.tree.path(id) ?? state.local.path(id) ?? '';
  }

  function failed(id: NodeId, error: unknown): void {
    const failure = isAppError(error)
      ? error
      : new AppError('internal', 'It could not be brought in step; it is tried again.', { cause: error });
    const before = failing.get(id);
    const times = (before?.times ?? 0) + 1;
    const path = before?.path ?? pathOf(id);
    failing.set(id, { times, path });
    // Somebody works in the folder at the same time: what was planned on has moved on, and the next look will see it.
    const soon = failure.code === 'changed_while_reading' || failure.code === 'not_found';
    if (failure.code === 'disk_full') deps.diskFull();
    else if (!soon || times > 20) problems.add(path, failure);
    if (failure.code === 'internal') deps.logger.error({ err: failure }, 'a step of the plan failed');
    agenda.postpone(id, soon ? Math.min(5000, 120 * times) : Math.min(60_000, 500 * 2 ** Math.min(times, 7)));
  }

  function worked(id: NodeId): void {
    const before = failing.get(id);
    if (before === undefined) return;
    failing.delete(id);
    problems.clear(before.path);
  }

  /** A file to write: what is needed to put it in place, or null when its bytes have to come first. */
  function landingOf(node: SyncRow): Landing | null {
    if (node.kind === 'link') return { node, staged: null };
    const content = deps.remote.content(node.id);
    // Of another version by now: bytes and executable bit have to be those the row will say.
    if (content?.kind !== 'file' || contentKey(content) !== node.content || content.exec !== node.exec) {
      agenda.add(node.id);
      return null;
    }
    const staged = staging.take(node.id, content);
    if (staged === null) {
      if (deps.fetchesAllowed()) staging.want(node.id, content);
      else agenda.park(node.id, 'scan');
    }
    return staged === null ? null : { node, staged };
  }

  async function commitAll(ops: readonly CommitOp[]): Promise<void> {
    if (ops.length === 0) return;
    const ids = ops.map((op) => op.id);
    try {
      const unknown = await deps.committer.commit(ops);
      if (unknown.length > 0) deps.readAgain(unknown);
      const skipped = new Set(unknown);
      for (const id of ids) {
        if (skipped.has(id)) agenda.postpone(id, 500);
        else {
          worked(id);
          agenda.add(id);
        }
      }
    } catch (error) {
      if (isForbidden(error)) {
        problems.whole('rights', error as AppError);
        for (const id of ids) agenda.park(id, 'rights');
        return;
      }
      // It came out of a folder that is another drive's now, where it goes on under its own id: here it is something new.
      const [only] = ops;
      if (ops.length === 1 && only?.t === 'make' && isAppError(error, 'already_exists')) {
        const to = deps.newId();
        await runFolderOp({ t: 'relabel', from: only.id, to, base: null });
        return;
      }
      // One that the drive can't take must not keep the others from being told: each is tried for itself.
      const single = ['invalid_argument', 'not_found', 'already_exists'] as const;
      if (ops.length > 1 && single.some((code) => isAppError(error, code))) {
        for (const op of ops) await commitAll([op]);
        return;
      }
      deps.logger.warn(
        { err: error },
        'local changes could not be signed into the history; it is tried again',
      );
      for (const id of ids) failed(id, error);
    }
  }

  async function landAll(landings: readonly Landing[]): Promise<void> {
    if (landings.length === 0) return;
    const results = await deps.executor.land(landings);
    results.forEach((error, index) => {
      const id = landings[index]?.node.id;
      if (id === undefined) return;
      if (error !== null) return failed(id, error);
      worked(id);
      deps.diskFine();
    });
  }

  function idsOf(op: PlanOp): NodeId[] {
    return op.t === 'relabel' ? [op.from, op.to] : ['node' in op ? op.node.id : op.id];
  }

  function onlyExecDiffers(node: SyncRow): boolean {
    const mine = state.local.rows.get(node.id);
    return (
      mine?.kind === 'file' &&
      mine.held === undefined &&
      node.kind === 'file' &&
      mine.content === node.content
    );
  }

  async function attempt(ids: readonly NodeId[], work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      for (const id of ids) worked(id);
      return true;
    } catch (error) {
      for (const id of ids) failed(id, error);
      return false;
    }
  }

  /** @returns false when the rest of the plan must not be done */
  function runFolderOp(op: Exclude<PlanOp, CommitOp | { t: 'write' }>): Promise<boolean> {
    return attempt(idsOf(op), async () => {
      await deps.executor.run(op);
      if (op.t === 'relabel') {
        for (const child of state.local.children(op.to)) agenda.add(child.id);
      }
      if (op.t === 'rename' || op.t === 'relabel') for (const id of idsOf(op)) agenda.add(id);
    });
  }

  /**
   * Plans in slices of time. What the drive learns meanwhile ends the plan: the rest is looked at afterwards.
   * @returns the plan, and the ids it is about
   */
  async function planAt(ids: readonly NodeId[]): Promise<Plan & { readonly looked: readonly NodeId[] }> {
    const revision = tree.revision();
    const { mask } = deps.boundary;
    const planner = startPlan(deps.remote, mask(state.local.rows), mask(state.synced), planSize);
    const looked: NodeId[] = [];
    // In transactions, though it only reads: each question by itself would lock the database anew.
    await state.inSlices(ids, (id) => {
      if (tree.revision() !== revision) return agenda.add(id);
      planner.look(id);
      looked.push(id);
    });
    return { ...planner.result(), looked };
  }

  return async (ids) => {
    const { ops, later, looked } = await planAt(ids);
    // Only what this plan has decided on: of a file that is yet to be looked at, the bytes that came are not thrown away.
    const kept = new Set(ops.flatMap((op) => (op.t === 'write' ? [op.node.id] : [])));
    for (const id of later) kept.add(id);
    for (const id of looked) if (!kept.has(id)) staging.drop(id);
    const commits: CommitOp[] = [];
    const writes: SyncRow[] = [];
    let progress = false;
    let apart = false;
    let at = 0;
    for (; at < ops.length; at++) {
      const op = ops[at];
      if (op === undefined) continue;
      if (deps.refuses(op)) {
        for (const id of idsOf(op)) {
          staging.drop(id);
          agenda.park(id, 'mode');
        }
        apart = true;
        continue;
      }
      if (isCommit(op)) {
        if (op.t !== 'del' || deps.deletesAllowed()) commits.push(op);
        else agenda.park(op.id, 'delete');
      } else if (op.t === 'write' && onlyExecDiffers(op.node)) {
        if (!(await attempt([op.node.id], () => deps.executor.setExec(op.node)))) break;
      } else if (op.t === 'write') {
        writes.push(op.node);
      } else if (!(await runFolderOp(op))) break;
      progress = true;
    }
    // What comes after a step that failed may rest on it: it is planned anew.
    for (const op of ops.slice(at + 1)) for (const id of idsOf(op)) agenda.postpone(id, 200);
    const landings: Landing[] = [];
    await state.inSlices(writes, (node) => {
      const landing = landingOf(node);
      if (landing !== null) landings.push(landing);
    });
    await commitAll(commits);
    await landAll(landings);
    for (const id of later) {
      if (progress) agenda.add(id);
      else if (apart) agenda.park(id, 'blocked');
      else agenda.postpone(id, 300);
    }
  };
}
