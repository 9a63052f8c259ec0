import { createEmitter } from '../../../src-shared/emitter.ts';
import { AppError } from '../../../src-shared/errors.ts';
import { rootNode, sameStamp, type FileContent, type NodeId } from '../../drive/index.ts';
import { flushDatabase } from '../../store/index.ts';
import { createCommitter } from '../apply/committer.ts';
import { createExecutor } from '../apply/executor.ts';
import { createStaging } from '../apply/staging.ts';
import { createTrash } from '../apply/trash.ts';
import { createBlockSource } from '../content/block-source.ts';
import { createReader } from '../content/reader.ts';
import { createRetention } from '../content/retention.ts';
import { createRealFs } from '../fs/real.ts';
import { createBoundary } from '../mounts/boundary.ts';
import { forgetBeneath } from '../mounts/handover.ts';
import { createMutex, createPace } from '../pace.ts';
import { contentKey } from '../plan/rows.ts';
import { createProblems } from '../problems.ts';
import { parentOf } from '../scan/places.ts';
import { layout } from '../scan/root.ts';
import { createSyncState } from '../state/index.ts';
import { createSteadyClock } from '../../../src-shared/steady-clock.ts';
import type { FolderEvents, FolderSync } from '../types.ts';
import { createAgenda } from './agenda.ts';
import { createDiskSpace } from './disk-space.ts';
import { createComparison } from './comparison.ts';
import { createFolderEntry } from './folder-entry.ts';
import type { FolderSyncDeps } from './folder-sync-deps.ts';
import { createLosses } from './losses.ts';
import { createMassDelete } from './mass-delete.ts';
import { createModes } from './modes.ts';
import { createMountedFolders } from './mounted-folders.ts';
import { createNodeIds } from './node-ids.ts';
import { createOnlineOnly } from './online-only.ts';
import { createOutgoing } from './outgoing.ts';
import { createPlanRunner, planSize } from './plan-runner.ts';
import { createRemoteView } from './remote-view.ts';
import type { RunState } from './run-state.ts';
import { createScanning } from './scanning.ts';
import { createStanding } from './standing.ts';
import { createWaiters } from './waiters.ts';

/** How long after a start nobody is called unreachable: connections are being made. ms. */
const reachTime = 4000;

/**
 * Keeps `folder` and `drive` in step from `start()` until `stop()`. Give `blocks` of the result to `Exchange.addDrive`.
 * `start` throws `folder_in_use` or `permission_denied` when the folder can't be used at all. One that is away, or has lost its mark, stops
 * the engine until it is back.
 */
