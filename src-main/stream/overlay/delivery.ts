import { press } from './back-pressure.ts';
import type { Ally, Child, Ctx, Gap, Lane, OverlayState } from './state.ts';
import { keyOf, limits, never, queuedMs, send } from './state.ts';
import type { PartFacts, PartId, Peer } from './types.ts';
import { bounds } from './types.ts';
import type { PartWindow } from './window.ts';
import {
  createWindow,
  giveUp,
  isGivenUp,
  isHere,
  isKnown,
  isPast,
  mark,
  newestIn,
  shows,
  unmark,
} from './window.ts';

/** A hole may still be filled by parts on their way; longer while the parent says that it looks for them. */
const gapGraceMs = 250;
const gapGraceIdleMs = 500;
/** Between two tries for one part. */
const pullAgainMs = 350;
/** Nobody waits longer for a part at the live edge. */
const gapGivenUpMs = 3_000;
const fetchGivenUpMs = 60_000;
/** A jump further than this is a new beginning, not a hole. */
const longestHole = 64;
/** Parts of a burst that a new child drains before its queue is judged as usual. */
const settleMs = 3_000;
/** How the longest silence of a parent is forgotten, with each part: a third of it in about ten. */
const slowestKept = 0.96;

export function windowOf(s: OverlayState, rendition: number): PartWindow {
  let window = s.windows.get(rendition);
  if (!window) s.windows.set(rendition, (window = createWindow()));
  return window;
}

/** The header of a part came. Says whether its bytes are wanted. */
export function partBegins(ctx: Ctx, from: Peer | null, part: PartFacts): boolean {
  const { s, now, out } = ctx;
  const window = windowOf(s, part.rendition);
  const gap = s.gaps.get(keyOf(part));
  // Whoever was asked may answer late: the part is welcome as long as it is missing.
  const wanted =
    from === null
      ? s.isSource
      : isSender(s, from) || s.allies.has(from) || gap?.tried.includes(from) === true;
  const old = isPast(window, part.seq) && !gap;
  if (!wanted || old || isKnown(window, part.seq)) {
    if (from !== null) out.push({ type: 'drop', from, part: { rendition: part.rendition, seq: part.seq } });
    // A parent that sends what is here already is a live one all the same.
    if (from !== null && from === s.parent?.peer) s.parent.lastPartAt = now;
    return false;
  }
  const { edge } = window;
  if (part.seq > edge) s.newAt = now;
  mark(window, part.seq, false, part.independent);
  if (gap) s.gaps.delete(keyOf(part));
  if (from !== null) {
    if (s.arriving.length >= limits.arriving) s.arriving.shift();
    s.arriving.push({ rendition: part.rendition, seq: part.seq, from, at: now });
    if (from === s.parent?.peer) fromParent(ctx, part);
  }
  if (edge >= 0 && part.seq > edge + 1 && part.seq - edge <= longestHole) {
    for (let seq = edge + 1; seq < part.seq; seq++) addGap(ctx, part.rendition, seq, false);
  }
  if (!gap?.fetch) forward(ctx, part);
  return true;
}

/** All of a part is here. */
export function partHere(ctx: Ctx, from: Peer | null, part: PartFacts): void {
  const { s, now } = ctx;
  const window = windowOf(s, part.rendition);
  const at = s.arriving.findIndex(({ rendition, seq }) => rendition === part.rendition && seq === part.seq);
  if (at < 0 && from !== null) {
    if (!partBegins(ctx, from, part)) return;
    s.arriving.pop();
  } else if (at >= 0) {
    s.arriving.splice(at, 1);
    if (from === s.parent?.peer && s.parent) s.parent.lastPartAt = now;
  } else if (!isKnown(window, part.seq) && !partBegins(ctx, from, part)) {
    return;
  }
  mark(window, part.seq, true, part.independent);
}

export function partFailed(ctx: Ctx, from: Peer, { rendition, seq }: PartId): void {
  const { s } = ctx;
  const at = s.arriving.findIndex(
    (one) => one.rendition === rendition && one.seq === seq && one.from === from,
  );
  if (at < 0) return;
  s.arriving.splice(at, 1);
  unmark(windowOf(s, rendition), seq);
  addGap(ctx, rendition, seq, false);
}

/** What was on its way from a peer will not come. */
export function forgetArriving(ctx: Ctx, from: Peer): void {
  for (const one of ctx.s.arriving.filter((part) => part.from === from)) partFailed(ctx, from, one);
  for (const gap of ctx.s.gaps.values()) {
    if (gap.asked !== from) continue;
    gap.asked = null;
    gap.tryAt = ctx.now;
    ctx.s.gapAt = ctx.now;
  }
}

