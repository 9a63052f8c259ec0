import { defineStore } from 'pinia';
import { computed, ref, shallowRef, watch } from 'vue';
import type { Capabilities, Preferences } from '../../src-shared/contract/index.ts';
import { useLink } from '../rpc/node-link.ts';
import { useNode } from './node.ts';

/** What the computer at which the window is shown can do for it; buttons for anything else are not there. */
export const usePlatform = defineStore('platform', () => {
  const link = useLink();
  const node = useNode();
  const capabilities = shallowRef<Capabilities | null>(null);
  const preferences = shallowRef<Preferences | null>(null);
  const asked = ref(false);

  watch(
    () => node.status !== null,
    async (there) => {
      if (!there || asked.value) return;
      asked.value = true;
      try {
        capabilities.value = await link.call((client) => client.platform.capabilities());
        if (capabilities.value.preferences)
          preferences.value = await link.call((client) => client.platform.preferences());
      } catch {
        // A node that does not say can do nothing of it.
      }
    },
    { immediate: true },
  );

  return {
    capabilities,
    preferences,
    /** No keychain guards the keys, so the node makes none before there is a password. */
    needsPassword: computed(
      () =>
        capabilities.value?.host === 'desktop' &&
        !capabilities.value.keychain &&
        node.status?.keystore === 'unprotected',
    ),
    canPickFolder: computed(() => capabilities.value?.pickFolder === true),
    /** Files are dragged out as what they are on this disk, not as a download. */
    canDrag: computed(() => capabilities.value?.drag === true),
    canShowFiles: computed(() => capabilities.value?.showFiles === true),
    async set(change: Partial<Preferences>): Promise<void> {
      preferences.value = await link.call((client) => client.platform.setPreferences(change));
    },
    pickFolder: async (from: string): Promise<string | null> =>
      (await link.call((client) => client.platform.pickFolder(from === '' ? {} : { from }))).folder,
    open: (drive: string, path: string) => link.call((client) => client.platform.open({ drive, path })),
    reveal: (drive: string, path: string) => link.call((client) => client.platform.reveal({ drive, path })),
    drag: (drive: string, paths: readonly string[]) =>
      link.call((client) => client.platform.drag({ drive, paths: [...paths] })),
  };
});
