import { rootNode, type Drive, type NodeId } from '../../drive/index.ts';
import type { SyncState } from '../state/index.ts';
import type { Agenda } from './agenda.ts';
import { planSize } from './plan-runner.ts';
import { everything, localDifferences } from './start-up.ts';

const revisionKey = 'revision';

/** Follows the drive's tree: what changed in it is put on the agenda, everything where that is not known. */
export interface Comparison {
  /** After a start: goes on where folder and drive last agreed, else looks at everything. */
  start(): Promise<void>;
  /** Takes what changed in the drive since it last looked, at most about as much as one plan takes. */
  follow(): Promise<void>;
  /** Not all that has to be compared is on the agenda yet. */
  running(): boolean;
  /** Nothing changed in the drive since. */
  current(): boolean;
  /** Folder and drive agree: the next start goes on from here. */
  agreed(): void;
}

/** @param deps.dirty told of each node whose row in the folder differs from what was last agreed on */
export function createComparison(deps: {
  readonly drive: Drive;
  readonly state: SyncState;
  readonly agenda: Pick<Agenda, 'add'>;
  dirty(id: NodeId): void;
}): Comparison {
  const { drive, state, agenda } = deps;
  let revision = 0;
  let running = true;

  /** @returns false when the drive has forgotten what changed, or nothing has */
  function takeChanges(): boolean {
    const changed = drive.tree.changedSince(revision, planSize);
    if (changed === null) return false;
    for (const id of changed.ids) if (id !== rootNode) agenda.add(id);
    const more = changed.revision !== revision;
    revision = changed.revision;
    return more;
  }

  /** At first, and when the drive has forgotten what changed since we last looked. */
  async function compareAll(): Promise<void> {
    running = true;
    const upTo = drive.tree.revision();
    for await (const id of everything(drive.wholeTree, state)) agenda.add(id);
    revision = upTo;
    for await (const id of localDifferences(state)) deps.dirty(id);
    running = false;
  }

  return {
    async start() {
      const saved = Number(state.meta(revisionKey) ?? Number.NaN);
      const usable = Number.isSafeInteger(saved) && saved <= drive.tree.revision();
      if (!usable || drive.tree.changedSince(saved, 1) === null) return compareAll();
      revision = saved;
      for await (const id of localDifferences(state)) deps.dirty(id);
      running = false;
    },
    async follow() {
      if (drive.tree.revision() === revision || takeChanges()) return;
      if (drive.tree.changedSince(revision, 1) === null) await compareAll();
    },
    running: () => running,
    current: () => drive.tree.revision() === revision,
    agreed: () => state.setMeta(revisionKey, String(revision)),
  };
}
