import { neededRenditions } from './children.ts';
import { avoid, learn, markFull, placesKnown } from './members.ts';
import { hasPlaceFor } from './rank.ts';
import type { Ctx } from './state.ts';
import { edgeOf, limits, send } from './state.ts';
import type { AttachReason, Candidate, Contact, Peer } from './types.ts';
import { bounds } from './types.ts';

/** Members asked at a time for candidates. */
const askedAtOnce = 3;
/** Members are asked for candidates no more often than this, ms. */
const leastBetweenMs = 200;
/** How long answers to probes are waited for, ms. */
const probeMs = 500;
/** After the first answer that offers a place, ms. */
const momentMs = 60;
/** What a member said itself is relied on for so long, ms. */
const saidMs = 1_500;
/** Looking again while probes are out, ms. */
const waitMs = 100;
/** A member that answers nothing is given up after so long, ms. */
const answerMs = 500;
/** One never spoken to has to be dialled first, ms. */
const unknownMs = 700;
/** What was heard longer ago is asked anew before it is relied on, ms. */
const freshMs = 6_000;
/** Members that could not be reached are tried again after so many rounds. */
const retryDeadRounds = 4;
/** Who repeats this much looks for a place next to the source. */
const strongFanOut = 8;

/** Remembers whom to ask. */
export function noteContacts(ctx: Ctx, contacts: readonly Contact[]): void {
  const { s } = ctx;
  for (const { peer, addresses } of contacts) {
    if (peer === s.options.self || s.banned.has(peer)) continue;
    if (s.contacts.size >= limits.contacts && !s.contacts.has(peer)) {
      const [oldest] = s.contacts.keys();
      if (oldest !== undefined) s.contacts.delete(oldest);
    }
    s.contacts.set(peer, addresses);
    // Whoever the driver names can be reached again, whatever happened before.
    s.search?.dead.delete(peer);
    const known = s.known.get(peer);
    if (known) known.avoidUntil = 0;
  }
}

/** Looks for a parent from the beginning: who is known and fresh first, else members are asked. */
export function startSearch(ctx: Ctx): void {
  const { s, now } = ctx;
  if (s.search) return;
  s.search = {
    since: now,
    decideAt: now,
    tried: new Set(),
    dead: new Set(),
    asked: new Set(),
    round: 0,
    toldAlone: false,
  };
  decide(ctx);
}

/** Asks a few members whom else to ask; the source as well if this node could stand next to it. */
export function askMembers(ctx: Ctx): void {
  const { s, now, random } = ctx;
  const { self, source } = s.options;
  const pool = [...new Set([...s.contacts.keys(), ...s.known.keys()])].filter(
    (peer) => peer !== self && !s.banned.has(peer) && !s.search?.dead.has(peer),
  );
  const others = pool.filter((peer) => peer !== source);
  const chosen: Peer[] = [];
  if (
    pool.includes(source) &&
    (s.places >= strongFanOut || others.length === 0 || (s.search?.round ?? 0) % 3 === 2)
  ) {
    chosen.push(source);
  }
  while (chosen.length < askedAtOnce && others.length > 0) {
    chosen.push(...others.splice(Math.floor(random() * others.length), 1));
  }
  s.search?.asked.clear();
  for (const peer of chosen) send(ctx, peer, { type: 'join', fanOut: Math.min(s.places, bounds.fanOut) });
  s.askedAt = now;
}

/** Members named: those never spoken to are probed, which also opens the link. */
export function onCandidates(ctx: Ctx, list: readonly Candidate[]): void {
  const { s, now } = ctx;
  for (const candidate of list) {
    learn(ctx, candidate);
    if (s.search && !s.search.tried.has(candidate.peer)) probe(ctx, candidate.peer);
  }
  if (!s.search || s.attaching) return;
  if (s.probes.size === 0) decide(ctx);
  else if (!confirmed(ctx)) s.search.decideAt = now + probeMs;
}

export function probe(ctx: Ctx, peer: Peer): void {
  const { s, now } = ctx;
  if (peer === s.options.self || s.banned.has(peer)) return;
  for (const one of s.probes.values()) if (one.peer === peer) return;
  if (s.probes.size >= limits.probes) {
    const [oldest] = s.probes.keys();
    if (oldest !== undefined) s.probes.delete(oldest);
  }
  s.nonce = (s.nonce + 1) % 2 ** 31;
  s.probes.set(s.nonce, { peer, at: now });
  send(ctx, peer, { type: 'probe', nonce: s.nonce });
}

