import {
  CircleCheck,
  CirclePause,
  Clock,
  Cloud,
  RefreshCw,
  ScanSearch,
  Split,
  TriangleAlert,
  ArrowDown,
} from '@lucide/vue';
import type { Component } from 'vue';
import type { DriveStatus, DriveSummary, FileEntry } from '../../src-shared/contract/index.ts';

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
  conflict: { tone: 'conflict', icon: Split, word: 'state.conflict' },
  problem: driveLooks.stopped,
} as const satisfies Record<string, StateLook>;

/** How one file stands, given its drive. `reason` is a key or a sentence of the node. */
export function entryLook(
  entry: FileEntry,
  drive: DriveStatus | null,
): { look: StateLook; reason: string | null } {
  const problem = drive?.problems.find((one) => one.path === entry.path);
  if (problem) return { look: looks.problem, reason: problem.message };
  if (entry.conflictOf !== null) return { look: looks.conflict, reason: null };
  if (entry.state === 'online') return { look: looks.online, reason: null };
  if (entry.state === 'pending') {
    if (drive?.state === 'paused') return { look: driveLooks.paused, reason: null };
    if (drive?.state === 'waiting') return { look: looks.waiting, reason: null };
    return { look: looks.downloading, reason: null };
  }
  return { look: looks.inStep, reason: null };
}

export const toneText: Readonly<Record<Tone, string>> = {
  step: 'text-step',
  sync: 'text-sync',
  online: 'text-online',
  wait: 'text-wait',
  conflict: 'text-conflict',
  problem: 'text-problem',
};
