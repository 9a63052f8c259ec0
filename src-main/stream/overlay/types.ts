/*
 * The overlay of one stream as seen by one node: a reducer without I/O, clock or randomness of its own. The driver turns what
 * happens into events, hands them to `step` with the time and a source of randomness, and does what the effects say. All times
 * are ms of the driver's monotonic clock, all rates bits a second.
 *
 * Words: a *part* is about 200 ms of one *rendition*; part `seq` of every rendition covers the same time, and `seq` grows by one
 * from part to part through the whole stream (a source that restarts goes on above what it sent before). The *parent* pushes
 * parts, *children* get them; a *backup* is a parent in waiting, for which this node is a *standby*. The *branch* of a node is
 * the child of the source above it. A *repeater* is a member that may have children.
 */

/** A libp2p peer id as text. Its key must be Ed25519: messages carry the 32 bytes of it. */
export type Peer = string;

/** A place in the stream. */
export interface PartId {
  /** Index in the stream's ladder, 0 the best. */
  readonly rendition: number;
  readonly seq: number;
}

/** What is known of a part when its header has been checked. */
export interface PartFacts extends PartId {
  /** Begins a GOP: a decoder may start here. Every part of an audio-only rendition is independent. */
  readonly independent: boolean;
  readonly bytes: number;
}

/** One rung of the ladder, best first. The last one should be sound alone, so that sound outlives the picture. */
export interface Rung {
  readonly bitrate: number;
}

/** Where a member can be reached. */
export interface Contact {
  readonly peer: Peer;
  /** Multiaddrs, at most `bounds.addresses`; empty when the driver knows how to find the peer. */
  readonly addresses: readonly string[];
}

/** What a member says of itself, or others say of it. Claims are hints: who under-delivers is left. */
export interface Candidate extends Contact {
  /** Hops from the source, which is 0. */
  readonly depth: number;
  /** Children it could take now. */
  readonly free: number;
  /** Fan-out of the weakest child: a joiner with more may take that child's place and the child moves below it. */
  readonly weakest: number;
  /** What waits before the newest part to its slowest child, ms. */
  readonly queueMs: number;
  /** How long it has been in the stream, s (0 .. 3600). */
  readonly ageS: number;
  /** The child of the source above it (itself at depth 1), null for the source. */
  readonly branch: Peer | null;
  /** How old this is, ms: 0 from the member itself. Hearsay would go round for ever without it. */
  readonly heardMs: number;
}

/** Which parts of one rendition a node has: bit i of `bits` (least significant first in each byte) is part `from + i`. */
export interface Have {
  readonly rendition: number;
  readonly from: number;
  readonly bits: Uint8Array;
}

/** Why an `attach` or a `standby` is refused. */
export type Refusal =
  /** All places are taken. */
  | 'full'
  /** It would be a loop: the asking node is an ancestor. */
  | 'loop'
  /** Too deep, itself without a parent, not a repeater, leaving, or the stream has ended. */
  | 'unfit'
  | 'banned';

/**
 * What nodes say to each other, next to the parts. The link keeps order. Messages of one kind from one peer that come faster
 * than `rates` allow are a breach (`overlay/codec.ts` bounds sizes, the driver bounds rates).
 */
