import { linkScheme } from './origins.ts';

const longestLink = 8192;
/** As many as one start of the program can bring. */
const mostLinks = 4;
/** `extrachain://<kind>/...`: what a link may be about. The window knows what to do with each. */
const kinds: ReadonlySet<string> = new Set([
  'drive',
  'invite',
  'open',
  'stream',
  'app',
  'chain',
  'sign',
  'tx',
]);

/**
 * Reads a link another program handed to us: it may hold anything.
 * @returns the link, written the usual way; null when it is none of ours
 */
export function parseDeepLink(text: string): string | null {
  const trimmed = text.trim();
  // What is invisible or turns the direction of writing could make the question in the window read differently.
  if (trimmed.length > longestLink || /[\p{Cc}\p{Cf}]/u.test(trimmed) || !URL.canParse(trimmed)) return null;
  const url = new URL(trimmed);
  if (url.protocol !== `${linkScheme}:` || url.username !== '' || url.password !== '' || url.port !== '')
    return null;
  return kinds.has(url.hostname) && url.pathname.length > 1 ? url.href : null;
}

/** The links among the arguments a program was started with. */
export function linksAmong(argv: readonly string[]): string[] {
  const links = argv.filter((one) => one.toLowerCase().startsWith(`${linkScheme}:`)).map(parseDeepLink);
  return links.filter((one) => one !== null).slice(0, mostLinks);
}
