import { AppError } from '../../../src-shared/errors.ts';

/** What a sign-in says (EIP-4361, as CAIP-122 opens it to other networks). Times as ISO 8601 in UTC. */
export interface SignIn {
  /** Who asks: the app's id. */
  readonly domain: string;
  readonly address: string;
  readonly statement?: string | undefined;
  /** `exc-app://<app id>/` */
  readonly uri: string;
  readonly chainId: string;
  readonly nonce: string;
  readonly issuedAt: string;
  readonly expirationTime?: string | undefined;
  readonly notBefore?: string | undefined;
  readonly requestId?: string | undefined;
  readonly resources?: readonly string[] | undefined;
}

const asks = ' wants you to sign in with your ExtraChain account:';
const printable = /^[\x20-\x7e]*$/;

/** The text that is signed. Fields are checked by the caller's schema; none may hold a line break. */
export function signInText(one: SignIn): string {
  const lines = [
    `${one.domain}${asks}`,
    one.address,
    '',
    ...(one.statement === undefined ? [] : [one.statement]),
    '',
    `URI: ${one.uri}`,
    'Version: 1',
    `Chain ID: ${one.chainId}`,
    `Nonce: ${one.nonce}`,
    `Issued At: ${one.issuedAt}`,
    ...(one.expirationTime === undefined ? [] : [`Expiration Time: ${one.expirationTime}`]),
    ...(one.notBefore === undefined ? [] : [`Not Before: ${one.notBefore}`]),
    ...(one.requestId === undefined ? [] : [`Request ID: ${one.requestId}`]),
    ...(one.resources?.length ? ['Resources:', ...one.resources.map((uri) => `- ${uri}`)] : []),
  ];
  if (!lines.every((line) => printable.test(line))) {
    throw new AppError('invalid_argument', 'A sign-in is of printable ASCII, without line breaks.');
  }
  return lines.join('\n');
}

const time = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const tagged: readonly (readonly [keyof SignIn, string, RegExp, boolean])[] = [
  ['uri', 'URI: ', /^exc-app:\/\/[a-z2-7]{52}\/$/, true],
  ['chainId', 'Chain ID: ', /^[-_a-zA-Z0-9]{1,80}$/, true],
  ['nonce', 'Nonce: ', /^[A-Za-z0-9]{8,96}$/, true],
  ['issuedAt', 'Issued At: ', time, true],
  ['expirationTime', 'Expiration Time: ', time, false],
  ['notBefore', 'Not Before: ', time, false],
  ['requestId', 'Request ID: ', /^[A-Za-z0-9._~!$&'()*+,;=:@%-]*$/, false],
];

/**
 * Reads a sign-in back, strictly: every line in its place, nothing more, and the text that its fields make is the text
 * that was read.
 * @throws AppError `malformed`
 */
export function parseSignIn(text: string): SignIn {
  const bad = (what: string): AppError => new AppError('malformed', `This is no sign-in: ${what}.`);
  if (text.length > 16_384) throw bad('it is too long');
  const lines = text.split('\n');
  if (!lines.every((line) => printable.test(line))) throw bad('it holds other than printable ASCII');
  const next = (): string | undefined => lines.shift();
  const first = next() ?? '';
  if (!first.endsWith(asks)) throw bad('the first line does not say who asks');
  const domain = first.slice(0, -asks.length);
  if (!/^[a-z2-7]{52}$/.test(domain)) throw bad('its domain is no app id');
  const address = next() ?? '';
  if (!/^exc1[02-9ac-hj-np-z]{20,90}$/.test(address)) throw bad('its address is no account');
  if (next() !== '') throw bad('an empty line is missing');
  let statement = next();
  if (statement === '') statement = undefined;
  else if (next() !== '') throw bad('the statement has more than one line');
  const fields: Record<string, string> = {};
  for (const [name, tag, form, needed] of tagged) {
    if (name === 'chainId' && next() !== 'Version: 1') throw bad('its version is not 1');
    if (!lines[0]?.startsWith(tag)) {
      if (needed) throw bad(`${tag.trim()} is missing`);
      continue;
    }
    const value = next()!.slice(tag.length);
    if (!form.test(value)) throw bad(`${tag.trim()} is not well formed`);
    fields[name] = value;
  }
  const resources: string[] = [];
  if (lines[0] === 'Resources:') {
    next();
    for (let line = next(); line !== undefined; line = next()) {
      if (!line.startsWith('- ') || !URL.canParse(line.slice(2))) throw bad('a resource is no address');
      resources.push(line.slice(2));
    }
  }
  if (lines.length > 0) throw bad('there is more after its end');
  if (fields['uri'] !== `exc-app://${domain}/`) throw bad('domain and URI differ');
  const read = {
    domain,
    address,
    ...(statement !== undefined && { statement }),
    ...fields,
    ...(resources.length > 0 && { resources }),
  } as unknown as SignIn;
  if (signInText(read) !== text) throw bad('it is not written as its fields are');
  return read;
}
