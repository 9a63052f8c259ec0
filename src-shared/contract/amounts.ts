import { z } from './zod.ts';
import { hash } from './common.ts';

/** Whole tokens with decimals, e.g. `12.5`; never a float. */
export const amount = z
  .string()
  .regex(/^-?\d+(\.\d+)?$/)
  .max(64);
/** What is asked for: digits with at most one point. */
export const wanted = z
  .string()
  .regex(/^\d+(\.\d+)?$/, 'It is not an amount like 12.5.')
  .max(64);
export const symbol = z.string().regex(/^[A-Z0-9]{2,12}$/, 'A symbol is 2 to 12 of A-Z and 0-9.');

/** What commands that make a transaction answer once it is accepted for gossip. */
export const accepted = z.object({ hash });
/** `feeIn`: the token the fee is paid in. `password`: where the keystore asks for it again above a limit. */
export const paying = { feeIn: symbol.optional(), password: z.string().max(1024).optional() };