export type Message =
  /** Whom may I ask for a place? Answered by `candidates`. `fanOut` is what the asking node could give others. */
  | { readonly type: 'join'; readonly fanOut: number }
  | { readonly type: 'candidates'; readonly list: readonly Candidate[] }
  /** Round trip and present state; answered by `probed` with the same nonce. */
  | { readonly type: 'probe'; readonly nonce: number }
  | { readonly type: 'probed'; readonly nonce: number; readonly self: Candidate | null }
  /**
   * Become my parent. `from`: first part wanted, or null: start with the current GOP. `rescue`: my parent is lost; places kept
   * for that may be used. `renditions`: what I want pushed. `addresses`: where I can be reached, should I be worth naming.
   */
  | {
      readonly type: 'attach';
      readonly from: number | null;
      readonly renditions: readonly number[];
      readonly rescue: boolean;
      readonly fanOut: number;
      readonly addresses: readonly string[];
    }
  /**
   * You are my child; parts from `from` on will come. `path`: the source, what lies between, and me. `edge`: the newest part
   * here, -1 for none.
   */
  | {
      readonly type: 'accepted';
      readonly from: number;
      readonly path: readonly Peer[];
      readonly edge: number;
    }
  /** Not here; perhaps there. Answers `attach` and `standby`. */
  | { readonly type: 'refused'; readonly why: Refusal; readonly list: readonly Candidate[] }
  /** I am no longer your child (or standby). Parts up to `until` are still wanted; null: nothing more. */
  | { readonly type: 'detach'; readonly until: number | null }
  /** You are no longer my child. `to`: who takes you (perhaps the one now in your place). Parts up to `until` were sent. */
  | { readonly type: 'move'; readonly until: number; readonly list: readonly Candidate[] }
  /** I count on you should my parent fail. Answered by `have` at once and every second, or by `refused`. */
  | { readonly type: 'standby'; readonly fanOut: number }
  /** Push these renditions to me from the next GOP of each on. */
  | { readonly type: 'subscribe'; readonly renditions: readonly number[] }
  /**
   * From parent to children, each second and whenever `path` changes: where you are in the tree. `others`: a few members
   * elsewhere that have places.
   */
  | {
      readonly type: 'beat';
      readonly path: readonly Peer[];
      readonly edge: number;
      readonly queueMs: number;
      readonly others: readonly Candidate[];
    }
  /** From child to parent each second: what it can give, and members below it with places. */
  | {
      readonly type: 'status';
      readonly fanOut: number;
      readonly free: number;
      readonly weakest: number;
      readonly queueMs: number;
      readonly below: readonly Candidate[];
    }
  /** From a backup to its standbys each second, and between neighbours: what is here, and where it is in the tree. */
  | {
      readonly type: 'have';
      readonly path: readonly Peer[];
      readonly have: readonly Have[];
      readonly free: number;
      /** Children it could take now whose parent was lost. */
      readonly rescue: number;
    }
  /**
   * Nothing new has come to me for 300 ms, but I am here and looking for it: give me time before you leave. `source`: it is the
   * source that makes nothing, so it helps nobody to leave (unless another member has newer parts, then this is a lie).
   */
  | { readonly type: 'idle'; readonly edge: number; readonly source: boolean }
  /** Send me these parts once. */
  | { readonly type: 'pull'; readonly rendition: number; readonly seqs: readonly number[] }
  /** I don't have them (answers `pull`), or could not send them in time (`gap` from a parent): look elsewhere. */
  | { readonly type: 'missing'; readonly rendition: number; readonly seqs: readonly number[] }
  /** Your link was too slow: from `seq` on you get `rendition` instead, parts before it that did not come are skipped. */
  | { readonly type: 'lowered'; readonly rendition: number; readonly seq: number }
  /** I leave in `inMs`: hand over to your backup now. */
  | { readonly type: 'leaving'; readonly inMs: number }
  /** The stream is over; `last` is its last part. */
  | { readonly type: 'end'; readonly last: number };

/**
 * Why a node asks for a parent: it is new, its parent is lost, another place is better, its parent gave its place to somebody
 * stronger, its parent leaves.
 */
export type AttachReason = 'join' | 'repair' | 'better' | 'moved' | 'leaving';

/** What happened. */
export type OverlayEvent =
  /** A member begins: ask these for a place. Again at any time when the driver has learned of more members. */
  | { readonly type: 'join'; readonly contacts: readonly Contact[] }
  | { readonly type: 'message'; readonly from: Peer; readonly message: Message }
  /** The link to a peer was reset or could not be opened. Everything it owed is lost. */
  | { readonly type: 'lost'; readonly peer: Peer }
  /**
   * The header of a part was checked and its bytes begin to come (`from` null: the source made it). Effects `push` name who gets
   * it: forward chunk by chunk as they are checked. `drop`: it is here or on its way already.
   */
  | { readonly type: 'partBegins'; readonly from: Peer | null; readonly part: PartFacts }
  /** All of a part is here and checked. Without a `partBegins` before it, this counts as both. */
  | { readonly type: 'part'; readonly from: Peer | null; readonly part: PartFacts }
  /** A part that had begun will not be completed (its link was lost: send this before `lost`; or it was cut). */
  | { readonly type: 'partFailed'; readonly from: Peer; readonly part: PartId }
  /** A signature, a chunk hash or the protocol itself was wrong: the peer is banned and dropped. */
  | { readonly type: 'bad'; readonly peer: Peer }
  /** All bytes of a pushed part were taken by the transport (or the push was cancelled). */
  | { readonly type: 'drained'; readonly to: Peer; readonly part: PartId }
  /** A part to be pushed is not in the ring any more. */
  | { readonly type: 'unavailable'; readonly to: Peer; readonly part: PartId }
  /** What this node can do for others, whenever it changes (see `eligible`). */
  | { readonly type: 'conditions'; readonly conditions: Conditions }
  /** Which renditions this node wants for itself (viewer, recorder); `children` are served beside. */
  | { readonly type: 'watch'; readonly renditions: readonly number[] }
  /** Fetch old parts: rewinding, a recording with holes. */
  | { readonly type: 'fetch'; readonly rendition: number; readonly seqs: readonly number[] }
  /** Leave in order: children are handed over first, then `left` comes. */
  | { readonly type: 'leave' }
  /** The source ends the stream. */
  | { readonly type: 'end' }
  /** It is `wakeAt(state)` or later. */
  | { readonly type: 'wake' };

/** What a node knows about itself as a repeater. */
export interface Conditions {
  /** The user lets this computer repeat. */
  readonly willing: boolean;
  /** Others can open connections to it directly. */
  readonly reachable: boolean;
  /** On mains. */
  readonly powered: boolean;
  /** Measured, not claimed; bits a second. */
  readonly uplink: number;
  /** How long this node has been running, ms. */
  readonly uptimeMs: number;
  /** An upper limit set by the user; null: none. */
  readonly maxChildren: number | null;
  /** Where it can be reached. */
  readonly addresses: readonly string[];
}

