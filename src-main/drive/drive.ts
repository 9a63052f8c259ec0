import { createHistory, createGenesis, entryHash } from '../history/index.ts';
import type {
  Entry,
  EntryDraft,
  EntryHash,
  Fork,
  History,
  IngestResult,
  Rejection,
} from '../history/index.ts';
import { createSigner, deviceKeyOf } from '../identity/index.ts';
import type { Signer } from '../identity/index.ts';
import { migrate } from '../store/index.ts';
import { createEmitter } from '../../src-shared/emitter.ts';
import { AppError } from '../../src-shared/errors.ts';
import { silentLogger } from '../../src-shared/runtime.ts';
import { byteKey, hex, zero32 } from './codec/bytes.ts';
import { checkName } from './codec/names.ts';
import type { WireOp } from './codec/ops.ts';
import { createAccessLog } from './access/access-log.ts';
import { buildAccessEntry } from './access/author.ts';
import { signWriterCertificate } from './access/writer-certificate.ts';
import { createAuthors } from './authors.ts';
import { budgetMigrations, createBudgets, memberBudget } from './budget.ts';
import { createCommitter } from './commit.ts';
import type { CreateDriveDeps, OpenDriveDeps } from './deps.ts';
import { createEntries } from './entries.ts';
import { createMutex, createPace } from './pace.ts';
import { createProver } from './proof.ts';
import { createRights } from './rights.ts';
import { rightsHistory } from './rights-history.ts';
import { createSharing } from './sharing.ts';
import { driveMigrations, entryStatus } from './schema.ts';
import { createDrafts } from './tree/drafts.ts';
import { entryOfRef } from './tree/place.ts';
import { createTreeReader, parseOpId } from './tree/reader.ts';
import { treeMigrations } from './tree/schema.ts';
import { createTreeStore } from './tree/store.ts';
import { createTimeline, timelineMigrations } from './timeline.ts';
import { createRegisters, registerMigrations } from './registers.ts';
import type { Drive, DriveEvents, DrivePurpose } from './types.ts';
import { createVersions } from './versions.ts';

/** What SQLite may keep in memory of a drive's database. */
const pageCacheKiB = 16 * 1024;

/** Makes a drive: its genesis entry, owned by this identity, and the key epoch it starts. */
export async function createDrive(deps: CreateDriveDeps): Promise<Drive> {
  checkName(deps.name);
  const { identity, random, clock } = deps;
  const secret = random(32);
  const writer = createSigner(secret);
  const body = buildAccessEntry(
    {
      kind: 'genesis',
      user: identity.userId,
      role: 'owner',
      encKey: identity.encKey,
      device: null,
      receivers: [],
      name: deps.name,
      frontier: [],
      boxesFor: [identity.encKey],
      handOut: [],
      previous: [],
      extra: deps.purpose ? { t: 'purpose', app: deps.purpose.app } : null,
    },
    {
      drive: null,
      writer: writer.publicKey,
      cert: signWriterCertificate(
        identity.device,
        identity.certificate,
        zero32,
        writer.publicKey,
        clock.now(),
      ),
      links: [],
      epoch: null,
      random,
    },
  );
  const created = createGenesis({ signer: writer, clock, random }, body);
  await deps.writerKeys.put(created.id, secret);
  const storage = await deps.storage(created.id);
  return openDrive({ ...deps, ...storage, driveId: created.id, created });
}

/**
 * Opens a drive kept here, or one just joined (`genesis`): brings its tables up to the chain and starts its writer.
 * @throws AppError what `createHistory` throws
 */
export async function openDrive(deps: OpenDriveDeps): Promise<Drive> {
  let secret = deps.writerKeys.get(deps.driveId);
  if (!secret) {
    secret = deps.random(32);
    await deps.writerKeys.put(deps.driveId, secret);
  }
  const signer = createSigner(secret);
  // Ids are random: an import of 10,000 files touches every page of two indexes again and again.
  deps.db.pragma(`cache_size = -${pageCacheKiB}`);
  migrate(deps.db, 'drive', driveMigrations);
  migrate(deps.db, 'tree', treeMigrations);
  migrate(deps.db, 'timeline', timelineMigrations);
  migrate(deps.db, 'register', registerMigrations);
  migrate(deps.db, 'budget', budgetMigrations);
  const history = await createHistory({
    dir: deps.dir,
    db: deps.db,
    driveId: deps.driveId,
    signer,
    clock: deps.clock,
    random: deps.random,
    logger: deps.logger ?? silentLogger,
    ...(deps.created && { created: deps.created }),
    ...(deps.genesis && { genesis: deps.genesis }),
  });
  try {
    return await assemble(deps, history, signer);
  } catch (error) {
    history.close();
    throw error;
  }
}

