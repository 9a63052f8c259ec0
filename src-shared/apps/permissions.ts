import { z } from '../contract/zod.ts';
import { count, driveId, hash, path } from '../contract/common.ts';
import { symbol, wanted } from '../contract/amounts.ts';
import { shownText } from './text.ts';

/** What an app may be allowed, in the order in which people are shown it. `docs/apps.md` has each in plain words. */
export const permissionNames = [
  /** An account of the app's own, from which nobody can tell the person. Every app has it. */
  'identity',
  /** The person's user id. */
  'identity.shared',
  'drive.read',
  'drive.write',
  /** Inviting others to a folder the app may write to. */
  'drive.share',
  'streams.watch',
  'streams.publish',
  'tokens.read',
  /** Paying without asking, up to so much a day. */
  'tokens.spend',
  /** Messages to other users of the app. */
  'messages',
  /** Replicated collections of the app's own. */
  'collections',
  'services.call',
  'services.provide',
  'notifications',
  /** Of the web page; given in our own window only. */
  'camera',
  'microphone',
] as const;
export const permissionName = z.enum(permissionNames);
export type PermissionName = z.infer<typeof permissionName>;

/** What bounds a permission. A bound that is left out is not there; which ones a permission knows, `caveatsOf` says. */
export const caveats = z.strictObject({
  /** One folder: a drive and a path in it ('' is all of it). */
  drive: driveId.optional(),
  path: path.optional(),
  /** The token that may be spent. */
  symbol: symbol.optional(),
  /** Amounts of that token, or messages, or notifications, in any 24 hours. */
  perDay: z.union([wanted, count.max(1_000_000)]).optional(),
  /** The interface of the services that may be called. */
  interface: hash.optional(),
});
export type Caveats = z.infer<typeof caveats>;

const known: Partial<Record<PermissionName, readonly (keyof Caveats)[]>> = {
  'drive.read': ['drive', 'path'],
  'drive.write': ['drive', 'path'],
  'drive.share': ['drive', 'path'],
  'tokens.spend': ['symbol', 'perDay'],
  messages: ['perDay'],
  'services.call': ['interface', 'symbol', 'perDay'],
  notifications: ['perDay'],
};
/** The bounds a permission knows. */
export const caveatsOf = (name: PermissionName): readonly (keyof Caveats)[] => known[name] ?? [];

/** Whether it is about one folder, which the person picks. */
export const isAboutFolder = (name: PermissionName): boolean => caveatsOf(name).includes('path');

function checkCaveats(name: PermissionName, bounds: Caveats, issue: (message: string) => void): void {
  for (const key of Object.keys(bounds) as (keyof Caveats)[]) {
    if (!caveatsOf(name).includes(key)) issue(`The permission ${name} has no bound ${key}.`);
  }
  if (bounds.perDay === undefined) return;
  const isAmount = name === 'tokens.spend' || name === 'services.call';
  if (isAmount !== (typeof bounds.perDay === 'string')) {
    issue(`perDay of ${name} is ${isAmount ? 'an amount, like "2.5"' : 'a whole number'}.`);
  }
}

/** A permission that somebody gave: with its bounds. An app can have several of one name, one for each folder. */
export const grant = z
  .strictObject({ name: permissionName, caveats: caveats.default({}) })
  .check(({ value, issues }) => {
    const issue = (message: string) =>
      issues.push({ code: 'custom', message, input: value, path: ['caveats'] });
    checkCaveats(value.name, value.caveats, issue);
    const { drive, path: folder, symbol: token, perDay } = value.caveats;
    if (folder !== undefined && drive === undefined) issue('A path needs its drive.');
    if (value.name === 'tokens.spend' && (token === undefined || perDay === undefined)) {
      issue('Spending is bounded by symbol and perDay.');
    }
    if (value.name === 'services.call' && (token === undefined) !== (perDay === undefined)) {
      issue('symbol and perDay go together.');
    }
  });
export type Grant = z.infer<typeof grant>;

/**
 * What a manifest asks for: a name, or with the bounds it would be content with and a reason for people. Folders are the
 * person's to pick, so a manifest names none.
 */
export const permissionRequest = z
  .union([permissionName.transform((name) => ({ name })), z.strictObject({ name: permissionName }).loose()])
  .pipe(
    z.strictObject({
      name: permissionName,
      caveats: caveats.omit({ drive: true, path: true }).default({}),
      reason: shownText(200).trim().min(1).optional(),
    }),
  )
  .check(({ value, issues }) => {
    const issue = (message: string) =>
      issues.push({ code: 'custom', message, input: value, path: ['caveats'] });
    checkCaveats(value.name, value.caveats, issue);
    const { symbol: token, perDay } = value.caveats;
    if (value.name === 'tokens.spend' && (token === undefined || perDay === undefined)) {
      issue('Spending asks for a symbol and an amount perDay.');
    }
  });
export type PermissionRequest = z.infer<typeof permissionRequest>;

/** Whether bounds are as narrow as others, or narrower. */
export function isWithin(inner: Caveats, outer: Caveats): boolean {
  if (outer.drive !== undefined && inner.drive !== outer.drive) return false;
  if (outer.path !== undefined && !isInside(inner.path, outer.path)) return false;
  if (outer.symbol !== undefined && inner.symbol !== outer.symbol) return false;
  if (outer.interface !== undefined && inner.interface !== outer.interface) return false;
  if (outer.perDay === undefined) return true;
  return inner.perDay !== undefined && compareDecimals(String(inner.perDay), String(outer.perDay)) <= 0;
}

/** Whether a path is a folder or lies in it; '' is the root, and whole names count. */
export const isInside = (inner: string | undefined, folder: string): boolean =>
  inner !== undefined && (folder === '' || inner === folder || inner.startsWith(`${folder}/`));

/** Compares amounts as they are written, exactly. */
function compareDecimals(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.')) as [string[], string[]];
  const places = Math.max(left[1]?.length ?? 0, right[1]?.length ?? 0);
  const [x, y] = [left, right].map(([whole = '', rest = '']) => BigInt(whole + rest.padEnd(places, '0'))) as [
    bigint,
    bigint,
  ];
  return x < y ? -1 : x > y ? 1 : 0;
}

/**
 * What a newer manifest needs that the older one did not: an update that needs nothing more may install by itself.
 * Optional ones are off until somebody grants them, so they do not count.
 */
export function grownPermissions(
  before: { readonly required: readonly PermissionRequest[] },
  after: { readonly required: readonly PermissionRequest[] },
): readonly PermissionRequest[] {
  return after.required.filter(
    (wish) =>
      wish.name !== 'identity' &&
      !before.required.some((had) => had.name === wish.name && isWithin(wish.caveats, had.caveats)),
  );
}
