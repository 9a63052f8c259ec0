import { defineStore } from 'pinia';
import { computed, ref, shallowRef } from 'vue';
import type { NodeStatus } from '../../src-shared/contract/index.ts';
import { follow } from '../rpc/follow.ts';
import { useLink } from '../rpc/node-link.ts';

/** The node itself: is it there, is it locked, whose is it. */
export const useNode = defineStore('node', () => {
  const link = useLink();
  const status = shallowRef<NodeStatus | null>(null);
  /** While a new identity is being shown and confirmed, the first run goes on though there is a user already. */
  const settingUp = ref(false);
  follow(
    () => true,
    (_, failed) =>
      link.watchObject<NodeStatus>(
        (client) => client.node.watch(),
        (value) => (status.value = value),
        failed,
      ),
  );
  const connection = computed(() => link.state.value);
  const locked = computed(() => status.value?.keystore === 'locked');
  const userId = computed(() => status.value?.userId ?? null);
  /** There is a user and the keys are open: drives can be asked for. */
  const ready = computed(() => status.value !== null && !locked.value && userId.value !== null);
  /** The network is up, with or without a user. */
  const online = computed(() => status.value !== null && !locked.value);
  /** Without the recovery words: what needs them is done on another computer. */
  const linked = computed(() => status.value?.linked === true);
  return { status, linked, settingUp, connection, locked, userId, ready, online };
});
