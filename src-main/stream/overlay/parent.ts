import { answerWaiting, beatChildren, haveParts, sendHave, tellIdle } from './children.ts';
import { edgeOfAlly, forgetArriving, pullFrom, windowOf } from './delivery.ts';
import { avoid, learn, placesKnown } from './members.ts';
import { costOf, displaces, isBackup, rankBackups } from './rank.ts';
import { askMembers, attachTo, decide, markFailed, onCandidates, probe, startSearch } from './search.ts';
import type { Ally, Ctx, OverlayState, ParentLink } from './state.ts';
import { branchOf, edgeOf, limits, never, send } from './state.ts';
import type { AttachReason, Candidate, Message, Peer } from './types.ts';
import { bounds, rules } from './types.ts';

const answerMs = 1_000;
const longestLagMs = 800;
/** Whoever is deeper looks for a better place more often, and asks those near the source for one. */
const deepest = 4;
/** Who has so many places goes up a step sooner: below it the others find theirs. */
const strong = 4;
/** After a repair or a join a better place is looked for this soon, ms. */
const hurryMs = 2_000;
const allySilentMs = 3_500;
/** A parent that failed is not asked again for so long, ms. */
const avoidLostMs = 30_000;
const avoidSlowMs = 60_000;
/** A backup that is this many parts ahead, three seconds in a row, shows that the parent under-delivers. */
const farAhead = 4;
const farAheadTimes = 3;
/** Parts left out by the parent within `strikeMs` that make it be left. */
const strikes = 6;
const strikeMs = 10_000;
/** Leaving parents for under-delivery more often than this means that it is the own downlink. */
const demotionsMost = 2;
const demotionsMs = 60_000;

const me = (s: OverlayState) => ({
  self: s.options.self,
  source: s.options.source,
  parent: s.parent?.peer ?? null,
  branch: branchOf(s),
});

// Answers to `attach`.

export function onAccepted(ctx: Ctx, from: Peer, message: Message & { readonly type: 'accepted' }): void {
  const { s, now, random } = ctx;
  const { options } = s;
  const late = s.parent ? undefined : s.late.get(from);
  const attaching = s.attaching?.peer === from ? s.attaching : late;
  s.late.delete(from);
  if (!attaching || s.phase === 'ended') {
    if (s.parent?.peer !== from) send(ctx, from, { type: 'detach', until: null });
    return;
  }
  // The other one asked gets its answer when it accepts.
  if (s.attaching && s.attaching !== attaching) s.late.set(s.attaching.peer, s.attaching);
  s.attaching = null;
  const { path } = message;
  if (path.includes(options.self) || path.at(-1) !== from || path[0] !== options.source) {
    send(ctx, from, { type: 'detach', until: null });
    attachFailed(ctx, from, attaching.reason, 10_000);
    return;
  }
  if (s.parent) {
    const until = message.from - 1;
    send(ctx, s.parent.peer, { type: 'detach', until });
    s.previous = { peer: s.parent.peer, until, at: now };
    s.lostAt = s.parent.lastPartAt;
  }
  const rtt = now - attaching.sentAt;
  s.parent = {
    peer: from,
    path,
    since: now,
    rtt,
    queueMs: 0,
    // Silence counts from when its first part is due: it may be behind the old parent.
    lastPartAt: now + Math.min(longestLagMs, Math.max(0, message.from - message.edge - 1) * options.partMs),
    slowestMs: rules.silenceMs,
    idleAt: Number.NEGATIVE_INFINITY,
    movedAt: Number.NEGATIVE_INFINITY,
    idleSource: false,
    reason: attaching.reason,
    first: true,
    behind: 0,
    strikes: [],
  };
  if (s.phase !== 'leaving') s.phase = 'attached';
  // A place found in a hurry is seldom the best one.
  if (attaching.reason !== 'better')
    s.reoptimiseAt = Math.min(s.reoptimiseAt, now + hurryMs * (1 + random()));
  s.search = null;
  s.probes.clear();
  s.lowered = null;
  s.allies.delete(from);
  const known = s.known.get(from);
  if (known && (known.rtt === null || rtt < known.rtt)) known.rtt = rtt;
  beatChildren(ctx);
  answerWaiting(ctx);
  tendAllies(ctx);
}

