import { z } from '../contract/zod.ts';
import { count, hash } from '../contract/common.ts';
import { appVersion, category, slug } from './ids.ts';
import { bundleLimits } from './limits.ts';
import { permissionRequest } from './permissions.ts';
import { shownText } from './text.ts';

/** Name of the manifest in an app's folder and in its bundle. */
export const manifestName = 'extrachain.json';

/** The host's own part of an app's origin; no file may lie there. */
export const reservedPath = '_extrachain';

/** Names that a file system of one of our platforms reads in another way than it was written. */
const badName = /[\p{Cc}<>:"|?*\\]|[. ]$|^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)/iu;

/** Why a path can't stand in a bundle; null: it can. */
export function pathProblem(path: string): string | null {
  if (path === '') return 'A path is empty.';
  if (path === '__proto__') return 'No file can be called __proto__.';
  if (!path.isWellFormed()) return 'A path is not valid text.';
  const shown = path.slice(0, 80);
  if (utf8Length(path) > bundleLimits.path) return `The path ${shown} is too long.`;
  if (path !== path.normalize('NFC')) return `The path ${shown} is not in NFC.`;
  if (path.startsWith('/')) return `The path ${shown} is absolute.`;
  for (const name of path.split('/')) {
    if (name === '' || name === '.' || name === '..')
      return `The path ${shown} has a part that is empty, . or ...`;
    if (badName.test(name)) return `The path ${shown} has a name that not every computer can hold.`;
  }
  if (sameFold(path.split('/')[0]!) === reservedPath) return `The path ${shown} lies in ${reservedPath}.`;
  return null;
}

/** Why paths can't stand together: two differ by case alone, or one is a file and a folder; null: they can. */
export function pathsProblem(paths: Iterable<string>): string | null {
  const files = new Map<string, string>();
  const folders = new Map<string, string>();
  for (const path of paths) {
    const problem = pathProblem(path);
    if (problem) return problem;
    const folded = sameFold(path);
    if (files.has(folded))
      return `${path.slice(0, 80)} and ${files.get(folded)!.slice(0, 80)} differ by case alone.`;
    files.set(folded, path);
    for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
      const folder = path.slice(0, at);
      const before = folders.get(sameFold(folder));
      if (before !== undefined && before !== folder)
        return `${folder.slice(0, 80)} and ${before.slice(0, 80)} differ by case alone.`;
      folders.set(sameFold(folder), folder);
    }
  }
  for (const [folded, path] of files) {
    if (folders.has(folded)) return `${path.slice(0, 80)} is a file and a folder.`;
  }
  return null;
}

