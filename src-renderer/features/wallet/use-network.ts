import { onMounted, ref } from 'vue';
import type { Ref } from 'vue';
import { useLink } from '../../rpc/node-link.ts';

/**
 * Whether a network with coins is followed here. Asked without the wallet, which founds one for whoever has none: looking at a stream
 * is no reason for that.
 */
export function useNetworkFollowed(): Ref<boolean> {
  const link = useLink();
  const followed = ref(false);
  onMounted(async () => {
    const all = await link.call((client) => client.chain.list({})).catch(() => []);
    followed.value = all.length > 0;
  });
  return followed;
}
