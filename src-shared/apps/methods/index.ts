import type { z } from '../../contract/zod.ts';
import { accountMethods } from './accounts.ts';
import { collectionMethods } from './collections.ts';
import { driveMethods } from './drives.ts';
import { messageMethods } from './messages.ts';
import { serviceMethods } from './services.ts';
import { sessionMethods } from './session.ts';
import { streamMethods } from './streams.ts';
import { walletMethods } from './wallet.ts';

/** Every method of `window.extrachain.request`, once. */
export const appMethods = {
  ...sessionMethods,
  ...accountMethods,
  ...driveMethods,
  ...streamMethods,
  ...collectionMethods,
  ...messageMethods,
  ...serviceMethods,
  ...walletMethods,
};
export type AppMethods = typeof appMethods;
export type AppMethodName = keyof AppMethods;
/** What a page passes (before defaults are filled in). */
export type ParamsOf<M extends AppMethodName> = z.input<AppMethods[M]['params']>;
/** What a handler is given. */
export type ParsedParamsOf<M extends AppMethodName> = z.output<AppMethods[M]['params']>;
export type ResultOf<M extends AppMethodName> = z.output<AppMethods[M]['result']>;
/** One item of a subscription. */
export type ItemOf<M extends AppMethodName> = AppMethods[M] extends {
  readonly item: infer I extends z.ZodType;
}
  ? z.output<I>
  : never;

/** True for the name of a method. */
export function isAppMethod(name: string): name is AppMethodName {
  return Object.hasOwn(appMethods, name);
}

export type { AppMethod, AppMethodTable } from './frame.ts';
export { maxInlineBytes } from './limits.ts';
export type { AppAccount } from './accounts.ts';
export type { AppFile, AppFolder } from './drives.ts';
export type {
  AppCollection,
  AppCollectionEntry,
  AppCollectionInvitation,
  AppCollectionMember,
} from './collections.ts';
export type { AppMessage } from './messages.ts';
export type { AppService, AppServiceCall } from './services.ts';
export type { AppSession } from './session.ts';
export type { AppStream } from './streams.ts';
