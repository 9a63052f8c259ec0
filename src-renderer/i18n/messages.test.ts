import { readFileSync } from 'node:fs';
import { globSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { baseCompile } from '@intlify/message-compiler';
import { errorCodes } from '../../src-shared/errors.ts';
import de from './de.json' with { type: 'json' };
import en from './en.json' with { type: 'json' };

type Tree = { readonly [key: string]: string | Tree };

function flat(tree: Tree, prefix = ''): Map<string, string> {
  return new Map(
    Object.entries(tree).flatMap(([key, value]): [string, string][] =>
      typeof value === 'string' ? [[prefix + key, value]] : [...flat(value, `${prefix}${key}.`)],
    ),
  );
}

const languages = { en: flat(en), de: flat(de) };
const root = path.resolve(import.meta.dirname, '..');
const sources = globSync('**/*.{vue,ts}', { cwd: root })
  .filter((file) => !file.endsWith('.test.ts'))
  .map((file) => readFileSync(path.join(root, file), 'utf8'));
const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);

describe('the messages', () => {
  it('are the same in both languages', () => {
    expect([...languages.de.keys()]).toEqual([...languages.en.keys()]);
    for (const [key, text] of languages.en) {
      expect(new Set(names(languages.de.get(key) ?? '')), key).toEqual(new Set(names(text)));
    }
  });

  it('compile, are plain text and never shout', () => {
    for (const [language, messages] of Object.entries(languages)) {
      for (const [key, text] of messages) {
        baseCompile(text, { onError: (error) => expect.fail(`${language} ${key}: ${error.message}`) });
        expect(text, key).not.toMatch(/[!<>]/);
      }
    }
  });

  it('say in both languages whatever the ledger refuses', () => {
    const from = errorCodes.indexOf('chain_unknown');
    const to = errorCodes.indexOf('pruned');
    expect(to - from).toBeGreaterThan(50);
    for (const code of [...errorCodes.slice(from, to + 1), 'malformed', 'too_large', 'bad_signature']) {
      expect(languages.en.has(`errors.${code}`), code).toBe(true);
      expect(languages.de.has(`errors.${code}`), code).toBe(true);
    }
  });

  it('exist wherever one is asked for, by its whole name or by its beginning', () => {
    const keys = [...languages.en.keys()];
    const asked = sources.flatMap((source) => [
      ...[...source.matchAll(/\bte?\(\s*'([\w.]+)'/g)].map((match) => match[1] ?? ''),
      ...[...source.matchAll(/\b(?:word|key): '([a-z]\w*\.[\w.]+)'/g)].map((match) => match[1] ?? ''),
    ]);
    expect(asked.length).toBeGreaterThan(200);
    for (const key of asked) expect(keys, key).toContain(key);
    const begun = sources.flatMap((source) =>
      [...source.matchAll(/\bte?\(\s*`([\w.]+)\$\{/g)].map((match) => match[1] ?? ''),
    );
    for (const start of begun)
      expect(
        keys.some((key) => key.startsWith(start)),
        start,
      ).toBe(true);
  });
});
