import type { Ref } from 'vue';
import { createI18n } from 'vue-i18n';

export type Language = 'en' | 'de';

const files = { en: () => import('./en.json'), de: () => import('./de.json') };

/** What `useI18n` and the plugin have in common. */
interface Words {
  readonly availableLocales: string[];
  readonly locale: Ref<string>;
  setLocaleMessage(locale: string, message: never): void;
}

/** The window's words in one language, compiled while building; those of the other one are not loaded. */
export async function createWords(language: Language) {
  const words = createI18n({ legacy: false, locale: language, messages: {} });
  await speak(words.global as unknown as Words, language);
  return words;
}

/** Changes to another language once its words are here. */
export async function speak(words: Words, language: Language): Promise<void> {
  if (!words.availableLocales.includes(language))
    words.setLocaleMessage(language, (await files[language]()).default as never);
  words.locale.value = language;
}
