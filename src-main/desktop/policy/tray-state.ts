import type { DriveSummary, NodeStatus } from '../../../src-shared/contract/index.ts';
import type { Strings } from '../strings.ts';

/** What the icon in the tray tells. */
export interface TrayState {
  readonly icon: 'idle' | 'busy' | 'paused' | 'alert';
  readonly label: string;
  /** What the entry of the menu would do; null: there is no drive to pause or resume. */
  readonly pause: 'pause' | 'resume' | null;
}

/** What is known; null while the node starts. */
export interface TrayFacts {
  readonly status: Pick<NodeStatus, 'keystore' | 'peers'> | null;
  readonly drives: readonly Pick<DriveSummary, 'state'>[];
  /** Files on the move. */
  readonly transfers: number;
}

/** The most urgent thing first: what needs a person, then what goes on, then what is at rest. */
export function trayState({ status, drives, transfers }: TrayFacts, strings: Strings): TrayState {
  const states = drives.map((drive) => drive.state);
  const allPaused = states.length > 0 && states.every((state) => state === 'paused');
  const pause = states.length === 0 ? null : allPaused ? 'resume' : 'pause';
  if (status === null) return { icon: 'busy', label: strings.starting, pause: null };
  if (status.keystore === 'locked') return { icon: 'alert', label: strings.locked, pause: null };
  if (states.some((state) => state === 'held' || state === 'stopped')) {
    return { icon: 'alert', label: strings.needsYou, pause };
  }
  if (allPaused) return { icon: 'paused', label: strings.paused, pause };
  if (transfers > 0) return { icon: 'busy', label: strings.syncing(transfers), pause };
  if (states.some((state) => state === 'scanning' || state === 'syncing')) {
    return { icon: 'busy', label: strings.looking, pause };
  }
  return { icon: 'idle', label: status.peers === 0 ? strings.offline : strings.inStep, pause };
}