export function onRefused(ctx: Ctx, from: Peer, message: Message & { readonly type: 'refused' }): void {
  const { s } = ctx;
  s.late.delete(from);
  onCandidates(ctx, message.list);
  if (s.attaching?.peer === from) {
    const { reason } = s.attaching;
    s.attaching = null;
    attachFailed(ctx, from, reason, message.why === 'full' ? 1_000 : 5_000);
    return;
  }
  const ally = s.allies.get(from);
  if (ally?.kind === 'backup') {
    s.allies.delete(from);
    avoid(ctx, from, 5_000);
    tendAllies(ctx);
  }
}

/** The asked one refused, was lost, or took too long. */
function attachFailed(ctx: Ctx, peer: Peer, reason: AttachReason, avoidMs: number): void {
  const { s } = ctx;
  markFailed(ctx, peer, avoidMs);
  s.allies.delete(peer);
  if (s.phase === 'ended') return;
  if (s.parent) {
    if (reason === 'leaving') handOver(ctx, 'leaving');
    return;
  }
  if (s.search) decide(ctx);
  else repair(ctx);
  answerWaiting(ctx);
}

export function attachTimedOut(ctx: Ctx): void {
  const { s } = ctx;
  if (!s.attaching) return;
  const { peer, reason } = s.attaching;
  s.late.set(peer, s.attaching);
  s.attaching = null;
  attachFailed(ctx, peer, reason, 10_000);
}

// Losing a parent.

/** The parent is gone or useless: the warm backup takes over with the next part. */
export function loseParent(ctx: Ctx, avoidMs: number, link: 'open' | 'closed'): void {
  const { s, out } = ctx;
  const { parent } = s;
  if (!parent) return;
  s.lostAt = parent.first && s.lostAt !== null ? s.lostAt : parent.lastPartAt;
  s.parent = null;
  s.previous = null;
  if (link === 'open') {
    send(ctx, parent.peer, { type: 'detach', until: null });
    out.push({ type: 'close', peer: parent.peer });
  }
  markFailed(ctx, parent.peer, avoidMs);
  // Nobody in reserve: only those whom it knew from the beginning.
  if (s.options.without === 'backups') s.known.clear();
  forgetArriving(ctx, parent.peer);
  if (s.phase === 'leaving' || s.phase === 'ended') return;
  s.phase = 'repairing';
  s.idleSentAt = ctx.now;
  tellIdle(ctx);
  // A hand-over under way becomes the repair.
  if (!s.attaching) repair(ctx);
}

/** Backups in the order in which they would be asked. */
function backupsReady(ctx: Ctx): Ally[] {
  const { s, now } = ctx;
  const { partMs } = s.options;
  const cost = (ally: Ally): number =>
    (s.known.get(ally.peer)?.rtt ?? 100) / 2 -
    (edgeOfAlly(ally, s.watched[0] ?? 0, partMs, now) * partMs) / 4 +
    (ally.path?.length ?? 0) * (partMs / 2) +
    (ally.rescue > 0 ? 0 : 1_000);
  return [...s.allies.values()]
    .filter((ally) => ally.kind === 'backup' && !ally.pending && now - ally.heardAt <= allySilentMs)
    .filter((ally) => isBackup({ peer: ally.peer, branch: null, path: ally.path }, me(s)))
    .sort((a, b) => cost(a) - cost(b));
}

