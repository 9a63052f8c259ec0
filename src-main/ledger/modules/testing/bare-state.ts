import { createOverlay } from '../../state/overlay.ts';
import type { Overlay } from '../../state/overlay.ts';
import { addressOfName, startOfTime, testGenesis } from '../../testing.ts';
import type { Amount, TokenSymbol } from '../../types.ts';
import type { BlockContext, TxContext } from '../context.ts';
import { account, move, tokens } from '../value.ts';

/** Modules without blocks, signatures and a database around them: for searches that run thousands of messages. */
export interface BareState extends BlockContext {
  time: number;
  height: number;
  readonly state: Overlay;
}

/** An empty state with these tokens; `EXC` is the base coin. Their owner is `ada`. */
export function createBareState(symbols: readonly TokenSymbol[]): BareState {
  const genesis = testGenesis();
  const { spec } = genesis.tokens[0]!;
  const ctx: BareState = {
    state: createOverlay({ get: () => null, rows: () => [] }),
    chainId: 'test',
    params: genesis.params,
    base: 'EXC',
    height: 1,
    time: startOfTime,
    proposer: new Uint8Array(32),
    missed: [],
    signed: [],
  };
  for (const [number, symbol] of symbols.entries()) {
    const token = { owner: addressOfName('ada'), number, createdAt: 0, feeRate: null };
    ctx.state.set(tokens, symbol, { ...token, spec: { ...spec, symbol, max: 2n ** 128n - 1n } });
  }
  return ctx;
}

/** Makes new tokens in an account. */
export const fund = (ctx: BareState, name: string, symbol: TokenSymbol, value: Amount): void =>
  move(ctx, null, account(addressOfName(name)), symbol, value);

/** The state as somebody's transaction sees it. */
export const as = (ctx: BareState, name: string): TxContext => ({
  ...ctx,
  sender: addressOfName(name),
  allowance: null,
});

/** Runs something whole or not at all; false: it was refused. */
export function attempt(ctx: BareState, work: () => void): boolean {
  ctx.state.mark();
  try {
    work();
    ctx.state.keep();
    return true;
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'AppError') throw error;
    ctx.state.revert();
    return false;
  }
}
