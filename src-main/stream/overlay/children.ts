import { noPressure } from './back-pressure.ts';
import { pushTo, relane, windowOf } from './delivery.ts';
import { candidatesFor, membersBelow, membersElsewhere } from './members.ts';
import { displaces } from './rank.ts';
import type { Child, Ctx, OverlayState } from './state.ts';
import {
  depthOf,
  edgeOf,
  freePlaces,
  isFed,
  limits,
  pathHere,
  rescuePlaces,
  sameParts,
  selfCandidate,
  send,
  staying,
  weakestChild,
  worstQueue,
} from './state.ts';
import type { Candidate, Have, Message, Peer, Refusal } from './types.ts';
import { bounds, rules } from './types.ts';
import { gopStart, haveOf, isKnown } from './window.ts';

type Attach = Message & { readonly type: 'attach' };

/** A child or standby that says nothing for so long is gone, ms. */
const silentMs = 5_000;
/** A child that comes back with a hole gets at most this much of it as a burst; the rest it pulls. Parts. */
const longestBurst = 8;
/** Nobody new came for so long: a newcomer is one of few. ms. */
const calmMs = 3_000;
/** While this node is being accepted itself, requests wait so long. */
const waitMs = 600;
/** In a crowd the parent hears of places taken this often, ms. */
const crowdMs = 250;
/** Parts told of in each `have`. */
export const haveParts = 64;
/** Standbys per place. */
const standbysPerPlace = 4;

export function onAttach(ctx: Ctx, from: Peer, message: Attach): void {
  const { s, now } = ctx;
  // Whoever is accepted in place of another may be asked by that one before it hears so itself.
  if (!isFed(s) && s.attaching && s.attaching.peer !== from && s.places > 0) {
    if (s.waiting.length < limits.waiting) s.waiting.push({ from, message, at: now });
    else refuse(ctx, from, 'full', message.fanOut);
    return;
  }
  // Nothing of what it wants exists.
  if (!message.renditions.some((rendition) => rendition < s.options.ladder.length)) {
    refuse(ctx, from, 'unfit', message.fanOut);
    return;
  }
  const why = refusalOf(ctx, from, message.rescue);
  const own = s.children.get(from);
  if (why === null || (why === 'full' && own && own.until === null)) {
    accept(ctx, from, message);
    return;
  }
  if (why === 'full' && s.options.without !== 'repeaters') {
    const weakest = weakestChild(s);
    if (weakest && displaces(message.fanOut, weakest.fanOut)) {
      displace(ctx, weakest, from, message);
      return;
    }
  }
  refuse(ctx, from, why, message.fanOut);
}

function refusalOf(ctx: Ctx, from: Peer, rescue: boolean): Refusal | null {
  const { s } = ctx;
  if (s.banned.has(from)) return 'banned';
  if (s.parent?.path.includes(from) || s.attaching?.peer === from) return 'loop';
  if (!isFed(s) || s.phase === 'leaving' || s.phase === 'ended' || s.places === 0) return 'unfit';
  if (depthOf(s) + 1 >= bounds.depth) return 'unfit';
  return staying(s) < (rescue ? s.rescue : s.places) ? null : 'full';
}

function refuse(ctx: Ctx, from: Peer, why: Refusal, fanOut: number): void {
  const list =
    why === 'banned'
      ? []
      : candidatesFor(ctx, from, fanOut).filter(({ peer }) => peer !== ctx.s.options.self);
  send(ctx, from, { type: 'refused', why, list });
}

/** Somebody has just come, or waits for what is due. */
function isCrowded(s: OverlayState, now: number): boolean {
  if (worstQueue(s) > 0) return true;
  for (const { since } of s.children.values()) if (now - since < calmMs) return true;
  return false;
}

/** Takes a child: says so, sends what is here from the part it wants on, and everything that comes. */
function accept(ctx: Ctx, peer: Peer, message: Attach): void {
  const { s, now } = ctx;
  s.standbys.delete(peer);
  const edge = edgeOf(s);
  const wanted = message.renditions.filter((rendition) => rendition < s.options.ladder.length);
  const best = windowOf(s, Math.max(Math.min(...wanted), s.lowered?.rendition ?? 0));
  const start = gopStart(best);
  // A player begins with a whole segment: newcomers get one at once, the GOP before the newest one. Not in a crowd: with 10,000 within ten seconds
  // uplinks would be busy with the past, and who gets nothing in time looks elsewhere.
  const whole = start < 0 || isCrowded(s, now) ? -1 : gopStart(best, start - 1);
  let from = message.from ?? (whole >= 0 ? whole : start >= 0 ? start : edge + 1);
  if (from <= edge - longestBurst) from = Math.max(start, edge - longestBurst + 1);
  const child: Child = {
    peer,
    addresses: message.addresses,
    fanOut: message.fanOut,
    wanted,
    lanes: [],
    from,
    until: null,
    since: now,
    heardAt: now,
    queue: [],
    pressure: noPressure,
    askedToLeaveAt: Number.NEGATIVE_INFINITY,
    // New as it is, nobody has taken its places yet.
    free: message.fanOut,
    weakest: bounds.fanOut,
    queueMs: 0,
    statusAt: now,
    below: [],
  };
  s.children.set(peer, child);
  if (now - s.statusAt >= crowdMs) tellStatus(ctx);
  relane(ctx, child);
  send(ctx, peer, { type: 'accepted', from, path: pathHere(s), edge });
  for (const lane of child.lanes) {
    const window = windowOf(s, lane.rendition);
    // A rendition that does not run here begins with its next GOP.
    if (window.edge < 0 || window.edge < edge - haveParts) continue;
    lane.state = 'on';
  }
  for (let seq = from; seq <= edge; seq++) {
    for (const { rendition, state } of child.lanes) {
      if (state === 'on' && isKnown(windowOf(s, rendition), seq))
        pushTo(ctx, child, { rendition, seq }, false);
    }
  }
}

