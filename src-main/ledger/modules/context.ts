import type { Params } from '../codec/index.ts';
import type { Shape } from '../codec/shape.ts';
import type { Genesis } from '../codec/index.ts';
import type { StateView, StateWriter } from '../state/overlay.ts';
import type { Address, Amount, TokenSymbol, ValidatorId } from '../types.ts';

/** What every handler works with: the state under the block, and the block's own facts. */
export interface BlockContext {
  readonly state: StateWriter;
  readonly chainId: string;
  readonly params: Params;
  /** Symbol of the base coin. */
  readonly base: TokenSymbol;
  readonly height: number;
  /** Of the block, ms since the epoch: the only clock there is. */
  readonly time: number;
  readonly proposer: ValidatorId;
  /** Members of the set of the block before whose signature is missing in its certificate. */
  readonly missed: readonly ValidatorId[];
  readonly signed: readonly ValidatorId[];
}

/** As much as it takes to bring what a schedule lets out up to now. */
export type SettleContext = Pick<BlockContext, 'state' | 'time' | 'base'>;

/** What a message is run with. */
export interface TxContext extends BlockContext {
  readonly sender: Address;
  /** Told of everything that leaves the sender's account; throws when the key may not spend that. Null: the root key signed. */
  readonly allowance: ((symbol: TokenSymbol, amount: Amount) => void) | null;
}

/** One kind of message: its fields, what it costs, and what it does. */
export interface MessageKind<T> {
  readonly shape: Shape<T>;
  /** Work and room it takes, besides its bytes. One unit costs about what one byte does. */
  readonly weight: number | ((message: T) => number);
  /** Whether a delegated key may be given the right to it. */
  readonly delegable: boolean;
  /** @throws AppError when it can't be done; then nothing of the transaction is */
  run(ctx: TxContext, message: T): void;
}

/** Finds a fault in a whole state: answers with a sentence, or null. */
export type Invariant = (
  state: StateView,
  facts: { readonly params: Params; readonly base: TokenSymbol },
) => string | null;

/** A part of the state machine. */
export interface Module {
  readonly name: string;
  // eslint-disable-next-line typescript/no-explicit-any
  readonly messages: Readonly<Record<string, MessageKind<any>>>;
  /** Before the transactions. */
  beginBlock?(ctx: BlockContext): void;
  /** After them. */
  endBlock?(ctx: BlockContext): void;
  /** When something happens by itself, ms since the epoch: a block is wanted then even if nobody sends anything. */
  dueAt?(state: StateView): number | null;
  /** Puts its part of the genesis into the empty state. */
  genesis?(ctx: BlockContext, genesis: Genesis): void;
  /** Adapts its rows to a new chain that continues the state of one that stood still: what names heights or who votes. */
  restart?(ctx: BlockContext, genesis: Genesis): void;
  readonly invariants: Readonly<Record<string, Invariant>>;
}

export const kind = <T>(one: MessageKind<T>): MessageKind<T> => one;
