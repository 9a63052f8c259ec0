import { createHash } from 'node:crypto';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv';
import { z } from 'zod';
import { AppError } from '../../../src-shared/errors.ts';
import { canonicalJson as sortedJson } from '../bundle/index.ts';
import type { JsonValue } from '../collections/index.ts';

/** Bytes of an interface as JSON. */
const maxInterfaceBytes = 64 * 1024;
const maxDepth = 24;

const schema = z.union([z.boolean(), z.record(z.string(), z.unknown())]);
const methodName = z.string().regex(/^[a-zA-Z][a-zA-Z0-9_.]{0,63}$/);
const methodShape = z.strictObject({
  title: z.string().max(200).optional(),
  /** JSON Schema (2020-12) of what it takes. */
  params: schema,
  /** Of what it answers. */
  result: schema,
  /** Of each part of a streaming answer; left out: it answers once. */
  item: schema.optional(),
  /** Calling it twice does more than calling it once, so that no other provider is tried after it was sent. */
  once: z.boolean().optional(),
});
const interfaceShape = z.strictObject({
  name: z.string().trim().min(1).max(100),
  methods: z.record(methodName, methodShape).refine((all) => {
    const count = Object.keys(all).length;
    return count >= 1 && count <= 64;
  }, '1 to 64 methods'),
});
/** What a service can be asked for. */
export type ServiceInterface = z.infer<typeof interfaceShape>;

/** An interface ready for use: its name by hash, and the checks of both ends. */
export interface CheckedInterface {
  readonly definition: ServiceInterface;
  /** SHA-256 of the canonical JSON, hex. */
  readonly hash: string;
  /** @throws AppError `method_unknown` */
  method(name: string): { readonly streams: boolean; readonly once: boolean };
  /** @throws AppError `invalid_argument` for params, `malformed` for what a provider answers */
  check(name: string, part: 'params' | 'result' | 'item', value: unknown): void;
}

function checkDepth(value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth > 64) throw new AppError('invalid_argument', 'This JSON is nested too deeply.');
  for (const one of Object.values(value)) checkDepth(one, depth + 1);
}

/** The one JSON text of a value. @throws AppError `invalid_argument` for what is nested too deeply */
export function canonicalJson(value: unknown): string {
  checkDepth(value, 0);
  return sortedJson(value);
}

/** SHA-256 of the canonical JSON, hex. */
export const jsonHash = (value: unknown): string =>
  createHash('sha256').update(canonicalJson(value)).digest('hex');

/**
 * Words of JSON Schema that a stranger's interface could use to keep this computer busy (regular expressions, comparing all items
 * with all), or to point out of itself.
 */
const refused = new Set([
  ...['pattern', 'patternProperties', 'format', 'uniqueItems', 'propertyNames'],
  ...['$id', '$anchor', '$dynamicRef', '$dynamicAnchor', '$schema', '$vocabulary', 'unevaluatedProperties'],
  ...['unevaluatedItems', 'dependentSchemas', 'contains', 'discriminator', 'nullable'],
]);

function checkWords(value: unknown, depth: number): void {
  if (depth > maxDepth) throw new AppError('invalid_argument', 'The interface is nested too deeply.');
  if (Array.isArray(value)) {
    for (const one of value) checkWords(one, depth + 1);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [word, inner] of Object.entries(value)) {
    // Below `properties` and `$defs` stand names of the author's own; what could be a word there is no loss.
    if (refused.has(word)) {
      throw new AppError('invalid_argument', `An interface may not use ${word}.`, { details: { word } });
    }
    if (word === '$ref') {
      throw new AppError(
        'invalid_argument',
        'An interface may not use $ref: write the schema where it is needed.',
      );
    }
    if (word !== 'const' && word !== 'enum' && word !== 'default' && word !== 'examples')
      checkWords(inner, depth + 1);
  }
}

/**
 * Reads an interface, of a manifest or from another computer.
 * @throws AppError `invalid_argument`, `too_large`
 */
export function checkInterface(given: unknown): CheckedInterface {
  const parsed = interfaceShape.safeParse(given);
  if (!parsed.success) {
    const first = parsed.error.issues[0];
    throw new AppError(
      'invalid_argument',
      `The interface does not fit: ${first?.path.map(String).join('.') || 'it'} ${first?.message ?? ''}.`.slice(
        0,
        300,
      ),
    );
  }
  const definition = parsed.data;
  checkWords(
    Object.values(definition.methods).flatMap(({ params, result, item }) => [params, result, item ?? true]),
    0,
  );
  if (Buffer.byteLength(canonicalJson(definition)) > maxInterfaceBytes) {
    throw new AppError('too_large', 'An interface has at most 64 KiB.');
  }
  const ajv = new Ajv2020({ strict: false, allErrors: false, validateFormats: false, logger: false });
  const compiled = new Map<string, ValidateFunction>();
  try {
    for (const [name, { params, result, item }] of Object.entries(definition.methods)) {
      compiled.set(`params ${name}`, ajv.compile(params));
      compiled.set(`result ${name}`, ajv.compile(result));
      if (item !== undefined) compiled.set(`item ${name}`, ajv.compile(item));
    }
  } catch (cause) {
    throw new AppError('invalid_argument', 'A schema of the interface is not valid JSON Schema.', { cause });
  }
  const methodOf = (name: string) => {
    const found = Object.hasOwn(definition.methods, name) ? definition.methods[name] : undefined;
    if (found) return found;
    throw new AppError('method_unknown', `${definition.name} has no method ${name.slice(0, 64)}.`);
  };
  return {
    definition,
    hash: jsonHash(definition),
    method(name) {
      const { item, once } = methodOf(name);
      return { streams: item !== undefined, once: once ?? false };
    },
    check(name, part, value) {
      methodOf(name);
      const fits = compiled.get(`${part} ${name}`);
      if (fits?.(value)) return;
      const first = fits?.errors?.[0];
      const where = `${part}${first?.instancePath ?? ''} ${first?.message ?? 'is not expected'}`;
      if (part === 'params') throw new AppError('invalid_argument', `${name}: ${where}.`);
      throw new AppError(
        'malformed',
        `The service answered ${name} with what its interface does not allow: ${where}.`,
      );
    },
  };
}

const slug = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, '1 to 32 small letters, digits and hyphens');
const manifestShape = z.strictObject({
  slug,
  title: z.string().trim().min(1).max(100),
  text: z.string().max(500).default(''),
  interface: z.unknown(),
  /** Of one call, in whole tokens; left out: free. */
  price: z
    .strictObject({ symbol: z.string().min(1).max(32), amount: z.string().min(1).max(80) })
    .nullable()
    .default(null),
});

/** What `service serve` takes: a service's short name, its words for people, its interface and its price. */
export interface ServiceManifest extends Omit<z.infer<typeof manifestShape>, 'interface'> {
  readonly interface: CheckedInterface;
}

/** @throws AppError `invalid_argument`, `too_large` */
export function checkManifest(given: unknown): ServiceManifest {
  const parsed = manifestShape.safeParse(given);
  if (!parsed.success) {
    const first = parsed.error.issues[0];
    throw new AppError(
      'invalid_argument',
      `The manifest of the service does not fit: ${first?.path.map(String).join('.') || 'it'}: ${first?.message ?? ''}`.slice(
        0,
        300,
      ),
    );
  }
  return { ...parsed.data, interface: checkInterface(parsed.data.interface) };
}

/** JSON nested no deeper than what every part of this can handle. @throws AppError `invalid_argument` */
export function checkJson(value: unknown): JsonValue {
  checkDepth(value, 0);
  return value as JsonValue;
}
