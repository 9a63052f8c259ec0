import type { Pressure } from './back-pressure.ts';
import type {
  AttachReason,
  Candidate,
  Conditions,
  Effect,
  Have,
  Message,
  OverlayOptions,
  PartId,
  Peer,
} from './types.ts';
import { bounds } from './types.ts';
import type { PartWindow } from './window.ts';

/** A member this node knows of. */
export interface Known {
  candidate: Candidate;
  heardAt: number;
  /** When it said so itself last. */
  saidAt: number;
  /** Shortest round trip seen, ms. */
  rtt: number | null;
  /** Under-delivered or refused: not asked again before. */
  avoidUntil: number;
}

/** One rendition on its way to one child: it waits for the next GOP, runs, or runs until another one has begun. */
export interface Lane {
  readonly rendition: number;
  state: 'waiting' | 'on' | 'ending';
}

export interface Child {
  readonly peer: Peer;
  readonly addresses: readonly string[];
  fanOut: number;
  wanted: readonly number[];
  lanes: Lane[];
  /** Nothing before this part. */
  readonly from: number;
  /** It leaves: nothing after this part. */
  until: number | null;
  readonly since: number;
  heardAt: number;
  /** Pushed and not drained yet, oldest first. */
  queue: { readonly rendition: number; readonly seq: number; readonly live: boolean }[];
  pressure: Pressure;
  /** It was asked to look for another place. */
  askedToLeaveAt: number;
  /** As it said last, less those sent there since. */
  free: number;
  weakest: number;
  queueMs: number;
  /** When it said so. */
  statusAt: number;
  below: readonly Candidate[];
}

export interface ParentLink {
  readonly peer: Peer;
  /** From the source on, the parent last. */
  path: readonly Peer[];
  readonly since: number;
  rtt: number | null;
  queueMs: number;
  /** The last part it pushed; at first when it accepted. */
  lastPartAt: number;
  /** Longest time between two parts of it, of late, ms. */
  slowestMs: number;
  idleAt: number;
  /** When it said last that its own way to the source has changed. */
  movedAt: number;
  idleSource: boolean;
  readonly reason: AttachReason;
  /** No part has come from it yet. */
  first: boolean;
  /** Times a backup was found clearly ahead, in a row. */
  behind: number;
  /** When it last left parts out. */
  strikes: number[];
}

/** A backup or neighbour, and what it said it has. */
export interface Ally {
  readonly peer: Peer;
  kind: 'backup' | 'neighbour';
  /** Asked to be a backup, no answer yet. */
  pending: boolean;
  readonly since: number;
  path: readonly Peer[] | null;
  have: readonly Have[];
  free: number;
  rescue: number;
  heardAt: number;
}

export interface Attaching {
  readonly peer: Peer;
  readonly reason: AttachReason;
  readonly sentAt: number;
  readonly deadline: number;
  readonly from: number | null;
}

/** The search for a first parent, or for one after all backups failed. */
export interface Search {
  readonly since: number;
  /** Probing until then, or until all have answered. */
  decideAt: number;
  /** Asked in this round, so as not to run in circles. */
  tried: Set<Peer>;
  /** Could not be reached. */
  readonly dead: Set<Peer>;
  /** Asked for candidates since all was begun anew. */
  readonly asked: Set<Peer>;
  round: number;
  toldAlone: boolean;
}

export interface Gap {
  readonly rendition: number;
  readonly seq: number;
  readonly since: number;
  /** Not before; moves on with each try. */
  tryAt: number;
  asked: Peer | null;
  tried: Peer[];
  /** Waits twice as long each time: who was asked may only be slow. */
  tries: number;
  /** Asked for by the driver: nobody waits at the playhead. */
  readonly fetch: boolean;
}

/** Everything one node knows of one stream. It belongs to the reducer: `step` changes it in place. */
export interface OverlayState {
  readonly options: OverlayOptions;
  readonly isSource: boolean;
  startedAt: number;
  phase: 'joining' | 'attached' | 'repairing' | 'leaving' | 'ended';
  conditions: Conditions | null;
  places: number;
  rescue: number;

  readonly windows: Map<number, PartWindow>;
  watched: readonly number[];
  /** What the parent was last asked to push. */
  subscribed: readonly number[];
  /** The parent sends no better rendition than this, from this part on. */
  lowered: { readonly rendition: number; readonly seq: number } | null;
  arriving: { readonly rendition: number; readonly seq: number; readonly from: Peer; readonly at: number }[];
  readonly gaps: Map<number, Gap>;
  gapAt: number;

  parent: ParentLink | null;
  /** The parent before, as long as it still owes parts. */
  previous: { readonly peer: Peer; readonly until: number; readonly at: number } | null;
  /** When the last part came from the parent that was lost. */
  lostAt: number | null;
  attaching: Attaching | null;
  /** Asked, and slow to answer: somebody else was asked as well, and whoever accepts first is taken. */
  readonly late: Map<Peer, Attaching>;
  search: Search | null;
  /** Attach requests that came while this node was being accepted itself. */
  waiting: {
    readonly from: Peer;
    readonly message: Message & { readonly type: 'attach' };
    readonly at: number;
  }[];

