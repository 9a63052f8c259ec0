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
        path: '/timeline/:drive',
        name: 'timeline',
        component: () => import('./pages/TimelinePage.vue'),
      },
      { path: '/activity', name: 'activity', component: () => import('./pages/ActivityPage.vue') },
      { path: '/network', name: 'network', component: () => import('./pages/NetworkPage.vue') },
      { path: '/settings/:section?', name: 'settings', component: () => import('./pages/SettingsPage.vue') },
      { path: '/:rest(.*)*', redirect: '/' },
    ],
  });
}