function repair(ctx: Ctx): void {
  const { s, now } = ctx;
  const { partMs } = s.options;
  const [first, second] = backupsReady(ctx);
  if (!first) {
    startSearch(ctx);
    return;
  }
  const rendition = s.watched[0] ?? 0;
  const edge = windowOf(s, rendition).edge;
  const there = edgeOfAlly(first, rendition, partMs, now);
  // A hole of several parts is pulled from the other backup, while this one begins with the newest it has.
  const hole = second && edge >= 0 ? there - edge : 0;
  if (second && hole >= 3 && hole <= haveParts) {
    attachTo(ctx, first.peer, 'repair', there - 1);
    pullFrom(ctx, second.peer, rendition, edge + 1, there - 2);
  } else {
    attachTo(ctx, first.peer, 'repair');
  }
}

/** Looks for another parent while the present one still delivers. Says whether somebody was asked. */
function handOver(ctx: Ctx, reason: 'leaving' | 'better', to?: Peer): boolean {
  const { s } = ctx;
  if (s.attaching || !s.parent) return false;
  const peer = to ?? backupsReady(ctx)[0]?.peer ?? placesKnown(ctx, 10_000)[0]?.candidate.peer;
  if (peer === undefined) {
    askMembers(ctx);
    return false;
  }
  // Parts that come until both sides know are left to the old parent.
  const rtt = (s.known.get(peer)?.rtt ?? 100) + (s.parent.rtt ?? 100) / 2;
  const start = edgeOf(s) + 1 + Math.ceil(rtt / s.options.partMs);
  attachTo(ctx, peer, reason, edgeOf(s) < 0 ? undefined : start);
  return true;
}

export function onMove(ctx: Ctx, from: Peer, list: readonly Candidate[]): void {
  const { s } = ctx;
  for (const candidate of list) learn(ctx, candidate);
  if (s.parent?.peer !== from) return;
  const { lastPartAt } = s.parent;
  s.lostAt = lastPartAt;
  s.previous = { peer: from, until: edgeOf(s) + 2, at: ctx.now };
  s.parent = null;
  avoid(ctx, from, 5_000);
  if (s.phase === 'leaving' || s.phase === 'ended') return;
  s.phase = 'repairing';
  s.idleSentAt = ctx.now;
  tellIdle(ctx);
  const to = list.find(({ peer }) => peer !== s.options.self && !s.banned.has(peer));
  if (s.attaching) return;
  if (to) attachTo(ctx, to.peer, 'moved');
  else repair(ctx);
}

/** A parent or backup says that it goes. */
export function onLeaving(ctx: Ctx, from: Peer): void {
  const { s } = ctx;
  avoid(ctx, from, avoidLostMs);
  if (s.parent?.peer === from) handOver(ctx, 'leaving');
  else if (s.allies.delete(from)) tendAllies(ctx);
}

export function onLost(ctx: Ctx, peer: Peer): void {
  const { s } = ctx;
  markFailed(ctx, peer, avoidLostMs);
  s.contacts.delete(peer);
  s.search?.dead.add(peer);
  for (const [nonce, one] of s.probes) if (one.peer === peer) s.probes.delete(nonce);
  s.late.delete(peer);
  const wasAlly = s.allies.delete(peer);
  if (s.previous?.peer === peer) s.previous = null;
  if (s.attaching?.peer === peer) {
    const { reason } = s.attaching;
    s.attaching = null;
    attachFailed(ctx, peer, reason, avoidLostMs);
  }
  if (s.parent?.peer === peer) loseParent(ctx, avoidLostMs, 'closed');
  else forgetArriving(ctx, peer);
  if (wasAlly) tendAllies(ctx);
  if (s.search && !s.attaching && s.probes.size === 0)
    s.search.decideAt = Math.min(s.search.decideAt, ctx.now + 50);
}

// Watching the parent.

/** A parent that was never silent for long is missed sooner: twice as long as a part, and what it took at the most, of late. */
const patienceWith = ({ slowestMs }: ParentLink): number =>
  Math.min(rules.silenceMs, Math.max(rules.leastSilenceMs, slowestMs + 150));

