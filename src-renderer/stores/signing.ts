import { useIntervalFn } from '@vueuse/core';
import { defineStore } from 'pinia';
import { computed, shallowRef, watch } from 'vue';
import type { SharedAccount, SigningRequest } from '../../src-shared/contract/index.ts';
import { useLink } from '../rpc/node-link.ts';
import { useNode } from './node.ts';
import { useWallet } from './wallet.ts';

/** Somebody else's signature comes without anything of the chain changing, ms. */
const lookEvery = 3000;

/** What several people sign: accounts that are shared, requests for signatures, fees that are paid for others. */
export const useSigning = defineStore('signing', () => {
  const link = useLink();
  const node = useNode();
  const wallet = useWallet();
  const requests = shallowRef<readonly SigningRequest[]>([]);
  const accounts = shallowRef<readonly SharedAccount[]>([]);
  const sponsored = shallowRef<readonly { user: string; left: string; symbol: string }[]>([]);
  /** How many look: nothing is asked for while nobody does. */
  let lookers = 0;
  async function read() {
    if (lookers === 0 || !node.online || node.userId === null) return;
    try {
      [requests.value, accounts.value, sponsored.value] = await link.call((client) =>
        Promise.all([client.signing.list(), client.signing.accounts(), client.signing.sponsored()]),
      );
    } catch {
      // What was there stays; the wallet itself says when the network is away.
    }
  }
  useIntervalFn(() => void read(), lookEvery);
  watch(() => [wallet.chain?.chainId, node.userId], read);
  /** Those that wait for somebody here. */
  const waiting = computed(() => requests.value.filter((one) => one.yours));
  /** One's own account, if several people sign for it. */
  const own = computed(() => accounts.value.find((one) => one.own) ?? null);
  return {
    requests,
    accounts,
    sponsored,
    waiting,
    own,
    read,
    /** From now on it is kept current, until the returned function is called. */
    look(): () => void {
      lookers += 1;
      void read();
      return () => void (lookers -= 1);
    },
  };
});
