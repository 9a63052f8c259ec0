/**
 * What a keeper thinks of a host: Storj's beta reputation with its defaults (Storj v3 white paper, section 4.15; after Josang and
 * Ismail 2002, "The beta reputation system"). `alpha` counts passed audits and `beta` failed ones, both fading by lambda.
 */
export interface Reputation {
  readonly alpha: number;
  readonly beta: number;
  /** Audits answered, passed or not. */
  readonly audits: number;
  /** Set for good once the score fell below the limit. */
  readonly disqualified: boolean;
}

export const lambda = 0.999;
export const weight = 1;
export const disqualifiedBelow = 0.96;
/** A host that passed fewer audits than this is being vetted: it is given less. */
export const vettingAudits = 100;
/** Storj's initial alpha, where lambda lets it settle: about forty failed audits more than it passes end a host. */
export const newcomer: Reputation = { alpha: 1000, beta: 0, audits: 0, disqualified: false };

/** The reputation after one audit. */
export function afterAudit(before: Reputation, passed: boolean): Reputation {
  const v = passed ? 1 : -1;
  const alpha = lambda * before.alpha + (weight * (1 + v)) / 2;
  const beta = lambda * before.beta + (weight * (1 - v)) / 2;
  const isBad = score({ alpha, beta }) < disqualifiedBelow;
  return { alpha, beta, audits: before.audits + 1, disqualified: before.disqualified || isBad };
}

/** In [0, 1]. */
export function score({ alpha, beta }: Pick<Reputation, 'alpha' | 'beta'>): number {
  return alpha + beta === 0 ? 1 : alpha / (alpha + beta);
}

/** It passed its time of being vetted. */
export function isVetted(reputation: Reputation): boolean {
  return reputation.audits >= vettingAudits;
}
