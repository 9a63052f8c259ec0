import {
  CircleCheck,
  CirclePause,
  Clock,
  Cloud,
  Diff,
  FolderX,
  RefreshCw,
  ScanSearch,
  Split,
  TriangleAlert,
  ArrowDown,
  ArrowUp,
} from '@lucide/vue';
import type { Component } from 'vue';
import type { DriveStatus, DriveSummary, FileEntry, Transfer } from '../../src-shared/contract/index.ts';

export type Tone = 'step' | 'sync' | 'online' | 'wait' | 'conflict' | 'problem';

export interface StateLook {
  readonly tone: Tone;
  readonly icon: Component;
  /** Key of the word. */
  readonly word: string;
}

/** The one language of state: icon, colour and word of each, wherever it is shown. */
export const driveLooks: Readonly<Record<DriveSummary['state'], StateLook>> = {
  scanning: { tone: 'sync', icon: ScanSearch, word: 'state.scanning' },
  syncing: { tone: 'sync', icon: RefreshCw, word: 'state.syncing' },
  in_step: { tone: 'step', icon: CircleCheck, word: 'state.inStep' },
  differs: { tone: 'wait', icon: Diff, word: 'state.differs' },
  waiting: { tone: 'wait', icon: Clock, word: 'state.waiting' },
  paused: { tone: 'wait', icon: CirclePause, word: 'state.paused' },
  held: { tone: 'problem', icon: TriangleAlert, word: 'state.held' },
  stopped: { tone: 'problem', icon: TriangleAlert, word: 'state.problem' },
};

export const looks = {
  inStep: driveLooks.in_step,
  waiting: driveLooks.waiting,
  online: { tone: 'online', icon: Cloud, word: 'state.online' },
  downloading: { tone: 'sync', icon: ArrowDown, word: 'state.downloading' },
  uploading: { tone: 'sync', icon: ArrowUp, word: 'state.uploading' },
  syncing: driveLooks.syncing,
  conflict: { tone: 'conflict', icon: Split, word: 'state.conflict' },
  problem: driveLooks.stopped,
  held: driveLooks.held,
  away: { tone: 'wait', icon: FolderX, word: 'state.away' },
} as const satisfies Record<string, StateLook>;

/** What is on its way of one entry; of a folder the sum of what is in it. */
export interface Flow {
  readonly direction: Transfer['direction'] | 'both';
  /** Bytes. */
  readonly done: number;
  readonly total: number;
  /** Bytes a second. */
  readonly rate: number;
}

export interface EntryLook {
  readonly look: StateLook;
  /** A sentence of the node. */
  readonly reason: string | null;
  /** Set while it is on its way. */
  readonly flow: Flow | null;
}

/** One object for each look that says nothing more: a row that keeps its look draws nothing anew. */
const plainLooks = new Map<StateLook, EntryLook>();
function plain(look: StateLook): EntryLook {
  let found = plainLooks.get(look);
  if (!found) plainLooks.set(look, (found = { look, reason: null, flow: null }));
  return found;
}

/** The folder of a drive is not where it was, or is not the drive's: nothing can be said of what is in it. */
export const isAway = (drive: Pick<DriveStatus, 'problems'> | null): boolean =>
  drive?.problems.some(({ code }) => code === 'root_missing' || code === 'root_unmarked') === true;

/** How one entry stands, given its drive and what is on its way of it. */
export function entryLook(entry: FileEntry, drive: DriveStatus | null, flow: Flow | null = null): EntryLook {
  const problem = drive?.problems.find((one) => one.path === entry.path);
  if (problem) return { look: looks.problem, reason: problem.message, flow: null };
  if (flow) {
    const look =
      entry.kind === 'dir' || flow.direction === 'both'
        ? looks.syncing
        : flow.direction === 'up'
          ? looks.uploading
          : looks.downloading;
    return { look, reason: null, flow };
  }
  if (entry.conflictOf !== null) return plain(looks.conflict);
  if (entry.state === 'online') return plain(looks.online);
  if (isAway(drive)) return plain(looks.away);
  if (entry.state === 'pending') {
    if (drive?.state === 'held') return plain(looks.held);
    if (drive?.state === 'paused') return plain(driveLooks.paused);
    if (drive?.state === 'waiting') return plain(looks.waiting);
    return plain(looks.downloading);
  }
  return plain(looks.inStep);
}

/** How a drive stands as a whole: what moves and what needs a person before "in step". */
export function driveLook(drive: DriveSummary, share: number | null): StateLook {
  if (drive.state === 'in_step') {
    if (share !== null && share < 1) return looks.syncing;
    if (drive.conflicts > 0) return looks.conflict;
  }
  return driveLooks[drive.state];
}

export const toneText: Readonly<Record<Tone, string>> = {
  step: 'text-step',
  sync: 'text-sync',
  online: 'text-online',
  wait: 'text-wait',
  conflict: 'text-conflict',
  problem: 'text-problem',
};