/** When the silence of the parent has lasted too long. */
export function silenceEnds(s: OverlayState, now: number): number {
  const { parent } = s;
  if (!parent || s.phase === 'ended') return never;
  const idle = parent.idleAt > parent.lastPartAt && now - parent.idleAt < 2 * rules.idleAfterMs;
  if (!idle) return parent.lastPartAt + patienceWith(parent);
  const heard = Math.max(parent.idleAt + 2 * rules.idleAfterMs, parent.lastPartAt + rules.silenceMs);
  if (!parent.idleSource) {
    const moved = parent.movedAt > parent.lastPartAt ? parent.movedAt + rules.movedGraceMs : 0;
    return Math.min(Math.max(parent.lastPartAt + rules.idleGraceMs, moved), heard);
  }
  const rendition = s.watched[0] ?? 0;
  const { edge } = windowOf(s, rendition);
  for (const ally of s.allies.values()) {
    const have = ally.have.find((one) => one.rendition === rendition);
    // Seen, not reckoned: others may be waiting for the source, too.
    if (have && edgeOfAlly(ally, rendition, never, now) >= edge + 2)
      return parent.lastPartAt + rules.silenceMs;
  }
  return heard;
}

export function onBeat(ctx: Ctx, from: Peer, message: Message & { readonly type: 'beat' }): void {
  const { s } = ctx;
  for (const candidate of message.others) learn(ctx, candidate);
  const { parent } = s;
  if (parent?.peer !== from) return;
  const { path } = message;
  if (path.includes(s.options.self) || path.at(-1) !== from || path.length >= bounds.depth) {
    loseParent(ctx, 5_000, 'open');
    return;
  }
  const same = path.length === parent.path.length && path.every((peer, i) => peer === parent.path[i]);
  parent.path = path;
  parent.queueMs = message.queueMs;
  if (same) return;
  parent.movedAt = ctx.now;
  beatChildren(ctx);
}

export function onIdle(ctx: Ctx, from: Peer, source: boolean): void {
  const { parent, options } = ctx.s;
  if (parent?.peer !== from) return;
  parent.idleAt = ctx.now;
  parent.idleSource = source || from === options.source;
}

/** The parent left parts out. Once may happen; again and again it is not worth staying. */
export function strike(ctx: Ctx): void {
  const { s, now } = ctx;
  if (!s.parent) return;
  s.parent.strikes = [...s.parent.strikes.filter((at) => now - at < strikeMs), now].slice(-strikes);
  if (s.parent.strikes.length >= strikes) demote(ctx);
}

function demote(ctx: Ctx, to?: Peer): void {
  const { s, now } = ctx;
  s.demotedAt = s.demotedAt.filter((at) => now - at < demotionsMs);
  if (!s.parent || s.attaching || s.demotedAt.length >= demotionsMost) return;
  const { peer } = s.parent;
  const target = to ?? backupsReady(ctx).find(({ free }) => free > 0)?.peer;
  if (target === undefined || !handOver(ctx, 'better', target)) return;
  avoid(ctx, peer, avoidSlowMs);
  s.demotedAt.push(now);
  s.parent.strikes = [];
  s.parent.behind = 0;
}

// Backups and neighbours.

export function onHave(ctx: Ctx, from: Peer, message: Message & { readonly type: 'have' }): void {
  const { s, now } = ctx;
  let ally = s.allies.get(from);
  if (!ally) {
    const neighbours = countAllies(s, 'neighbour');
    const known = s.children.has(from) || s.parent?.peer === from || s.banned.has(from);
    if (
      known ||
      from === s.options.self ||
      neighbours >= 2 * rules.neighbours ||
      s.options.without === 'backups'
    )
      return;
    ally = newAlly(ctx, from, 'neighbour');
  }
  // The link is warm now: how far is it really?
  if (ally.pending && ally.kind === 'backup') probe(ctx, from);
  ally.pending = false;
  ally.path = message.path;
  ally.have = message.have;
  ally.free = message.free;
  ally.rescue = message.rescue;
  ally.heardAt = now;
  const known = s.known.get(from);
  if (known) {
    known.heardAt = now;
    known.candidate = { ...known.candidate, depth: message.path.length - 1, free: message.free };
  }
  if (ally.kind !== 'backup') return;
  if (!isBackup({ peer: from, branch: null, path: message.path }, me(s))) {
    dropAlly(ctx, ally);
    tendAllies(ctx);
    return;
  }
  if (!s.parent) return;
  const rendition = s.watched[0] ?? 0;
  const ahead = edgeOfAlly(ally, rendition, never, now) - windowOf(s, rendition).newest;
  if (ahead < farAhead || s.parent.first) {
    s.parent.behind = 0;
  } else if (ally.free > 0 && ++s.parent.behind >= farAheadTimes) {
    demote(ctx, from);
  }
}

