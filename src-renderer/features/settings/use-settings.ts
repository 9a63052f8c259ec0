import { onMounted, ref } from 'vue';
import type { SettingValue } from '../../../src-shared/contract/index.ts';
import { useLink } from '../../rpc/node-link.ts';
import { useFailure } from '../../ui/use-failure.ts';

/** The node's settings: read once, written one by one; what the node refuses goes back to what it was. */
export function useSettings() {
  const link = useLink();
  const failure = useFailure();
  const values = ref<Record<string, SettingValue>>({});
  const loaded = ref(false);

  async function load() {
    try {
      values.value = await link.call((client) => client.settings.all());
      loaded.value = true;
    } catch (error) {
      failure.tell(error);
    }
  }
  onMounted(load);

  async function set(key: string, value: SettingValue) {
    try {
      const answer = await link.call((client) => client.settings.set({ key, value }));
      values.value = { ...values.value, [key]: answer.value };
    } catch (error) {
      failure.tell(error);
      await load();
    }
  }
  return { values, loaded, set };
}
