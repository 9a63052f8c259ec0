import { Activity, Folder, House, LayoutGrid, Network, Radio, Settings, Wallet } from '@lucide/vue';
import type { Component } from 'vue';

export interface Place {
  readonly name: 'home' | 'files' | 'live' | 'wallet' | 'apps' | 'activity' | 'network' | 'settings';
  readonly icon: Component;
  readonly key: string;
}

/** The views of the window in the order of the sidebar. */
export const places: readonly Place[] = [
  { name: 'home', icon: House, key: 'nav.home' },
  { name: 'files', icon: Folder, key: 'nav.files' },
  { name: 'live', icon: Radio, key: 'nav.live' },
  { name: 'wallet', icon: Wallet, key: 'nav.wallet' },
  { name: 'apps', icon: LayoutGrid, key: 'nav.apps' },
  { name: 'activity', icon: Activity, key: 'nav.activity' },
  { name: 'network', icon: Network, key: 'nav.network' },
];

/** Views that are opened from another one, and shown there in the sidebar. */
const within: Readonly<Record<string, Place['name']>> = {
  studio: 'live',
  watch: 'live',
  token: 'wallet',
  chain: 'wallet',
  market: 'wallet',
  directory: 'home',
};
/** The place that is marked while a view is open. */
export const placeOf = (route: unknown): unknown => within[String(route)] ?? route;

export const settingsPlace: Place = { name: 'settings', icon: Settings, key: 'nav.settings' };
