import { useI18n } from 'vue-i18n';
import { toast } from 'vue-sonner';
import { AppError, isAppError } from '../../src-shared/errors.ts';

export interface Failure {
  /** What happened, in the person's language. */
  readonly title: string;
  /** What the node said, when it says more. */
  readonly detail: string;
}

/** Turns failures into words: by code where we have a sentence for it, else what the node said. */
export function useFailure() {
  const { t, te, locale } = useI18n();
  function words(error: unknown): Failure {
    const code = error instanceof AppError ? error.code : 'internal';
    const detail = error instanceof Error ? error.message : String(error);
    const key = `errors.${code}`;
    if (!te(key)) return { title: detail, detail: '' };
    // The node speaks English; elsewhere its sentence is a detail behind our own.
    return locale.value === 'en' && isAppError(error)
      ? { title: detail, detail: '' }
      : { title: t(key), detail };
  }
  return {
    words,
    /** A failure of which only the code is known. */
    sentence: (code: string): string => (te(`errors.${code}`) ? t(`errors.${code}`) : code),
    /** For acts whose place on screen is gone by the time they fail. */
    tell(error: unknown) {
      if (isAppError(error, 'cancelled')) return;
      const { title, detail } = words(error);
      toast.error(title, detail === '' ? {} : { description: detail });
    },
  };
}