export function onProbed(ctx: Ctx, from: Peer, nonce: number, candidate: Candidate | null): void {
  const { s, now } = ctx;
  const asked = s.probes.get(nonce);
  if (asked?.peer !== from) return;
  s.probes.delete(nonce);
  if (candidate && candidate.peer === from) learn(ctx, candidate, now - asked.at);
  else {
    markFull(ctx, from);
    if (s.parent?.peer === from) s.parent.rtt = now - asked.at;
  }
  if (!s.search) return;
  const place = candidate !== null && hasPlaceFor(candidate, s.places);
  // It is full, but knows its own children best.
  if (candidate && !place && !s.search.asked.has(from)) {
    s.search.asked.add(from);
    send(ctx, from, { type: 'join', fanOut: Math.min(s.places, bounds.fanOut) });
  }
  if (s.attaching) return;
  if (s.probes.size === 0) decide(ctx);
  // The first that has a place is the nearest: the others get a moment more.
  else if (place && !s.search.tried.has(from)) {
    s.search.decideAt = Math.min(s.search.decideAt, now + momentMs);
  }
}

/** The best member that said itself, just now, that it has a place. */
function confirmed(ctx: Ctx): Peer | null {
  const { s, now } = ctx;
  const best = placesKnown(ctx, freshMs).find(
    ({ candidate, saidAt }) => now - saidAt <= saidMs && !s.search?.tried.has(candidate.peer),
  );
  return best?.candidate.peer ?? null;
}

/**
 * Of those to be avoided the one that failed longest ago, if it has said since this search began that it has a place. Where repeaters
 * come and go each of them has failed once: whoever has no parent takes one that answers again before none.
 */
function lastResort(ctx: Ctx): Peer | null {
  const { search } = ctx.s;
  const [best] = placesKnown(ctx, freshMs, true)
    .filter(({ candidate, saidAt }) => search && saidAt >= search.since && !search.tried.has(candidate.peer))
    .sort((a, b) => a.avoidUntil - b.avoidUntil);
  return best?.candidate.peer ?? null;
}

/** The answers are in, or have taken too long: attach to the best, or ask on. */
export function decide(ctx: Ctx): void {
  const { s, now, random, out } = ctx;
  const { search } = s;
  if (!search || s.attaching) return;
  const sure = confirmed(ctx);
  if (sure === null && probing(ctx)) {
    search.decideAt = now + waitMs;
    return;
  }
  const best =
    sure ??
    placesKnown(ctx, freshMs).find(({ candidate }) => !search.tried.has(candidate.peer))?.candidate.peer ??
    lastResort(ctx);
  if (best !== null) {
    attachTo(ctx, best, s.lostAt === null ? 'join' : 'repair');
    return;
  }
  // An answer that names nobody brings the next question no sooner: on a short link that would be thousands a second.
  // (The same sum both times: a difference may be rounded the other way, and the node would wake for ever.)
  if (now < s.askedAt + leastBetweenMs) {
    search.decideAt = s.askedAt + leastBetweenMs;
    return;
  }
  search.round++;
  if (search.round > 1) search.tried.clear();
  // Who could not be reached may be back: a source after a restart.
  if (search.round % retryDeadRounds === 0) search.dead.clear();
  if (search.round >= 6 && !search.toldAlone) {
    search.toldAlone = true;
    out.push({ type: 'alone' });
  }
  askMembers(ctx);
  const patience = answerMs * Math.min(4, 0.5 + search.round * 0.5);
  search.decideAt = now + patience * (0.75 + random() / 2);
}

/** Are there probes that may still be answered in time? */
function probing({ s, now }: Ctx): boolean {
  for (const { at } of s.probes.values()) if (now - at < probeMs) return true;
  return false;
}

/** Asks one member to be the parent. */
export function attachTo(ctx: Ctx, peer: Peer, reason: AttachReason, start?: number): void {
  const { s, now } = ctx;
  const edge = edgeOf(s);
  const from = start ?? (edge < 0 ? null : edge + 1);
  const rtt = s.known.get(peer)?.rtt ?? null;
  // A viewer waits for a repair: the next one is asked as soon as this one could have answered.
  const usual = reason === 'repair' ? 1.3 * (rtt ?? 0) + 50 : Math.max(200, 2 * (rtt ?? 0) + 100);
  const patience = rtt === null ? unknownMs : Math.min(unknownMs, usual);
  if (s.attaching) s.late.set(s.attaching.peer, s.attaching);
  s.attaching = { peer, reason, sentAt: now, deadline: now + patience, from };
  const renditions = neededRenditions(s);
  s.subscribed = renditions;
  send(ctx, peer, {
    type: 'attach',
    from,
    renditions,
    rescue: reason !== 'join' && reason !== 'better',
    fanOut: Math.min(s.places, bounds.fanOut),
    addresses: s.conditions?.addresses ?? [],
  });
  s.search?.tried.add(peer);
}

/** The asked one is of no use now. */
export function markFailed(ctx: Ctx, peer: Peer, ms: number): void {
  markFull(ctx, peer);
  avoid(ctx, peer, ms);
}
