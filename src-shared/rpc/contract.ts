import type { z } from 'zod';

/**
 * What a contract is made of. A query reads, a command changes something, a subscription answers with many items until
 * one side ends it. Inputs and outputs are zod schemas: the serving side checks every input, tests check every output.
 */
export interface Entry<
  K extends 'query' | 'command' | 'subscription',
  I extends z.ZodType,
  O extends z.ZodType,
> {
  readonly kind: K;
  readonly input: I;
  /** Of a subscription: one item. */
  readonly output: O;
}

export type AnyEntry = Entry<'query' | 'command' | 'subscription', z.ZodType, z.ZodType>;

/** Two levels: `group.call`. Both names are `[a-z][A-Za-z]*`. */
export type Contract = Readonly<Record<string, Readonly<Record<string, AnyEntry>>>>;

/** Declares a call that only reads. */
export function query<I extends z.ZodType, O extends z.ZodType>(input: I, output: O): Entry<'query', I, O> {
  return { kind: 'query', input, output };
}

/** Declares a call that changes something. */
export function command<I extends z.ZodType, O extends z.ZodType>(
  input: I,
  output: O,
): Entry<'command', I, O> {
  return { kind: 'command', input, output };
}

/** Declares a stream of items. */
export function subscription<I extends z.ZodType, O extends z.ZodType>(
  input: I,
  output: O,
): Entry<'subscription', I, O> {
  return { kind: 'subscription', input, output };
}

/** What a caller passes (before defaults are filled in). */
export type InputOf<E extends AnyEntry> = z.input<E['input']>;
/** What a handler is given. */
export type ParsedInputOf<E extends AnyEntry> = z.output<E['input']>;
/** What a handler returns, and a caller gets. */
export type OutputOf<E extends AnyEntry> = z.output<E['output']>;
