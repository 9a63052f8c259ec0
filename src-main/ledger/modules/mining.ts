import { emittedUntil } from '../../../src-shared/emission.ts';
import { maxAmount } from '../codec/limits.ts';
import { amount } from '../codec/shape.ts';
import { allParts } from '../codec/token-spec.ts';
import type { StateView } from '../state/overlay.ts';
import { numbers } from '../state/table.ts';
import type { Amount, TokenSymbol } from '../types.ts';
import type { Module, SettleContext } from './context.ts';
import { account, move, pot, roomOf, tokenOf, tokens } from './value.ts';
import type { Token } from './value.ts';

/*
 * Emission by schedule. What is due is a closed form of the time since the token began, so it is minted whenever somebody
 * comes along (staking does) and comes to the same.
 */

/** What of its schedule a token has used up: minted, forgone for want of room under the cap, or of stakers. */
export const emitted = numbers('m', 'emissions', amount);

/** What the schedule has let out by now, at most as much as an amount can be, less what was used. */
export function dueOf(state: StateView, token: Token, time: number): Amount {
  const { schedule, periodMs } = token.spec.mining;
  const used = state.get(emitted, token.spec.symbol) ?? 0n;
  const out = emittedUntil(schedule, periodMs, time - token.createdAt);
  return (out < maxAmount ? out : maxAmount) - used;
}

/**
 * Mints what is due and gives each class its part, rounded down; what rounding leaves over stays due.
 * @param toStakers puts the stakers' part, which lies in the pot `rewards`, to their credit; false: nobody stakes
 */
export function settleMining(
  ctx: SettleContext,
  symbol: TokenSymbol,
  toStakers: (value: Amount) => boolean,
): void {
  const { state } = ctx;
  const token = tokenOf(state, symbol);
  if (token.spec.mining.schedule.type === 'none') return;
  const due = dueOf(state, token, ctx.time);
  if (due === 0n) return;
  const room = roomOf(state, token);
  const mintable = due < room ? due : room;
  const { split, unclaimed } = token.spec.mining;
  const partOf = (parts: number): Amount => (mintable * BigInt(parts)) / BigInt(allParts);
  let used = due - mintable;

  const treasury = account(token.spec.treasury);
  for (const [name, to] of [
    ['hosts', pot('mining/hosts')],
    ['relays', pot('mining/relays')],
    ['liquidity', pot('mining/liquidity')],
    ['treasury', treasury],
  ] as const) {
    const part = partOf(split[name]);
    move(ctx, null, to, symbol, part);
    used += part;
  }
  const part = partOf(split.stakers);
  if (part > 0n) {
    move(ctx, null, pot('rewards'), symbol, part);
    if (!toStakers(part)) move(ctx, pot('rewards'), unclaimed === 'treasury' ? treasury : null, symbol, part);
    used += part;
  }
  if (used > 0n) state.set(emitted, symbol, (state.get(emitted, symbol) ?? 0n) + used);
}

export const miningModule = {
  name: 'mining',
  messages: {},
  invariants: {
    'no token used up more than its whole schedule'(state) {
      for (const [symbol, token] of state.rows(tokens)) {
        const { schedule, periodMs } = token.spec.mining;
        const used = state.get(emitted, symbol) ?? 0n;
        if (used > emittedUntil(schedule, periodMs, Number.MAX_SAFE_INTEGER)) return symbol;
      }
      return null;
    },
  },
} satisfies Module;
