import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import type { Content, Drive, FileContent, NodeId, OpDraft, TreeNode } from '../../drive/index.ts';
import type { Exchange, MemberSync } from '../../exchange/index.ts';
import type { Staging } from '../apply/staging.ts';
import type { Reader } from '../content/reader.ts';
import { createPace } from '../pace.ts';
import { contentKey } from '../plan/rows.ts';
import type { Problems } from '../problems.ts';
import type { SyncState } from '../state/index.ts';
import { createKnownDevices, forgottenAfter } from './known-devices.ts';

/**
 * Versions whose bytes nobody has: overwritten or deleted where they were written before others had them, while something
 * else (a move, a power cut, an older disk put back) keeps the drive showing them. The device that wrote such a version settles the
 * matter by signing what comes after it; until then, and when it can't, the version is known to be lost and holds nothing up.
 */
export interface Losses {
  /**
   * To be called when nothing else is left to do. @returns whether something was signed, so that there is something to do again
   */
  consider(): Promise<boolean>;
  /** How many of the files waited for are known to be lost: they are no reason to wait. */
  count(): number;
  /** Every device that takes part, as far as known here, is connected. */
  everybodyHere(): boolean;
  /** Members came, went, or are at rest now. */
  membersChanged(): void;
}

/** How long others may take to settle what they wrote before it no longer holds us up. ms. */
const patience = 20_000;
/** Older versions looked at for one that somebody still has. */
const candidates = 16;
/** Files settled before other work gets its turn. */
const batch = 50;
/** A version larger than this counts as there without being fetched to find out. Bytes. */
const probeLimit = 32 * 1024 * 1024;

type Stand =
  /** A device that may have it is not connected, or not at rest. */
  | 'away'
  /** The device that wrote it is here and will settle it. */
  | 'settling'
  | 'lost';

