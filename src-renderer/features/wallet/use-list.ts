import { onMounted, ref, shallowRef, watch } from 'vue';
import type { ShallowRef } from 'vue';
import { useLink } from '../../rpc/node-link.ts';
import { useWallet } from '../../stores/wallet.ts';
import { useFailure } from '../../ui/use-failure.ts';

type Client = Parameters<Parameters<ReturnType<typeof useLink>['call']>[0]>[0];

/** A block a second is more than people can read. */
const pause = 1500;

/** Something of the network that is read again when there is a new block; what was there stays while it is. */
export function useLatest<T>(read: (client: Client) => Promise<T>, before: T) {
  const link = useLink();
  const wallet = useWallet();
  const { words } = useFailure();
  const value: ShallowRef<T> = shallowRef(before);
  const loaded = ref(false);
  const failure = ref('');
  let last = 0;
  async function again() {
    last = Date.now();
    try {
      value.value = await link.call(read);
      failure.value = '';
      loaded.value = true;
    } catch (error) {
      failure.value = words(error).title;
    }
  }
  onMounted(again);
  watch(
    () => wallet.chain?.height,
    () => {
      if (Date.now() - last > pause) void again();
    },
  );
  return { value, loaded, failure, again };
}