/** Parts are taken from those who have a reason to send them; anybody else's are read over. */
function isSender(s: OverlayState, from: Peer): boolean {
  return (
    from === s.parent?.peer || from === s.previous?.peer || from === s.attaching?.peer || s.late.has(from)
  );
}

function fromParent(ctx: Ctx, part: PartFacts): void {
  const { s, now, out } = ctx;
  const { parent } = s;
  if (!parent) return;
  if (!parent.first) {
    parent.slowestMs = Math.max(now - parent.lastPartAt, parent.slowestMs * slowestKept);
  } else {
    parent.first = false;
    out.push({
      type: 'attached',
      parent: parent.peer,
      depth: parent.path.length,
      afterMs: s.lostAt === null ? null : now - s.lostAt,
      reason: parent.reason,
    });
    s.lostAt = null;
  }
  parent.lastPartAt = now;
  if (s.lowered && part.rendition < s.lowered.rendition && part.seq >= s.lowered.seq) {
    s.lowered = null;
    for (const child of s.children.values()) relane(ctx, child);
  }
}

// Pushing.

/** Says which renditions run to a child: what it wants, as far as its link and this node's own feed allow. */
export function relane(ctx: Ctx, child: Child): void {
  const floor = Math.max(child.pressure.floor, ctx.s.lowered?.rendition ?? 0);
  const wanted = new Set(child.wanted.map((rendition) => Math.max(rendition, floor)));
  for (const lane of child.lanes) {
    if (!wanted.has(lane.rendition)) lane.state = 'ending';
    else if (lane.state === 'ending') lane.state = 'on';
    wanted.delete(lane.rendition);
  }
  for (const rendition of wanted) child.lanes.push({ rendition, state: 'waiting' });
  if (child.lanes.every(({ state }) => state !== 'waiting')) endLanes(child);
}

function endLanes(child: Child): void {
  child.lanes = child.lanes.filter(({ state }) => state !== 'ending');
}

/** Passes a part that begins on to all children that are to have it. */
function forward(ctx: Ctx, part: PartFacts): void {
  for (const child of ctx.s.children.values()) {
    if (part.seq < child.from || (child.until !== null && part.seq > child.until)) continue;
    const lane = child.lanes.find(({ rendition }) => rendition === part.rendition);
    if (lane && !(lane.state === 'waiting' && !part.independent)) pushLive(ctx, child, lane, part);
  }
}

function pushLive(ctx: Ctx, child: Child, lane: Lane, part: PartFacts): void {
  const { s, now } = ctx;
  const { ladder, partMs } = s.options;
  if (lane.state === 'waiting') {
    lane.state = 'on';
    if (child.lanes.every(({ state }) => state !== 'waiting')) endLanes(child);
    if (!child.wanted.includes(part.rendition)) {
      send(ctx, child.peer, { type: 'lowered', rendition: part.rendition, seq: part.seq });
    }
  }
  const { floor, skipping } = child.pressure;
  const { pressure, push } = press(
    child.pressure,
    { queuedMs: queuedMs(child, partMs), rendition: part.rendition, independent: part.independent },
    {
      last: ladder.length - 1,
      best: Math.min(...child.wanted),
      slack: now - child.since < settleMs ? 3 : 1,
      now,
    },
  );
  child.pressure = pressure;
  if (pressure.floor !== floor) relane(ctx, child);
  if (pressure.skipping && !skipping) leaveOut(ctx, child);
  if (push) pushTo(ctx, child, part, true);
  else send(ctx, child.peer, { type: 'missing', rendition: part.rendition, seqs: [part.seq] });
}

/** The child's queue is full: what of it has not begun is given up until the next GOP; sound stays. */
function leaveOut(ctx: Ctx, child: Child): void {
  const sound = ctx.s.options.ladder.length - 1;
  const parts = child.queue
    .slice(1)
    .filter(({ rendition, live }) => live && (rendition < sound || sound === 0))
    .map(({ rendition, seq }) => ({ rendition, seq }));
  if (parts.length === 0) return;
  ctx.out.push({ type: 'cancel', to: child.peer, parts });
  for (const rendition of new Set(parts.map((part) => part.rendition))) {
    const seqs = parts.filter((part) => part.rendition === rendition).map(({ seq }) => seq);
    send(ctx, child.peer, {
      type: 'missing',
      rendition,
      seqs: [...new Set(seqs)].sort((one, other) => one - other),
    });
  }
}

export function pushTo(ctx: Ctx, child: Child, { rendition, seq }: PartId, live: boolean): void {
  child.queue.push({ rendition, seq, live });
  ctx.out.push({ type: 'push', to: child.peer, part: { rendition, seq } });
}

