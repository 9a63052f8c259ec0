import { contract } from '../../src-shared/contract/index.ts';
import type { AppContract, Name } from '../../src-shared/contract/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import type { Handlers } from '../../src-shared/rpc/index.ts';

/*
 * `@name` stands for an id wherever a call asks for one: so the command line and the window need not resolve anything, and no
 * call can forget to.
 */

/** Fields that hold an id, with the kinds of names that may stand there. */
const fields: Readonly<Record<string, readonly Name['kind'][]>> = {
  user: ['person'],
  to: ['person'],
  validator: ['person'],
  account: ['person'],
  sponsor: ['person'],
  link: ['drive', 'stream'],
  drive: ['drive'],
  stream: ['stream'],
  app: ['app'],
};
const written = /^@([a-z0-9][a-z0-9-]{1,30}[a-z0-9])$/;

/** Most calls name nothing, and are not made to wait. */
const mentionsName = (input: unknown): boolean =>
  typeof input === 'object' &&
  input !== null &&
  Object.entries(input).some(
    ([key, value]) =>
      (key in fields && typeof value === 'string' && written.test(value)) ||
      ((key === 'input' || key === 'act') && mentionsName(value)),
  );

type Resolve = (name: string) => Promise<Name> | Name;

/** An input with its names replaced by what they stand for; the same object when there are none. */
export async function withoutNames(input: unknown, resolve: Resolve): Promise<unknown> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input;
  let changed: Record<string, unknown> | null = null;
  for (const [key, value] of Object.entries(input)) {
    let after = value;
    if (typeof value === 'string') {
      const name = fields[key] && written.exec(value)?.[1];
      if (name !== undefined) {
        const found = await resolve(name);
        if (!fields[key]?.includes(found.kind)) {
          throw new AppError('invalid_argument', `@${name} is the name of a ${found.kind}.`);
        }
        after = found.target;
      }
    } else if (key === 'input' || key === 'act') after = await withoutNames(value, resolve);
    if (after !== value) (changed ??= { ...input })[key] = after;
  }
  return changed ?? input;
}

/** Handlers of queries and commands that understand names. */
export function resolvingNames(handlers: Handlers<AppContract>, resolve: Resolve): Handlers<AppContract> {
  type Call = (input: unknown, signal: AbortSignal) => unknown;
  const wrapped = Object.entries(handlers).map(([group, calls]) => [
    group,
    Object.fromEntries(
      Object.entries(calls as Readonly<Record<string, Call>>).map(([name, call]) => {
        const entry = (contract as Readonly<Record<string, Readonly<Record<string, { kind: string }>>>>)[
          group
        ]?.[name];
        if (entry?.kind === 'subscription') return [name, call];
        const resolved: Call = (input, signal) =>
          mentionsName(input)
            ? withoutNames(input, resolve).then((known) => call(known, signal))
            : call(input, signal);
        return [name, resolved];
      }),
    ),
  ]);
  return Object.fromEntries(wrapped) as Handlers<AppContract>;
}
