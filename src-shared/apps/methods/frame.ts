import { z } from '../../contract/zod.ts';
import type { PermissionName } from '../permissions.ts';
import { maxInlineBytes } from './limits.ts';

/**
 * One method of the provider. Params are checked before anything else is done; results are what the host promises (tests
 * check them).
 */
export interface AppMethod<P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> {
  readonly params: P;
  readonly result: R;
  /** What the app must have been granted, all of it; none: every installed app may call it. */
  readonly permissions: readonly PermissionName[];
  /** Of a method that opens a subscription: what each of its items is. */
  readonly item?: z.ZodType;
}

/** By name: `exc_…` ours, `wallet_…` those of the CAIPs. */
export type AppMethodTable = Readonly<Record<string, AppMethod>>;

/** Declares a method that answers once. */
export function method<P extends z.ZodType, R extends z.ZodType>(
  permissions: readonly PermissionName[],
  params: P,
  result: R,
): AppMethod<P, R> {
  return { permissions, params, result };
}

const subscription = z.object({ subscription: z.string() });

/** Declares a method that opens a subscription: its items come as `message` events of the provider (EIP-1193). */
export function watching<P extends z.ZodType, I extends z.ZodType>(
  permissions: readonly PermissionName[],
  params: P,
  item: I,
): AppMethod<P, typeof subscription> & { readonly item: I } {
  return { permissions, params, result: subscription, item };
}

/** Bytes inside JSON: base64url without padding (RFC 4648, section 5). */
export const inlineBytes = z
  .string()
  .max(Math.ceil((maxInlineBytes * 4) / 3))
  .regex(/^[A-Za-z0-9_-]*$/);
/** Where larger bytes are, on the app's own origin. */
export const appUrl = z
  .string()
  .regex(/^\/_extrachain\/(bytes|live|uploads)\/[A-Za-z0-9_-]{43}(\/.{1,200})?$/);
export const nothing = z.object({}).default({});
export const ok = z.object({ ok: z.literal(true) });
