import {
  answerWaiting,
  beatChildren,
  onAttach,
  onDetach,
  onJoin,
  onProbe,
  onStandby,
  onStatus,
  onSubscribe,
  removeChild,
  tellIdle,
  tendChildren,
  updateSubscription,
  waitingUntil,
} from './children.ts';
import {
  addGap,
  drained,
  noteMissing,
  partBegins,
  partFailed,
  partHere,
  pullGaps,
  servePull,
} from './delivery.ts';
import { placesOf } from './fan-out.ts';
import {
  attachTimedOut,
  beatAllies,
  compareParents,
  loseParent,
  lookForBetter,
  onAccepted,
  onBeat,
  onHave,
  onIdle,
  onLeaving,
  onLost,
  onMove,
  onRefused,
  silenceEnds,
  strike,
  tendAllies,
} from './parent.ts';
import { decide, noteContacts, onCandidates, onProbed, startSearch } from './search.ts';
import type { Ctx, OverlayState } from './state.ts';
import { depthOf, edgeOf, limits, never, send } from './state.ts';
import type { Effect, Message, OverlayEvent, OverlayOptions, OverlayView, Peer } from './types.ts';
import { rules } from './types.ts';
import { newestIn } from './window.ts';

/** How long after `end` the last parts are waited for, ms. */
const endMs = 2_000;

/**
 * The state of a node that begins: the source of the stream, or a member that is not in it yet (`join` comes next). Tell it its
 * `conditions` first: they say how many children it may have.
 */
export function createOverlay(options: OverlayOptions, now: number, random: () => number): OverlayState {
  const isSource = options.self === options.source;
  return {
    options,
    isSource,
    startedAt: now,
    phase: isSource ? 'attached' : 'joining',
    conditions: null,
    ...placesOf(options, null),
    windows: new Map(),
    watched: [0],
    subscribed: [],
    lowered: null,
    arriving: [],
    gaps: new Map(),
    gapAt: never,
    parent: null,
    previous: null,
    lostAt: null,
    attaching: null,
    late: new Map(),
    search: null,
    waiting: [],
    children: new Map(),
    standbys: new Map(),
    allies: new Map(),
    served: new Map(),
    oldBudget: { bits: Number.POSITIVE_INFINITY, at: now },
    known: new Map(),
    contacts: new Map(),
    probes: new Map(),
    banned: new Set(),
    newAt: now,
    beatAt: now + rules.beatMs * random(),
    idleSentAt: now,
    reoptimiseAt: now + rules.reoptimiseMs * (0.5 + random()),
    compareAt: never,
    shedAt: Number.NEGATIVE_INFINITY,
    demotedAt: [],
    statusAt: Number.NEGATIVE_INFINITY,
    askedAt: Number.NEGATIVE_INFINITY,
    nonce: 0,
    leaveAt: never,
    endAt: never,
    last: -1,
  };
}

/**
 * One step: what happened goes in, what is to be done comes out. The same state, event, time and random numbers always give the
 * same result. The state handed in is used up; go on with the one that comes back.
 * @param now ms, never less than before
 * @param random uniform in [0, 1)
 */
export function step(
  state: OverlayState,
  event: OverlayEvent,
  now: number,
  random: () => number,
): { readonly state: OverlayState; readonly effects: readonly Effect[] } {
  const ctx: Ctx = { s: state, now, random, out: [] };
  handle(ctx, event);
  if (state.gapAt <= now) pullGaps(ctx);
  // The last child has gone: nothing to wait for.
  if (state.phase === 'leaving' && state.children.size === 0 && state.leaveAt !== never) state.leaveAt = now;
  return { state, effects: ctx.out };
}

function handle(ctx: Ctx, event: OverlayEvent): void {
  const { s } = ctx;
  switch (event.type) {
    case 'part':
      partHere(ctx, event.from, event.part);
      checkLast(ctx, event.part.seq);
      return;
    case 'partBegins':
      partBegins(ctx, event.from, event.part);
      return;
    case 'partFailed':
      partFailed(ctx, event.from, event.part);
      return;
    case 'drained':
      drained(ctx, event.to, event.part);
      return;
    case 'unavailable':
      drained(ctx, event.to, event.part);
      send(ctx, event.to, { type: 'missing', rendition: event.part.rendition, seqs: [event.part.seq] });
      return;
    case 'message':
      if (!s.banned.has(event.from)) onMessage(ctx, event.from, event.message);
      return;
    case 'join':
      noteContacts(ctx, event.contacts);
      if (s.isSource || s.parent || s.phase === 'leaving' || s.phase === 'ended') return;
      if (!s.search) startSearch(ctx);
      else if (!s.attaching) decide(ctx);
      return;
    case 'lost': {
      s.standbys.delete(event.peer);
      const child = s.children.get(event.peer);
      if (child) removeChild(ctx, child, false);
      s.served.delete(event.peer);
      onLost(ctx, event.peer);
      return;
    }
    case 'bad':
      ban(ctx, event.peer);
      return;
    case 'conditions':
      s.conditions = event.conditions;
      Object.assign(s, placesOf(s.options, event.conditions));
      return;
    case 'watch':
      s.watched = [...event.renditions].sort((a, b) => a - b);
      updateSubscription(ctx);
      return;
    case 'fetch':
      for (const seq of event.seqs) addGap(ctx, event.rendition, seq, true);
      return;
    case 'leave':
      leave(ctx);
      return;
    case 'end':
      end(ctx, edgeOf(s));
      return;
    case 'wake':
      wake(ctx);
      return;
  }
}

