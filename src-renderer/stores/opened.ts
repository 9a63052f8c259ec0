import { defineStore } from 'pinia';
import { ref, shallowRef, toRef } from 'vue';

/**
 * Links that are looked at without joining, by drive, and links of streams, by stream. Their secrets stay in this page's memory: an address of the window
 * names the drive only, so nothing of them is left in the browser's history.
 */
export const useOpened = defineStore('opened', () => {
  /** A link to a network, or a request for signatures, that came from outside and that the person is asked about where it belongs. */
  const asked = ref<{ readonly kind: 'chain' | 'sign'; readonly text: string } | null>(null);
  const links = shallowRef<ReadonlyMap<string, string>>(new Map());
  return {
    asked: toRef(asked),
    links,
    put(driveId: string, link: string) {
      links.value = new Map(links.value).set(driveId, link);
    },
  };
});
