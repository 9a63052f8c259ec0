import { defineStore } from 'pinia';
import { computed, ref, shallowRef, watch } from 'vue';
import type { Balance, ChainStatus, Stake, Token, Tx } from '../../src-shared/contract/index.ts';
import { follow } from '../rpc/follow.ts';
import { useLink } from '../rpc/node-link.ts';
import { useNode } from './node.ts';

/** A block a second is more than people can read. */
const readAgainMs = 1000;

/** What this person has on the active network, and what that network does. */
export const useWallet = defineStore('wallet', () => {
  const link = useLink();
  const node = useNode();
  /** Somebody looks: before that no network is founded and nothing is asked for. */
  const wanted = ref(false);
  const chain = shallowRef<ChainStatus | null>(null);
  const balances = shallowRef<readonly Balance[]>([]);
  const tokens = shallowRef<readonly Token[]>([]);
  const stakes = shallowRef<readonly Stake[]>([]);
  const history = shallowRef<readonly Tx[]>([]);
  const loaded = ref(false);
  const failure = shallowRef<unknown>(null);

  follow(
    () => wanted.value && node.online && node.userId !== null,
    (_, failed) =>
      link.watchObject<ChainStatus>(
        (client) => client.chain.watch({ chain: null }),
        (value) => (chain.value = value),
        failed,
      ),
    (error) => (failure.value = error),
  );

  let reading = false;
  let again = false;
  async function read() {
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    again = false;
    try {
      const [held, all, staked, past] = await link.call((client) =>
        Promise.all([
          client.wallet.balance({ user: null }),
          client.tokens.list(),
          client.stakes.status({ user: null }),
          client.wallet.history({ user: null, before: null, limit: 50 }),
        ]),
      );
      balances.value = held;
      tokens.value = all;
      stakes.value = staked;
      history.value = past;
      failure.value = null;
      loaded.value = true;
    } catch (error) {
      failure.value = error;
    } finally {
      setTimeout(() => {
        reading = false;
        if (again) void read();
      }, readAgainMs);
    }
  }
  watch(
    () => [chain.value?.chainId, chain.value?.height, chain.value?.mempool, node.userId],
    () => {
      if (chain.value) void read();
    },
  );

  const base = computed(() => tokens.value[0] ?? null);
  const tokenOf = (symbol: string): Token | null => tokens.value.find((one) => one.symbol === symbol) ?? null;
  return {
    want: () => (wanted.value = true),
    read,
    chain,
    balances,
    tokens,
    stakes,
    history,
    loaded,
    failure,
    base,
    tokenOf,
  };
});