/** What the driver is to do, in this order. */
export type Effect =
  /** Send; open a link if there is none. A failure comes back as `lost`. */
  | {
      readonly type: 'send';
      readonly to: Peer;
      readonly addresses: readonly string[];
      readonly message: Message;
    }
  /** Send the part (what of it is here, the rest as it comes) after what was pushed to that peer before. `drained` follows. */
  | { readonly type: 'push'; readonly to: Peer; readonly part: PartId }
  /** Parts pushed to that peer which have not begun need not be sent; each still gets its `drained`. */
  | { readonly type: 'cancel'; readonly to: Peer; readonly parts: readonly PartId[] }
  /** The part that begins is not wanted: read over its bytes. */
  | { readonly type: 'drop'; readonly from: Peer; readonly part: PartId }
  /** Nothing is owed either way: the link may be closed when idle. */
  | { readonly type: 'close'; readonly peer: Peer }
  /** Close at once, take nothing from it for this stream; the driver also tells the network's own books. */
  | { readonly type: 'ban'; readonly peer: Peer }
  /** The part was not to be had in time: the playlist says GAP. */
  | { readonly type: 'gap'; readonly part: PartId }
  /** The first part from a new parent. `afterMs`: since the last part of the one before; null the first time. */
  | {
      readonly type: 'attached';
      readonly parent: Peer;
      readonly depth: number;
      readonly afterMs: number | null;
      readonly reason: AttachReason;
    }
  /** All members known were asked in vain; it is tried again by itself, sooner after a `join` with new contacts. */
  | { readonly type: 'alone' }
  /** After `leave`: children are gone or had their time. */
  | { readonly type: 'left' }
  /** The stream has ended here, all that was to come has come. */
  | { readonly type: 'dissolved'; readonly last: number };

/** Fixed for the life of a node in a stream. */
export interface OverlayOptions {
  readonly self: Peer;
  readonly source: Peer;
  readonly ladder: readonly Rung[];
  /** Duration of a part, ms. */
  readonly partMs: number;
  /** The source's fan-out (`stream publish --fanout`), at most `rules.sourceFanOut` unless given. */
  readonly fanOut?: number;
  /** For negative controls of tests only. */
  readonly without?: 'backups' | 'repeaters';
}

/** For people, statistics and tests. */
export interface OverlayView {
  readonly role: 'source' | 'repeater' | 'viewer';
  readonly phase: 'joining' | 'attached' | 'repairing' | 'leaving' | 'ended';
  readonly depth: number;
  /** Ancestors from the source on; empty at the source and while without a parent. */
  readonly path: readonly Peer[];
  readonly parent: Peer | null;
  readonly backups: readonly Peer[];
  readonly children: readonly Peer[];
  readonly standbys: readonly Peer[];
  readonly fanOut: number;
  readonly edge: number;
}

/** What the protocol fixes; both sides hold to it. */
export const bounds = {
  /** Encoded message, bytes. */
  message: 8 * 1024,
  /** Candidates in one answer. */
  candidates: 6,
  /** Members named in a `beat` or `status`. */
  others: 3,
  addresses: 4,
  addressBytes: 256,
  /** Longest way from the source: a `path` has at most this many members. */
  depth: 16,
  renditions: 8,
  /** Parts named in one `pull` or `missing`. */
  seqs: 64,
  /** Bytes of one have-bitmap: 256 parts, 51 s. */
  haveBytes: 32,
  /** Milliseconds of a queue or notice that can be said. */
  ms: 60_000,
  fanOut: 32,
} as const;

/** Figures of the algorithm, all from the design; ms unless named otherwise. */
export const rules = {
  sourceFanOut: 8,
  repeaterFanOut: 16,
  /** A repeater takes more than that as far as this share of its uplink goes: then a part is with the last child soon, too. */
  wideShare: 0.25,
  /** Children in all, those rescued included. */
  hardFanOut: 32,
  /** Share of the uplink given away to children who come in order; the rest is for rescues, pulls and control. */
  uplinkShare: 0.75,
  /** A repeater's uplink, in bit rates of the best rung. */
  repeaterUplink: 2,
  repeaterUptimeMs: 30_000,
  backups: 2,
  neighbours: 3,
  beatMs: 1_000,
  /** Nothing from the parent for so long: it is lost. */
  silenceMs: 600,
  /** The same for one whose parts came at short intervals before. */
  leastSilenceMs: 400,
  /** A parent that says `idle` gets so long in all. */
  idleGraceMs: 1_200,
  /** A parent that has found a parent itself gets so long from then on. */
  movedGraceMs: 600,
  /** When a node tells its children that nothing comes. */
  idleAfterMs: 300,
  /** What may wait for one child, media time. */
  queueMs: 600,
  /** From here on the next GOP goes out in a lower rendition. */
  queueWarnMs: 400,
  reoptimiseMs: 10_000,
  /** A new parent must cost at most this share of the present one. */
  betterBy: 0.8,
  handoverMs: 2_000,
} as const;