export function createFolderSync(deps: FolderSyncDeps): FolderSync {
  const { drive, exchange, folder, logger, random } = deps;
  const clock = createSteadyClock(deps.clock);
  const { trashDays = 30, versionsShare = 0.1, versionsBytes = 2_000_000_000 } = deps.options ?? {};
  const fs = deps.fs ?? createRealFs();
  const events = createEmitter<FolderEvents>((error) => logger.error({ err: error }, 'a listener failed'));
  const state = createSyncState(deps.db);
  const paths = layout(folder);
  const boundary = createBoundary(drive.wholeTree, state);
  const conflicts = new Set<NodeId>();
  const remote = createRemoteView(
    drive.wholeTree,
    (id, conflict) => {
      // Each node that changed is looked at, so here is where conflicts come and go.
      if (conflict) conflicts.add(id);
      else conflicts.delete(id);
    },
    {
      yields: (row) => drive.authorOf(row.version)?.ownFeed === true || state.lost.has(row.content),
      keeps: (row) => online.keeps(row),
    },
    boundary,
  );
  const pace = createPace();
  const exclusive = createMutex();
  const problems = createProblems((error, path) => {
    logger.debug({ path, code: error.code }, error.message);
    events.emit('problem', error);
    standing.touch();
  });
  const pending = new Map<NodeId, FileContent>();
  const massDelete = createMassDelete(state);
  const listeners: (() => void)[] = [];
  const run: { -readonly [K in keyof RunState]: RunState[K] } = {
    started: false,
    startedAt: 0,
    stopping: false,
    paused: false,
    halted: null,
    working: false,
  };
  let wakeUp: (() => void) | null = null;
  /** Something came up since the loop last looked: kept, because it may come while the loop is not asleep yet. */
  let woken = false;
  let loop: Promise<void> = Promise.resolve();
  const ending = new AbortController();
  let lastMembers = '';

  const waiters = createWaiters(clock, () => run.stopping);
  const { until } = waiters;
  const newId = createNodeIds(deps.clock, random);
  const agenda = createAgenda(clock, wake);
  const entry = createFolderEntry({
    fs,
    folder,
    driveId: drive.id,
    state,
    marked: deps.marked,
    ignoredAbove: deps.ignoredAbove,
    recover: () => online.recover(),
  });
  const comparison = createComparison({ drive, state, agenda, dirty });
  const trash = createTrash({ fs, folder, state, clock: deps.clock, random, days: trashDays });
  const retention = createRetention({
    drive,
    exchange,
    fs,
    content: deps.content,
    chunks: deps.chunks,
    folder,
    state,
    clock,
    logger,
    budget() {
      const { bytes, onlineBytes } = state.local.count();
      return Math.max(versionsBytes, versionsShare * (bytes - onlineBytes));
    },
    busy: () => importer.busy() || agenda.ready() > 0 || staging.count() > staging.unreachable(),
  });
  const staging = createStaging({
    drive,
    exchange,
    content: deps.content,
    fs,
    folder,
    state,
    clock,
    logger,
    ready(node, content) {
      const key = contentKey(content);
      if (state.lost.has(key)) state.lost.remove(key);
      agenda.add(node);
    },
    absent: () => wake(),
    diskFull: () => disk.full(),
    retained: onDisk,
    wholeFiles: (key) => [trash.find(key), retention.file(key)].filter((file) => file !== null),
  });
  const disk = createDiskSpace({
    fs,
    folder,
    clock,
    problems,
    hold: () => staging.setPaused(true),
    resume() {
      staging.setPaused(run.paused || run.halted !== null);
      staging.retry();
    },
    missing: () => staging.missingBytes(),
  });
  const reader = createReader({
    drive,
    exchange,
    content: deps.content,
    fs,
    folder,
    state,
    trash,
    retention,
    retained: onDisk,
  });
  const losses = createLosses({
    drive,
    exchange,
    staging,
    state,
    reader,
    problems,
    clock,
    logger,
    signal: ending.signal,
    hostAway: deps.hostAway ?? (() => false),
    signs: () => modes.mode() !== 'receive-only',
    wallClock: deps.clock,
    stale: (node) => agenda.add(node),
    putBack(path) {
      const message = `“${path}”: its newest version was gone before any other computer had it; the newest one that exists was put back.`;
      events.emit('problem', new AppError('content_lost', message, { details: { path } }));
    },
  });
  const online = createOnlineOnly({
    drive,
    exchange,
    fs,
    folder,
    state,
    trash,
    wallClock: deps.clock,
    logger,
    flush: deps.flush ?? (() => flushDatabase(deps.db)),
    flushFiles: () => deps.content.syncFileSystem(paths.tmp),
    copies: deps.copies ?? (() => 1),
    hosts: deps.hosts ?? (() => 0),
    exclusive,
    look: (node) => agenda.add(node),
    release: (content) => retention.release(content),
    // Right after a start nobody is reached yet.
    absent: (node) => clock.now() - run.startedAt > reachTime && staging.isAbsent(node),
    paused: () => run.paused,
    until,
  });
  const outgoing = createOutgoing({
    clock,
    size: (node) => state.local.get(node)?.stamp.size ?? null,
  });
  const { importer, scanner, scans } = createScanning(deps, {
    run,
    fs,
    entry,
    state,
    problems,
    clock,
    outgoing,
    pending,
    newId,
    exclusive,
    dirty,
    imported: (content, path) => retention.add(content, path),
    endsAt: (id) => boundary.has(id),
    forgetBeneath: (id) => forgetBeneath(state, id, forgotten),
    halted(error) {
      if (error === null && run.halted === null) return;
      run.halted = error;
      problems.whole('root', error);
      staging.setPaused(run.paused || error !== null);
      wake();
    },
    scanned() {
      agenda.release('delete');
      agenda.release('blocked');
      if (scans.scannedOnce()) agenda.release('scan');
      wake();
    },
  });
  const executor = createExecutor({
    fs,
    folder,
    state,
    content: deps.content,
    trash,
    traits: () => entry.traits(),
    random,
    remote: (id) => remote.get(id),
    size(id) {
      const content = remote.content(id);
      return content?.kind === 'file' ? content.size : 0;
    },
    again,
    newFolder: (path) => scans.newFolder(path),
    movedFolder(id, from, to) {
      scans.movedFolder(from, to);
      scanner.folderMoved(id);
    },
    landed: (node) => staging.landed(node),
    ignored: (path, dir) => entry.rules().ignored(path, dir),
  });
  const modes = createModes({
    drive,
    remote,
    fs,
    folder,
    state,
    trash,
    agenda,
    pending,
    exclusive,
    dirty,
    async scanned() {
      await scans.full();
      await until(() => importer.queued() === 0 && standing.upToDate());
    },
    planned: () => until(() => standing.upToDate() && agenda.postponed() === 0),
    paused: () => run.paused,
  });
  const runPlan = createPlanRunner({
    drive,
    remote,
    state,
    agenda,
    staging,
    executor,
    committer: createCommitter({ drive, state, pending }),
    problems,
    boundary,
    newId,
    clock,
    logger,
    refuses: (op) => modes.refuses(op),
    deletesAllowed: () => !scans.busy() && !massDelete.held(),
    fetchesAllowed: () => scans.scannedOnce(),
    diskFull: () => disk.full(),
    diskFine: () => disk.fine(),
    readAgain: (ids) => ids.forEach(readAgain),
  });
  const blocks = createBlockSource({
    drive,
    sent: (node, bytes) => outgoing.sent(node, bytes),
    content: deps.content,
    folder,
    state,
    coming: (id) => staging.placed(id),
    retained: (id) => retention.block(id),
    again,
    reread: (node) => void rereadAsKnown(node).catch(() => {}),
  });

  const standing = createStanding({
    driveId: drive.id,
    run,
    exchange,
    state,
    clock,
    agenda,
    comparison,
    staging,
    losses,
    importer,
    scans,
    massDelete,
    modes,
    problems,
    disk,
    conflicts,
    pending,
    tell: (status) => events.emit('status', status),
  });
  const mounts = createMountedFolders({
    drive,
    state,
    boundary,
    exclusive,
    forgotten,
    touch: () => standing.touch(),
    dirty,
    look: (id) => agenda.add(id),
    returned(path) {
      scans.newFolder(path);
      again(path, 0);
    },
  });

  /** Ciphertext that lies on this disk: of retained versions, or of what is kept for others. */
  async function onDisk(id: Uint8Array): Promise<Uint8Array | null> {
    return (await retention.block(id)) ?? (await deps.kept?.(id)) ?? null;
  }

  /** Another engine looks after this node from now on. */
  function forgotten(id: NodeId): void {
    pending.delete(id);
    massDelete.drop(id);
    conflicts.delete(id);
    staging.drop(id);
  }

  function readAgain(id: NodeId): void {
    const row = state.local.get(id);
    const path = state.local.path(id);
    if (row?.held !== 'here' || path === null) return;
    const { parent, name, raw, birthNs, stamp } = row;
    void importer.add({ id, as: null, parent, name, raw, path, birthNs, size: stamp.size, held: row.held });
  }

  /** Nothing is fetched ahead of what is held online only; where something new will be is not known yet. */
  function isKept(id: NodeId): boolean {
    const row = state.local.rows.get(id);
    return row === null ? state.policy.get(rootNode) !== false : row.held === undefined;
  }

  /** Only what looks unchanged on disk: the scan sees to the rest. */
  async function rereadAsKnown(id: NodeId): Promise<void> {
    const path = state.local.path(id);
    const stat = path === null ? null : await fs.lstat(paths.at(path));
    const row = state.local.get(id);
    if (row?.kind === 'file' && stat !== null && !run.stopping && sameStamp(row.stamp, stat)) readAgain(id);
  }

  function wake(): void {
    woken = true;
    wakeUp?.();
  }

  function again(dir: string, ms: number): void {
    scans.hint(dir, ms);
  }

  /** The local row of a node changed (or is gone). */
  function dirty(id: NodeId): void {
    if (id === rootNode) return;
    massDelete.note(id);
    agenda.add(id);
  }

  async function work(): Promise<void> {
    for (const id of online.wanted()) agenda.add(id);
    await comparison.start();
    while (!run.stopping) {
      woken = false;
      let worked = false;
      if (!run.paused && run.halted === null) {
        try {
          worked = await step();
        } catch (error) {
          logger.error({ err: error }, 'a step of syncing failed');
          await new Promise<void>((done) => void clock.after(1000, done));
        }
      }
      if (worked || (standing.atRest() && (await losses.consider()))) {
        await pace.breathe();
        continue;
      }
      standing.touch();
      standing.note();
      waiters.look();
      if (woken) continue;
      await new Promise<void>((done) => (wakeUp = done));
      wakeUp = null;
    }
  }

  async function step(): Promise<boolean> {
    await comparison.follow();
    if (!massDelete.held() && !scans.busy()) agenda.release('delete');
    const ids = agenda.take(planSize);
    if (ids.length === 0) return false;
    run.working = true;
    try {
      await exclusive(() => runPlan(ids));
    } finally {
      run.working = false;
    }
    for (const id of ids) massDelete.settle(id);
    standing.touch();
    return true;
  }

  function membersChanged(): void {
    losses.membersChanged();
    const members = exchange.members(drive.id);
    const now = members.map(({ peerId, settled }) => `${peerId}${settled ? '+' : '-'}`).join();
    // Who comes, or has come to rest, may have what nobody had.
    if (now !== lastMembers) staging.retry();
    lastMembers = now;
    if (staging.count() > 0) wake();
  }

  return {
    driveId: drive.id,
    folder,
    blocks: { ...blocks, holds: (items) => online.holds(items) },
    online,
    setMode: (mode) => modes.set(mode).finally(standing.touch),
    differences: (limit) => modes.differences(limit),
    revert: () => modes.revert(),
    override: () => modes.override(),
    on: events.on,
    async start() {
      if (deps.marked) await entry.enter();
      else {
        const away = await entry.claim();
        if (away !== null) {
          run.halted = away;
          problems.whole('root', away);
          staging.setPaused(true);
        }
      }
      if (run.halted === null) await entry.readRules();
      for (const { id } of deps.db
        .prepare<[], { id: string }>("SELECT id FROM sync_synced WHERE name LIKE '%(conflict %'")
        .all()) {
        if (drive.tree.get(id)?.conflictOf) conflicts.add(id);
      }
      listeners.push(
        drive.on('tree', () => wake()),
        drive.on('access', () => {
          problems.whole('rights', null);
          agenda.release('rights');
        }),
        exchange.on('members', ({ driveId }) => {
          if (driveId === drive.id) membersChanged();
        }),
        exchange.on('early', ({ driveId, early }) => {
          if (driveId === drive.id && run.halted === null && isKept(early.node)) {
            staging.prefetch(early.token, early.blocks);
          }
        }),
      );
      run.started = true;
      run.startedAt = clock.now();
      losses.membersChanged();
      loop = work();
      scans.start();
      void trash
        .thin()
        .catch((error: unknown) => logger.warn({ err: error }, 'the trash could not be thinned'));
    },
    async stop() {
      if (run.stopping) return;
      run.stopping = true;
      ending.abort(new AppError('cancelled', 'Syncing was stopped.'));
      for (const off of listeners) off();
      wake();
      waiters.look();
      await importer.stop();
      await scans.stop();
      await staging.stop();
      await loop;
      await retention.stop();
      agenda.stop();
      standing.stop();
      disk.stop();
      if (deps.fs === undefined) await fs.stop();
    },
    status: standing.status,
    incoming: (limit) => staging.moving(limit),
    outgoing: () => outgoing.list(),
    conflictCopies: () => [...conflicts],
    pause() {
      run.paused = true;
      staging.setPaused(true);
      standing.touch();
      wake();
    },
    resume() {
      run.paused = false;
      staging.setPaused(run.halted !== null);
      void scans.full().catch(() => {});
      scans.wake();
      wake();
    },
    async confirm() {
      massDelete.confirm();
      agenda.release('delete');
      wake();
    },
    async scan() {
      await scans.full();
      await until(() => importer.queued() === 0 && standing.upToDate());
    },
    async settled(signal) {
      await until(
        () => standing.settled() && (clock.now() - run.startedAt > reachTime || losses.everybodyHere()),
        signal,
      );
      await retention.idle();
    },
    readContent: (content, range) => reader.read(content, range),
    contentState: (content) => reader.state(content),
    ignored: (path, dir) => entry.rules().ignored(path, dir),
    mounts,
    trash: {
      list: () => trash.list(),
      async restore(path) {
        const back = await trash.restore(path);
        again(parentOf(back), 0);
        await until(() => scans.calm());
      },
      empty: () => trash.empty(),
    },
  };
}
