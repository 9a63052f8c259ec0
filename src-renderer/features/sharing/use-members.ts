import { ref, watch } from 'vue';
import type { DriveMember } from '../../../src-shared/contract/index.ts';
import { useLink } from '../../rpc/node-link.ts';

/** The people of a drive; asked again whenever `changed` does. */
export function useMembers(drive: () => string | null, changed: () => unknown) {
  const link = useLink();
  const members = ref<readonly DriveMember[] | null>(null);
  async function load() {
    const id = drive();
    if (id === null) return;
    try {
      const found = await link.call((client) => client.drives.members({ drive: id }));
      if (id === drive()) members.value = found;
    } catch {
      // The drive says by its own state what is wrong with it.
    }
  }
  watch(drive, () => (members.value = null));
  watch([drive, changed], load, { immediate: true });
  return { members, reload: load };
}