function onMessage(ctx: Ctx, from: Peer, message: Message): void {
  const { s, now } = ctx;
  switch (message.type) {
    case 'join':
      onJoin(ctx, from, message.fanOut);
      return;
    case 'candidates':
      onCandidates(ctx, message.list);
      return;
    case 'probe':
      onProbe(ctx, from, message.nonce);
      return;
    case 'probed':
      onProbed(ctx, from, message.nonce, message.self);
      return;
    case 'attach':
      onAttach(ctx, from, message);
      updateSubscription(ctx);
      return;
    case 'accepted':
      onAccepted(ctx, from, message);
      return;
    case 'refused':
      onRefused(ctx, from, message);
      return;
    case 'detach':
      onDetach(ctx, from, message.until);
      return;
    case 'move':
      onMove(ctx, from, message.list);
      return;
    case 'standby':
      onStandby(ctx, from, message.fanOut);
      return;
    case 'subscribe':
      onSubscribe(ctx, from, message.renditions);
      updateSubscription(ctx);
      return;
    case 'beat':
      onBeat(ctx, from, message);
      return;
    case 'status':
      onStatus(ctx, from, message);
      return;
    case 'have':
      onHave(ctx, from, message);
      return;
    case 'idle':
      onIdle(ctx, from, message.source);
      return;
    case 'pull':
      servePull(ctx, from, message.rendition, message.seqs);
      return;
    case 'missing':
      if (from === s.parent?.peer && message.seqs.some((seq) => !s.gaps.has(seq * 8 + message.rendition)))
        strike(ctx);
      noteMissing(ctx, from, message.rendition, message.seqs);
      return;
    case 'lowered':
      if (from !== s.parent?.peer) return;
      s.lowered = { rendition: message.rendition, seq: message.seq };
      for (const [key, gap] of s.gaps) {
        if (!gap.fetch && gap.rendition < message.rendition && gap.seq >= message.seq) s.gaps.delete(key);
      }
      strike(ctx);
      return;
    case 'leaving':
      onLeaving(ctx, from);
      return;
    case 'end':
      if (from === s.parent?.peer || from === s.previous?.peer) ended(ctx, from, message.last, now);
      return;
  }
}

function ban(ctx: Ctx, peer: Peer): void {
  const { s, out } = ctx;
  if (s.banned.size >= limits.banned) {
    const [oldest] = s.banned;
    if (oldest !== undefined) s.banned.delete(oldest);
  }
  s.banned.add(peer);
  out.push({ type: 'ban', peer });
  const child = s.children.get(peer);
  if (child) removeChild(ctx, child, false);
  s.standbys.delete(peer);
  s.allies.delete(peer);
  s.served.delete(peer);
  onLost(ctx, peer);
  s.known.delete(peer);
}

function leave(ctx: Ctx): void {
  const { s, now } = ctx;
  if (s.phase === 'leaving' || s.phase === 'ended') return;
  if (s.isSource) {
    end(ctx, edgeOf(s));
    return;
  }
  s.phase = 'leaving';
  s.search = null;
  s.leaveAt = s.children.size > 0 ? now + rules.handoverMs : now;
  for (const peer of [...s.children.keys(), ...s.standbys.keys()]) {
    send(ctx, peer, { type: 'leaving', inMs: rules.handoverMs });
  }
}

function end(ctx: Ctx, last: number): void {
  const { s, now } = ctx;
  if (s.phase === 'ended') return;
  s.phase = 'ended';
  s.last = last;
  s.endAt = now + endMs;
  for (const peer of s.children.keys()) send(ctx, peer, { type: 'end', last });
}

