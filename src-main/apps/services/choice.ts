/** How often and how fast a provider answered so far. */
export interface Rating {
  /** 0 to 1: recent calls count more. */
  readonly success: number;
  /** Mean of recent calls, ms; null: none yet. */
  readonly ms: number | null;
  readonly calls: number;
}

/** What counts of a provider that nobody has tried. */
export const unrated: Rating = { success: 0.9, ms: null, calls: 0 };

/** How others fared with a provider. */
export interface Told {
  /** 0 to 1: the middle one of what they told. */
  readonly success: number;
  /** How many people told. */
  readonly raters: number;
}

/** How much the newest call counts. */
const weight = 0.2;
/** ms: where neither a call nor a round trip was measured. */
const unknownMs = 80;

/** A rating after one more call. */
export function rated(before: Rating, ok: boolean, ms: number): Rating {
  return {
    success: before.success + weight * ((ok ? 1 : 0) - before.success),
    ms: ok ? (before.ms === null ? ms : before.ms + weight * (ms - before.ms)) : before.ms,
    calls: before.calls + 1,
  };
}

export interface Candidate {
  readonly peer: string;
  readonly rating: Rating;
  /** null: nobody told anything. */
  readonly told: Told | null;
  /** Round trip of the connection, ms; null: not connected, or not measured. */
  readonly rtt: number | null;
  readonly connected: boolean;
  /** Units of its token; null: free. Compared within one token only. */
  readonly price: { readonly symbol: string; readonly amount: bigint } | null;
}

/** Own calls and other people count up to so many: own experience soon weighs most, and identities that cost nothing gain little. */
const ownCounts = 10;
const othersCount = 3;

/** The share of calls that a provider is expected to answer: of own experience, and of what others told. */
function expectedSuccess({ success, calls }: Rating, told: Told | null): number {
  const own = 1 + Math.min(calls, ownCounts - 1);
  const others = Math.min(told?.raters ?? 0, othersCount);
  return (success * own + (told?.success ?? 0) * others) / (own + others);
}

/** ms that a call is expected to take, with failed ones counted as so much slower. */
function cost({ rating, told, rtt, connected }: Candidate): number {
  const ms = Math.max(1, rating.ms ?? rtt ?? unknownMs) + (connected ? 0 : 100);
  return ms / Math.max(0.05, expectedSuccess(rating, told)) ** 4;
}

/** The order in which providers are tried: free before paid, the cheaper before the dearer by half, then the nearest and best-rated. */
export function inOrder<T extends Candidate>(candidates: readonly T[]): readonly T[] {
  const dear = (a: T, b: T): number => {
    if (!a.price || !b.price) return (a.price ? 1 : 0) - (b.price ? 1 : 0);
    if (a.price.symbol !== b.price.symbol) return 0;
    if (a.price.amount * 2n < b.price.amount) return -1;
    return b.price.amount * 2n < a.price.amount ? 1 : 0;
  };
  return [...candidates].sort((a, b) => dear(a, b) || cost(a) - cost(b) || (a.peer < b.peer ? -1 : 1));
}