export function createLosses(deps: {
  readonly drive: Drive;
  readonly exchange: Pick<Exchange, 'members' | 'fetch'>;
  readonly staging: Staging;
  readonly state: SyncState;
  readonly reader: Pick<Reader, 'state'>;
  readonly problems: Problems;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Tells the date, where `clock` tells how long something took. */
  readonly wallClock: Clock;
  readonly signal: AbortSignal;
  /** A storage host that was there within so many ms is not connected now. */
  readonly hostAway: (withinMs: number) => boolean;
  /** This device may sign changes of files. */
  readonly signs: () => boolean;
  /** The drive no longer shows the node: it has to be looked at. */
  readonly stale: (node: NodeId) => void;
  /** An older version came back into its place, for people to know. */
  readonly putBack: (path: string) => void;
}): Losses {
  const { drive, staging, state, clock } = deps;
  const pace = createPace();
  const known = createKnownDevices(drive, state, deps.wallClock);
  let lost = new Map<NodeId, string>();
  /** Since when somebody else is expected to settle a version. */
  let expected = new Map<string, number>();
  let considered = '';
  let looked = -1;
  let asked = '';

  const members = (): readonly MemberSync[] => deps.exchange.members(drive.id);
  const atRest = (list: readonly MemberSync[]): boolean =>
    list.every((one) => one.sameHistory && one.settled);

  function stand(version: string, list: readonly MemberSync[], all: boolean): Stand {
    const author = drive.authorOf(version);
    if (author === null || !author.active) return all && atRest(list) ? 'lost' : 'away';
    if (author.here) return all ? 'settling' : 'lost';
    const there = list.find(({ peerId }) => peerId === author.device);
    if (!there?.settled || !there.sameHistory) return 'away';
    if (!all) return 'lost';
    const since = expected.get(version) ?? clock.now();
    expected.set(version, since);
    return clock.now() - since < patience ? 'settling' : 'lost';
  }

  /** The node, while it shows the content that is waited for. */
  function shown(node: NodeId, content: FileContent): TreeNode | null {
    const row = drive.tree.get(node);
    return row?.content?.kind === 'file' && contentKey(row.content) === contentKey(content) ? row : null;
  }

  /** What the drive no longer shows is waited for in vain. */
  function dropStale(): void {
    const revision = drive.tree.revision();
    if (revision === looked) return;
    looked = revision;
    for (const { node } of staging.absent()) if (drive.tree.get(node) === null) deps.stale(node);
  }

  function show(now: ReadonlyMap<NodeId, string>): void {
    for (const [node, path] of lost) if (now.get(node) !== path) deps.problems.clear(path);
    for (const [node, path] of now) {
      if (lost.get(node) === path) continue;
      deps.problems.add(
        path,
        new AppError(
          'content_lost',
          'No computer that can be reached has its newest version any more; it may be on one that is offline. What is here stays as it is; save the file again to go on without that version.',
        ),
      );
    }
    lost = new Map(now);
  }

  /** What this device goes on with: the file as it is in the folder, else the newest older version somebody has, else nothing. */
  async function successor(node: TreeNode, gone: string): Promise<Content | null | 'later'> {
    const local = state.local.rows.get(node.id);
    if (local?.held !== undefined) return 'later';
    if (local !== null) {
      const base = state.synced.get(node.id);
      const content = base === null ? null : drive.contentOf(base.version);
      if (content?.kind !== 'file' || contentKey(content) !== local.content) return 'later';
      return { ...content, exec: local.exec };
    }
    const tried = new Set([gone]);
    for (const { content } of drive.versions(drive.tree.path(node.id) ?? '')) {
      if (content?.kind !== 'file' || tried.size > candidates) continue;
      const key = contentKey(content);
      if (tried.has(key)) continue;
      tried.add(key);
      if (await obtainable(content)) return content;
    }
    return null;
  }

  async function obtainable(content: FileContent): Promise<boolean> {
    const where = deps.reader.state(content);
    if (where !== 'elsewhere') return where === 'here';
    if (content.size > probeLimit) return true;
    try {
      const requests = content.blocks.map((ref) => ({ ref, accept: async () => {} }));
      await deps.exchange.fetch(drive.id, requests, deps.signal);
      return true;
    } catch (error) {
      if (isAppError(error, 'gone')) return false;
      throw error;
    }
  }

  /** @returns whether something was signed */
  async function settle(node: NodeId, content: FileContent): Promise<boolean> {
    const row = shown(node, content);
    if (row === null) return false;
    const key = contentKey(content);
    const next = await successor(row, key);
    if (next === 'later' || drive.tree.get(node)?.version !== row.version) return false;
    const base = [row.version];
    const draft: OpDraft = next === null ? { t: 'del', node, base } : { t: 'put', node, base, content: next };
    const path = drive.tree.path(node) ?? '';
    state.lost.add(key);
    await drive.commit([draft]);
    deps.logger.info({ node, put: next !== null }, 'a version that nobody has gave way');
    if (next !== null) deps.putBack(path);
    return true;
  }

  return {
    membersChanged: () => known.saw(members()),
    count: () => lost.size,
    everybodyHere: () => known.allAmong(members()),
    async consider() {
      const list = members();
      dropStale();
      const waited = staging.unreachable();
      if (waited === 0 || waited !== staging.count() || (list.length === 0 && drive.members().length > 1)) {
        show(new Map());
        expected = new Map();
        considered = '';
        return false;
      }
      const all = known.allAmong(list) && !deps.hostAway(forgottenAfter);
      const rest = atRest(list);
      const others = list.map((one) => `${one.peerId}${one.settled && one.sameHistory ? '+' : '-'}`).join();
      const situation = `${drive.tree.revision()} ${waited} ${others} ${all}`;
      if (situation === considered && expected.size === 0 && asked === '') return false;
      const now = new Map<NodeId, string>();
      const mine: { readonly node: NodeId; readonly content: FileContent }[] = [];
      const still = new Set<string>();
      for (const job of [...staging.absent()]) {
        await pace.breathe();
        const row = shown(job.node, job.content);
        if (row === null) continue;
        still.add(row.version);
        const as = stand(row.version, list, all);
        // It was freed here while others held it. However little they have of it now: what stands for it gives way to nothing.
        if (as === 'settling' && (!deps.signs() || state.local.rows.get(job.node)?.held !== undefined)) {
          now.set(job.node, drive.tree.path(job.node) ?? '');
          continue;
        }
        if (as === 'settling' && drive.authorOf(row.version)?.here) mine.push(job);
        if (as === 'lost') now.set(job.node, drive.tree.path(job.node) ?? '');
        // Everybody who takes part is here, at rest, and does not have it.
        if (as !== 'away' && all && rest) state.lost.add(contentKey(job.content));
      }
      for (const version of expected.keys()) if (!still.has(version)) expected.delete(version);
      show(now);
      considered = situation;
      if (mine.length === 0 || !rest) {
        asked = '';
        return false;
      }
      // What was answered while somebody was still at work does not count: everybody is asked once more.
      if (asked !== situation) {
        asked = situation;
        staging.retry();
        return false;
      }
      if (!staging.resting()) return false;
      asked = '';
      let signed = false;
      try {
        for (const { node, content } of mine.slice(0, batch)) {
          if (await settle(node, content)) signed = true;
        }
      } catch (error) {
        if (!deps.signal.aborted)
          deps.logger.warn({ err: error }, 'a lost version could not be settled; it is tried again');
      }
      if (!signed) considered = '';
      return signed;
    },
  };
}
