import { z } from 'zod';
import { AppError } from '../../src-shared/errors.ts';
import type { SettingValue } from '../../src-shared/contract/index.ts';
import type { Setting, Settings } from '../store/index.ts';

/** An amount as people write it. */
const coins = z.string().regex(/^\d+(\.\d+)?$/);

/** Every setting of the node: its name, its default and what it may hold. One table, so that none is undocumented. */
const declared = {
  'device.name': { schema: z.string().trim().min(1).max(64), fallback: '' },
  'net.mdns': { schema: z.boolean(), fallback: true },
  'net.relay': { schema: z.enum(['auto', 'on', 'off']), fallback: 'auto' },
  'net.bulk': { schema: z.boolean(), fallback: true },
  'net.bandwidth.up': { schema: z.int().positive().nullable(), fallback: null },
  'net.bandwidth.down': { schema: z.int().positive().nullable(), fallback: null },
  /** For readers of open drives: bytes a second of this computer's upload (null: as for all), plaintext of drives only looked at, and how many of those. */
  'open.upload': { schema: z.int().positive().nullable(), fallback: null },
  'open.cacheBytes': { schema: z.int().nonnegative(), fallback: 64 * 1024 * 1024 },
  'open.views': { schema: z.int().min(1).max(64), fallback: 8 },
  /** How often newer releases of apps and block lists are looked for. */
  'apps.updateSeconds': { schema: z.number().min(1).max(604_800), fallback: 3600 },
  /** Bytes lent to others; null: none. */
  'hosting.quota': { schema: z.int().positive().nullable(), fallback: null },
  /** Base coins for a GiB and hour that this computer wants for keeping drives of others; null: it keeps them for nothing, too. */
  'hosting.price': { schema: coins.nullable(), fallback: null },
  /** Base coins it puts down for a paid copy at the most. */
  'hosting.collateral': { schema: coins, fallback: '0' },
  /** Share of what is lent that somebody who is not known here may reserve for nothing; 1: all of it. */
  'hosting.strangerShare': { schema: z.number().min(0).max(1), fallback: 0.25 },
  'hosting.auditSeconds': { schema: z.number().min(1).max(86_400), fallback: 3600 },
  'hosting.silenceSeconds': { schema: z.number().min(1).max(604_800), fallback: 1800 },
  'hosting.repairSeconds': { schema: z.number().min(1).max(86_400), fallback: 300 },
  'hosting.pollSeconds': { schema: z.number().min(1).max(3600), fallback: 30 },
  'hosting.codedBytes': { schema: z.int().positive(), fallback: 64 * 1024 * 1024 },
  'hosting.coldSeconds': { schema: z.number().min(0).max(31_536_000), fallback: 604_800 },
  /** How many others have to hold a file before it may be freed here. */
  'free.copies': { schema: z.int().min(1).max(16), fallback: 1 },
  /** Files are freed by themselves while less than so much is free on the disk of a drive, bytes; null: never. */
  'free.below': { schema: z.int().positive().nullable(), fallback: null },
  /** Passing on streams of others: while they are watched here (`auto`), whenever somebody wants it, or never; and bytes a second of this computer's upload for it. */
  'streams.relay': { schema: z.enum(['auto', 'on', 'off']), fallback: 'auto' },
  'streams.uplink': { schema: z.int().positive().nullable(), fallback: null },
  'trash.days': { schema: z.int().min(1).max(3650), fallback: 30 },
  'versions.share': { schema: z.number().min(0).max(1), fallback: 0.1 },
  /** Whether this computer tells connected people, when they ask about a provider, how calls to it went from here. */
  'services.shareRatings': { schema: z.boolean(), fallback: true },
  /** On how many hosts copies of the collections of apps that this person owns are kept, so that they are there while all members are off. */
  'collections.copies': { schema: z.int().min(0).max(16), fallback: 0 },
  /** How often new heads of drives are put into the ledger; null: never. Each time costs a fee. */
  'ledger.anchorSeconds': { schema: z.number().min(1).max(604_800).nullable(), fallback: 300 },
  /**
   * Bytes of a ledger on this disk above which this computer checks headers only, unless somebody chose its role; null: whatever it
   * takes.
   */
  'ledger.fullBytes': { schema: z.int().positive().nullable(), fallback: 2_000_000_000 },
  /** Whether this node moves vaults by itself; each move costs a fee and earns the vault's tip. */
  'vaults.rebalance': { schema: z.boolean(), fallback: false },
  /** Whether a validator takes part in the beacon while something is stored for pay; it puts down a deposit each hour. */
  'ledger.beacon': { schema: z.boolean(), fallback: true },
  /**
   * Base coins that may leave by one transaction without the password being asked for again; null: any amount. With a limit it is
   * asked for, too, whenever rights are handed out.
   */
  'wallet.passwordAbove': {
    schema: coins.nullable(),
    fallback: null,
  },
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
