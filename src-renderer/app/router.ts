import { createRouter, createWebHashHistory } from 'vue-router';
import type { Router } from 'vue-router';
import HomePage from './pages/HomePage.vue';
import FilesPage from './pages/FilesPage.vue';

/** Views by address. Home and Files are there at once, the others when they are first opened. */
export function createAppRouter(): Router {
  return createRouter({
    history: createWebHashHistory(),
    routes: [
      { path: '/', name: 'home', component: HomePage },
      { path: '/files/:drive?/:path(.*)*', name: 'files', component: FilesPage },
      {
        path: '/open/:drive/:path(.*)*',
        name: 'open',
        component: () => import('./pages/OpenPage.vue'),
      },
      {
        path: '/timeline/:drive',
        name: 'timeline',
        component: () => import('./pages/TimelinePage.vue'),
      },
      { path: '/live', name: 'live', component: () => import('./pages/LivePage.vue') },
      { path: '/live/studio', name: 'studio', component: () => import('./pages/StudioPage.vue') },
      { path: '/live/watch/:stream', name: 'watch', component: () => import('./pages/WatchPage.vue') },
      { path: '/activity', name: 'activity', component: () => import('./pages/ActivityPage.vue') },
      { path: '/wallet', name: 'wallet', component: () => import('./pages/WalletPage.vue') },
      { path: '/wallet/token', name: 'token', component: () => import('./pages/TokenPage.vue') },
      { path: '/wallet/market', name: 'market', component: () => import('./pages/MarketPage.vue') },
      { path: '/wallet/chain', name: 'chain', component: () => import('./pages/ChainPage.vue') },
      { path: '/apps/:part?', name: 'apps', component: () => import('./pages/AppsPage.vue') },
      {
        path: '/directory',
        name: 'directory',
        component: () => import('./pages/DirectoryPage.vue'),
      },
      { path: '/network', name: 'network', component: () => import('./pages/NetworkPage.vue') },
      { path: '/settings/:section?', name: 'settings', component: () => import('./pages/SettingsPage.vue') },
      { path: '/:rest(.*)*', redirect: '/' },
    ],
  });
}
