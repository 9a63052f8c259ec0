import { Activity, Folder, House, Network, Settings } from '@lucide/vue';
import type { Component } from 'vue';

export interface Place {
  readonly name: 'home' | 'files' | 'activity' | 'network' | 'settings';
  readonly icon: Component;
  readonly key: string;
}

/** The views of the window in the order of the sidebar. */
export const places: readonly Place[] = [
  { name: 'home', icon: House, key: 'nav.home' },
  { name: 'files', icon: Folder, key: 'nav.files' },
  { name: 'activity', icon: Activity, key: 'nav.activity' },
  { name: 'network', icon: Network, key: 'nav.network' },
];
export const settingsPlace: Place = { name: 'settings', icon: Settings, key: 'nav.settings' };
