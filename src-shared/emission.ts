/*
 * How many units of a token its mining schedule has let out by a point in time: a closed form, in whole units, that the
 * ledger mints by and the window draws. Time is whole ms; a period's emission flows evenly over the period, rounded down.
 */

export type MiningSchedule =
  | { readonly type: 'none' }
  /** The same in every period, for ever or for so many periods. */
  | { readonly type: 'fixed'; readonly perPeriod: bigint; readonly periods: number | null }
  /** `perPeriod` in the first `halveEvery` periods, half of it (rounded down) in the next as many, and so on. */
  | { readonly type: 'halving'; readonly perPeriod: bigint; readonly halveEvery: number }
  /** One stage after another, then nothing. */
  | {
      readonly type: 'list';
      readonly stages: readonly { readonly periods: number; readonly perPeriod: bigint }[];
    };

/** A stretch of periods that emit alike; `periods` null: without end. */
interface Stage {
  readonly periods: number | null;
  readonly perPeriod: bigint;
}

/** A u128 is zero after so many halvings. */
const maxHalvings = 128;

function* stagesOf(schedule: MiningSchedule): Generator<Stage> {
  switch (schedule.type) {
    case 'none':
      return;
    case 'fixed':
      yield { periods: schedule.periods, perPeriod: schedule.perPeriod };
      return;
    case 'halving':
      for (let era = 0; era < maxHalvings; era++) {
        const perPeriod = schedule.perPeriod >> BigInt(era);
        if (perPeriod === 0n) return;
        yield { periods: schedule.halveEvery, perPeriod };
      }
      return;
    case 'list':
      yield* schedule.stages;
      return;
    default:
  }
}

/**
 * The units emitted from the start until `elapsed` ms later. Never falls with time; the cap of the token is not looked at.
 * @param periodMs length of a period, more than zero
 */
export function emittedUntil(schedule: MiningSchedule, periodMs: number, elapsed: number): bigint {
  if (elapsed <= 0) return 0n;
  let periods = Math.floor(elapsed / periodMs);
  const part = BigInt(elapsed - periods * periodMs);
  let total = 0n;
  for (const stage of stagesOf(schedule)) {
    if (stage.periods === null || periods < stage.periods) {
      return total + BigInt(periods) * stage.perPeriod + (stage.perPeriod * part) / BigInt(periodMs);
    }
    total += BigInt(stage.periods) * stage.perPeriod;
    periods -= stage.periods;
  }
  return total;
}
