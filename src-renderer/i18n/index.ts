import { createI18n } from 'vue-i18n';
import type { I18n } from 'vue-i18n';
import de from './de.json';
import en from './en.json';

/** All words of the window. Both files are compiled while building. */
export function createWords(language: 'en' | 'de'): I18n {
  return createI18n({ legacy: false, locale: language, fallbackLocale: 'en', messages: { en, de } as never });
}
