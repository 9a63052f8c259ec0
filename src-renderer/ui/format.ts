const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Formatters are dear to make and used for every cell of a list: made once for each language and shape. */
const made = new Map<string, unknown>();
function once<T>(locale: string, shape: string, make: () => T): T {
  const key = `${locale} ${shape}`;
  let found = made.get(key) as T | undefined;
  if (found === undefined) made.set(key, (found = make()));
  return found;
}
const numbers = (locale: string, digits: number) =>
  once(locale, `number${digits}`, () => new Intl.NumberFormat(locale, { maximumFractionDigits: digits }));

export interface Amount {
  readonly value: string;
  readonly unit: string;
}

/** Bytes as people read them, number and unit apart so that columns of numbers align. Thousands, as on disks. */
export function formatBytes(bytes: number, locale: string): Amount {
  let value = bytes;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit += 1) value /= 1000;
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return {
    value: numbers(locale, digits).format(value),
    unit: units[unit] as string,
  };
}

/** `8.4 MB` */
export function bytesText(bytes: number, locale: string): string {
  const { value, unit } = formatBytes(bytes, locale);
  return `${value}\u00a0${unit}`;
}

/** `3.1 MB/s` */
export function rateText(bytesPerSecond: number, locale: string): string {
  return `${bytesText(bytesPerSecond, locale)}/s`;
}

const dayMs = 86_400_000;
const startOfDay = (time: number) => new Date(time).setHours(0, 0, 0, 0);

/** Days since then, by the calendar. */
const daysAgo = (at: Date, now: number) => Math.round((startOfDay(now) - startOfDay(at.getTime())) / dayMs);

/** `Today`, `Yesterday`, `14 Nov 2026`; words come from the locale itself. */
export function dayText(time: string | number, locale: string, now: number = Date.now()): string {
  const at = new Date(time);
  const days = daysAgo(at, now);
  if (days !== 0 && days !== 1)
    return once(
      locale,
      'day',
      () => new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric' }),
    ).format(at);
  const word = once(
    locale,
    'relative',
    () => new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }),
  ).format(-days, 'day');
  return `${word.charAt(0).toLocaleUpperCase(locale)}${word.slice(1)}`;
}

/** `10:41` */
export function clockText(time: string | number, locale: string): string {
  return once(
    locale,
    'clock',
    () => new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' }),
  ).format(new Date(time));
}

/** `Today 10:41`, `Yesterday 18:22`, `14 Nov 2026` */
export function formatTime(time: string | number, locale: string, now: number = Date.now()): string {
  const days = daysAgo(new Date(time), now);
  const day = dayText(time, locale, now);
  return days === 0 || days === 1 ? `${day} ${clockText(time, locale)}` : day;
}

/** `Today 10:41:07`, `14 Nov 2026, 10:41:07`: where several things happen in one minute. */
export function exactTime(time: string | number, locale: string, now: number = Date.now()): string {
  const days = daysAgo(new Date(time), now);
  const clock = once(
    locale,
    'seconds',
    () => new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit' }),
  ).format(new Date(time));
  return `${dayText(time, locale, now)}${days === 0 || days === 1 ? '' : ','} ${clock}`;
}

/** Date and time in full, for titles. */
export function fullTime(time: string | number, locale: string): string {
  return once(
    locale,
    'full',
    () => new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' }),
  ).format(new Date(time));
}

/** `2 hours`, `6 minutes`, from seconds. */
export function spanText(seconds: number, locale: string): string {
  const [value, unit] =
    seconds < 90
      ? [Math.max(1, seconds), 'second']
      : seconds < 5400
        ? [seconds / 60, 'minute']
        : seconds < 129_600
          ? [seconds / 3600, 'hour']
          : [seconds / 86_400, 'day'];
  return new Intl.NumberFormat(locale, {
    style: 'unit',
    unit,
    unitDisplay: 'long',
    maximumFractionDigits: 0,
  }).format(value);
}

/** `43 %`, as all texts of the window write it, in English too. */
export function percentText(share: number, locale: string): string {
  return `${numbers(locale, 0).format(share * 100)}\u00a0%`;
}

/** An id without its middle: `exc1zp2…9hta`. */
export function shortId(id: string): string {
  return id.length <= 14 ? id : `${id.slice(0, 7)}…${id.slice(-4)}`;
}

/** The end of a file name that never gives way: its extension and a little before it. */
export function splitName(name: string): { start: string; end: string } {
  const keep = name.length <= 16 ? 0 : 9;
  // A space at the cut would look like a gap behind the dots.
  const end = keep === 0 ? '' : name.slice(-keep).trimStart();
  return { start: name.slice(0, name.length - end.length), end };
}

export function numberText(value: number, locale: string): string {
  return numbers(locale, 3).format(value);
}
