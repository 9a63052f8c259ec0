import { InvalidArgumentError } from '@commander-js/extra-typings';
import { grant, isAboutFolder, permissionName } from '../../../../src-shared/apps/index.ts';
import type { Grant, PermissionName } from '../../../../src-shared/apps/index.ts';
import type { AppPermission } from '../../../../src-shared/contract/index.ts';
import { inDrive, parseCount } from '../parse.ts';

/**
 * A permission as it is given on the command line: `name`, with its bounds after a `=`: `drive.read=DRIVE/PATH`,
 * `tokens.spend=2.5 EXC`, `messages=100`.
 */
export function parseGrant(text: string): Grant {
  const [, name = '', bound] = /^([a-z.]+)(?:=(.*))?$/s.exec(text) ?? [];
  const known = permissionName.safeParse(name);
  if (!known.success) throw new InvalidArgumentError(`There is no permission ${name}.`);
  const parsed = grant.safeParse({ name, caveats: bound === undefined ? {} : caveatsOf(known.data, bound) });
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(parsed.error.issues[0]!.message);
}

function caveatsOf(name: PermissionName, bound: string): Grant['caveats'] {
  if (isAboutFolder(name)) {
    const [drive = '', ...rest] = bound.split('/');
    return { drive, path: inDrive(rest.join('/')) };
  }
  if (name === 'tokens.spend' || name === 'services.call') {
    const [perDay = '', symbol = ''] = bound.trim().split(/\s+/);
    return { perDay, symbol: symbol.toUpperCase() };
  }
  return { perDay: parseCount(bound) };
}

/** For an option that may be given several times. */
export const collectGrants = (text: string, before: Grant[]): Grant[] => [...before, parseGrant(text)];
export const grantOption = [
  '--grant <permission>',
  'grants it, too: NAME, drive.read=DRIVE/PATH, "tokens.spend=2.5 EXC", messages=100',
] as const;

/** The bounds of a permission, for people. */
export const bounds = ({ caveats }: Pick<AppPermission, 'caveats'>): string =>
  [
    caveats.drive === undefined ? '' : `${caveats.drive}/${caveats.path ?? ''}`,
    caveats.perDay === undefined
      ? ''
      : `${caveats.perDay}${caveats.symbol ? ` ${caveats.symbol}` : ''} a day`,
    caveats.interface === undefined ? '' : `interface ${caveats.interface}`,
  ]
    .filter(Boolean)
    .join(', ');