export function drained(ctx: Ctx, to: Peer, part: PartId): void {
  const { s } = ctx;
  const queue = s.children.get(to)?.queue;
  const at = queue
    ? queue.findIndex(({ rendition, seq }) => rendition === part.rendition && seq === part.seq)
    : -1;
  if (queue && at >= 0) {
    queue.splice(at, 1);
    return;
  }
  const left = (s.served.get(to) ?? 0) - 1;
  if (left > 0) s.served.set(to, left);
  else s.served.delete(to);
}

// Pulling.

/** Notes a hole, unless another rendition covers that time or nobody wants it. */
export function addGap(ctx: Ctx, rendition: number, seq: number, fetch: boolean): void {
  const { s, now } = ctx;
  const key = keyOf({ rendition, seq });
  if (s.gaps.has(key) || s.gaps.size >= (fetch ? limits.fetches : limits.gaps)) return;
  const window = windowOf(s, rendition);
  if (isKnown(window, seq)) return;
  if (!fetch) {
    if (isGivenUp(window, seq)) return;
    if (s.lowered && rendition < s.lowered.rendition && seq >= s.lowered.seq) return;
    for (const [other, there] of s.windows) if (other !== rendition && isKnown(there, seq)) return;
  }
  const idle = s.parent && now - s.parent.idleAt < 1_000;
  const tryAt = fetch ? now : now + (idle ? gapGraceIdleMs : gapGraceMs);
  s.gaps.set(key, { rendition, seq, since: now, tryAt, asked: null, tried: [], tries: 0, fetch });
  s.gapAt = Math.min(s.gapAt, tryAt);
}

/** Asks others for the parts that are due, a message for each holder and rendition. */
export function pullGaps(ctx: Ctx): void {
  const { s, now } = ctx;
  s.gapAt = never;
  const asks = new Map<string, { to: Peer; rendition: number; seqs: number[] }>();
  for (const [key, gap] of s.gaps) {
    if (now - gap.since >= (gap.fetch ? fetchGivenUpMs : gapGivenUpMs)) {
      s.gaps.delete(key);
      giveUp(windowOf(s, gap.rendition), gap.seq);
      ctx.out.push({ type: 'gap', part: { rendition: gap.rendition, seq: gap.seq } });
      continue;
    }
    if (gap.tryAt <= now) {
      const to = holderOf(s, gap, now);
      if (to === null) {
        gap.tried = [];
        gap.asked = null;
      } else {
        gap.tried.push(to);
        gap.asked = to;
        const ask = asks.get(`${to} ${gap.rendition}`);
        if (!ask) asks.set(`${to} ${gap.rendition}`, { to, rendition: gap.rendition, seqs: [gap.seq] });
        else if (ask.seqs.length < bounds.seqs) ask.seqs.push(gap.seq);
        else gap.tried.pop();
      }
      gap.tryAt = now + pullAgainMs * 2 ** Math.min(3, gap.tries++);
    }
    s.gapAt = Math.min(s.gapAt, gap.tryAt);
  }
  for (const { to, rendition, seqs } of asks.values()) send(ctx, to, { type: 'pull', rendition, seqs });
}

/** Asks one peer for parts now, on the way to a new parent. */
export function pullFrom(ctx: Ctx, to: Peer, rendition: number, from: number, until: number): void {
  const seqs: number[] = [];
  for (let seq = from; seq <= until && seqs.length < bounds.seqs; seq++) {
    addGap(ctx, rendition, seq, false);
    const gap = ctx.s.gaps.get(keyOf({ rendition, seq }));
    if (!gap) continue;
    gap.asked = to;
    gap.tried.push(to);
    gap.tryAt = ctx.now + pullAgainMs;
    gap.tries = 1;
    ctx.s.gapAt = Math.min(ctx.s.gapAt, gap.tryAt);
    seqs.push(seq);
  }
  if (seqs.length > 0) send(ctx, to, { type: 'pull', rendition, seqs });
}

/** What a backup or neighbour should have by now, going by what it said last. */
export function edgeOfAlly(ally: Ally, rendition: number, partMs: number, now: number): number {
  const have = ally.have.find((one) => one.rendition === rendition);
  if (!have) return -1;
  const newest = newestIn(have);
  return newest < 0 ? -1 : newest + Math.floor((now - ally.heardAt) / partMs);
}

