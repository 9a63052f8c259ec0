import { isAppError, type AppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger, RandomBytes } from '../../../src-shared/runtime.ts';
import type { Scanner } from './scanner.ts';
import { watcherKind, type FolderWatcher, type WatcherKind, type WatcherFactory } from './watcher.ts';

export interface ScanLoopDeps {
  readonly scanner: Scanner;
  readonly watcher: WatcherFactory;
  readonly folder: string;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
  readonly entries: () => number;
  /** Reads ignore rules and makes sure the engine's own folders exist, before each pass. @returns true to scan all */
  readonly prepare: () => Promise<boolean>;
  /** What was found has been read and noted. */
  readonly drained: () => Promise<void>;
  readonly paused: () => boolean;
  /** The folder can't be scanned (missing, unmarked); null when it can again. */
  readonly halted: (error: AppError | null) => void;
  readonly watchFailed: (error: Error | null) => void;
  readonly changed: () => void;
}

/** Decides when to scan what: all at start and hourly, folders a moment after a hint. */
export interface ScanLoop {
  start(): void;
  hint(dir: string, ms?: number): void;
  /** A folder (relative) appeared: the watcher may have to be told. */
  newFolder(dir: string): void;
  /** A folder (relative) moved: what was to be looked at below it is there now. */
  movedFolder(from: string, to: string): void;
  /** Scans everything; resolves after the next whole scan that starts from now on. Rejects when it can't be done. */
  full(): Promise<void>;
  /** Nothing to scan is known of, and no scan runs. */
  calm(): boolean;
  busy(): boolean;
  fullRunning(): boolean;
  /** A full scan has ended since the start: what is in the folder is known. */
  scannedOnce(): boolean;
  wake(): void;
  stop(): Promise<void>;
}

/** ms from the first hint to the scan: most saves are several events. */
const debounce = 50;
/** ms; scans of single folders that take longer are followed by a rest. */
const longScan = 100;
const longestRest = 1500;
const hour = 3_600_000;
const haltedRetry = 5000;
/** Without a watcher, ms between full scans. */
const blindInterval = 30_000;