/** The parent says that the stream is over. It may lie: whoever has newer parts shows it. */
function ended(ctx: Ctx, from: Peer, last: number, now: number): void {
  const { s } = ctx;
  if (s.phase === 'ended' || s.phase === 'leaving') return;
  const newer =
    edgeOf(s) > last ||
    [...s.allies.values()].some((ally) =>
      ally.have.some((have) => newestIn(have) > last && now - ally.heardAt < 5_000),
    );
  if (newer) {
    if (from === s.parent?.peer) loseParent(ctx, 60_000, 'open');
    return;
  }
  end(ctx, last);
}

/** A part after the last one: the end was a lie. */
function checkLast(ctx: Ctx, seq: number): void {
  const { s } = ctx;
  if (s.phase !== 'ended' || s.isSource || seq <= s.last) return;
  s.phase = 'attached';
  s.endAt = never;
}

function wake(ctx: Ctx): void {
  const { s, now } = ctx;
  if (s.attaching && s.attaching.deadline <= now) attachTimedOut(ctx);
  if (s.search && !s.attaching && s.search.decideAt <= now) decide(ctx);
  if (silenceEnds(s, now) <= now) loseParent(ctx, 30_000, 'open');
  if (waitingUntil(s) <= now) answerWaiting(ctx);
  if (idleDue(s) <= now) {
    s.idleSentAt = now;
    tellIdle(ctx);
  }
  if (s.compareAt <= now) compareParents(ctx);
  if (s.beatAt <= now) beat(ctx);
  if (s.leaveAt <= now || (s.phase === 'leaving' && s.children.size === 0)) {
    s.leaveAt = never;
    farewell(ctx);
    ctx.out.push({ type: 'left' });
  }
  if (s.endAt <= now) {
    s.endAt = never;
    farewell(ctx);
    ctx.out.push({ type: 'dissolved', last: s.last });
  }
}

function beat(ctx: Ctx): void {
  const { s, now } = ctx;
  s.beatAt = Math.max(s.beatAt + rules.beatMs, now + rules.beatMs / 2);
  if (s.phase === 'ended') return;
  if (s.previous && now - s.previous.at > 2_000) s.previous = null;
  for (const [peer, { sentAt }] of s.late) if (now - sentAt > 5_000) s.late.delete(peer);
  for (const [nonce, probe] of s.probes) if (now - probe.at > 2_000) s.probes.delete(nonce);
  if (s.reoptimiseAt <= now) lookForBetter(ctx);
  tendAllies(ctx);
  tendChildren(ctx);
  beatChildren(ctx);
  beatAllies(ctx);
  updateSubscription(ctx);
}

/** When the children are told that nothing comes. */
function idleDue(s: OverlayState): number {
  if (s.children.size === 0 || s.phase === 'ended') return never;
  // Not when the parent was last heard: a new one that has accepted and sends nothing yet feeds nobody.
  return Math.max(s.newAt, s.idleSentAt) + rules.idleAfterMs;
}

/** Nobody waits for this node any more. */
function farewell(ctx: Ctx): void {
  const { s, out } = ctx;
  const peers = new Set<Peer>([...s.children.keys(), ...s.standbys.keys(), ...s.allies.keys()]);
  if (s.parent) peers.add(s.parent.peer);
  if (s.parent && s.phase !== 'ended') send(ctx, s.parent.peer, { type: 'detach', until: null });
  for (const ally of s.allies.values()) {
    if (ally.kind === 'backup' && s.phase !== 'ended') send(ctx, ally.peer, { type: 'detach', until: null });
  }
  for (const peer of peers) out.push({ type: 'close', peer });
  s.children.clear();
  s.standbys.clear();
  s.allies.clear();
  s.parent = null;
}

/** When the next `wake` is due, ms; never (Infinity) after `left` or `dissolved`. */
export function wakeAt(s: OverlayState): number {
  if (s.phase === 'ended') return s.endAt;
  if (s.phase === 'leaving') return s.leaveAt;
  let at = Math.min(s.beatAt, s.gapAt, s.compareAt, idleDue(s), waitingUntil(s));
  if (s.attaching) at = Math.min(at, s.attaching.deadline);
  else if (s.search) at = Math.min(at, s.search.decideAt);
  if (s.parent) at = Math.min(at, silenceEnds(s, Math.max(s.parent.lastPartAt, s.parent.idleAt)));
  return at;
}

/** What a node knows, for people and statistics. */
export function viewOf(s: OverlayState): OverlayView {
  return {
    role: s.isSource ? 'source' : s.places > 0 ? 'repeater' : 'viewer',
    phase: s.phase,
    depth: depthOf(s),
    path: s.parent?.path ?? [],
    parent: s.parent?.peer ?? null,
    backups: [...s.allies.values()]
      .filter(({ kind, pending }) => kind === 'backup' && !pending)
      .map(({ peer }) => peer),
    children: [...s.children.keys()],
    standbys: [...s.standbys.keys()],
    fanOut: s.places,
    edge: edgeOf(s),
  };
}
