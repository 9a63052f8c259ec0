import { defineStore } from 'pinia';
import { shallowRef } from 'vue';
import type { SharedDrive } from '../../src-shared/contract/index.ts';
import { follow } from '../rpc/follow.ts';
import { useLink } from '../rpc/node-link.ts';
import { useNode } from './node.ts';

/** Drives shared with this person, or on another of their computers, that are not on this one. Newest first. */
export const useShared = defineStore('shared', () => {
  const link = useLink();
  const node = useNode();
  const list = shallowRef<readonly SharedDrive[]>([]);
  follow(
    () => node.ready && (node.userId as string),
    (_, failed) =>
      link.watchList<SharedDrive>(
        (client) => client.drives.watchShared(),
        (one) => one.driveId,
        (items) => (list.value = items.toSorted((a, b) => b.time.localeCompare(a.time))),
        failed,
      ),
  );
  return {
    list,
    hide: (driveId: string) => link.call((client) => client.drives.hideShared({ drive: driveId })),
  };
});
