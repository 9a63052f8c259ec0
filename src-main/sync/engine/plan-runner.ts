import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import type { Drive, NodeId } from '../../drive/index.ts';
import { isCommit, isForbidden, type Committer, type CommitOp } from '../apply/committer.ts';
import type { Executor, Landing } from '../apply/executor.ts';
import type { Staging } from '../apply/staging.ts';
import { createPace } from '../pace.ts';
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
  readonly clock: Clock;
  readonly logger: Logger;
  /** Deletes may go into the history now (no scan under way, no mass delete that waits for a person). */
  readonly deletesAllowed: () => boolean;
  /** What is in the folder is known, so nothing is fetched that is here already. */
  readonly fetchesAllowed: () => boolean;
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
  const pace = createPace();
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
      // One that the drive can't take must not keep the others from being told: each is tried for itself.
      if (ops.length > 1 && (isAppError(error, 'invalid_argument') || isAppError(error, 'not_found'))) {
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
    return mine?.kind === 'file' && node.kind === 'file' && mine.content === node.content;
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

  /** Plans in slices of time. What the drive learns meanwhile ends the plan: the rest is looked at afterwards. */
  async function planAt(ids: readonly NodeId[]): Promise<Plan> {
    const revision = tree.revision();
    const planner = startPlan(deps.remote, state.local.rows, state.synced, planSize);
    let changed = false;
    for (const id of ids) {
      if (changed) agenda.add(id);
      else {
        planner.look(id);
        await pace.breathe();
        changed = tree.revision() !== revision;
      }
    }
    return planner.result();
  }

  return async (ids) => {
    const { ops, later } = await planAt(ids);
    const written = new Set(ops.flatMap((op) => (op.t === 'write' ? [op.node.id] : [])));
    for (const id of ids) if (!written.has(id)) staging.drop(id);
    const commits: CommitOp[] = [];
    const landings: Landing[] = [];
    let progress = false;
    let at = 0;
    for (; at < ops.length; at++) {
      const op = ops[at];
      if (op === undefined) continue;
      if (isCommit(op)) {
        if (op.t !== 'del' || deps.deletesAllowed()) commits.push(op);
        else agenda.park(op.id, 'delete');
      } else if (op.t === 'write' && onlyExecDiffers(op.node)) {
        if (!(await attempt([op.node.id], () => deps.executor.setExec(op.node)))) break;
      } else if (op.t === 'write') {
        const landing = landingOf(op.node);
        if (landing !== null) landings.push(landing);
      } else if (!(await runFolderOp(op))) break;
      progress = true;
    }
    // What comes after a step that failed may rest on it: it is planned anew.
    for (const op of ops.slice(at + 1)) for (const id of idsOf(op)) agenda.postpone(id, 200);
    await commitAll(commits);
    await landAll(landings);
    for (const id of later) {
      if (progress) agenda.add(id);
      else agenda.postpone(id, 300);
    }
  };
}
