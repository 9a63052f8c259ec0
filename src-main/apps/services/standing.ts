import { createHash } from 'node:crypto';
import type { AnswerRule, ServiceAnswers, SourceManifest } from '../../../src-shared/apps/index.ts';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, RandomBytes } from '../../../src-shared/runtime.ts';
import type { Collection, CollectionChange, CollectionEntry, JsonValue } from '../collections/index.ts';
import { createRateLimit } from '../rate-limit.ts';
import { checkInterface, type CheckedInterface } from './interface.ts';
import type { OfferedCall } from './offers.ts';

/** The collection that answers are taken from and put into. */
export interface AnswerStore {
  /** @param make makes it when there is none @returns null: there is none */
  open(make: boolean): Promise<{
    readonly collection: Pick<Collection, 'get' | 'entries' | 'write'>;
    /** Changes from now on; the first item says that the watch has begun. */
    watch(
      prefix: string,
      signal: AbortSignal,
    ): AsyncIterable<{ readonly changes: readonly CollectionChange[] }>;
  } | null>;
  /** Takes an empty one in place of one that takes nothing more. */
  renew(): Promise<void>;
}

/** Bytes of one answer as JSON: what a frame of the protocol carries, and some room. */
const mostAnswer = 400 * 1024;
/** Entries of one answer, and without a `limit`. */
const mostListed = 200;
const listed = 50;
/** Seconds that one call may follow a list, and without `seconds`. */
const longestFollow = 600;
const follows = 60;
/** Entries that one caller, and all together, may add a second, and at once. */
const added = { caller: { rate: 1, burst: 10 }, all: { rate: 20, burst: 100 } } as const;
const mostCallers = 1000;
/** Old entries of a list are looked for after so many new ones. */
const tidyEvery = 50;
/** Bytes of UTF-8 that a param may take in a key; longer ones stand there by their hash. */
const mostOfKey = 200;

const paramsOf = (place: string): string[] => [...place.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
const isObject = (value: unknown): value is { readonly [key: string]: JsonValue } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A place with the params of a call in it. None can lead out of its part: slashes are escaped. */
function placeOf(place: string, params: JsonValue): string {
  return place.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = isObject(params) && Object.hasOwn(params, name) ? params[name] : undefined;
    if (typeof value !== 'string' || value === '' || !value.isWellFormed()) {
      throw new AppError('invalid_argument', `This method needs a text ${name}.`);
    }
    const text = encodeURIComponent(value);
    if (text.length <= mostOfKey) return text;
    return `${text.slice(0, 100)}~${createHash('sha256').update(value).digest('hex')}`;
  });
}

function numberOf(params: JsonValue, name: string, otherwise: number, most: number): number {
  const value = isObject(params) && Object.hasOwn(params, name) ? params[name] : undefined;
  return typeof value === 'number' && value >= 1 ? Math.min(most, Math.floor(value)) : otherwise;
}

/** An entry of a list as it is told: what was added, who added it, and when. */
const shown = (list: string, { key, value, time }: CollectionEntry): JsonValue => ({
  ...(isObject(value) ? value : { value }),
  id: key.slice(list.length),
  time,
});

/**
 * Sees to it that rules answer an interface: each method, parts only where it has some.
 * @throws AppError `manifest_invalid`
 */
export function checkAnswers({ methods }: ServiceAnswers, definition: CheckedInterface): void {
  const wrong = (message: string): never => {
    throw new AppError('manifest_invalid', message);
  };
  const names = Object.keys(definition.definition.methods);
  for (const name of names) {
    const rule = Object.hasOwn(methods, name) ? methods[name]! : wrong(`Nothing answers the method ${name}.`);
    const { streams, once } = definition.method(name);
    if (streams !== (rule.do === 'follow'))
      wrong(`The method ${name} answers in parts, its rule does not, or the other way round.`);
    if (rule.do === 'append' && !once)
      wrong(`The method ${name} adds something, so its interface has to say once.`);
  }
  for (const name of Object.keys(methods))
    if (!names.includes(name)) wrong(`The interface has no method ${name}.`);
}

/**
 * The interface of a service that a manifest provides, and whether its rules answer it.
 * @param read a file of the bundle
 * @throws AppError `manifest_invalid`, `invalid_argument`, `too_large`
 */
export async function readProvided(
  { slug, interface: file, answers }: SourceManifest['services']['provides'][number],
  read: (path: string) => Promise<Uint8Array | null>,
): Promise<CheckedInterface> {
  const bytes = await read(file);
  let given: unknown;
  try {
    given = JSON.parse(Buffer.from(bytes ?? []).toString());
  } catch (cause) {
    throw new AppError('manifest_invalid', `The interface of ${slug} in ${file} is not JSON.`, { cause });
  }
  const definition = checkInterface(given);
  if (answers) checkAnswers(answers, definition);
  return definition;
}

