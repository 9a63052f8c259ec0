import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { BlockList } from '../../../src-shared/contract/index.ts';
import type { Clock } from '../../../src-shared/runtime.ts';
import {
  blockListName,
  maxBlockListBytes,
  readBlockList,
  refuseRevoked,
  type Installs,
} from '../../apps/index.ts';
import type { BlockListRecord } from '../../apps/index.ts';
import { parseDriveLink } from '../drive-link.ts';
import { iso } from '../ledger/shown.ts';
import type { CardOf } from './newest-card.ts';
import type { PublicFiles } from './public-files.ts';

/** Lists of apps that others warn of, by link to their public drives. Whoever subscribes trusts their authors. */
export interface BlockLists {
  list(): BlockList[];
  /** The first list that names an app; null: none does. */
  blocked(appId: string): { readonly list: string; readonly reason: string } | null;
  subscribe(link: string, signal: AbortSignal): Promise<BlockList>;
  /** @throws AppError `not_found` */
  unsubscribe(listId: string): void;
  /** Reads all anew; what can't be read keeps what it said, with the problem. */
  refresh(signal: AbortSignal): Promise<void>;
}

const maxLists = 32;

const shown = ({ apps, updatedAt, number: _, ...one }: BlockListRecord): BlockList => ({
  ...one,
  apps: apps.length,
  updatedAt: updatedAt === null ? null : iso(updatedAt),
});

export function createBlockLists({
  records,
  files,
  clock,
  cardOf,
  changed,
}: {
  readonly records: Installs['records'];
  readonly files: PublicFiles;
  readonly clock: Clock;
  readonly cardOf: CardOf;
  readonly changed: () => void;
}): BlockLists {
  const lists = new Map(records.lists().map((one) => [one.listId, one]));
  let reasons = index();

  function index() {
    const found = new Map<string, { list: string; reason: string }>();
    for (const { title, apps } of lists.values()) {
      for (const { appId, reason } of apps) if (!found.has(appId)) found.set(appId, { list: title, reason });
    }
    return found;
  }
  function put(record: BlockListRecord): BlockListRecord {
    records.putList(record);
    lists.set(record.listId, record);
    reasons = index();
    changed();
    return record;
  }

  async function read(
    link: string,
    before: BlockListRecord | null,
    signal: AbortSignal,
  ): Promise<BlockListRecord> {
    const { payload, ...by } = readBlockList(
      await files.bytes(link, blockListName, maxBlockListBytes, signal),
    );
    const { user } = by;
    refuseRevoked(await cardOf(user, signal), by);
    if (before && before.author !== user)
      throw new AppError('bad_signature', 'The block list is signed by somebody else than before.');
    if (before && payload.number < before.number)
      throw new AppError('version_not_newer', 'The block list is older than the one that is known.');
    const { driveId: listId } = parseDriveLink(link);
    return { listId, link, author: user, ...payload, updatedAt: clock.now(), problem: null };
  }

  return {
    list: () => [...lists.values()].map(shown),
    blocked: (appId) => reasons.get(appId) ?? null,
    async subscribe(link, signal) {
      const { driveId } = parseDriveLink(link);
      const before = lists.get(driveId) ?? null;
      if (!before && lists.size >= maxLists)
        throw new AppError('too_many', `At most ${maxLists} block lists can be subscribed to.`);
      return shown(put(await read(link, before, signal)));
    },
    unsubscribe(listId) {
      if (!lists.delete(listId)) throw new AppError('not_found', 'That block list is not subscribed to.');
      records.removeList(listId);
      reasons = index();
      changed();
    },
    async refresh(signal) {
      for (const before of [...lists.values()]) {
        try {
          const now = await read(before.link, before, signal);
          if (lists.has(before.listId)) put(now);
        } catch (error) {
          if (signal.aborted) return;
          const problem = isAppError(error) ? error.message : 'It could not be read.';
          if (lists.has(before.listId) && problem !== before.problem) put({ ...before, problem });
        }
      }
    },
  };
}
