import type { Entry, History } from '../history/index.ts';
import { merkleLeaves, merkleRoot } from '../history/index.ts';
import type { Database } from '../store/index.ts';
import type { Logger } from '../../src-shared/runtime.ts';
import { AppError, isAppError } from '../../src-shared/errors.ts';
import { hex, sameBytes } from './codec/bytes.ts';
import { decodeBody, openBytes } from './codec/body.ts';
import type { PlainBody } from './codec/body.ts';
import { decodeOp } from './codec/ops.ts';
import { roleRank } from './access/evaluate.ts';
import type { AccessEvent } from './access/evaluate.ts';
import type { AccessLog } from './access/access-log.ts';
import { openWriterCertificate } from './access/writer-certificate.ts';
import { entryStatus } from './schema.ts';
import type { EntryStatus } from './schema.ts';
import type { IndexedOp } from './tree/operations.ts';
import type { TreeStore } from './tree/store.ts';
import type { RegisterStore } from './registers.ts';
import type { BudgetChange, Budgets } from './budget.ts';

export interface WriterRow {
  readonly writer: Uint8Array;
  readonly incarnation: number;
  readonly user: string;
  readonly device_key: Uint8Array;
  readonly device: string;
  readonly name: string;
}

interface EntryRow {
  readonly hash: Uint8Array;
  readonly status: EntryStatus;
  readonly reason: string | null;
  readonly writer: Uint8Array;
  readonly incarnation: number;
  readonly root: Uint8Array | null;
}

interface Verdict {
  readonly status: EntryStatus;
  readonly reason: string | null;
  readonly ops: readonly IndexedOp[];
  readonly writer: Omit<WriterRow, 'writer' | 'incarnation'> | null;
}

export interface EntriesDeps {
  readonly db: Database;
  readonly drive: Uint8Array;
  readonly history: History;
  readonly access: AccessLog;
  readonly tree: TreeStore;
  readonly registers: Pick<RegisterStore, 'apply' | 'reload'>;
  /** Of members of a collection. */
  readonly budgets: Budgets;
  readonly logger: Logger;
}

export type Entries = ReturnType<typeof createEntries>;

/** Why an entry does not count that lies beyond what its writer may write. */
const overBudget = 'quota_exceeded';

