import { z } from '../contract/zod.ts';

/**
 * Names of an app. Its id is computed, never given: lower-case base32 without padding of SHA-256("extrachain app v1\0",
 * the publisher's user id as bytes, the slug); `appIdOf` in `src-main/apps` does it. So nobody can publish under an id of
 * somebody else's, and the id is a DNS label: each app has an origin of its own.
 */
export const appIdPattern = /^[a-z2-7]{52}$/;
export const appId = z.string().regex(appIdPattern, 'An app id is 52 of a-z and 2-7.');

/** What precedes publisher and slug in the hash. */
export const appIdDomain = 'extrachain app v1\0';

// The ledger decides by these patterns, too: they stay as they are as long as a chain does.
export const slugPattern = /^[a-z0-9][a-z0-9-]{0,31}$/;
export const channelPattern = /^[a-z][a-z0-9]{0,15}$/;
export const categoryPattern = /^[a-z][a-z0-9-]{1,23}$/;

/** As the services of the ledger are named. */
export const slug = z.string().regex(slugPattern, 'A slug is 1 to 32 small letters, digits and hyphens.');

/** A line of releases: `stable`, or another short word. */
export const channel = z.string().regex(channelPattern, 'A channel is 1 to 16 small letters and digits.');
/** One word, by which the store sorts. */
export const category = z
  .string()
  .regex(categoryPattern, 'A category is 2 to 24 small letters, digits and hyphens.');
export const defaultChannel = 'stable';

const number = '(?:0|[1-9]\\d{0,8})';
const label = '(?:0|[1-9]\\d*|\\d*[A-Za-z-][0-9A-Za-z-]*)';
/** Semantic Versioning 2.0.0 with numbers of at most nine digits. */
export const versionPattern = new RegExp(
  `^(${number})\\.(${number})\\.(${number})(?:-(${label}(?:\\.${label})*))?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$`,
);
export const appVersion = z
  .string()
  .max(64)
  .regex(versionPattern, 'A version is three numbers like 1.4.0, perhaps with a label: 1.4.0-beta.1.');

/**
 * Precedence of Semantic Versioning 2.0.0 (section 11), for sorting: negative when `a` is older than `b`. Build labels
 * count for nothing. (The window needs it, too, and this folder may use no package.)
 * @throws RangeError when one of them is not a version
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parts(a), parts(b)];
  for (const [at, value] of left.numbers.entries()) {
    const difference = value - right.numbers[at]!;
    if (difference !== 0) return difference;
  }
  if (!left.labels || !right.labels) return (left.labels ? 0 : 1) - (right.labels ? 0 : 1);
  for (const [at, one] of left.labels.entries()) {
    const other = right.labels[at];
    if (other === undefined) return 1;
    if (one !== other) return compareLabels(one, other);
  }
  return left.labels.length - right.labels.length;
}

function parts(text: string): {
  readonly numbers: readonly number[];
  readonly labels: readonly string[] | null;
} {
  const match = versionPattern.exec(text);
  if (!match) throw new RangeError(`${text} is not a version.`);
  return { numbers: match.slice(1, 4).map(Number), labels: match[4]?.split('.') ?? null };
}

const isNumber = (text: string): boolean => /^\d+$/.test(text);
/** Numbers come before words and are compared as numbers. */
function compareLabels(a: string, b: string): number {
  const [left, right] = [isNumber(a), isNumber(b)];
  if (left && right) return a.length - b.length || (a < b ? -1 : 1);
  if (left !== right) return left ? -1 : 1;
  return a < b ? -1 : 1;
}
