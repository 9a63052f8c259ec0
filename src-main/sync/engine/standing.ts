import type { Clock } from '../../../src-shared/runtime.ts';
import type { NodeId } from '../../drive/index.ts';
import type { Exchange } from '../../exchange/index.ts';
import type { Staging } from '../apply/staging.ts';
import type { Problems } from '../problems.ts';
import type { Importer } from '../scan/importer.ts';
import type { ScanLoop } from '../scan/scan-loop.ts';
import type { SyncState } from '../state/index.ts';
import type { FolderState, FolderStatus } from '../types.ts';
import type { Agenda } from './agenda.ts';
import type { Comparison } from './comparison.ts';
import type { DiskSpace } from './disk-space.ts';
import type { Losses } from './losses.ts';
import type { MassDelete } from './mass-delete.ts';
import type { Modes } from './modes.ts';
import type { RunState } from './run-state.ts';

/** The status is told so often at the most, ms. */
const statusInterval = 250;

/** How far the engine is, and what it says of that: to the other members, and to whoever listens here. */
export interface Standing {
  /** Everything that is known of has been looked at. */
  upToDate(): boolean;
  /** Nothing is left to do here but to wait for what nobody reachable has. */
  atRest(): boolean;
  /** At rest, and all that is waited for is known to be lost. */
  settled(): boolean;
  status(): FolderStatus;
  /** Something that shows in the status changed. */
  touch(): void;
  /** The engine has nothing to do now: notes how far it came and tells the members. */
  note(): void;
  /** Tells nothing any more. */
  stop(): void;
}

/** @param deps.tell tells the status to those who listen here */
export function createStanding(deps: {
  readonly driveId: string;
  readonly run: RunState;
  readonly exchange: Pick<Exchange, 'setSettled'>;
  readonly state: SyncState;
  readonly clock: Clock;
  readonly agenda: Agenda;
  readonly comparison: Comparison;
  readonly staging: Staging;
  readonly losses: Losses;
  readonly importer: Importer;
  readonly scans: ScanLoop;
  readonly massDelete: MassDelete;
  readonly modes: Modes;
  readonly problems: Problems;
  readonly disk: DiskSpace;
  readonly conflicts: ReadonlySet<NodeId>;
  /** Files read here that are not in the history yet. */
  readonly pending: ReadonlyMap<NodeId, unknown>;
  tell(status: FolderStatus): void;
}): Standing {
  const { driveId, run, exchange, state, clock, agenda, comparison, staging, losses, importer, scans } = deps;
  const { massDelete, modes, problems, disk } = deps;
  let cancelStatus: (() => void) | null = null;
  let statusTold = Number.NEGATIVE_INFINITY;
  /** What the members were told last. */
  let said: 'busy' | 'rest' | 'whole' | null = null;

  function upToDate(): boolean {
    return (
      !comparison.running() &&
      !run.working &&
      scans.calm() &&
      !importer.busy() &&
      agenda.ready() === 0 &&
      comparison.current()
    );
  }

  function atRest(): boolean {
    return (
      run.started &&
      !run.stopping &&
      !run.paused &&
      run.halted === null &&
      upToDate() &&
      agenda.empty() &&
      staging.count() === staging.unreachable()
    );
  }

  function settled(): boolean {
    return atRest() && staging.count() === losses.count();
  }

  /** The bytes of everything the drive shows are in this folder: what counts as a copy of the drive. */
  function whole(): boolean {
    if (!settled() || agenda.parked('mode') > 0) return false;
    return staging.count() === 0 && state.local.count().onlineFiles === 0;
  }

  function stateNow(): FolderState {
    if (run.paused) return 'paused';
    if (run.halted !== null) return 'stopped';
    if (massDelete.held() && agenda.parked('delete') > 0) return 'held';
    if (scans.fullRunning() || !run.started || comparison.running()) return 'scanning';
    if (settled()) return agenda.parked('mode') > 0 ? 'differs' : 'in_step';
    const onlyWaiting = upToDate() && staging.count() === staging.unreachable();
    return disk.isFull() || onlyWaiting ? 'waiting' : 'syncing';
  }

  function status(): FolderStatus {
    const { files, bytes, onlineFiles, onlineBytes } = state.local.count();
    const now = stateNow();
    const held =
      now === 'held'
        ? [
            {
              code: 'mass_delete_held' as const,
              path: '',
              message: `${massDelete.count()} entries, more than half of the drive, were deleted from the folder at once. They are kept for everybody until you confirm it; put them back if it was a mistake.`,
            },
          ]
        : [];
    return {
      state: now,
      files,
      bytes,
      pendingUp:
        importer.queued() + (modes.mode() === 'receive-only' ? 0 : deps.pending.size + massDelete.count()),
      pendingDown: staging.count(),
      pendingBytes: staging.missingBytes(),
      conflicts: deps.conflicts.size,
      problems: [...held, ...problems.list()],
      onlineFiles,
      onlineBytes,
      whole: whole(),
      mode: modes.mode(),
      differing: agenda.parked('mode'),
    };
  }

  return {
    upToDate,
    atRest,
    settled,
    status,
    touch() {
      if (run.stopping) return;
      if ((said === 'rest' || said === 'whole') && !atRest()) {
        said = 'busy';
        exchange.setSettled(driveId, false, false);
      }
      // The first of many at once, as somebody may be looking; the rest of them together.
      cancelStatus ??= clock.after(Math.max(0, statusTold + statusInterval - clock.now()), () => {
        cancelStatus = null;
        statusTold = clock.now();
        if (!run.stopping) deps.tell(status());
      });
    },
    note() {
      // Not while something is lacking, even if it is lost: a restart has to find it again.
      const apart = agenda.parked('mode') + agenda.parked('blocked') > 0;
      if (settled() && staging.count() === 0 && !apart) comparison.agreed();
      // Others are told of rest, not of being in step: two that lack what the other wrote would wait for each other.
      const rest = !atRest() ? 'busy' : whole() ? 'whole' : 'rest';
      if (rest === said) return;
      said = rest;
      exchange.setSettled(driveId, rest !== 'busy', rest === 'whole');
    },
    stop: () => cancelStatus?.(),
  };
}
