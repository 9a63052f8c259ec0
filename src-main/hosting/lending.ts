/** Bytes that people nobody here knows may reserve, where nothing is asked for it. */
export interface StrangersBound {
  /** One of them, with all their drives. */
  readonly each: number;
  /** All of them: the rest stays for who is known here. */
  readonly together: number;
}

/** Identities cost nothing, so strangers together are bounded as well. A share that is set higher counts for them, too. */
const togetherShare = 0.75;

/** @param share of what is lent that one stranger may reserve, in [0, 1]; 1: there is no bound */
export function strangersBound(quota: number, share: number): StrangersBound {
  return { each: Math.floor(quota * share), together: Math.floor(quota * Math.max(share, togetherShare)) };
}

/**
 * What a stranger is offered, as if no more were lent. Pure.
 * @param offer what is lent and free for who is known here, bytes
 * @param reserved bytes by contracts: this one's, and those of all strangers
 */
export function offerToStranger(
  offer: { readonly quota: number; readonly free: number },
  bound: StrangersBound,
  reserved: { readonly own: number; readonly strangers: number },
): { readonly quota: number; readonly free: number } {
  const left = Math.min(bound.each - reserved.own, bound.together - reserved.strangers);
  return { quota: Math.min(offer.quota, bound.each), free: Math.max(0, Math.min(offer.free, left)) };
}
