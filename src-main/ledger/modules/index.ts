import { AppError } from '../../../src-shared/errors.ts';
import type { Genesis, WireMessage } from '../codec/index.ts';
import type { ValueOf } from '../codec/shape.ts';
import type { StateView } from '../state/overlay.ts';
import { accountModule } from './account.ts';
import { anchorModule } from './anchor.ts';
import { bankModule } from './bank.ts';
import type { BlockContext, MessageKind, Module, TxContext } from './context.ts';
import { directoryModule } from './directory.ts';
import { miningModule } from './mining.ts';
import { poolModule } from './pool/pool.ts';
import { appModule } from './registry/app.ts';
import { nameModule } from './registry/name.ts';
import { serviceModule } from './registry/service.ts';
import { electionModule, stakingModule } from './staking.ts';
import { beaconModule } from './storage/beacon.ts';
import { storageModule } from './storage/storage.ts';
import { relayModule } from './relay/relay.ts';
import { workModule } from './storage/work.ts';
import { tokenModule } from './token.ts';
import { vaultModule } from './vault/vault.ts';
import type { Params } from '../codec/index.ts';
import type { TokenSymbol } from '../types.ts';

/** All modules, in the order in which their hooks run. A new one takes its place here. */
const modules: readonly Module[] = [
  accountModule,
  tokenModule,
  bankModule,
  miningModule,
  stakingModule,
  electionModule,
  anchorModule,
  directoryModule,
  poolModule,
  vaultModule,
  nameModule,
  serviceModule,
  appModule,
  beaconModule,
  storageModule,
  workModule,
  relayModule,
];

const kinds = new Map<string, MessageKind<unknown>>(modules.flatMap((one) => Object.entries(one.messages)));

function kindOf(type: string): MessageKind<unknown> {
  const found = kinds.get(type);
  if (found) return found;
  throw new AppError('message_unknown', `This chain knows no message ${type.slice(0, 40)}.`);
}

/** A decoded message with what its kind says. */
export interface Message {
  readonly type: string;
  readonly weight: number;
  readonly delegable: boolean;
  run(ctx: TxContext): void;
}

/** @throws AppError `malformed`, `message_unknown` */
export function decodeMessage({ type, ...fields }: WireMessage): Message {
  const { shape, weight, delegable, run } = kindOf(type);
  const value = shape.from(fields, `message ${type}`);
  return {
    type,
    weight: typeof weight === 'number' ? weight : weight(value),
    delegable,
    run: (ctx) => run(ctx, value),
  };
}

type Kinds = typeof accountModule.messages &
  typeof tokenModule.messages &
  typeof bankModule.messages &
  typeof stakingModule.messages &
  typeof anchorModule.messages &
  typeof directoryModule.messages &
  typeof poolModule.messages &
  typeof vaultModule.messages &
  typeof nameModule.messages &
  typeof serviceModule.messages &
  typeof appModule.messages &
  typeof beaconModule.messages &
  typeof storageModule.messages &
  typeof workModule.messages &
  typeof relayModule.messages;
export type MessageType = keyof Kinds;
/** The fields of a kind of message. */
export type MessageFields<K extends MessageType> = ValueOf<Kinds[K]['shape']>;

/** Builds a message of a transaction. @throws AppError `invalid_argument` when a field does not fit */
export function message<K extends MessageType>(type: K, fields: MessageFields<K>): WireMessage {
  return { ...(kindOf(type).shape.to(fields, `message ${type}`) as object), type };
}

/** What a message says, to show it to people. @throws AppError `malformed`, `message_unknown` */
export function fieldsOfMessage({ type, ...fields }: WireMessage): Readonly<Record<string, unknown>> {
  return kindOf(type).shape.from(fields, `message ${type}`) as Readonly<Record<string, unknown>>;
}

export const isDelegable = (type: string): boolean => kinds.get(type)?.delegable ?? false;
export const messageTypes = (): readonly string[] => [...kinds.keys()];

/** @param run runs each module's part, or takes it back */
export function beginBlock(ctx: BlockContext, run: (work: () => void) => void): void {
  for (const one of modules) run(() => one.beginBlock?.(ctx));
}
/** @param run as of `beginBlock` */
export function endBlock(ctx: BlockContext, run: (work: () => void) => void): void {
  for (const one of modules) run(() => one.endBlock?.(ctx));
}
export function restartFrom(ctx: BlockContext, genesis: Genesis): void {
  for (const one of modules as readonly Module[]) one.restart?.(ctx, genesis);
}
/** The next time at which a block is wanted although nobody sends anything, ms since the epoch. */
export function dueAt(state: StateView): number | null {
  const times = (modules as readonly Module[]).flatMap((one) => one.dueAt?.(state) ?? []);
  return times.length === 0 ? null : Math.min(...times);
}
export function applyGenesis(ctx: BlockContext, genesis: Genesis): void {
  for (const one of modules) one.genesis?.(ctx, genesis);
}

/** Every fault of a state, one sentence each; reads all of it. */
export function faultsOf(
  state: StateView,
  facts: { readonly params: Params; readonly base: TokenSymbol },
): readonly string[] {
  return modules.flatMap(({ name, invariants }) =>
    Object.entries(invariants).flatMap(([rule, find]) => {
      const fault = find(state, facts);
      return fault === null ? [] : [`${name}: ${rule}: ${fault}`];
    }),
  );
}
