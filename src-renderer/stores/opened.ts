import { defineStore } from 'pinia';
import { shallowRef } from 'vue';

/**
 * Links that are looked at without joining, by drive, and links of streams, by stream. Their secrets stay in this page's memory: an address of the window
 * names the drive only, so nothing of them is left in the browser's history.
 */
export const useOpened = defineStore('opened', () => {
  const links = shallowRef<ReadonlyMap<string, string>>(new Map());
  return {
    links,
    put(driveId: string, link: string) {
      links.value = new Map(links.value).set(driveId, link);
    },
  };
});