/** Answers a service by rules, from a collection: without a page of the app. */
export function answerByRules({
  definition,
  rules,
  store,
  clock,
  random,
}: {
  readonly definition: CheckedInterface;
  readonly rules: ServiceAnswers;
  readonly store: AnswerStore;
  readonly clock: Clock;
  readonly random: RandomBytes;
}): (call: OfferedCall, signal: AbortSignal) => AsyncGenerator<JsonValue, JsonValue> {
  const all = createRateLimit(clock, added.all.rate, added.all.burst);
  const callers = new Map<string, ReturnType<typeof createRateLimit>>();
  const sinceTidy = new Map<string, number>();

  /** Whether an entry is what a method may answer with. What does not fit is left out: one would spoil the answer for everybody. */
  function fits(method: string, entry: JsonValue): boolean {
    try {
      if (rules.methods[method]!.do === 'follow') definition.check(method, 'item', entry);
      else definition.check(method, 'result', [entry]);
      return true;
    } catch {
      return false;
    }
  }

  /** @throws AppError `rate_limited` */
  function admit(user: string): void {
    const own = callers.get(user) ?? createRateLimit(clock, added.caller.rate, added.caller.burst);
    callers.delete(user);
    callers.set(user, own);
    if (callers.size > mostCallers) callers.delete(callers.keys().next().value!);
    if (!own.take()) throw new AppError('rate_limited', 'You said much in a short time; wait a moment.');
    if (!all.take())
      throw new AppError('rate_limited', 'Many say something at this moment; try again in a moment.');
  }

  function lastOf(collection: Pick<Collection, 'entries'>, list: string, limit: number): CollectionEntry[] {
    const found: CollectionEntry[] = [];
    let after: string | undefined;
    // A page is bounded by bytes, so it may hold fewer than were asked for.
    while (found.length < limit) {
      const page = collection.entries({
        prefix: list,
        limit: limit - found.length,
        reverse: true,
        ...(after !== undefined && { after }),
      });
      found.push(...page.entries);
      if (page.next === null) break;
      after = page.next;
    }
    return found;
  }

  async function tidy(
    collection: Pick<Collection, 'entries' | 'write'>,
    list: string,
    keep: number,
  ): Promise<void> {
    const count = (sinceTidy.get(list) ?? tidyEvery) + 1;
    sinceTidy.delete(list);
    sinceTidy.set(list, count < tidyEvery ? count : 0);
    if (sinceTidy.size > mostCallers) sinceTidy.delete(sinceTidy.keys().next().value!);
    if (count < tidyEvery) return;
    const old = lastOf(collection, list, keep + tidyEvery).slice(keep);
    if (old.length > 0) await collection.write(old.map(({ key }) => ({ key, value: undefined })));
  }

  async function append(
    { list: place, keep }: Extract<AnswerRule, { do: 'append' }>,
    { params, caller }: OfferedCall,
  ): Promise<JsonValue> {
    const list = placeOf(place, params);
    admit(caller.user);
    const named = new Set(paramsOf(place));
    const rest = isObject(params) ? Object.entries(params).filter(([name]) => !named.has(name)) : [];
    const id = `${clock.now().toString().padStart(14, '0')}-${Buffer.from(random(4)).toString('hex')}`;
    const value = { ...Object.fromEntries(rest), user: caller.user };
    const told = { ...value, id, time: clock.now() };
    const readers = Object.entries(rules.methods).filter(
      ([, rule]) => 'list' in rule && rule.do !== 'append' && rule.list === place,
    );
    if (!readers.every(([method]) => fits(method, told)))
      throw new AppError('invalid_argument', 'Something is missing that those who read this are promised.');
    for (let again = false; ; again = true) {
      const { collection } = (await store.open(true))!;
      try {
        await collection.write([{ key: `${list}${id}`, value }]);
        // What was said is said, also when tidying up fails.
        await tidy(collection, list, keep).catch(() => {});
        return { id };
      } catch (error) {
        if (again || !isAppError(error, 'quota_exceeded')) throw error;
        await store.renew();
      }
    }
  }

  async function last(method: string, place: string, params: JsonValue): Promise<JsonValue> {
    const list = placeOf(place, params);
    const found = await store.open(false);
    if (!found) return [];
    const answer: JsonValue[] = [];
    let bytes = 0;
    for (const entry of lastOf(found.collection, list, numberOf(params, 'limit', listed, mostListed))) {
      const one = shown(list, entry);
      if (!fits(method, one)) continue;
      bytes += Buffer.byteLength(JSON.stringify(one)) + 1;
      if (bytes > mostAnswer) break;
      answer.unshift(one);
    }
    return answer;
  }

  async function* follow(
    method: string,
    place: string,
    params: JsonValue,
    signal: AbortSignal,
  ): AsyncGenerator<JsonValue, JsonValue> {
    const list = placeOf(place, params);
    const ended = new AbortController();
    const seconds = numberOf(params, 'seconds', follows, longestFollow);
    const cancel = clock.after(seconds * 1000, () => ended.abort());
    try {
      // Made when there is none: what is said first is to be heard, too.
      const found = (await store.open(true))!;
      for await (const { changes } of found.watch(list, AbortSignal.any([signal, ended.signal]))) {
        for (const { entry } of changes) {
          const one = entry && shown(list, entry);
          if (one && fits(method, one)) yield one;
        }
      }
      return true;
    } finally {
      cancel();
    }
  }

  return async function* run(call, signal) {
    const rule = rules.methods[call.method]!;
    switch (rule.do) {
      case 'get': {
        const found = await store.open(false);
        const entry = found?.collection.get(placeOf(rule.key, call.params));
        if (entry) return entry.value;
        throw new AppError('service_failed', 'There is nothing here under that name.');
      }
      case 'last':
        return last(call.method, rule.list, call.params);
      case 'follow':
        return yield* follow(call.method, rule.list, call.params, signal);
      case 'append':
        return append(rule, call);
    }
  };
}