async function assemble(deps: OpenDriveDeps, history: History, signer: Signer): Promise<Drive> {
  const { db, identity, clock, random } = deps;
  const logger = deps.logger ?? silentLogger;
  const drive = entryHash(deps.driveId);
  const events = createEmitter<DriveEvents>((error) =>
    logger.error({ error }, 'a listener of a drive failed'),
  );
  const exclusive = createMutex();

  const access = createAccessLog(drive, (box) => identity.unwrap(box));
  const factsQuery = db.prepare<
    [Uint8Array],
    { time: number; writer: Uint8Array; user: string | null; name: string | null }
  >(
    `SELECT e.time, e.writer, w.user, w.name FROM drive_entry e
     LEFT JOIN drive_writer w ON w.root = e.root WHERE e.hash = ?`,
  );
  const factsOf = (ord: Uint8Array) => {
    const row = factsQuery.get(ord.subarray(6, 38));
    return {
      time: row?.time ?? 0,
      writer: row?.writer ?? zero32,
      user: row?.user ?? null,
      device: row?.name ?? '',
    };
  };
  // Revisions of a rebuilt database must not meet numbers an earlier one gave out.
  const store = createTreeStore(db, factsOf, clock.now() * 1000);
  const reader = createTreeReader(db, store);
  const drafts = createDrafts(db, store);
  const versions = createVersions(db, store, reader, factsOf);
  const timeline = createTimeline(db, reader);
  const registers = createRegisters(db, factsOf);
  const budgets = createBudgets(db, deps.budget ?? memberBudget);
  const entries = createEntries({ db, drive, history, access, tree: store, registers, budgets, logger });
  const certificate = (): Uint8Array =>
    signWriterCertificate(identity.device, identity.certificate, drive, signer.publicKey, clock.now());
  const rights = createRights({
    drive,
    identity,
    writer: signer,
    access,
    entries,
    history,
    random,
    certificate,
  });
  const sharing = createSharing({
    drive,
    self: identity.userId,
    rights,
    clock,
    random,
    write: (list) => (checkOpen(), writeAccess(list)),
    exclusive,
  });
  const prover = createProver({ drive, history, entries, versions, reader, store, access });

  const authorOf = createAuthors({
    db,
    writer: signer,
    device: identity.device,
    history,
    access: () => access.graph.current(),
  });

  const readMark = db.prepare<[], { value: number }>("SELECT value FROM drive_mark WHERE key = 'position'");
  const writeMark = db.prepare("INSERT OR REPLACE INTO drive_mark VALUES ('position', ?)");
  const accessRows = db.prepare<[], { hash: Uint8Array }>(
    'SELECT hash FROM drive_entry WHERE access = 1 ORDER BY lamport, hash',
  );
  let announcedForks = new Set(history.forks().map(forkName));
  let closed = false;

  function purpose(): DrivePurpose | null {
    const extra = access.opened(hex(drive))?.sealed.extra;
    return extra?.t === 'purpose' ? { kind: 'collection', app: extra.app } : null;
  }

  function checkOpen(): void {
    if (closed) throw new AppError('shutting_down', 'This drive is closed.');
  }

  function read(hash: EntryHash): Entry | null {
    try {
      return history.get(hash);
    } catch (error) {
      logger.warn({ error }, 'an entry could not be read');
      return null;
    }
  }

  /** Which removals count, by id: what decides over quarantine. */
  const removalIds = (): Map<string, string> =>
    new Map(access.graph.current().removals.map((event) => [event.id, event.user]));

  /** Takes in entries the history has stored. */
  async function take(
    batch: readonly Entry[],
    known: ReadonlyMap<string, readonly WireOp[]>,
  ): Promise<Rejection[]> {
    const pace = createPace();
    const rejected: Rejection[] = [];
    const registersBefore = registers.revision();
    const accessEntries = batch.filter((entry) => entry.header.kind === 'access');
    let treeChanged = false;
    if (accessEntries.length > 0) {
      const before = access.graph.events().length === 0 ? new Map<string, string>() : removalIds();
      const changed = access.add(accessEntries);
      entries.bookAccess(changed ? allAccess(accessEntries) : accessEntries);
      if (changed) {
        treeChanged = await reconsider(before, pace);
        events.emit('access', {});
      }
    }
    for (const entry of batch) {
      await pace();
      if (entry.header.kind === 'access') {
        const booked = entries.status(entry.hash);
        if (booked && booked.status > entryStatus.counts) rejected.push(rejection(entry, booked.reason));
        continue;
      }
      const ops = known.get(byteKey(entry.hash))?.map((op, index) => ({ index, op })) ?? null;
      const { status, reason, changed } = await entries.processOps(entry, ops, pace);
      if (changed) treeChanged = true;
      if (status > entryStatus.counts) rejected.push(rejection(entry, reason));
    }
    writeMark.run(history.position());
    if (treeChanged) events.emit('tree', { revision: store.revision() });
    tellRegisters(registersBefore);
    return rejected;
  }

  function tellRegisters(before: number): void {
    const revision = registers.revision();
    if (revision !== before) events.emit('registers', { revision });
  }

  /** All access entries: what one says may decide over the others. */
  function allAccess(fresh: readonly Entry[]): Entry[] {
    const hashes = new Map(fresh.map((entry) => [byteKey(entry.hash), entry]));
    for (const { hash } of accessRows.all()) {
      if (hashes.has(byteKey(hash))) continue;
      const entry = read(hash);
      if (entry) hashes.set(byteKey(hash), entry);
    }
    return [...hashes.values()];
  }

  /** Rights or keys have changed: what waited for a key, and what removals that came or went cut off. */
  async function reconsider(
    before: ReadonlyMap<string, string>,
    pace: () => Promise<void>,
  ): Promise<boolean> {
    let changed = false;
    const after = removalIds();
    const users = new Set<string>();
    for (const [id, user] of before) if (!after.has(id)) users.add(user);
    for (const [id, user] of after) if (!before.has(id)) users.add(user);
    for (const hash of entries.ofUsers(users)) {
      const entry = read(hash);
      if (entry && entries.requarantine(entry)) changed = true;
      await pace();
    }
    for (const hash of entries.locked()) {
      const entry = read(hash);
      if (entry && (await entries.processOps(entry, null, pace)).changed) changed = true;
      await pace();
    }
    return changed;
  }

  function announce(added: readonly Entry[], local: boolean): void {
    if (added.length > 0) events.emit('entries', { entries: added, local });
    const forks = history.forks();
    const names = new Set(forks.map(forkName));
    for (const fork of forks) if (!announcedForks.has(forkName(fork))) events.emit('fork', fork);
    announcedForks = names;
  }

  /** Appends access entries of this device. */
  async function writeAccess(list: readonly EntryDraft[]): Promise<void> {
    for (const draft of list) {
      const added = await history.append([draft]);
      await take(added, new Map());
      announce(added, true);
    }
  }

  async function ingest(list: readonly Uint8Array[], source?: string): Promise<IngestResult> {
    checkOpen();
    const result = await history.ingest(list, source);
    const refused = await take(result.added, new Map());
    announce(result.added, false);
    return { ...result, rejected: [...result.rejected, ...refused] };
  }

  async function repairAccess(): Promise<number> {
    checkOpen();
    const before = access.graph.events().length === 0 ? new Map<string, string>() : removalIds();
    // A box that came before the key of ours it is made for has been tried in vain.
    const lacking = access.locked() > 0 || rights.lacksKey();
    if (lacking && access.retry()) {
      const registersBefore = registers.revision();
      entries.bookAccess(allAccess([]));
      if (await reconsider(before, createPace())) events.emit('tree', { revision: store.revision() });
      tellRegisters(registersBefore);
      events.emit('access', {});
    }
    const list = rights.repair();
    await writeAccess(list);
    return list.length;
  }

  /** Applies what the chain holds beyond the mark; everything, in slices, after the tables were lost. */
  async function catchUp(): Promise<void> {
    const known: Entry[] = [];
    for (const { hash } of accessRows.all()) {
      const entry = read(hash);
      if (entry) known.push(entry);
    }
    access.add(known);
    const mark = readMark.get()?.value ?? 0;
    if (mark === history.position()) return;
    let batch: Entry[] = [];
    for (const entry of history.storedFrom(mark)) {
      const booked = entries.status(entry.hash);
      if (booked && booked.status !== entryStatus.locked) continue;
      batch.push(entry);
      if (batch.length >= 64) {
        await take(batch, new Map());
        batch = [];
      }
    }
    await take(batch, new Map());
  }

  await catchUp();
  const commit = createCommitter({
    drive,
    signer,
    identity,
    history,
    access,
    rights,
    drafts,
    registers,
    purpose,
    fits: (bytes, count) => budgets.fits(identity.userId, bytes, count),
    random,
    certificate,
    async added(list, operations) {
      await take(list, operations);
      announce(list, true);
    },
  });

  return {
    id: deps.driveId,
    on: events.on,
    name: () => access.opened(hex(drive))?.sealed.name ?? '',
    purpose,
    registers,
    flooding: () => budgets.flooding(),
    tree: reader.tree,
    wholeTree: reader.whole,
    nodeHistory: (node) => reader.history(node),
    commit: (list) => exclusive(async () => (checkOpen(), commit(list))),
    ingest: (list, source) =>
      exclusive(async () => {
        const result = await ingest(list, source);
        if (result.added.some((entry) => entry.header.kind === 'access')) {
          await repairAccess().catch((error: unknown) =>
            logger.warn({ error }, 'keys could not be handed out'),
          );
        }
        return result;
      }),
    contentOf: (version) => reader.content(parseOpId(version)),
    authorOf,
    versions: (path) => versions.versions(path),
    timeline: timeline.page,
    writers: timeline.writers,
    members: () =>
      [...rights.state().members.values()]
        .map(({ userId, role, since }) => ({ userId, role, since }))
        .sort((a, b) => (a.userId < b.userId ? -1 : 1)),
    roleOf: (user) => rights.roleOf(user),
    ownRole: () => rights.roleOf(identity.userId) ?? (sharing.visibility() === 'private' ? null : 'reader'),
    encKeyOf: (user) => rights.state().members.get(user)?.encKey ?? null,
    everMember: (user) => access.graph.events().some((event) => event.user === user && event.role !== null),
    ...sharing,
    rightsHistory: () => rightsHistory(access),
    share: (user, encKey, role) =>
      exclusive(async () => {
        checkOpen();
        const draft = rights.share(user, encKey, role);
        if (draft) await writeAccess([draft]);
      }),
    unshare: (user) =>
      exclusive(async () => {
        checkOpen();
        // Throws before anything is written.
        rights.unshare(user);
        // Whoever is put out still has the links he came by, and could come back by them under any name.
        if (user !== identity.userId) {
          for (const invite of rights.state().invites.values()) {
            if (!invite.ended && invite.used.includes(user)) await writeAccess([rights.endInvite(invite)]);
          }
        }
        await writeAccess([rights.unshare(user)]);
      }),
    revokeDevice: (device, user) =>
      exclusive(() => (checkOpen(), writeAccess([rights.revokeDevice(device, user ?? null)]))),
    isRevoked: (device, user) => rights.state().revoked.has(`${user} ${hex(deviceKeyOf(device))}`),
    repairAccess: () => exclusive(repairAccess),
    currentEpoch: () => rights.epoch().id,
    contentKey: (epoch) => access.keyring.contentKey(epoch),
    heads: () => history.heads(),
    frontier: () => history.frontier(),
    ownTip: () => history.ownTip(),
    placeOf(version) {
      const hash = entryOfRef(parseOpId(version));
      if (!history.has(hash)) return null;
      const { writer, incarnation, seq } = history.get(hash).header;
      return { writer, incarnation, seq };
    },
    has: (entry) => history.has(entry),
    headersUpTo: (version, head) => history.feedChain(entryOfRef(parseOpId(version)), head),
    signTip(bytesOf) {
      const tip = history.ownTip();
      return tip && { tip, sig: signer.sign(bytesOf(tip)) };
    },
    newIncarnation: () => history.newIncarnation(),
    missingFor: (frontier) => history.missingFor(frontier),
    forks: () => history.forks(),
    quarantined: () =>
      entries
        .withStatus(entryStatus.quarantined)
        .map((row) => read(row.hash)?.id ?? '')
        .filter((id) => id !== ''),
    verify: () => prover.verify(),
    proof: (path, version) => exclusive(async () => prover.prove(path, version)),
    close() {
      if (closed) return;
      closed = true;
      history.close();
    },
  };
}

const forkName = (fork: Fork): string =>
  `${byteKey(fork.writer)}${fork.incarnation}/${fork.seq}/${fork.entries.length}`;

const rejections = {
  unknown_writer: 'An entry was written by a device nobody vouches for.',
  quota_exceeded: 'An entry lies beyond what one member may write into a collection.',
  quarantined: 'An entry was written by someone who had been removed by then.',
  forbidden: 'The writer of an entry had no right to it.',
  too_many_invites: 'An entry invites somebody while too many invitations are open.',
  malformed: 'The content of an entry makes no sense.',
} as const;

function rejection(entry: Entry, reason: string | null): Rejection {
  const code = Object.keys(rejections).find((one) => one === reason) as keyof typeof rejections | undefined;
  const error = code ?? 'malformed';
  return { id: entry.id, error: new AppError(error, rejections[error], { details: { id: entry.id } }) };
}
