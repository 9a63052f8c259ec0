import { z } from 'zod';
import { AppError } from '../../src-shared/errors.ts';
import type { SettingValue } from '../../src-shared/contract/index.ts';
import type { Setting, Settings } from '../store/index.ts';

/** Every setting of the node: its name, its default and what it may hold. One table, so that none is undocumented. */
const declared = {
  'device.name': { schema: z.string().trim().min(1).max(64), fallback: '' },
  'net.mdns': { schema: z.boolean(), fallback: true },
  'net.relay': { schema: z.enum(['auto', 'on', 'off']), fallback: 'auto' },
  'net.bulk': { schema: z.boolean(), fallback: true },
  'net.bandwidth.up': { schema: z.int().positive().nullable(), fallback: null },
  'net.bandwidth.down': { schema: z.int().positive().nullable(), fallback: null },
  /** Bytes lent to others; null: none. */
  'hosting.quota': { schema: z.int().positive().nullable(), fallback: null },
  'hosting.auditSeconds': { schema: z.number().min(1).max(86_400), fallback: 3600 },
  'hosting.silenceSeconds': { schema: z.number().min(1).max(604_800), fallback: 1800 },
  'hosting.repairSeconds': { schema: z.number().min(1).max(86_400), fallback: 300 },
  'hosting.pollSeconds': { schema: z.number().min(1).max(3600), fallback: 30 },
  'trash.days': { schema: z.int().min(1).max(3650), fallback: 30 },
  'versions.share': { schema: z.number().min(0).max(1), fallback: 0.1 },
  'versions.bytes': { schema: z.int().nonnegative(), fallback: 2_000_000_000 },
} as const satisfies Record<string, { schema: z.ZodType<SettingValue>; fallback: SettingValue }>;

export type SettingKey = keyof typeof declared;
export type SettingOf<K extends SettingKey> = z.output<(typeof declared)[K]['schema']>;

/** The node's settings by name, typed. */
export interface NodeSettings {
  get<K extends SettingKey>(key: K): SettingOf<K>;
  /** By a name that may be wrong: throws `not_found`, `invalid_argument`. */
  read(key: string): SettingValue;
  write(key: string, value: SettingValue): SettingValue;
  all(): Record<string, SettingValue>;
}

export function createNodeSettings(store: Settings): NodeSettings {
  const find = (key: string): Setting<SettingValue> => {
    if (!Object.hasOwn(declared, key)) {
      throw new AppError(
        'not_found',
        `There is no setting ${key}. Known: ${Object.keys(declared).join(', ')}.`,
      );
    }
    const { schema, fallback } = declared[key as SettingKey];
    return { key, fallback, parse: (value) => schema.parse(value) as SettingValue };
  };
  return {
    get: (key) => store.get(find(key)) as SettingOf<typeof key>,
    read: (key) => store.get(find(key)),
    write(key, value) {
      const setting = find(key);
      store.set(setting, value);
      return store.get(setting);
    },
    all: () => Object.fromEntries(Object.keys(declared).map((key) => [key, store.get(find(key))])),
  };
}
