import { useLocalStorage, usePreferredDark } from '@vueuse/core';
import { defineStore } from 'pinia';
import { computed, watchEffect } from 'vue';

export type Theme = 'system' | 'light' | 'dark';
export type Language = 'en' | 'de';

/** How this person likes the window; kept in this browser, never sent. */
export const usePreferences = defineStore('preferences', () => {
  const theme = useLocalStorage<Theme>('extrachain.theme', 'system');
  const language = useLocalStorage<Language>(
    'extrachain.language',
    navigator.language.toLowerCase().startsWith('de') ? 'de' : 'en',
  );
  const layout = useLocalStorage<'list' | 'grid'>('extrachain.layout', 'list');
  const details = useLocalStorage('extrachain.details', true);
  const systemDark = usePreferredDark();
  const dark = computed(() => (theme.value === 'system' ? systemDark.value : theme.value === 'dark'));
  watchEffect(() => {
    document.documentElement.dataset['theme'] = dark.value ? 'dark' : 'light';
    document.documentElement.lang = language.value;
  });
  return { theme, language, layout, details, dark };
});