/** A strong joiner takes the place of the weakest child, which finds its new place below the joiner. */
function displace(ctx: Ctx, weakest: Child, peer: Peer, message: Attach): void {
  const { s } = ctx;
  const joiner: Candidate = {
    peer,
    addresses: message.addresses,
    depth: depthOf(s) + 1,
    free: message.fanOut,
    weakest: bounds.fanOut,
    queueMs: 0,
    ageS: 0,
    branch: s.isSource ? peer : (s.parent?.path[1] ?? s.options.self),
    heardMs: 0,
  };
  const others = candidatesFor(ctx, weakest.peer, weakest.fanOut).filter((one) => one.peer !== peer);
  s.children.delete(weakest.peer);
  const list = [joiner, ...others.slice(0, bounds.candidates - 1)];
  send(ctx, weakest.peer, { type: 'move', until: edgeOf(s), list });
  accept(ctx, peer, message);
}

/** Requests that waited for this node's own acceptance. */
export function answerWaiting(ctx: Ctx): void {
  const { s, now } = ctx;
  if (!isFed(s) && s.attaching) {
    while (waitingUntil(s) <= now) {
      const { from, message } = s.waiting.shift()!;
      refuse(ctx, from, 'unfit', message.fanOut);
    }
    return;
  }
  for (const { from, message } of s.waiting.splice(0)) onAttach(ctx, from, message);
}

export const waitingUntil = (s: OverlayState): number =>
  s.waiting[0] ? s.waiting[0].at + waitMs : Number.POSITIVE_INFINITY;

export function onDetach(ctx: Ctx, from: Peer, until: number | null): void {
  const { s } = ctx;
  s.standbys.delete(from);
  const child = s.children.get(from);
  if (!child) return;
  if (until === null || until <= edgeOf(s)) removeChild(ctx, child, true);
  else child.until = until;
}

export function removeChild(ctx: Ctx, child: Child, alive: boolean): void {
  const { s, out } = ctx;
  s.children.delete(child.peer);
  if (child.queue.length > 0) {
    s.served.set(child.peer, child.queue.length);
    out.push({
      type: 'cancel',
      to: child.peer,
      parts: child.queue.map(({ rendition, seq }) => ({ rendition, seq })),
    });
  }
  if (!alive) out.push({ type: 'close', peer: child.peer });
}

export function onStatus(ctx: Ctx, from: Peer, message: Message & { readonly type: 'status' }): void {
  const child = ctx.s.children.get(from);
  if (!child) return;
  child.heardAt = ctx.now;
  child.statusAt = ctx.now;
  child.fanOut = message.fanOut;
  child.free = message.free;
  child.weakest = message.weakest;
  child.queueMs = message.queueMs;
  child.below = message.below.filter(({ peer }) => peer !== ctx.s.options.self);
}

export function onSubscribe(ctx: Ctx, from: Peer, renditions: readonly number[]): void {
  const { s } = ctx;
  const child = s.children.get(from);
  if (!child) return;
  const wanted = renditions.filter((rendition) => rendition < s.options.ladder.length);
  if (wanted.length === 0) return;
  child.wanted = wanted;
  relane(ctx, child);
}

export function onStandby(ctx: Ctx, from: Peer, fanOut: number): void {
  const { s, now } = ctx;
  const known = s.standbys.get(from);
  if (known) {
    known.heardAt = now;
    return;
  }
  const why = refusalOf(ctx, from, true);
  if ((why !== null && why !== 'full') || s.standbys.size >= standbysPerPlace * s.places) {
    refuse(ctx, from, why ?? 'full', fanOut);
    return;
  }
  s.standbys.set(from, { heardAt: now, fanOut });
  sendHave(ctx, from);
}