function holderOf(s: OverlayState, { rendition, seq, tried, fetch }: Gap, now: number): Peer | null {
  let best: Peer | null = null;
  let score = 0;
  for (const ally of s.allies.values()) {
    if (ally.pending || tried.includes(ally.peer) || now - ally.heardAt > 3_000) continue;
    const have = ally.have.find((one) => one.rendition === rendition);
    if (!have) continue;
    const sure = shows(have, seq);
    if (!sure && (seq <= newestIn(have) || edgeOfAlly(ally, rendition, s.options.partMs, now) <= seq))
      continue;
    const value = (ally.kind === 'backup' ? 2 : 1) + (sure ? 2 : 0);
    if (value > score) [best, score] = [ally.peer, value];
  }
  if (best !== null || !s.parent) return best;
  if (!tried.includes(s.parent.peer)) return s.parent.peer;
  if (!fetch) return null;
  // Of long ago: the further up, the longer a member has been there. The source is asked last.
  for (const peer of s.parent.path.toReversed()) if (!tried.includes(peer)) return peer;
  return null;
}

/** Parts are sent once to whoever asks, as long as it does not ask for too many at once. */
const servedAtOnce = 32;
/** Of long ago: whoever asks for such parts has gone back, and nobody waits for them at the live edge. */
const isOld = (window: PartWindow, seq: number): boolean => seq <= window.edge - longestHole;
/** Old parts go out to all who ask together at so many bit rates, or this share of the uplink if that is more. */
const oldRates = 4;
const oldShare = 0.2;
/** So much of them at once, ms of the best rendition. */
const oldBurstMs = 12_800;

/** May one more old part go out now? */
function spendOld({ s, now }: Ctx, rendition: number): boolean {
  const { ladder, partMs } = s.options;
  const best = Math.max(...ladder.map(({ bitrate }) => bitrate));
  const rate = Math.max(oldRates * best, oldShare * (s.conditions?.uplink ?? 0));
  const { oldBudget: budget } = s;
  budget.bits = Math.min((best * oldBurstMs) / 1000, budget.bits + (rate * (now - budget.at)) / 1000);
  budget.at = now;
  const cost = ((ladder[rendition]?.bitrate ?? best) * partMs) / 1000;
  if (budget.bits < cost) return false;
  budget.bits -= cost;
  return true;
}

export function servePull(ctx: Ctx, from: Peer, rendition: number, seqs: readonly number[]): void {
  const { s, out } = ctx;
  const window = s.windows.get(rendition);
  const child = s.children.get(from);
  const missing: number[] = [];
  for (const seq of seqs) {
    // What is forgotten here may still be on disk: the driver says `unavailable` if not.
    const old = window !== undefined && isOld(window, seq);
    const there = old || (window && isKnown(window, seq));
    const busy = child ? child.queue.length >= servedAtOnce : (s.served.get(from) ?? 0) >= servedAtOnce;
    if (!there || (busy && !old)) missing.push(seq);
    // Who asks too much of long ago gets no answer and asks again later; "missing" would say that it is not here.
    else if (old && (busy || !spendOld(ctx, rendition))) continue;
    else if (child?.queue.some((one) => one.rendition === rendition && one.seq === seq)) continue;
    else if (child) pushTo(ctx, child, { rendition, seq }, false);
    else {
      s.served.set(from, (s.served.get(from) ?? 0) + 1);
      out.push({ type: 'push', to: from, part: { rendition, seq } });
    }
  }
  if (missing.length > 0) send(ctx, from, { type: 'missing', rendition, seqs: missing });
}

/** Somebody asked does not have it, or the parent left it out: ask elsewhere at once. */
export function noteMissing(ctx: Ctx, from: Peer, rendition: number, seqs: readonly number[]): void {
  const { s, now } = ctx;
  for (const seq of seqs) {
    if (from === s.parent?.peer && !s.gaps.has(keyOf({ rendition, seq }))) {
      const window = windowOf(s, rendition);
      // Of parts to come only the next few: a parent can't make this node ask for anything it likes.
      if (seq > window.edge + 8 || isHere(window, seq)) continue;
      addGap(ctx, rendition, seq, false);
    }
    const gap = s.gaps.get(keyOf({ rendition, seq }));
    if (!gap || (gap.asked !== from && from !== s.parent?.peer)) continue;
    if (gap.fetch && from === s.options.source && isOld(windowOf(s, rendition), seq)) {
      // Nobody can have what even the source has not any more.
      s.gaps.delete(keyOf({ rendition, seq }));
      ctx.out.push({ type: 'gap', part: { rendition, seq } });
      continue;
    }
    if (!gap.tried.includes(from)) gap.tried.push(from);
    gap.asked = null;
    gap.tryAt = now;
    s.gapAt = now;
  }
}
