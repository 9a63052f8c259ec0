import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { ServiceAnswers } from '../../../src-shared/apps/index.ts';
import { AppError } from '../../../src-shared/errors.ts';
import type { CollectionEntry, JsonValue } from '../collections/index.ts';
import { checkInterface } from './interface.ts';
import { answerByRules, checkAnswers, type AnswerStore } from './standing.ts';

const definition = checkInterface(JSON.parse(await readFile('assets/apps/chat/rooms.json', 'utf8')));
const list = 'room/{room}/';
const rules: ServiceAnswers = {
  collection: 'Rooms',
  methods: {
    post: { do: 'append', list, keep: 60 },
    read: { do: 'last', list },
    watch: { do: 'follow', list },
  },
};
const never = new AbortController().signal;

/** A store in memory; `room` says how many writes it takes before it is full. */
function world(room = Infinity) {
  let now = 1_000_000;
  let keys = new Map<string, JsonValue>();
  let writes = 0;
  let renewed = 0;
  const entry = (key: string): CollectionEntry => ({
    ...{ key, value: keys.get(key)!, version: 'v', user: 'owner', time: now, concurrent: false },
  });
  const store: AnswerStore = {
    open: async () => ({
      collection: {
        get: (key) => (keys.has(key) ? entry(key) : null),
        entries({ prefix = '', limit, after }) {
          const all = [...keys.keys()].filter(
            (key) => key.startsWith(prefix) && (after === undefined || key < after),
          );
          const found = all.sort().reverse();
          return {
            entries: found.slice(0, limit).map(entry),
            next: found.length > limit ? found[limit - 1]! : null,
          };
        },
        async write(changes) {
          if (++writes > room) throw new AppError('quota_exceeded', 'full');
          for (const { key, value } of changes) {
            if (value === undefined) keys.delete(key);
            else keys.set(key, value);
          }
        },
      },
      async *watch() {},
    }),
    async renew() {
      keys = new Map();
      writes = 0;
      renewed += 1;
    },
  };
  let n = 0;
  const clock = { now: () => (now += 1500), after: () => () => {} };
  const random = (size: number) => new Uint8Array(size).fill(n++ % 256);
  const run = answerByRules({ definition, rules, store, clock, random });
  return {
    keys: () => [...keys.keys()],
    put: (key: string, value: JsonValue) => keys.set(key, value),
    renewed: () => renewed,
    async call(method: string, params: JsonValue, user = 'exc1a') {
      const steps = run({ method, params, caller: { user, app: null, device: null } }, never);
      for (;;) {
        const step = await steps.next();
        if (step.done) return step.value;
      }
    },
  };
}

describe('answers by rules', () => {
  it('keep so many of a list, the newest, and each list by itself', async () => {
    const { call, keys } = world();
    for (let i = 0; i < 120; i++) await call('post', { room: 'a', name: '', text: `${i}` });
    await call('post', { room: 'b', name: '', text: 'other', user: 'exc1stolen' });
    expect(keys().filter((key) => key.startsWith('room/a/')).length).toBeLessThanOrEqual(60 + 50);
    const said = (await call('read', { room: 'a', limit: 3 })) as { text: string; user: string }[];
    expect(said.map(({ text }) => text)).toEqual(['117', '118', '119']);
    // Who spoke is who called, whatever the params say.
    expect(await call('read', { room: 'b' })).toMatchObject([{ text: 'other', user: 'exc1a' }]);
  });

  it('answer no more than a frame carries, and leave out the oldest', async () => {
    const { call } = world();
    for (let i = 0; i < 50; i++)
      await call('post', { room: 'a', name: '', text: `${i} ${'ü'.repeat(9000)}` });
    const said = (await call('read', { room: 'a', limit: 200 })) as { text: string }[];
    expect(Buffer.byteLength(JSON.stringify(said))).toBeLessThanOrEqual(400 * 1024);
    expect(said.at(-1)!.text.startsWith('49 ')).toBe(true);
    expect(said.length).toBeGreaterThan(15);
  });

  it('take in nothing that would spoil an answer, and leave out what lies there already', async () => {
    const { call, put } = world();
    await call('post', { room: 'a', name: '', text: 'fine' });
    await expect(call('post', { room: 'a', name: 7, text: 'x' })).rejects.toThrow('promised');
    put('room/a/00000009999999-aaaaaaaa', { text: 5 });
    put('room/a/00000009999999-bbbbbbbb', 'no object');
    expect(await call('read', { room: 'a' })).toMatchObject([{ text: 'fine' }]);
  });

  it('take a new collection in place of one that is full', async () => {
    const { call, keys, renewed } = world(3);
    for (let i = 0; i < 3; i++) await call('post', { room: 'a', name: '', text: `${i}` });
    expect(renewed()).toBe(0);
    await call('post', { room: 'a', name: '', text: 'more' });
    expect(renewed()).toBe(1);
    expect(keys()).toHaveLength(1);
  });

  it('have keys that no two rooms share, however long or strange they are', async () => {
    const { call, keys } = world();
    const rooms = [
      'a',
      'a/',
      '../a',
      'ä',
      '%C3%A4',
      '€'.repeat(99),
      `${'€'.repeat(98)}$`,
      '__proto__',
      '{room}',
    ];
    for (const room of rooms) await call('post', { room, name: '', text: room });
    const places = keys().map((key) => key.split('/'));
    expect(places.every((parts) => parts.length === 3 && parts[0] === 'room')).toBe(true);
    expect(new Set(places.map((parts) => parts[1])).size).toBe(rooms.length);
    expect(Math.max(...keys().map((key) => Buffer.byteLength(key)))).toBeLessThanOrEqual(512);
    for (const room of ['', 7, null, '\ud800'])
      await expect(call('read', { room })).rejects.toThrow('needs a text room');
  });
});

describe('rules of a manifest', () => {
  const broken = (methods: object): void =>
    expect(() => checkAnswers({ ...rules, methods: { ...rules.methods, ...methods } }, definition)).toThrow(
      expect.objectContaining({ code: 'manifest_invalid' }),
    );
  it('answer every method in its way, and no other', () => {
    checkAnswers(rules, definition);
    broken({ watch: { do: 'last', list } });
    broken({ read: { do: 'follow', list } });
    broken({ read: { do: 'append', list, keep: 1 } });
    broken({ other: { do: 'last', list } });
    const { post: _, ...rest } = rules.methods;
    expect(() => checkAnswers({ ...rules, methods: rest }, definition)).toThrow(
      'Nothing answers the method post.',
    );
  });
});
