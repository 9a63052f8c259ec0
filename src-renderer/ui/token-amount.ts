/** A decimal text in the parts people read: grouped whole, and a fraction of so many digits, which may be cut short. */
export interface AmountParts {
  readonly sign: string;
  readonly whole: string;
  /** With its point, or '' when there is none. */
  readonly fraction: string;
}

const groups = new Map<string, { group: string; point: string }>();
function marksOf(locale: string) {
  let marks = groups.get(locale);
  if (!marks) {
    const parts = new Intl.NumberFormat(locale, { useGrouping: true }).formatToParts(1234567.5);
    const of = (type: string) => parts.find((part) => part.type === type)?.value ?? '';
    groups.set(locale, (marks = { group: of('group'), point: of('decimal') }));
  }
  return marks;
}

/**
 * Cuts, never rounds up: nobody must see more than there is. Works on the text, as numbers lose digits from 2^53 on.
 * @param text such as `-1234.500001`; a plus is kept, too
 * @param digits shown behind the point; null: all there are
 */
export function amountParts(text: string, locale: string, digits: number | null = 3): AmountParts {
  const { group, point } = marksOf(locale);
  const sign = text.startsWith('-') ? '\u2212' : text.startsWith('+') ? '+' : '';
  const [whole = '0', fraction = ''] = text.replace(/^[-+]/, '').split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, group);
  const shown = digits === null ? fraction : fraction.slice(0, digits).padEnd(digits, '0');
  return { sign, whole: grouped, fraction: shown === '' ? '' : point + shown };
}

/** The same as one text. */
export function amountText(text: string, locale: string, digits: number | null = null): string {
  const { sign, whole, fraction } = amountParts(text, locale, digits);
  return sign + whole + fraction;
}

/** `a` less `b`, both decimal texts; '0' when that is less than nothing. Exact, as numbers lose digits from 2^53 on. */
export function lessText(a: string, b: string): string {
  const digits = Math.max(...[a, b].map((text) => text.split('.')[1]?.length ?? 0));
  const units = (text: string): bigint => {
    const [whole = '0', fraction = ''] = text.split('.');
    return BigInt(whole + fraction.padEnd(digits, '0'));
  };
  const left = units(a) - units(b);
  if (left <= 0n) return '0';
  const text = left.toString().padStart(digits + 1, '0');
  const point = text.length - digits;
  return digits === 0 ? text : `${text.slice(0, point)}.${text.slice(point)}`.replace(/\.?0+$/, '');
}
