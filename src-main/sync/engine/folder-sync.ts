import { createEmitter } from '../../../src-shared/emitter.ts';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import { rootNode, sameStamp, type FileContent, type NodeId, type SealedBlock } from '../../drive/index.ts';
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
import { forgetBeneath, rowsBeneath, seed } from '../mounts/handover.ts';
import { createMutex, createPace } from '../pace.ts';
import { contentKey } from '../plan/rows.ts';
import { createProblems } from '../problems.ts';
import { parseIgnoreRules, readIgnoreRules, type IgnoreRules } from '../scan/ignore-rules.ts';
import { createImporter } from '../scan/importer.ts';
import type { FsTraits } from '../scan/names.ts';
import { checkRoot, layout, markRoot } from '../scan/root.ts';
import { createScanLoop } from '../scan/scan-loop.ts';
import { createScanner } from '../scan/scanner.ts';
import { createWatcherFactory } from '../scan/watcher.ts';
import { createSyncState } from '../state/index.ts';
import { createSteadyClock } from '../../../src-shared/steady-clock.ts';
import type { FolderEvents, FolderState, FolderStatus, FolderSync } from '../types.ts';
import { createAgenda } from './agenda.ts';
import { createDiskSpace } from './disk-space.ts';
import type { FolderSyncDeps } from './folder-sync-deps.ts';
import { createLosses } from './losses.ts';
import { createMassDelete } from './mass-delete.ts';
import { createModes } from './modes.ts';
import { createNodeIds } from './node-ids.ts';
import { createOnlineOnly } from './online-only.ts';
import { createOutgoing } from './outgoing.ts';
import { createPlanRunner, planSize } from './plan-runner.ts';
import { createRemoteView } from './remote-view.ts';
import { cleanTemp, everything, everythingIn, localDifferences } from './start-up.ts';

/** The status is told so often at the most, ms. */
const statusInterval = 250;
const revisionKey = 'revision';
/** Set once the folder carries this drive's mark: from then on one without it is never taken for the drive's. */
const markedKey = 'marked';
/** How long after a start nobody is called unreachable: connections are being made. ms. */
const reachTime = 4000;

