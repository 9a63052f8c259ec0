import type { AppError } from '../../../src-shared/errors.ts';

/** What the engine of a folder is doing. Its parts read it; only `folder-sync` changes it. */
export interface RunState {
  readonly started: boolean;
  /** On the steady clock, ms. */
  readonly startedAt: number;
  readonly stopping: boolean;
  readonly paused: boolean;
  /** Why the folder can't be used now: it is away, or has lost its mark. */
  readonly halted: AppError | null;
  /** A plan is being made or carried out. */
  readonly working: boolean;
}
