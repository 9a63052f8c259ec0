import { costOf, drawCandidates, hasPlaceFor } from './rank.ts';
import type { Child, Ctx, Known, OverlayState } from './state.ts';
import { branchOf, depthOf, limits, selfCandidate } from './state.ts';
import type { Candidate, Peer } from './types.ts';
import { bounds } from './types.ts';

/** Hearsay older than this is not passed on, ms. */
const freshMs = 8_000;
/** Whoever hears of members may repeat: full ones with weak children are worth naming, too. */
const usualFanOut = 4;

/** Takes note of a member. What it says itself counts more than hearsay: that does not make known things older. */
export function learn(ctx: Ctx, candidate: Candidate, rtt: number | null = null): void {
  const { s, now } = ctx;
  if (candidate.peer === s.options.self || s.banned.has(candidate.peer)) return;
  const heardAt = now - candidate.heardMs;
  const saidAt = rtt === null ? Number.NEGATIVE_INFINITY : now;
  const old = s.known.get(candidate.peer);
  if (old) {
    if (heardAt > old.heardAt) {
      const addresses = candidate.addresses.length > 0 ? candidate.addresses : old.candidate.addresses;
      old.candidate = { ...candidate, addresses };
      old.heardAt = heardAt;
    }
    if (rtt !== null) old.saidAt = now;
    if (rtt !== null) old.rtt = old.rtt === null ? rtt : Math.min(old.rtt * 1.05, rtt);
    return;
  }
  if (s.known.size >= limits.known) {
    let oldest: Peer | null = null;
    let at = Number.POSITIVE_INFINITY;
    for (const [peer, known] of s.known) {
      if (known.heardAt < at && s.attaching?.peer !== peer) [oldest, at] = [peer, known.heardAt];
    }
    if (oldest !== null) s.known.delete(oldest);
  }
  s.known.set(candidate.peer, { candidate, heardAt, saidAt, rtt, avoidUntil: Number.NEGATIVE_INFINITY });
}

/** Not asked for anything for a while. */
export function avoid(ctx: Ctx, peer: Peer, ms: number): void {
  const known = ctx.s.known.get(peer);
  if (known) known.avoidUntil = Math.max(known.avoidUntil, ctx.now + ms);
}

/** Notes that a member has no place left, until there is newer word of it. */
export function markFull(ctx: Ctx, peer: Peer): void {
  const known = ctx.s.known.get(peer);
  if (!known) return;
  known.heardAt = ctx.now;
  known.candidate = { ...known.candidate, free: 0, weakest: bounds.fanOut };
}

function childCandidate(s: OverlayState, child: Child, now: number): Candidate {
  return {
    peer: child.peer,
    addresses: child.addresses,
    depth: depthOf(s) + 1,
    free: Math.max(0, Math.floor(child.free)),
    weakest: child.weakest,
    queueMs: child.queueMs,
    ageS: Math.min(3600, Math.floor((now - child.since) / 1000)),
    branch: s.isSource ? child.peer : branchOf(s),
    heardMs: Math.round(now - child.statusAt),
  };
}

/** Tells how old a piece of hearsay is by now; null when it is too old to be passed on. */
function aged(candidate: Candidate, heardAt: number, now: number): Candidate | null {
  const heardMs = Math.round(now - heardAt);
  return heardMs > freshMs ? null : { ...candidate, heardMs };
}

/** Children, and what they named below them. */
function membersUnder(ctx: Ctx): Candidate[] {
  const { s, now } = ctx;
  const pool: Candidate[] = [];
  for (const child of s.children.values()) {
    if (child.fanOut > 0 && child.until === null) pool.push(childCandidate(s, child, now));
    for (const one of child.below) {
      const known = aged(one, child.statusAt - one.heardMs, now);
      if (known) pool.push(known);
    }
  }
  return pool;
}

function membersKnown(ctx: Ctx): Candidate[] {
  const pool: Candidate[] = [];
  for (const { candidate, heardAt } of ctx.s.known.values()) {
    const known = aged(candidate, heardAt, ctx.now);
    if (known) pool.push(known);
  }
  return pool;
}

/** The answer to one who looks for a place: at most six members. */
export function candidatesFor(ctx: Ctx, asker: Peer, fanOut: number): Candidate[] {
  const { s } = ctx;
  const self = selfCandidate(ctx);
  const seen = new Set<Peer>([asker]);
  const pool = [...(self ? [self] : []), ...membersUnder(ctx), ...membersKnown(ctx)].filter(
    ({ peer, branch }) => !seen.has(peer) && branch !== asker && !s.banned.has(peer) && seen.add(peer),
  );
  const chosen = drawCandidates(pool, bounds.candidates, fanOut, ctx.random);
  // Whoever asks takes one of them: the next one is sent elsewhere before the news comes round.
  for (const { peer } of chosen) {
    const child = s.children.get(peer);
    if (child) child.free -= 1 / chosen.length;
  }
  return chosen;
}

/** Members with places that a `status` names to the parent. */
export function membersBelow(ctx: Ctx): Candidate[] {
  return drawCandidates(membersUnder(ctx), bounds.others, usualFanOut, ctx.random);
}

/** Members elsewhere that a `beat` names to the children; the source knows all branches, others what they were told. */
export function membersElsewhere(ctx: Ctx): Candidate[] {
  const { s } = ctx;
  const mine = branchOf(s);
  const pool = membersKnown(ctx).filter(({ branch }) => branch !== mine);
  if (s.isSource) pool.push(...membersUnder(ctx));
  return drawCandidates(pool, 2 * bounds.others, usualFanOut, ctx.random);
}

/** Known members with a place for this node, best first; those to be avoided only if asked for. */
export function placesKnown(ctx: Ctx, maxAgeMs: number, avoided = false): Known[] {
  const { s, now } = ctx;
  const { self, partMs } = s.options;
  const fit: { known: Known; cost: number }[] = [];
  for (const known of s.known.values()) {
    const { candidate } = known;
    if (
      now - known.heardAt <= maxAgeMs &&
      known.avoidUntil > now === avoided &&
      candidate.branch !== self &&
      candidate.peer !== s.parent?.peer &&
      !s.children.has(candidate.peer) &&
      hasPlaceFor(candidate, s.places)
    ) {
      fit.push({ known, cost: costOf(candidate, known.rtt, partMs) });
    }
  }
  return fit.sort((a, b) => a.cost - b.cost).map(({ known }) => known);
}