export function createScanLoop(deps: ScanLoopDeps): ScanLoop {
  const { clock, scanner } = deps;
  const hints = new Map<string, number>();
  /** Folders that are not scanned again before some time. */
  const resting = new Map<string, number>();
  const stopping = new AbortController();
  let waiting: { done(): void; fail(error: unknown): void }[] = [];
  let fullWanted = true;
  let running: 'no' | 'full' | 'some' = 'no';
  let wakeUp: (() => void) | null = null;
  let cancelTimer: (() => void) | null = null;
  let loop: Promise<void> = Promise.resolve();
  let watcher: FolderWatcher | null = null;
  let watches: WatcherKind = 'small';
  let blind = false;
  let haltedUntil = 0;
  let scannedOnce = false;
  let nextFull = Number.POSITIVE_INFINITY;
  /** When everything is to be scanned because events were lost; a scan that runs already may have been past them. */
  let lostAt = Number.POSITIVE_INFINITY;

  function wake(): void {
    wakeUp?.();
  }

  async function sleep(): Promise<void> {
    const now = clock.now();
    const dues = deps.paused() ? [] : [...hints.values(), nextFull, lostAt];
    const due = Math.max(Math.min(...dues), haltedUntil);
    await new Promise<void>((done) => {
      wakeUp = done;
      if (Number.isFinite(due)) cancelTimer = clock.after(Math.max(0, due - now), done);
    });
    cancelTimer?.();
    cancelTimer = null;
    wakeUp = null;
  }

  function hint(dir: string, ms = debounce): void {
    const due = Math.max(clock.now() + ms, resting.get(dir) ?? 0);
    const known = hints.get(dir);
    if (known !== undefined && known <= due) return;
    hints.set(dir, due);
    wake();
  }

  /** A folder of very many files that changes all the time must not be listed all the time. */
  function rest(dirs: readonly string[], took: number): void {
    const now = clock.now();
    for (const [dir, until] of resting) if (until <= now) resting.delete(dir);
    if (took <= longScan) return;
    // A first look at much that is new takes long because it is read, too: no reason to stay away for longer than this.
    for (const dir of dirs) resting.set(dir, now + Math.min(longestRest, 3 * took));
  }

  function takeDue(): string[] {
    const now = clock.now();
    const due: string[] = [];
    for (const [dir, time] of hints) {
      if (time > now) continue;
      hints.delete(dir);
      due.push(dir);
    }
    return due;
  }

  async function watch(): Promise<boolean> {
    const kind = watcherKind(deps.entries(), watcher === null ? null : watches);
    if (watcher !== null && (kind === watches || blind)) return false;
    await watcher?.stop();
    watches = kind;
    blind = false;
    deps.watchFailed(null);
    watcher = await deps.watcher(deps.folder, kind, {
      hint,
      lost(ms) {
        lostAt = Math.min(lostAt, clock.now() + ms);
        wake();
      },
      failed(error) {
        blind = true;
        deps.watchFailed(error);
        nextFull = Math.min(nextFull, clock.now() + blindInterval);
        wake();
      },
    });
    return true;
  }

  async function pass(): Promise<void> {
    const rulesChanged = await deps.prepare();
    if (Math.min(nextFull, lostAt) <= clock.now()) fullWanted = true;
    if (fullWanted || rulesChanged) {
      fullWanted = false;
      lostAt = Number.POSITIVE_INFINITY;
      const those = waiting;
      waiting = [];
      running = 'full';
      try {
        // A folder seen for the first time is scanned before it is watched: by then its size is known.
        if (deps.entries() > 0) await watch();
        hints.clear();
        await scanner.scanAll(stopping.signal);
        await deps.drained();
        if (await watch()) await scanner.scanAll(stopping.signal);
        const quarter = ((deps.random(1)[0] ?? 128) / 255 - 0.5) / 2;
        nextFull = clock.now() + (blind ? blindInterval : hour * (1 + quarter));
        scannedOnce = true;
        for (const { done } of those) done();
      } catch (error) {
        waiting.unshift(...those);
        throw error;
      }
      return;
    }
    const due = takeDue();
    if (due.length === 0) return;
    running = 'some';
    const started = clock.now();
    await scanner.scanDirs(due, stopping.signal);
    rest(due, clock.now() - started);
    await deps.drained();
    // The folder may have grown out of its watcher. What happened while they changed is found by a scan.
    if (watcher !== null && (await watch())) fullWanted = true;
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const due = fullWanted || Math.min(nextFull, lostAt, ...hints.values()) <= clock.now();
      if (deps.paused() || !due || clock.now() < haltedUntil) {
        await sleep();
        continue;
      }
      try {
        await pass();
        haltedUntil = 0;
        deps.halted(null);
      } catch (error) {
        if (stopping.signal.aborted) return;
        haltedUntil = clock.now() + haltedRetry;
        fullWanted = true;
        for (const { fail } of waiting.splice(0)) fail(error);
        if (isAppError(error)) deps.halted(error);
        else deps.logger.error({ err: error }, 'a scan failed');
      }
      running = 'no';
      deps.changed();
    }
  }

  return {
    start() {
      loop = run();
    },
    hint,
    newFolder: (dir) => watcher?.newFolder(dir),
    movedFolder(from, to) {
      for (const times of [hints, resting]) {
        for (const [dir, time] of [...times]) {
          if (dir !== from && !dir.startsWith(`${from}/`)) continue;
          const now = to + dir.slice(from.length);
          times.delete(dir);
          times.set(now, Math.min(time, times.get(now) ?? time));
        }
      }
    },
    full() {
      fullWanted = true;
      haltedUntil = 0;
      const result = new Promise<void>((done, fail) => waiting.push({ done, fail }));
      wake();
      return result;
    },
    calm: () => running === 'no' && !fullWanted && hints.size === 0,
    busy: () => running !== 'no',
    fullRunning: () => running === 'full',
    scannedOnce: () => scannedOnce,
    wake,
    async stop() {
      stopping.abort();
      wake();
      await loop;
      await watcher?.stop();
      for (const { done } of waiting.splice(0)) done();
    },
  };
}