/** Decides what becomes of each entry, applies those that count, and keeps the books. */
export function createEntries(deps: EntriesDeps) {
  const { db, drive, history, access, tree, registers, budgets } = deps;
  const insert = db.prepare('INSERT OR REPLACE INTO drive_entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const setStatus = db.prepare('UPDATE drive_entry SET status = ?, reason = ? WHERE hash = ?');
  const byHash = db.prepare<[Uint8Array], EntryRow>('SELECT * FROM drive_entry WHERE hash = ?');
  const lockedOnes = db.prepare<[], { hash: Uint8Array }>(
    'SELECT hash FROM drive_entry WHERE status = 0 AND status <> 1 AND access = 0 ORDER BY lamport, hash',
  );
  const ofFeed = db.prepare<[Uint8Array, number], EntryRow>(
    'SELECT * FROM drive_entry WHERE writer = ? AND incarnation = ? AND access = 0 AND status IN (1, 2)',
  );
  const withStatus = db.prepare<[number], EntryRow>(
    'SELECT * FROM drive_entry WHERE status = ? AND status <> 1 ORDER BY lamport, hash',
  );
  const insertWriter = db.prepare('INSERT OR REPLACE INTO drive_writer VALUES (?, ?, ?, ?, ?, ?, ?)');
  const writerOf = db.prepare<[Uint8Array], WriterRow>('SELECT * FROM drive_writer WHERE root = ?');
  const anyRoot = db
    .prepare<[Uint8Array, number], Uint8Array>(
      'SELECT root FROM drive_writer WHERE writer = ? AND incarnation = ? ORDER BY root LIMIT 1',
    )
    .pluck();
  const feedsOfUser = db.prepare<[string], WriterRow>('SELECT * FROM drive_writer WHERE user = ?');
  const feedOfDevice = db.prepare<[Uint8Array], WriterRow>(
    'SELECT * FROM drive_writer WHERE device_key = ? LIMIT 1',
  );
  const rootRow = db.prepare<[Uint8Array], { hash: Uint8Array; access: number }>(
    'SELECT r.hash, r.access FROM drive_entry e JOIN drive_entry r ON r.hash = e.root WHERE e.hash = ?',
  );

  /**
   * The first entry below `entry` in its feed. It follows from the links alone, so that on a forked feed, where two first entries
   * may name different people, every replica finds the same.
   */
  function rootOf(entry: Entry): Uint8Array | null {
    const { writer, incarnation } = entry.header;
    for (let at = entry; at.header.prev !== null;) {
      const booked = byHash.get(at.header.prev)?.root;
      if (booked) return booked;
      try {
        at = history.get(at.header.prev);
      } catch (error) {
        // Damaged, and the books were lost with it; feeds with several first entries are rare.
        deps.logger.warn({ error }, 'an entry below another could not be read');
        return anyRoot.get(writer, incarnation) ?? null;
      }
      if (at.header.prev === null) return at.hash;
    }
    return entry.hash;
  }

  /** @throws AppError `malformed` when body and header do not belong together */
  function openBody(entry: Entry): PlainBody | null {
    const { header } = entry;
    const epoch = hex(header.keyEpoch);
    if (access.keyring.key(epoch) === null) return null;
    const plain = openBytes(access.keyring.bodyKey(epoch), entry.body, { ...header, drive });
    if (!plain) throw new AppError('malformed', 'The body of an entry does not open with its key.');
    const body = decodeBody(plain);
    if (!sameBytes(merkleRoot(merkleLeaves(body.salt, body.ops)), header.opsRoot)) {
      throw new AppError('malformed', 'The operations of an entry are not those its header names.');
    }
    return body;
  }

  /** Operations of an entry; null when its key is missing. @throws AppError */
  function openOps(entry: Entry): readonly IndexedOp[] | null {
    return openBody(entry)?.ops.map((bytes, index) => ({ index, op: decodeOp(bytes) })) ?? null;
  }

  /** Does removal `by` take out `entry`? What the remover lists, and what was written knowing of the removal, stays. */
  function cutsOff(by: AccessEvent, entry: Entry, user: string, deviceKey: Uint8Array): boolean {
    if (by.user !== user || (by.kind === 'revoke' && by.device !== hex(deviceKey))) return false;
    if (roleRank(by.kind === 'lower' ? by.role : null) >= roleRank('editor')) return false;
    const { header, hash } = entry;
    if (access.graph.covers(header.access.map(hex), by.id)) return false;
    return !by.frontier.some((tip) => {
      if (!sameBytes(tip.writer, header.writer) || tip.incarnation !== header.incarnation) return false;
      if (tip.seq < header.seq) return false;
      return (
        sameBytes(tip.hash, hash) ||
        !isForked(entry) ||
        (history.has(tip.hash) && history.includes(tip.hash, hash))
      );
    });
  }

  function isForked({ header }: Entry): boolean {
    return history
      .forks()
      .some((fork) => sameBytes(fork.writer, header.writer) && fork.incarnation === header.incarnation);
  }

  const locked: Verdict = { status: entryStatus.locked, reason: null, ops: [], writer: null };
  const refuse = (status: EntryStatus, reason: string): Verdict => ({
    status,
    reason,
    ops: [],
    writer: null,
  });

  function judge(entry: Entry, known: readonly IndexedOp[] | null): Verdict {
    const { header } = entry;
    const state = access.graph.at(header.access.map(hex));
    if (!state) return locked;
    access.keyring.merge(state.epochs);
    let ops: readonly IndexedOp[] | null;
    let writer: Verdict['writer'];
    try {
      ops = known ?? openOps(entry);
      if (!ops) return locked;
      const root = rootOf(entry);
      writer = (root && writerOf.get(root)) ?? null;
      const first = ops[0]?.op;
      if (header.seq === 0 && first?.t === 'cert') {
        const identity = openWriterCertificate(first.cert, drive, header.writer);
        writer = {
          user: identity.user,
          device_key: identity.deviceKey,
          device: identity.device,
          name: identity.deviceName,
        };
      }
    } catch (error) {
      if (!isAppError(error)) throw error;
      const status = isAppError(error, 'unknown_writer') ? entryStatus.forbidden : entryStatus.malformed;
      return refuse(status, error.code);
    }
    if (!writer) {
      // The certificate may be in an entry that can't be read yet.
      const root = rootOf(entry);
      const first = root && byHash.get(root);
      return first?.status === entryStatus.locked ? locked : refuse(entryStatus.forbidden, 'unknown_writer');
    }
    const member = state.members.get(writer.user);
    if (roleRank(member?.role) < roleRank('editor'))
      return { ...refuse(entryStatus.forbidden, 'forbidden'), writer };
    // Which drive has its place in a folder decides who reads what is put there: a manager's word, as sharing is.
    if (ops.some(({ op }) => op.t === 'mount') && roleRank(member?.role) < roleRank('manager'))
      return { ...refuse(entryStatus.forbidden, 'forbidden'), writer };
    // A collection has no files, a folder no keys: whoever writes the other kind writes nonsense.
    if (ops.some(({ op }) => op.t !== 'cert' && (op.t === 'set') !== isCollection()))
      return { ...refuse(entryStatus.malformed, 'malformed'), writer };
    if (state.revoked.has(`${writer.user} ${hex(writer.device_key)}`)) {
      return { ...refuse(entryStatus.forbidden, 'forbidden'), writer };
    }
    const user = writer.user;
    const key = writer.device_key;
    const cut = access.graph.current().removals.some((by) => cutsOff(by, entry, user, key));
    const status = cut ? entryStatus.quarantined : entryStatus.counts;
    return { status, reason: cut ? 'quarantined' : null, ops, writer };
  }

  function judgeAccess(entry: Entry): Verdict {
    const id = hex(entry.hash);
    const { graph } = access;
    if (!graph.has(id)) return locked;
    if (!access.opened(id)) return refuse(entryStatus.malformed, 'malformed');
    if (!graph.isValid(id)) return refuse(entryStatus.forbidden, graph.whyInvalid(id));
    if (!graph.current().counting.has(id)) return refuse(entryStatus.quarantined, 'quarantined');
    return { status: entryStatus.counts, reason: null, ops: [], writer: null };
  }

  function saveWriter(entry: Entry, writer: NonNullable<Verdict['writer']>): void {
    const { header } = entry;
    insertWriter.run(
      entry.hash,
      header.writer,
      header.incarnation,
      writer.user,
      writer.device_key,
      writer.device,
      writer.name,
    );
  }

  function save(entry: Entry, status: EntryStatus, reason: string | null): void {
    const { kind, lamport, writer, incarnation, seq, time } = entry.header;
    insert.run(
      entry.hash,
      lamport,
      kind === 'access' ? 1 : 0,
      status,
      reason,
      writer,
      incarnation,
      seq,
      time,
      rootOf(entry),
    );
  }

  /** One transaction; SQLite and the cached numbers agree again when it fails. */
  function transaction<T>(work: () => T): T {
    try {
      return db.transaction(work)();
    } catch (error) {
      tree.reload();
      registers.reload();
      budgets.reload();
      throw error;
    }
  }

  /** @returns true when the tree changed; of registers their revision tells */
  function applyOps(entry: Entry, ops: readonly IndexedOp[], undo: boolean): boolean {
    const place = { lamport: entry.header.lamport, hash: entry.hash };
    // `judge` lets no entry count that has operations of both kinds.
    if (!ops.some(({ op }) => op.t === 'set')) return tree.apply(place, ops, undo);
    registers.apply(place, ops, undo);
    return false;
  }

  const isCollection = (): boolean => access.opened(hex(drive))?.sealed.extra?.t === 'purpose';

  /** Takes out what does not fit any more, and back what does. */
  function settle({ cut, back }: BudgetChange, except: Uint8Array): void {
    for (const [hashes, undo] of [
      [cut, true],
      [back, false],
    ] as const) {
      for (const hash of hashes) {
        if (sameBytes(hash, except)) continue;
        const entry = history.get(hash);
        const ops = openOps(entry);
        if (ops) applyOps(entry, ops, undo);
        if (undo) setStatus.run(entryStatus.quarantined, overBudget, hash);
        else setStatus.run(entryStatus.counts, null, hash);
      }
    }
  }

  /** Counts an entry of a collection against what its writer may write. @returns whether it fits */
  function fits(entry: Entry, user: string): boolean {
    if (!isCollection()) return true;
    const { lamport } = entry.header;
    settle(budgets.add(user, lamport, entry.hash, entry.bytes.length), entry.hash);
    return !budgets.isOver(user, lamport, entry.hash);
  }

  return {
    openBody,
    openOps,
    /**
     * Decides on an `ops` entry and applies it, all at once, if it counts.
     * @param known its operations, of an entry this device has just written
     * @param pace awaited between opening and applying
     */
    async processOps(
      entry: Entry,
      known: readonly IndexedOp[] | null,
      pace: () => Promise<void>,
    ): Promise<{ status: EntryStatus; reason: string | null; changed: boolean }> {
      const before = byHash.get(entry.hash);
      if (before && before.status !== entryStatus.locked) {
        return { status: before.status, reason: before.reason, changed: false };
      }
      const verdict = judge(entry, known);
      await pace();
      return transaction(() => {
        const { writer, ops } = verdict;
        let { status, reason } = verdict;
        if (status === entryStatus.counts && writer && !fits(entry, writer.user)) {
          status = entryStatus.quarantined;
          reason = overBudget;
        }
        save(entry, status, reason);
        if (writer && entry.header.seq === 0) saveWriter(entry, writer);
        const changed = status === entryStatus.counts && applyOps(entry, ops, false);
        return { status, reason, changed };
      });
    },

    /** Books access entries; call after the access log has taken them. */
    bookAccess(batch: readonly Entry[]): void {
      transaction(() => {
        for (const entry of batch) {
          const opened = access.opened(hex(entry.hash));
          if (opened && entry.header.seq === 0) {
            const { user, deviceKey, device, deviceName } = opened.author;
            saveWriter(entry, { user, device_key: deviceKey, device, name: deviceName });
          }
          const { status, reason } = judgeAccess(entry);
          save(entry, status, reason);
        }
      });
    },

    /** Entries waiting for a key. */
    locked: (): readonly Uint8Array[] => lockedOnes.all().map((row) => row.hash),

    /** Hashes of entries to judge anew after removals of these users began or ceased to count. */
    ofUsers(users: Iterable<string>): readonly Uint8Array[] {
      const feeds = [...new Set(users)].flatMap((user) => feedsOfUser.all(user));
      return feeds.flatMap((feed) => ofFeed.all(feed.writer, feed.incarnation).map((row) => row.hash));
    },

    /** Quarantines an entry or lets it count again, as the removals now say. Returns true when the tree changed. */
    requarantine(entry: Entry): boolean {
      const row = byHash.get(entry.hash);
      const writer = row?.root && writerOf.get(row.root);
      if (!row || !writer) return false;
      const cut = access.graph
        .current()
        .removals.some((by) => cutsOff(by, entry, writer.user, writer.device_key));
      if (cut === (row.status === entryStatus.quarantined && row.reason !== overBudget)) return false;
      const ops = openOps(entry);
      if (!ops) return false;
      return transaction(() => {
        const { lamport } = entry.header;
        if (cut) settle(budgets.remove(writer.user, lamport, entry.hash), entry.hash);
        const shown = row.reason !== overBudget && (cut || fits(entry, writer.user));
        if (!cut && !shown) {
          setStatus.run(entryStatus.quarantined, overBudget, entry.hash);
          return false;
        }
        setStatus.run(
          cut ? entryStatus.quarantined : entryStatus.counts,
          cut ? 'quarantined' : null,
          entry.hash,
        );
        return shown && applyOps(entry, ops, cut);
      });
    },

    /** Judges an entry as if it came now, changing nothing. */
    audit(entry: Entry): { status: EntryStatus; reason: string | null } {
      if (entry.header.kind !== 'ops') return judgeAccess(entry);
      const { status, reason, writer } = judge(entry, null);
      const over = writer !== null && budgets.isOver(writer.user, entry.header.lamport, entry.hash);
      return status === entryStatus.counts && over
        ? { status: entryStatus.quarantined, reason: overBudget }
        : { status, reason };
    },

    /** The first entry below this one in its feed: it says who writes. */
    firstBelow: (hash: Uint8Array): { hash: Uint8Array; access: number } | null => rootRow.get(hash) ?? null,
    status: (hash: Uint8Array): { status: EntryStatus; reason: string | null } | null =>
      byHash.get(hash) ?? null,
    withStatus: (status: EntryStatus): readonly { hash: Uint8Array; reason: string | null }[] =>
      withStatus.all(status),
    feedOfDevice: (key: Uint8Array): WriterRow | null => feedOfDevice.get(key) ?? null,
    feedsOfUser: (user: string): readonly WriterRow[] => feedsOfUser.all(user),
  };
}
