import { computed } from 'vue';
import { useI18n } from 'vue-i18n';
import {
  bytesText,
  clockText,
  dayText,
  exactTime,
  formatBytes,
  formatTime,
  fullTime,
  numberText,
  percentText,
  rateText,
  spanText,
} from './format.ts';

/** The formatters in the language of the window. */
export function useFormat() {
  const { locale } = useI18n();
  // English as in Britain: day before month, a clock of 24 hours.
  const tag = computed(() => (locale.value === 'de' ? 'de-DE' : 'en-GB'));
  return {
    locale: tag,
    bytes: (value: number) => bytesText(value, tag.value),
    amount: (value: number) => formatBytes(value, tag.value),
    rate: (value: number) => rateText(value, tag.value),
    time: (value: string | number) => formatTime(value, tag.value),
    clock: (value: string | number) => clockText(value, tag.value),
    day: (value: string | number) => dayText(value, tag.value),
    exactTime: (value: string | number) => exactTime(value, tag.value),
    fullTime: (value: string | number) => fullTime(value, tag.value),
    span: (seconds: number) => spanText(seconds, tag.value),
    percent: (share: number) => percentText(share, tag.value),
    number: (value: number) => numberText(value, tag.value),
    /** Large numbers in few characters, such as 1.4M. */
    compact: (value: number, digits = 4) =>
      // British English writes a million as m, which reads as metres.
      new Intl.NumberFormat(locale.value === 'de' ? 'de-DE' : 'en-US', {
        notation: 'compact',
        maximumSignificantDigits: digits,
      }).format(value),
  };
}