function newAlly(ctx: Ctx, peer: Peer, kind: Ally['kind']): Ally {
  const { now } = ctx;
  const ally: Ally = {
    peer,
    kind,
    pending: true,
    since: now,
    path: null,
    have: [],
    free: 0,
    rescue: 0,
    heardAt: now,
  };
  ctx.s.allies.set(peer, ally);
  return ally;
}

function dropAlly(ctx: Ctx, ally: Ally): void {
  ctx.s.allies.delete(ally.peer);
  if (ally.kind === 'backup') send(ctx, ally.peer, { type: 'detach', until: null });
}

function countAllies(s: OverlayState, kind: Ally['kind']): number {
  let count = 0;
  for (const ally of s.allies.values()) if (ally.kind === kind) count++;
  return count;
}

/** Lets silent and useless allies go, and asks others in their place. */
export function tendAllies(ctx: Ctx): void {
  const { s, now } = ctx;
  if (s.isSource || !s.parent || s.options.without || s.phase !== 'attached') return;
  for (const ally of s.allies.values()) {
    const patience = ally.pending ? answerMs : allySilentMs;
    const useless =
      ally.kind === 'backup' &&
      ally.path &&
      !isBackup({ peer: ally.peer, branch: null, path: ally.path }, me(s));
    if (now - ally.heardAt < patience && !useless) continue;
    dropAlly(ctx, ally);
    avoid(ctx, ally.peer, 3_000);
  }
  let missing = rules.backups - countAllies(s, 'backup');
  if (missing > 0) {
    for (const peer of possibleBackups(ctx)) {
      if (missing === 0) break;
      const neighbour = s.allies.get(peer);
      if (neighbour) neighbour.kind = 'backup';
      else newAlly(ctx, peer, 'backup');
      send(ctx, peer, { type: 'standby', fanOut: Math.min(s.places, bounds.fanOut) });
      missing--;
    }
    if (missing > 0 && now - s.askedAt >= 1_000) askMembers(ctx);
  }
}

/** Members that could be backups, best first. A little chance spreads the standbys. */
function possibleBackups(ctx: Ctx): Peer[] {
  const { s, now, random } = ctx;
  const facts = [...s.known.values()]
    .filter(({ candidate, heardAt, avoidUntil }) => {
      const { peer, branch } = candidate;
      if (s.allies.get(peer)?.kind === 'backup' || s.children.has(peer) || s.banned.has(peer)) return false;
      return now - heardAt < 10_000 && avoidUntil <= now && branch !== s.options.self;
    })
    .map(({ candidate, rtt }) => ({
      peer: candidate.peer,
      branch: candidate.branch,
      path: s.allies.get(candidate.peer)?.path ?? null,
      cost: costOf(candidate, rtt, s.options.partMs) * (0.8 + random() * 0.4),
      free: candidate.free,
    }));
  return rankBackups(facts, me(s)).map(({ peer }) => peer);
}

