import { defineStore } from 'pinia';
import { shallowRef } from 'vue';
import type { Activity } from '../../src-shared/contract/index.ts';
import { follow } from '../rpc/follow.ts';
import { useLink } from '../rpc/node-link.ts';
import { useNode } from './node.ts';

const most = 1000;

/** What happened lately, newest first. */
export const useActivity = defineStore('activity', () => {
  const link = useLink();
  const node = useNode();
  const items = shallowRef<readonly Activity[]>([]);
  follow(
    () => node.online,
    (_, failed) => {
      // After a lost connection the node tells the last ones again; its ids say which are known.
      return link.watch(
        (client) => client.node.watchActivity({ last: 300 }),
        (one) => {
          const others = items.value.filter((item) => item.id !== one.id || item.time !== one.time);
          items.value = [one, ...others].slice(0, most);
        },
        failed,
      );
    },
  );
  return { items };
});
