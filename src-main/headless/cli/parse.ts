import { InvalidArgumentError } from '@commander-js/extra-typings';

const decimal: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };
const binary: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

function amount(number: string, unit: string, kibi: string | undefined): number {
  const factor = (kibi ? binary : decimal)[unit.toLowerCase()]!;
  return Math.round(Number(number) * factor);
}

function checked(value: number, text: string): number {
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError(`"${text}" is too large.`);
  return value;
}

/** A path inside a drive: it never begins with a slash, people's fingers do. */
export const inDrive = (text: string): string => text.replace(/^\/+|\/+$/g, '');

/** `500MB`, `2GB`, `1.5GiB`, `4096` -> bytes. MB are millions of bytes, MiB 1,048,576. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgt]?)(i(?=b))?b?$/i.exec(text.trim());
  if (!match || (match[3] && match[2] === '')) {
    throw new InvalidArgumentError(`"${text}" is not a size like 500MB or 2GB.`);
  }
  return checked(amount(match[1]!, match[2]!, match[3]), text);
}

/** `50Mbit` or `5MB`, with or without `/s` -> bytes a second. For an option: of one that is null Commander makes ''. @see limitOf */
export function parseRate(text: string): number | 'off' {
  const plain = text.trim().replace(/\/s$/, '');
  if (/^(off|none|unlimited)$/i.test(plain)) return 'off';
  const bits = /^(\d+(?:\.\d+)?) ?([kmgt]?)(?:bit|bps)$/i.exec(plain);
  let rate: number;
  try {
    rate = bits ? checked(Math.round(amount(bits[1]!, bits[2]!, undefined) / 8), text) : parseSize(plain);
  } catch {
    throw new InvalidArgumentError(`"${text}" is not a rate like 50Mbit or 5MB (a second), or off.`);
  }
  if (rate < 1)
    throw new InvalidArgumentError('A rate must be more than nothing; "off" takes the limit away.');
  return rate;
}

/** What a rate given as an option bounds; null: nothing, undefined: it was not given. */
export const limitOf = (rate: number | 'off' | undefined): number | null | undefined =>
  rate === 'off' ? null : rate;

const spans: Readonly<Record<string, number>> = { s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3, w: 604_800e3 };

/** `30d`, `12h`, `45m`, `90s`, `2w` from now, or a moment in ISO 8601 -> that moment as `toISOString` writes it. */
export function parseMoment(text: string, now: number): string {
  const span = /^(\d+(?:\.\d+)?)([smhdw])$/.exec(text.trim());
  const iso = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/.test(text.trim());
  const moment = span ? now + Number(span[1]) * spans[span[2]!]! : iso ? Date.parse(text.trim()) : NaN;
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) {
    throw new InvalidArgumentError(`"${text}" is not a time like 30d, 12h or 2026-11-22T15:30.`);
  }
  return date.toISOString();
}

/** A whole number, 1 or more. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new InvalidArgumentError(`"${text}" is not a whole number of 1 or more.`);
  return Number(text);
}

/** Seconds as a number, or with a unit (`90`, `1.5`, `2m`). */
export function parseSeconds(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([smhdw]?)$/.exec(text.trim());
  const seconds = match ? Number(match[1]) * (match[2] ? spans[match[2]]! / 1000 : 1) : NaN;
  if (!(seconds > 0)) throw new InvalidArgumentError(`"${text}" is not a number of seconds.`);
  return seconds;
}

/** `127.0.0.1:8080`, `[::1]:0`, `localhost:80` -> host (without brackets) and port. */
export function parseHostPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-f:]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/i.exec(text.trim());
  const port = Number(match?.[3]);
  if (!match || port > 65_535) throw new InvalidArgumentError(`"${text}" is not HOST:PORT.`);
  return { host: match[1] ?? match[2]!, port };
}

/** A setting's value: JSON where it is JSON (`true`, `5`, `["a"]`, `null`), else the text as it stands. */
export function parseSettingValue(text: string): string | number | boolean | null | string[] {
  try {
    const value: unknown = JSON.parse(text);
    if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return value as string;
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  } catch {
    // Plain text.
  }
  return text;
}