export function sendHave(ctx: Ctx, to: Peer): void {
  const { s } = ctx;
  send(ctx, to, {
    type: 'have',
    path: pathHere(s),
    have: havesHere(s),
    free: freePlaces(s),
    rescue: rescuePlaces(s),
  });
}

function havesHere(s: OverlayState): Have[] {
  const edge = edgeOf(s);
  const list: Have[] = [];
  for (const [rendition, window] of s.windows) {
    if (window.newest >= 0 && window.edge > edge - haveParts) list.push(haveOf(window, rendition, haveParts));
  }
  return list;
}

/** Renditions this node has to get: its own, and what its children want or have come down to. */
export function neededRenditions(s: OverlayState): readonly number[] {
  const needed = new Set(s.watched);
  for (const child of s.children.values()) {
    for (const rendition of child.wanted) needed.add(rendition);
    for (const { rendition } of child.lanes) needed.add(rendition);
  }
  return [...needed].sort((a, b) => a - b);
}

/** Tells the parent when what is needed has changed. */
export function updateSubscription(ctx: Ctx): void {
  const { s } = ctx;
  if (!s.parent) return;
  const needed = neededRenditions(s);
  if (needed.length === 0 || sameParts(needed, s.subscribed)) return;
  s.subscribed = needed;
  send(ctx, s.parent.peer, { type: 'subscribe', renditions: needed });
}

/** Where the children are in the tree now: told each second, and at once when it changed. */
export function beatChildren(ctx: Ctx): void {
  const { s } = ctx;
  if (s.children.size === 0 || !isFed(s)) return;
  const path = pathHere(s);
  const edge = edgeOf(s);
  const elsewhere = membersElsewhere(ctx);
  // The way up: a strong child may find a place there.
  const self = selfCandidate(ctx);
  let turn = 0;
  for (const child of s.children.values()) {
    const others = self ? [self] : [];
    for (let i = 0; i < elsewhere.length && others.length < bounds.others; i++) {
      const one = elsewhere[(turn + i) % elsewhere.length]!;
      if (one.peer !== child.peer && one.branch !== child.peer) others.push(one);
    }
    turn++;
    const queueMs = Math.min(
      bounds.ms,
      (child.queue.length * s.options.partMs) / Math.max(1, child.lanes.length),
    );
    send(ctx, child.peer, { type: 'beat', path, edge, queueMs: Math.round(queueMs), others });
  }
}

/** Once a second: the parent hears what is free here, silent children and standbys are let go, too many are sent on. */
export function tendChildren(ctx: Ctx): void {
  const { s, now } = ctx;
  for (const child of s.children.values()) {
    if (now - child.heardAt < silentMs) continue;
    removeChild(ctx, child, true);
    send(ctx, child.peer, {
      type: 'move',
      until: edgeOf(s),
      list: candidatesFor(ctx, child.peer, child.fanOut),
    });
  }
  for (const [peer, { heardAt }] of s.standbys) if (now - heardAt >= silentMs) s.standbys.delete(peer);
  if (staying(s) > s.places && now - s.shedAt >= 2_000 && s.phase !== 'leaving') {
    const asked = [...s.children.values()]
      .filter((child) => child.until === null && now - child.askedToLeaveAt > 10_000)
      .sort((a, b) => a.fanOut - b.fanOut)[0];
    if (asked) {
      s.shedAt = now;
      asked.askedToLeaveAt = now;
      send(ctx, asked.peer, { type: 'leaving', inMs: 10_000 });
    }
  }
  tellStatus(ctx);
}

/** What the parent is to know of the places here. */
function tellStatus(ctx: Ctx): void {
  const { s, now } = ctx;
  if (!s.parent) return;
  s.statusAt = now;
  const free = freePlaces(s);
  send(ctx, s.parent.peer, {
    type: 'status',
    fanOut: Math.min(s.places, bounds.fanOut),
    free,
    weakest: free > 0 ? bounds.fanOut : (weakestChild(s)?.fanOut ?? bounds.fanOut),
    queueMs: Math.min(bounds.ms, Math.round(worstQueue(s))),
    below: membersBelow(ctx),
  });
}

/** Children are told that nothing comes, so that they wait for this node to mend it. */
export function tellIdle(ctx: Ctx): void {
  const { s, now } = ctx;
  const source =
    s.isSource || (s.parent !== null && s.parent.idleSource && now - s.parent.idleAt < 2 * rules.idleAfterMs);
  const edge = edgeOf(s);
  for (const { peer } of s.children.values()) send(ctx, peer, { type: 'idle', edge, source });
}

export function onJoin(ctx: Ctx, from: Peer, fanOut: number): void {
  if (ctx.s.banned.has(from) || ctx.s.phase === 'ended') return;
  send(ctx, from, { type: 'candidates', list: candidatesFor(ctx, from, fanOut) });
}

export function onProbe(ctx: Ctx, from: Peer, nonce: number): void {
  send(ctx, from, { type: 'probed', nonce, self: selfCandidate(ctx) });
}