/** Once a second: what is here goes to standbys and neighbours; backups hear that they still count. */
export function beatAllies(ctx: Ctx): void {
  const { s, random, now } = ctx;
  for (const peer of s.standbys.keys()) sendHave(ctx, peer);
  if (s.isSource || s.options.without) return;
  for (const ally of s.allies.values()) {
    if (ally.kind === 'backup')
      send(ctx, ally.peer, { type: 'standby', fanOut: Math.min(s.places, bounds.fanOut) });
    else if (s.parent && !s.standbys.has(ally.peer)) sendHave(ctx, ally.peer);
  }
  if (!s.parent || s.allies.size >= limits.allies || countAllies(s, 'neighbour') >= rules.neighbours) return;
  const fresh = [...s.known.values()].filter(
    ({ candidate: { peer }, heardAt, avoidUntil }) =>
      !s.allies.has(peer) &&
      !s.children.has(peer) &&
      peer !== s.parent?.peer &&
      avoidUntil <= now &&
      now - heardAt < 8_000,
  );
  const one = fresh[Math.floor(random() * fresh.length)];
  if (!one || one.candidate.peer === s.options.source) return;
  newAlly(ctx, one.candidate.peer, 'neighbour');
  sendHave(ctx, one.candidate.peer);
}

// A better place.

/** Probes a few members that may be better, and the grandparent if this node is strong; compared a second later. */
export function lookForBetter(ctx: Ctx): void {
  const { s, now, random } = ctx;
  const isLow = s.parent !== null && s.parent.path.length > (s.places >= strong ? deepest - 1 : deepest);
  const often = isLow ? hurryMs : rules.reoptimiseMs;
  s.reoptimiseAt = now + often * (0.8 + random() * 0.4);
  if (!s.parent || s.attaching || s.phase !== 'attached') return;
  const above = s.parent.path.at(-2);
  const asked = placesKnown(ctx, 10_000)
    .slice(0, 3)
    .map(({ candidate }) => candidate.peer);
  if (above !== undefined && s.places > 0 && !asked.includes(above)) asked.push(above);
  for (const peer of asked) probe(ctx, peer);
  probe(ctx, s.parent.peer);
  if (isLow) {
    // The first two below the source know most of the places that are nearer to it.
    const near = s.parent.path.slice(1, 3).filter((peer) => peer !== s.parent?.peer);
    const one = near[Math.floor(random() * near.length)];
    if (one !== undefined) send(ctx, one, { type: 'join', fanOut: Math.min(s.places, bounds.fanOut) });
  }
  s.compareAt = now + 1_000;
  // A backup in another branch instead of one that would fall together with this node's own.
  const same = [...s.allies.values()].find(
    (ally) => ally.kind === 'backup' && ally.path?.[1] !== undefined && ally.path[1] === branchOf(s),
  );
  const elsewhere = [...s.known.values()].some(
    ({ candidate: { peer, branch, free }, heardAt }) =>
      free > 0 && branch !== null && branch !== branchOf(s) && now - heardAt < 5_000 && !s.allies.has(peer),
  );
  if (same && elsewhere) {
    dropAlly(ctx, same);
    tendAllies(ctx);
  }
}

export function compareParents(ctx: Ctx): void {
  const { s, now } = ctx;
  const { partMs } = s.options;
  s.compareAt = never;
  if (!s.parent || s.attaching || s.phase !== 'attached' || s.parent.first) return;
  const here = costOf(
    {
      depth: s.parent.path.length - 1,
      queueMs: s.parent.queueMs,
      ageS: (now - s.parent.since) / 1_000,
    },
    s.parent.rtt,
    partMs,
  );
  const best = placesKnown(ctx, 1_500).find(({ candidate, rtt }) => rtt !== null && candidate.depth < 15);
  if (!best) return;
  const there = costOf(best.candidate, best.rtt, partMs);
  if (there > rules.betterBy * here) return;
  // Taking somebody's place costs that one a move: only for a place nearer to the source.
  const taking = best.candidate.free === 0;
  if (
    taking &&
    !(displaces(s.places, best.candidate.weakest) && best.candidate.depth < s.parent.path.length - 1)
  )
    return;
  handOver(ctx, 'better', best.candidate.peer);
}
