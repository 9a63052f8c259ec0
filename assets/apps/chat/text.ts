import { h } from '../common/dom.ts';

/** Addresses in what people write: of the web, and of ExtraChain. */
const address = /(?:https:\/\/|extrachain:\/\/)[^\s<>"']+/g;
/** What ends a sentence rather than an address. */
const sentenceEnd = /[.,;:!?)\]}]+$/;

/**
 * A text with its addresses as something to click.
 * @param open what a click does; the person is asked by ExtraChain before anything opens
 */
export function withLinks(text: string, open: (address: string) => void): (Node | string)[] {
  const parts: (Node | string)[] = [];
  let at = 0;
  for (const found of text.matchAll(address)) {
    const shown = found[0].replace(sentenceEnd, '');
    if (!URL.canParse(shown)) continue;
    parts.push(
      text.slice(at, found.index),
      h('button', { type: 'button', class: 'link', onclick: () => open(shown) }, shown),
    );
    at = found.index + shown.length;
  }
  parts.push(text.slice(at));
  return parts;
}

const dayOf = (time: Date): number => new Date(time.getFullYear(), time.getMonth(), time.getDate()).getTime();

/** Days, as people say them: the last two by their own name, others by date, with the year where it is another. */
export function createDayNames(language: string | undefined) {
  const near = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  const thisYear = new Intl.DateTimeFormat(language, { weekday: 'long', day: 'numeric', month: 'long' });
  const long = new Intl.DateTimeFormat(language, { day: 'numeric', month: 'long', year: 'numeric' });
  const short = new Intl.DateTimeFormat(language, { day: 'numeric', month: 'short' });
  const clock = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit' });
  const back = (time: Date, now: Date): number => Math.round((dayOf(now) - dayOf(time)) / 86_400_000);
  return {
    clock: (time: Date): string => clock.format(time),
    /** The line above what was said on a day. */
    day(time: Date, now = new Date()): string {
      const days = back(time, now);
      if (days === 0 || days === 1) {
        const name = near.format(-days, 'day');
        return name[0]!.toLocaleUpperCase(language) + name.slice(1);
      }
      return (time.getFullYear() === now.getFullYear() ? thisYear : long).format(time);
    },
    /** Short enough for the end of a row: the time today, else the day. */
    brief: (time: Date, now = new Date()): string =>
      back(time, now) === 0 ? clock.format(time) : short.format(time),
  };
}
