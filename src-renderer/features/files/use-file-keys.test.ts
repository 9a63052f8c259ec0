import { expect, test } from 'vitest';
import { createFileKeys } from './use-file-keys.ts';
import type { Folder } from './use-folder.ts';
import type { Selection } from './use-selection.ts';

const names = ['Letters', 'hello.txt', 'greeting.txt', 'two words.txt'];

function setUp() {
  const chosen: number[] = [];
  const asked: string[] = [];
  const focus = { value: 0 };
  const folder = {
    total: { value: names.length },
    at: (index: number) => ({ path: names[index] }),
    async locate(name: string, _: boolean, from: number) {
      asked.push(name);
      const fits = (text: string) => text.toLowerCase().startsWith(name);
      const index = names.findIndex((text, at) => at >= from && fits(text));
      return index >= 0 ? index : names.findIndex(fits) >= 0 ? names.findIndex(fits) : null;
    },
  } as unknown as Folder;
  const selection = {
    focus,
    only(index: number) {
      focus.value = index;
      chosen.push(index);
    },
    toggle: (index: number) => chosen.push(-index),
  } as unknown as Selection;
  const acts = { open() {}, up() {}, rename() {}, remove() {}, newFolder() {}, show() {} };
  const onKey = createFileKeys(folder, selection, acts, () => ({ columns: 1, page: 10 }));
  let now = 0;
  const press = async (key: string, more: Partial<KeyboardEvent> = {}) => {
    onKey({ key, timeStamp: (now += 10), preventDefault() {}, ...more } as KeyboardEvent);
    await new Promise((resolve) => setTimeout(resolve));
  };
  const type = async (text: string) => {
    for (const key of text) await press(key);
  };
  return { press, type, chosen, asked, pass: (ms: number) => (now += ms) };
}

test('letters typed one after another are one word', async () => {
  const { type, chosen, asked } = setUp();
  await type('gree');
  expect(asked).toEqual(['g', 'gr', 'gre', 'gree']);
  expect(chosen.at(-1)).toBe(2);
});

test('a pause, or any other key, begins another word', async () => {
  const { press, type, chosen, asked, pass } = setUp();
  await type('hel');
  expect(chosen.at(-1)).toBe(1);
  await press('F2');
  await type('gr');
  expect(asked.at(-1)).toBe('gr');
  expect(chosen.at(-1)).toBe(2);
  pass(1000);
  await type('h');
  expect(asked.at(-1)).toBe('h');
  await press('N', { ctrlKey: true, shiftKey: true });
  await type('le');
  expect([asked.at(-1), chosen.at(-1)]).toEqual(['le', 0]);
});

test('a capital letter or a space belongs to the word', async () => {
  const { press, type, asked } = setUp();
  await type('two');
  await press('Shift');
  await type(' w');
  expect(asked.at(-1)).toBe('two w');
});