const sameFold = (path: string): string => path.toLowerCase().toUpperCase().toLowerCase().normalize('NFC');
function utf8Length(text: string): number {
  let bytes = 0;
  for (const char of text) {
    const code = char.codePointAt(0)!;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

const bundlePath = z
  .string()
  .max(1000)
  .check(({ value, issues }) => {
    const message = pathProblem(value);
    if (message) issues.push({ code: 'custom', message, input: value });
  });
const picture = bundlePath.regex(/\.(?:png|jpe?g|webp|svg)$/i, 'A picture is a png, jpg, webp or svg file.');
const webAddress = z
  .string()
  .max(500)
  .regex(/^https:\/\/[^\s]+$/, 'A homepage begins with https://.');

/** A key of a collection; `{room}` stands for the text that a call's params have under that name. */
const place = z
  .string()
  .min(1)
  .max(200)
  .regex(
    /^(?:[\w./-]|\{[a-zA-Z]\w{0,31}\})+$/,
    'A place is made of letters, digits, -, _, ., / and {names of params}.',
  );
const list = place.regex(/\/$/, 'A list is a place that ends with /.');
/** How the node answers one method by itself, from a collection of the app. */
const answerRule = z.discriminatedUnion('do', [
  /** The value of one key. */
  z.strictObject({ do: z.literal('get'), key: place }),
  /** The last entries of a list, oldest first; `limit` of the params says how many. */
  z.strictObject({ do: z.literal('last'), list }),
  /** Entries as they come, for `seconds` of the params. */
  z.strictObject({ do: z.literal('follow'), list }),
  /** Adds the params, with who called as `user`; the oldest entries above `keep` go. */
  z.strictObject({ do: z.literal('append'), list, keep: z.int().min(1).max(1000) }),
]);
export type AnswerRule = z.infer<typeof answerRule>;
const answers = z.strictObject({
  /** Name of the collection: the person's own, made when something is first added. */
  collection: z.string().trim().min(1).max(255),
  methods: z.record(z.string().regex(/^[a-zA-Z][a-zA-Z0-9_.]{0,63}$/), answerRule),
});
export type ServiceAnswers = z.infer<typeof answers>;

/** What the author writes: `extrachain.json` in the app's folder. */
export const sourceManifest = z.strictObject({
  /** For editors. */
  $schema: z.string().max(500).optional(),
  manifestVersion: z.literal(1),
  slug,
  name: shownText(50).trim().min(1),
  version: appVersion,
  /** One or two sentences for the store. */
  description: shownText(500).trim().min(1),
  categories: z.array(category).max(5).default([]),
  icon: picture,
  screenshots: z.array(picture).max(8).default([]),
  entry: bundlePath.regex(/\.html?$/i, 'The entry is an HTML file.').default('index.html'),
  permissions: z
    .strictObject({
      required: z.array(permissionRequest).max(32).default([]),
      optional: z.array(permissionRequest).max(32).default([]),
    })
    .default({ required: [], optional: [] }),
  services: z
    .strictObject({
      /** `interface`: path of its JSON Schema in the bundle. `answers`: the node answers, also while no page of the app is open. */
      provides: z
        .array(
          z.strictObject({
            slug,
            interface: bundlePath.regex(/\.json$/i, 'An interface is a .json file.'),
            answers: answers.optional(),
          }),
        )
        .max(16)
        .default([]),
      /** `interface`: SHA-256 of the canonical JSON of its schema. */
      consumes: z
        .array(z.strictObject({ interface: hash }))
        .max(32)
        .default([]),
    })
    .default({ provides: [], consumes: [] }),
  /** What the app may keep on this computer in its origin's storage and collections. */
  quota: z
    .strictObject({
      bytes: z
        .int()
        .min(0)
        .max(10 * 1024 ** 3),
    })
    .default({ bytes: 100 * 1024 ** 2 }),
  /** SPDX identifier, or another short name. */
  license: z.string().trim().min(1).max(64),
  homepage: webAddress.optional(),
});
export type SourceManifest = z.infer<typeof sourceManifest>;

/** What `extrachain.json` of a bundle says: the author's manifest, and every file with its hash. */
export const bundleManifest = sourceManifest
  .omit({ $schema: true })
  .extend({
    files: z.record(bundlePath, z.strictObject({ sha256: hash, size: count.max(bundleLimits.fileBytes) })),
  })
  .check(({ value, issues }) => {
    const issue = (message: string, ...path: string[]) =>
      issues.push({ code: 'custom', message, input: value, path });
    const paths = Object.keys(value.files);
    if (paths.length > bundleLimits.files) issue(`More than ${bundleLimits.files} files.`, 'files');
    const problem = pathsProblem(paths);
    if (problem) issue(problem, 'files');
    const bytes = Object.values(value.files).reduce((sum, { size }) => sum + size, 0);
    if (bytes > bundleLimits.bytes) issue(`The files are larger than ${bundleLimits.bytes} bytes.`, 'files');
    const named: [string, string][] = [
      [value.entry, 'entry'],
      [value.icon, 'icon'],
      ...value.screenshots.map((one): [string, string] => [one, 'screenshots']),
      ...value.services.provides.map((one): [string, string] => [one.interface, 'services']),
    ];
    for (const [file, field] of named) {
      if (!Object.hasOwn(value.files, file)) issue(`There is no file ${file}.`, field);
    }
    if (Object.hasOwn(value.files, manifestName)) issue(`${manifestName} can't list itself.`, 'files');
  });
export type BundleManifest = z.infer<typeof bundleManifest>;
