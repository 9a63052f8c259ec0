import { defineStore } from 'pinia';
import { computed, ref, shallowRef } from 'vue';
import type { StreamSummary } from '../../src-shared/contract/index.ts';
import { follow } from '../rpc/follow.ts';
import { useLink } from '../rpc/node-link.ts';
import { useNode } from './node.ts';

/** Live streams that this node knows, and whom this person follows. */
export const useStreams = defineStore('streams', () => {
  const link = useLink();
  const node = useNode();
  const list = shallowRef<readonly StreamSummary[]>([]);
  const loaded = ref(false);
  const failure = shallowRef<unknown>(null);
  const following = shallowRef<ReadonlySet<string>>(new Set());
  /** Somebody who is followed went live since the window was opened. */
  const begun = shallowRef<StreamSummary | null>(null);

  follow(
    () => node.ready,
    (_, failed) =>
      link.watchList<StreamSummary>(
        (client) => client.streams.watchList(),
        (one) => one.streamId,
        (items) => {
          const known = new Set(
            list.value.filter(({ state }) => state === 'live').map(({ streamId }) => streamId),
          );
          const fresh = items.find(
            (one) => one.state === 'live' && one.followed && !one.own && !known.has(one.streamId),
          );
          if (loaded.value && fresh) begun.value = fresh;
          list.value = items;
          loaded.value = true;
          failure.value = null;
        },
        failed,
      ),
    (error) => (failure.value = error),
  );
  follow(
    () => node.ready,
    (_, failed) => {
      link
        .call((client) => client.streams.following())
        .then(({ users }) => (following.value = new Set(users)), failed);
      return () => {};
    },
  );

  return {
    list,
    loaded,
    failure,
    begun,
    following,
    live: computed(() => list.value.filter(({ state }) => state === 'live')),
    byId: computed(() => new Map(list.value.map((one) => [one.streamId, one]))),
    async setFollowing(user: string, on: boolean): Promise<void> {
      const { users } = await link.call((client) => client.streams.follow({ user, on }));
      following.value = new Set(users);
    },
  };
});