  readonly children: Map<Peer, Child>;
  readonly standbys: Map<Peer, { heardAt: number; fanOut: number }>;
  readonly allies: Map<Peer, Ally>;
  /** Pulled parts on their way to peers that are no children. */
  readonly served: Map<Peer, number>;
  /** What may go out of old parts to those who ask for them, bits, at a time. */
  readonly oldBudget: { bits: number; at: number };
  readonly known: Map<Peer, Known>;
  readonly contacts: Map<Peer, readonly string[]>;
  readonly probes: Map<number, { readonly peer: Peer; readonly at: number }>;
  readonly banned: Set<Peer>;

  /** When the newest part was made here (at the source), or began to come. */
  newAt: number;
  beatAt: number;
  idleSentAt: number;
  reoptimiseAt: number;
  /** Probes sent for a better place are compared then. */
  compareAt: number;
  shedAt: number;
  /** When parents were left for under-delivering: not again and again, it may be the own downlink. */
  demotedAt: number[];
  statusAt: number;
  askedAt: number;
  nonce: number;
  leaveAt: number;
  endAt: number;
  last: number;
}

/** One step at work. */
export interface Ctx {
  readonly s: OverlayState;
  readonly now: number;
  readonly random: () => number;
  readonly out: Effect[];
}

export const limits = {
  known: 48,
  contacts: 16,
  banned: 1_024,
  gaps: 256,
  /** Gaps of what was asked for by hand. */
  fetches: 1_024,
  waiting: 16,
  probes: 24,
  allies: 12,
  arriving: 64,
} as const;

/** Never: further than any time. */
export const never = Number.POSITIVE_INFINITY;

export function send(ctx: Ctx, to: Peer, message: Message): void {
  ctx.out.push({ type: 'send', to, addresses: addressesOf(ctx.s, to), message });
}

/** A link that is certainly open needs no addresses. */
function addressesOf(s: OverlayState, peer: Peer): readonly string[] {
  if (s.parent?.peer === peer || s.children.has(peer)) return [];
  return s.known.get(peer)?.candidate.addresses ?? s.contacts.get(peer) ?? [];
}

/** The way from the source to this node, itself last: what its children and standbys are told. */
export const pathHere = (s: OverlayState): readonly Peer[] =>
  s.parent ? [...s.parent.path, s.options.self] : [s.options.self];

/** Hops from the source. */
export const depthOf = (s: OverlayState): number => s.parent?.path.length ?? 0;

/** The child of the source above this node, or itself. */
export const branchOf = (s: OverlayState): Peer | null =>
  s.isSource || !s.parent ? null : (s.parent.path[1] ?? s.options.self);

/** Has this node a feed to pass on? */
export const isFed = (s: OverlayState): boolean => s.isSource || s.parent !== null;

/** The newest part of any rendition that began to come, -1 for none. */
export function edgeOf(s: OverlayState): number {
  let edge = -1;
  for (const window of s.windows.values()) if (window.edge > edge) edge = window.edge;
  return edge;
}

/** Children that stay. */
export function staying(s: OverlayState): number {
  let count = 0;
  for (const child of s.children.values()) if (child.until === null) count++;
  return count;
}

export const freePlaces = (s: OverlayState): number =>
  isFed(s) && s.phase !== 'leaving' && s.phase !== 'ended' && depthOf(s) < 15
    ? Math.max(0, Math.min(s.places - staying(s), 32))
    : 0;

/** Children it could take beyond that whose parent was lost. */
export const rescuePlaces = (s: OverlayState): number =>
  s.places > 0 && isFed(s) && s.phase !== 'leaving' && s.phase !== 'ended'
    ? Math.max(0, Math.min(s.rescue - staying(s), bounds.fanOut))
    : 0;

/** Fan-out of the weakest child; more than anybody has while there is none to displace. */
export function weakestChild(s: OverlayState): Child | null {
  let weakest: Child | null = null;
  for (const child of s.children.values()) {
    if (child.until === null && (!weakest || child.fanOut < weakest.fanOut)) weakest = child;
  }
  return weakest;
}

/** Media waiting for the slowest child, ms. */
export function worstQueue(s: OverlayState): number {
  let worst = 0;
  for (const child of s.children.values()) worst = Math.max(worst, queuedMs(child, s.options.partMs));
  return worst;
}

/** Live media that waits for one child, ms. */
export function queuedMs(child: Child, partMs: number): number {
  let live = 0;
  for (const part of child.queue) if (part.live) live++;
  return (live * partMs) / Math.max(1, child.lanes.length);
}

export function selfCandidate(ctx: Ctx): Candidate | null {
  const { s, now } = ctx;
  if (!isFed(s) || s.places === 0 || s.phase === 'leaving' || s.phase === 'ended') return null;
  const free = freePlaces(s);
  const weakest = free > 0 ? null : weakestChild(s);
  return {
    peer: s.options.self,
    addresses: s.conditions?.addresses ?? [],
    depth: depthOf(s),
    free,
    weakest: weakest?.fanOut ?? bounds.fanOut,
    queueMs: Math.min(bounds.ms, Math.round(worstQueue(s))),
    ageS: Math.min(3600, Math.floor((now - s.startedAt) / 1000)),
    branch: branchOf(s),
    heardMs: 0,
  };
}

export const sameParts = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((one, i) => one === b[i]);

export const keyOf = ({ rendition, seq }: PartId): number => seq * 8 + rendition;
