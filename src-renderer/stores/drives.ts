import { defineStore } from 'pinia';
import { computed, ref, shallowRef, toRef } from 'vue';
import type { DriveStatus, DriveSummary, Transfer } from '../../src-shared/contract/index.ts';
import { follow } from '../rpc/follow.ts';
import { useLink } from '../rpc/node-link.ts';
import type { Flow } from '../ui/states.ts';
import { useNode } from './node.ts';

/** By name, each followed by the folders of it that are drives of their own. */
function inOrder(items: readonly DriveSummary[]): readonly DriveSummary[] {
  const sorted = items.toSorted((a, b) => a.name.localeCompare(b.name));
  const known = new Set(items.map((one) => one.driveId));
  const placed = new Set<string>();
  const below = (parent: string | null): readonly DriveSummary[] =>
    sorted
      .filter((one) => {
        const at = one.mount !== null && known.has(one.mount.drive) ? one.mount.drive : null;
        return at === parent && !placed.has(one.driveId);
      })
      .flatMap((one) => {
        // Whatever a node says, nothing is listed twice and no ring goes on for ever.
        placed.add(one.driveId);
        return [one, ...below(one.driveId)];
      });
  return below(null);
}

/** All drives of this computer with their states, and what is on the move. */
export const useDrives = defineStore('drives', () => {
  const link = useLink();
  const node = useNode();
  const list = shallowRef<readonly DriveSummary[]>([]);
  const loaded = ref(false);
  const transfers = shallowRef<readonly Transfer[]>([]);
  /** The drive that is looked at; its status is watched closely. */
  const current = ref<string | null>(null);
  const status = shallowRef<DriveStatus | null>(null);

  follow(
    () => node.ready && (node.userId as string),
    (_, failed) =>
      link.watchList<DriveSummary>(
        (client) => client.drives.watchList(),
        (one) => one.driveId,
        (items) => {
          list.value = inOrder(items);
          loaded.value = true;
        },
        failed,
      ),
  );
  follow(
    () => node.online,
    (_, failed) =>
      link.watchList<Transfer>(
        (client) => client.node.watchTransfers(),
        (one) => one.id,
        (items) => (transfers.value = items),
        failed,
      ),
  );
  follow(
    () => (node.ready ? current.value : null),
    (drive, failed) => {
      if (status.value?.driveId !== drive) status.value = null;
      return link.watchObject<DriveStatus>(
        (client) => client.drives.watchStatus({ drive }),
        (value) => (status.value = value),
        failed,
      );
    },
  );

  const byId = computed(() => new Map(list.value.map((one) => [one.driveId, one])));
  const flow = computed(() => {
    const whole = transfers.value.filter((one) => one.path === null);
    const sum = (direction: 'up' | 'down') =>
      whole.filter((one) => one.direction === direction).reduce((all, one) => all + one.rate, 0);
    const down = whole.filter((one) => one.direction === 'down' && one.total !== null);
    return {
      up: sum('up'),
      down: sum('down'),
      done: down.reduce((all, one) => all + one.done, 0),
      total: down.reduce((all, one) => all + (one.total ?? 0), 0),
    };
  });
  /** What is on its way in the drive that is looked at, by path; a folder has the sum of what is in it. */
  const flows = computed(() => {
    const found = new Map<string, Flow>();
    for (const { driveId, path, direction, done, total, rate } of transfers.value) {
      if (driveId !== current.value || path === null) continue;
      for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
        const before = found.get(at);
        found.set(at, {
          direction: before && before.direction !== direction ? 'both' : direction,
          done: done + (before?.done ?? 0),
          total: (total ?? 0) + (before?.total ?? 0),
          rate: rate + (before?.rate ?? 0),
        });
      }
    }
    return found;
  });
  const isPaused = computed(() => list.value.length > 0 && list.value.every((one) => one.state === 'paused'));

  /** Share of a drive that has arrived, 0 to 1; null when nothing is on its way. */
  function progressOf(driveId: string): number | null {
    const one = transfers.value.find(
      (item) => item.driveId === driveId && item.direction === 'down' && item.path === null,
    );
    return one?.total ? Math.min(1, one.done / one.total) : null;
  }

  async function setAllPaused(paused: boolean): Promise<void> {
    await link.call((client) =>
      Promise.all(
        list.value
          .filter((one) => (one.state === 'paused') !== paused)
          .map(({ driveId }) =>
            paused ? client.drives.pause({ drive: driveId }) : client.drives.resume({ drive: driveId }),
          ),
      ),
    );
  }

  return {
    list,
    loaded,
    transfers,
    current: toRef(current),
    status,
    byId,
    flow,
    flows,
    isPaused,
    progressOf,
    setAllPaused,
  };
});
