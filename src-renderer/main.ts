import { createPinia } from 'pinia';
import { createApp } from 'vue';
import App from './app/App.vue';
import { createAppRouter } from './app/router.ts';
import { createWords } from './i18n/index.ts';
import { createNodeLink, linkKey } from './rpc/node-link.ts';
import './styles/main.css';

// The link first: it takes the token out of the address before the router looks at it.
const link = createNodeLink();
const app = createApp(App);
app.provide(linkKey, link);
app.use(createPinia());
const saved = localStorage.getItem('extrachain.language');
const language = saved ?? (navigator.language.toLowerCase().startsWith('de') ? 'de' : 'en');
app.use(await createWords(language === 'de' ? 'de' : 'en'));
app.use(createAppRouter());
app.mount('#app');
