export type Strength = 'weak' | 'fair' | 'good';

/** What anybody would try first; a password made of one of these and a few digits is as weak as they are. */
const known =
  /^(?:pass(?:word|wort)?|passwor[dt]|qwert[yz]\w*|asdf\w*|admin|letmein|welcome|willkommen|iloveyou|geheim|hallo|extrachain|abc|test|dragon|monkey|football)[\d\W]*$/i;

/**
 * How long a password would hold against somebody who has the key file: a rough number of bits, from its length and the
 * kinds of its characters, without what only repeats or counts on. The key file's scrypt adds some 17 bits to it.
 */
export function passwordBits(password: string): number {
  if (known.test(password)) return Math.min(12, password.length * 2);
  const classes: readonly [RegExp, number][] = [
    [/[a-z]/, 26],
    [/[A-Z]/, 26],
    [/\d/, 10],
    [/[^a-zA-Z\d]/, 33],
  ];
  const pool = classes.reduce((sum, [kind, size]) => sum + (kind.test(password) ? size : 0), 0);
  const codes = [...password].map((one) => one.codePointAt(0) ?? 0);
  let worth = 0;
  codes.forEach((code, index) => {
    const step = index === 0 ? null : code - (codes[index - 1] ?? 0);
    // The same character again, or the next one of the alphabet, is no choice.
    worth += step !== null && Math.abs(step) <= 1 ? 0.25 : codes.indexOf(code) < index ? 0.75 : 1;
  });
  return worth * Math.log2(Math.max(2, pool));
}

export function passwordStrength(password: string): Strength {
  const bits = passwordBits(password);
  return bits < 36 ? 'weak' : bits < 56 ? 'fair' : 'good';
}