const lengthOf = (blocks: readonly SealedBlock[]): number =>
  blocks.reduce((sum, { ref }) => sum + ref.len, 0);

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
    touch();
  });
  const pending = new Map<NodeId, FileContent>();
  const massDelete = createMassDelete(state);
  const listeners: (() => void)[] = [];
  let rules = parseIgnoreRules('');
  let traits: FsTraits = { caseInsensitive: false, windows: process.platform === 'win32' };
  let started = false;
  /** What a former run left in the folder has been put right. */
  let entered = false;
  let startedAt = 0;
  let stopping = false;
  let paused = false;
  let halted: AppError | null = null;
  let revision = 0;
  let comparing = true;
  let working = false;
  let wakeUp: (() => void) | null = null;
  /** Something came up since the loop last looked: kept, because it may come while the loop is not asleep yet. */
  let woken = false;
  let loop: Promise<void> = Promise.resolve();
  const ending = new AbortController();
  let statusTimer: (() => void) | null = null;
  let statusTold = Number.NEGATIVE_INFINITY;
  let lastMembers = '';
  let said: 'busy' | 'rest' | 'whole' | null = null;
  let waiters: (() => void)[] = [];

  const newId = createNodeIds(deps.clock, random);
  const agenda = createAgenda(clock, wake);
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
      staging.setPaused(paused || halted !== null);
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
    absent: (node) => clock.now() - startedAt > reachTime && staging.isAbsent(node),
    paused: () => paused,
    until,
  });
  const outgoing = createOutgoing({
    clock,
    size: (node) => state.local.get(node)?.stamp.size ?? null,
  });
  const importer = createImporter({
    content: deps.content,
    folder,
    state,
    problems,
    newId,
    sealKey: () => {
      const epoch = drive.currentEpoch();
      return { epoch, key: drive.contentKey(epoch) };
    },
    previous(id) {
      const synced = state.synced.get(id);
      const content = synced === null ? null : drive.contentOf(synced.version);
      return pending.get(id) ?? (content?.kind === 'file' ? content : null);
    },
    pending,
    dirty,
    again,
    async early(token, id, blocks) {
      await exchange.announceEarly(drive.id, token, id, blocks);
      outgoing.sent(id, lengthOf(blocks));
    },
    wanted: () => exchange.wantsSealed(drive.id),
    keep(id, blocks) {
      exchange.keepSealed(drive.id, blocks);
      outgoing.sent(id, lengthOf(blocks));
    },
    room: () => exchange.sealedRoom(),
    imported: (content, path) => retention.add(content, path),
    logger,
  });
  const scanner = createScanner({
    fs,
    folder,
    state,
    problems,
    newId,
    inDrive: (id) => drive.tree.get(id) !== null || drive.tree.past(id, 1).length > 0,
    rules: () => rules,
    import: (item) => importer.add(item),
    dirty,
    again,
    exclusive,
    newFolder: (path) => scans.newFolder(path),
    movedFolder: (from, to) => scans.movedFolder(from, to),
    checkRoot: () => checkRoot(fs, folder, drive.id),
    endsAt: (id) => boundary.has(id),
    forgetBeneath: (id) => forgetBeneath(state, id, forgotten),
    now: () => clock.now(),
    wallNow: () => deps.clock.now(),
  });
  const scans = createScanLoop({
    scanner,
    watcher: deps.watcher ?? createWatcherFactory({ logger, clock }),
    folder,
    clock,
    random,
    logger,
    // What is on its way counts: the watcher that comes later would have to look at all of it again.
    entries() {
      const { files, dirs } = drive.tree.count();
      return Math.max(state.local.count().entries, files + dirs);
    },
    async prepare() {
      await enterFolder();
      const next = await readRules();
      const changed = next.source !== rules.source;
      rules = next;
      return changed;
    },
    drained: () => importer.idle(),
    paused: () => paused || stopping,
    halted(error) {
      if (error === null && halted === null) return;
      halted = error;
      problems.whole('root', error);
      staging.setPaused(paused || error !== null);
      wake();
    },
    watchFailed(error) {
      if (error === null) problems.whole('watch', null);
      else {
        problems.whole(
          'watch',
          new AppError(
            'unsupported',
            'Changes can’t be watched here (the system’s limit of watches may be reached: fs.inotify.max_user_watches); the folder is scanned every half minute instead.',
            { cause: error },
          ),
        );
      }
    },
    changed() {
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
    traits: () => traits,
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
    ignored: (path, dir) => rules.ignored(path, dir),
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
      await until(() => importer.queued() === 0 && upToDate());
    },
    planned: () => until(() => upToDate() && agenda.postponed() === 0),
    paused: () => paused,
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

  /** @throws AppError `root_missing`, `root_unmarked` */
  async function enterFolder(): Promise<void> {
    await checkRoot(fs, folder, drive.id);
    for (const dir of [paths.tmp, paths.trash]) await fs.mkdir(dir);
    if (entered) return;
    traits = { ...traits, caseInsensitive: await fs.caseInsensitive(paths.own) };
    await online.recover();
    await cleanTemp(fs, folder, state);
    entered = true;
  }

  /** Makes the folder this drive's when it never was; a disk that is away at a start must not look like an empty folder. */
  async function claimFolder(): Promise<void> {
    const known = deps.marked !== false && state.meta(markedKey) !== null;
    if (!known) await markRoot(fs, folder, drive.id);
    try {
      await enterFolder();
    } catch (error) {
      const away = isAppError(error, 'root_missing') || isAppError(error, 'root_unmarked');
      if (!known || !away) throw error;
      halted = error;
      problems.whole('root', error);
      staging.setPaused(true);
    }
    if (!known) state.setMeta(markedKey, '1');
  }

  /** Ciphertext that lies on this disk: of retained versions, or of what is kept for others. */
  async function onDisk(id: Uint8Array): Promise<Uint8Array | null> {
    return (await retention.block(id)) ?? (await deps.kept?.(id)) ?? null;
  }

  async function readRules(): Promise<IgnoreRules> {
    const own = await readIgnoreRules(fs, folder);
    const above = deps.ignoredAbove;
    return above ? { ...own, ignored: (path, dir) => own.ignored(path, dir) || above(path, dir) } : own;
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
    if (row?.kind === 'file' && stat !== null && !stopping && sameStamp(row.stamp, stat)) readAgain(id);
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

  function takeRemote(): boolean {
    const changed = drive.tree.changedSince(revision, planSize);
    if (changed === null) return false;
    for (const id of changed.ids) {
      if (id === rootNode) continue;
      agenda.add(id);
    }
    const more = changed.revision !== revision;
    revision = changed.revision;
    return more;
  }

  /** Looks at everything again: at first, and when the drive has forgotten what changed since we last looked. */
  async function compareAll(): Promise<void> {
    comparing = true;
    const upTo = drive.tree.revision();
    for await (const id of everything(drive.wholeTree, state)) agenda.add(id);
    revision = upTo;
    for await (const id of localDifferences(state)) dirty(id);
    comparing = false;
  }

  async function startUp(): Promise<void> {
    for (const id of online.wanted()) agenda.add(id);
    const saved = Number(state.meta(revisionKey) ?? Number.NaN);
    const usable = Number.isSafeInteger(saved) && saved <= drive.tree.revision();
    if (!usable || drive.tree.changedSince(saved, 1) === null) return compareAll();
    revision = saved;
    for await (const id of localDifferences(state)) dirty(id);
    comparing = false;
  }

  async function run(): Promise<void> {
    await startUp();
    while (!stopping) {
      woken = false;
      let worked = false;
      if (!paused && halted === null) {
        try {
          worked = await step();
        } catch (error) {
          logger.error({ err: error }, 'a step of syncing failed');
          await new Promise<void>((done) => void clock.after(1000, done));
        }
      }
      if (worked || (atRest() && (await losses.consider()))) {
        await pace.breathe();
        continue;
      }
      touch();
      noteSettled();
      if (woken) continue;
      await new Promise<void>((done) => (wakeUp = done));
      wakeUp = null;
    }
  }

  async function step(): Promise<boolean> {
    if (drive.tree.revision() !== revision && !takeRemote()) {
      if (drive.tree.changedSince(revision, 1) === null) await compareAll();
    }
    if (!massDelete.held() && !scans.busy()) agenda.release('delete');
    const ids = agenda.take(planSize);
    if (ids.length === 0) return false;
    working = true;
    try {
      await exclusive(() => runPlan(ids));
    } finally {
      working = false;
    }
    for (const id of ids) massDelete.settle(id);
    touch();
    return true;
  }

  /** Nothing is left to do here but to wait for what nobody reachable has. */
  function atRest(): boolean {
    return (
      started &&
      !stopping &&
      !paused &&
      halted === null &&
      upToDate() &&
      agenda.empty() &&
      staging.count() === staging.unreachable()
    );
  }

  function isSettled(): boolean {
    return atRest() && staging.count() === losses.count();
  }

  /** The bytes of everything the drive shows are in this folder: what counts as a copy of the drive. */
  function isWhole(): boolean {
    if (!isSettled() || agenda.parked('mode') > 0) return false;
    return staging.count() === 0 && state.local.count().onlineFiles === 0;
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

  /** Everything that is known of has been looked at. */
  function upToDate(): boolean {
    return (
      !comparing &&
      !working &&
      scans.calm() &&
      !importer.busy() &&
      agenda.ready() === 0 &&
      drive.tree.revision() === revision
    );
  }

  function noteSettled(): void {
    // Not while something is lacking, even if it is lost: a restart has to find it again.
    const apart = agenda.parked('mode') + agenda.parked('blocked') > 0;
    if (isSettled() && staging.count() === 0 && !apart) state.setMeta(revisionKey, String(revision));
    // Others are told of rest, not of being in step: two that lack what the other wrote would wait for each other.
    const rest = !atRest() ? 'busy' : isWhole() ? 'whole' : 'rest';
    if (rest !== said) {
      said = rest;
      exchange.setSettled(drive.id, rest !== 'busy', rest === 'whole');
    }
    const woken = waiters;
    waiters = [];
    for (const done of woken) done();
  }

  /** Something that shows in the status changed. */
  function touch(): void {
    if (stopping) return;
    if ((said === 'rest' || said === 'whole') && !atRest()) {
      said = 'busy';
      exchange.setSettled(drive.id, false, false);
    }
    // The first of many at once, as somebody may be looking; the rest of them together.
    statusTimer ??= clock.after(Math.max(0, statusTold + statusInterval - clock.now()), () => {
      statusTimer = null;
      statusTold = clock.now();
      if (!stopping) events.emit('status', status());
    });
  }

  function stateNow(): FolderState {
    if (paused) return 'paused';
    if (halted !== null) return 'stopped';
    if (massDelete.held() && agenda.parked('delete') > 0) return 'held';
    if (scans.fullRunning() || !started || comparing) return 'scanning';
    if (isSettled()) return agenda.parked('mode') > 0 ? 'differs' : 'in_step';
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
        importer.queued() + (modes.mode() === 'receive-only' ? 0 : pending.size + massDelete.count()),
      pendingDown: staging.count(),
      pendingBytes: staging.missingBytes(),
      conflicts: conflicts.size,
      problems: [...held, ...problems.list()],
      onlineFiles,
      onlineBytes,
      whole: isWhole(),
      mode: modes.mode(),
      differing: agenda.parked('mode'),
    };
  }

  async function until(condition: () => boolean, signal?: AbortSignal): Promise<void> {
    while (!condition()) {
      signal?.throwIfAborted();
      if (stopping) throw new AppError('shutting_down', 'Syncing was stopped.');
      let cancel = (): void => {};
      await new Promise<void>((done) => {
        waiters.push(done);
        cancel = clock.after(100, done);
        signal?.addEventListener('abort', () => done(), { once: true });
      });
      cancel();
    }
  }

  return {
    driveId: drive.id,
    folder,
    blocks: { ...blocks, holds: (items) => online.holds(items) },
    online,
    setMode: (mode) => modes.set(mode).finally(touch),
    differences: (limit) => modes.differences(limit),
    revert: () => modes.revert(),
    override: () => modes.override(),
    on: events.on,
    async start() {
      if (deps.marked) await enterFolder();
      else await claimFolder();
      if (halted === null) rules = await readRules();
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
          if (driveId === drive.id && halted === null && isKept(early.node)) {
            staging.prefetch(early.token, early.blocks);
          }
        }),
      );
      started = true;
      startedAt = clock.now();
      losses.membersChanged();
      loop = run();
      scans.start();
      void trash
        .thin()
        .catch((error: unknown) => logger.warn({ err: error }, 'the trash could not be thinned'));
    },
    async stop() {
      if (stopping) return;
      stopping = true;
      ending.abort(new AppError('cancelled', 'Syncing was stopped.'));
      for (const off of listeners) off();
      wake();
      noteWaiters();
      await importer.stop();
      await scans.stop();
      await staging.stop();
      await loop;
      await retention.stop();
      agenda.stop();
      statusTimer?.();
      disk.stop();
      if (deps.fs === undefined) await fs.stop();
    },
    status,
    incoming: (limit) => staging.moving(limit),
    outgoing: () => outgoing.list(),
    conflictCopies: () => [...conflicts],
    pause() {
      paused = true;
      staging.setPaused(true);
      touch();
      wake();
    },
    resume() {
      paused = false;
      staging.setPaused(halted !== null);
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
      await until(() => importer.queued() === 0 && upToDate());
    },
    async settled(signal) {
      await until(
        () => isSettled() && (clock.now() - startedAt > reachTime || losses.everybodyHere()),
        signal,
      );
      await retention.idle();
    },
    readContent: (content, range) => reader.read(content, range),
    contentState: (content) => reader.state(content),
    ignored: (path, dir) => rules.ignored(path, dir),
    mounts: {
      held: () => boundary.held(),
      opened: () => boundary.opened(),
      path: (node) => state.local.path(node),
      rows: (node) => rowsBeneath(state, node),
      letGo: (node) =>
        exclusive(async () => {
          await forgetBeneath(state, node, forgotten);
          touch();
        }),
      takeBack: (node, from, rows, newer) =>
        exclusive(async () => {
          // What slipped in while the folder was another drive's.
          await forgetBeneath(state, node, forgotten);
          const handover = { from, to: drive, fromFolder: rootNode, toFolder: node, newer };
          const seeded = await seed(state, handover, rows);
          boundary.open(node);
          for (const id of seeded) dirty(id);
          for await (const id of everythingIn(drive.wholeTree, node)) agenda.add(id);
          const path = state.local.path(node);
          if (path !== null) scans.newFolder(path);
          if (path !== null) again(path, 0);
        }),
    },
    trash: {
      list: () => trash.list(),
      async restore(path) {
        const back = await trash.restore(path);
        again(back.slice(0, Math.max(0, back.lastIndexOf('/'))), 0);
        await until(() => scans.calm());
      },
      empty: () => trash.empty(),
    },
  };

  function noteWaiters(): void {
    for (const done of waiters.splice(0)) done();
  }
}
