import { isRemoval, startsEpoch } from './codec.ts';
import type { AccessExtra, AccessKind } from './codec.ts';
import { inviteRefOf } from './invite-key.ts';
import type { FeedTip } from '../../history/index.ts';
import type { UserId } from '../../identity/index.ts';
import type { EpochId, Role } from '../types.ts';

/** One decoded access entry as evaluation sees it. `id` is the entry's hash in hex. */
export interface AccessEvent {
  readonly id: string;
  /** Access heads it was made under. */
  readonly links: readonly string[];
  readonly kind: AccessKind;
  readonly author: UserId;
  /** Device key of the author, hex. */
  readonly authorDevice: string;
  readonly user: UserId;
  readonly role: Role | null;
  readonly encKey: Uint8Array | null;
  /** Revoked device key, hex. */
  readonly device: string | null;
  readonly frontier: readonly FeedTip[];
  readonly time: number;
  readonly extra?: AccessExtra | null;
}

/** An invitation by link, as the counting entries give it. */
export interface AccessInvite {
  /** 32 hex characters, a hash of `key`. */
  readonly ref: string;
  readonly role: Role;
  readonly author: UserId;
  readonly key: Uint8Array;
  /** ms; null: never. */
  readonly expires: number | null;
  /** People it may let in; null: any number. */
  readonly uses: number | null;
  readonly made: number;
  /** Who came in by it, each once. */
  readonly used: readonly UserId[];
  /** Ended by an entry. */
  readonly ended: boolean;
}

/** Open to others than members: to whom, and the readers' X25519 secret. */
export interface AccessOpening {
  readonly id: string;
  readonly visibility: 'unlisted' | 'public';
  readonly secret: Uint8Array;
}

export interface AccessMember {
  readonly userId: UserId;
  readonly role: Role;
  readonly encKey: Uint8Array;
  readonly since: number;
}

/** Rights as a set of access entries gives them. */
export interface AccessState {
  readonly members: ReadonlyMap<UserId, AccessMember>;
  /** `<user> <device key hex>` of cut-off devices. */
  readonly revoked: ReadonlySet<string>;
  /** Removals that count: what they cut off is quarantined. */
  readonly removals: readonly AccessEvent[];
  readonly counting: ReadonlySet<string>;
  /** The key epochs in use, sorted: more than one after concurrent removals. */
  readonly epochs: readonly EpochId[];
  readonly invites: ReadonlyMap<string, AccessInvite>;
  /** null: private. */
  readonly opening: AccessOpening | null;
}

/** Open invitations a drive may have at one time: one more is not valid. */
export const maxOpenInvites = 32;
const roleKinds: ReadonlySet<AccessKind> = new Set<AccessKind>(['genesis', 'grant', 'lower', 'remove']);

const rank: Record<Role, number> = { owner: 4, manager: 3, editor: 2, reader: 1 };
export const roleRank = (role: Role | null | undefined): number => (role ? rank[role] : 0);

/** What an author may do to someone who has role `target`: the owner everything, managers to those below them. */
function mayChange(author: number, target: number): boolean {
  return author === rank.owner ? target < rank.owner : author === rank.manager && target < rank.manager;
}

/**
 * The access chain of one drive as a pure function of the set of its entries. An entry is *valid* when its author had the
 * right to it in the state of the entry's own causal past (so validity never changes once the past is known). Of the valid
 * ones, removals that no other counting removal cuts off count (among removals that cut off each other: higher role of
 * the author, then smaller id), then the grants no counting removal cuts off. A member's role is the last word on him:
 * among concurrent ones removal beats grant, then the higher role of the author, then the smaller id.
 */
export class AccessGraph {
  readonly #events: AccessEvent[] = [];
  readonly #indexOf = new Map<string, number>();
  /** Causal past of each event including itself, as a bit mask over indexes. */
  readonly #pasts: bigint[] = [];
  readonly #states = new Map<bigint, AccessState>();
  readonly #valid = new Map<number, boolean>();
  #all = 0n;

  /** Adds an event whose links are all known already. */
  add(event: AccessEvent): void {
    if (this.#indexOf.has(event.id)) return;
    const index = this.#events.length;
    let past = 1n << BigInt(index);
    for (const link of event.links) past |= this.#pasts[this.#indexOf.get(link) as number] as bigint;
    this.#events.push(event);
    this.#indexOf.set(event.id, index);
    this.#pasts.push(past);
    this.#all |= 1n << BigInt(index);
  }

  has(id: string): boolean {
    return this.#indexOf.has(id);
  }

  get(id: string): AccessEvent | null {
    const index = this.#indexOf.get(id);
    return index === undefined ? null : (this.#events[index] as AccessEvent);
  }

  events(): readonly AccessEvent[] {
    return this.#events;
  }

  /** True when `ancestor` is `event` or in its past. */
  includes(event: string, ancestor: string): boolean {
    return this.#contains(this.#pasts[this.#indexOf.get(event) as number] as bigint, ancestor);
  }

  /** State of everything known. */
  current(): AccessState {
    return this.#state(this.#all);
  }

  /** State under these heads; null when one of them is not known (or not readable) here. */
  at(heads: readonly string[]): AccessState | null {
    const mask = this.#mask(heads);
    return mask === null ? null : this.#state(mask);
  }

  /** State right before an event. */
  before(id: string): AccessState {
    const index = this.#indexOf.get(id) as number;
    return this.#state((this.#pasts[index] as bigint) & ~(1n << BigInt(index)));
  }

  /** True when `ancestor` is among `heads` or below them. */
  covers(heads: readonly string[], ancestor: string): boolean {
    const mask = this.#mask(heads);
    return mask !== null && this.#contains(mask, ancestor);
  }

  /** Valid: the author had the right to it when he made it. */
  isValid(id: string): boolean {
    return this.#isValid(this.#indexOf.get(id) as number);
  }

  /** Why an entry is not valid: its author had no right to it, or too many invitations were open when he made one more. */
  whyInvalid(id: string): 'forbidden' | 'too_many_invites' {
    const index = this.#indexOf.get(id) as number;
    const event = this.#events[index] as AccessEvent;
    if (event.kind !== 'invite' || this.#isValid(index)) return 'forbidden';
    return this.#mayInvite(event, this.before(id)) ? 'too_many_invites' : 'forbidden';
  }

  /** Ids of valid entries no other valid entry links to (through any others), sorted. */
  heads(): readonly string[] {
    let below = 0n;
    const valid: number[] = [];
    this.#events.forEach((_, index) => {
      if (!this.#isValid(index)) return;
      valid.push(index);
      below |= (this.#pasts[index] as bigint) & ~(1n << BigInt(index));
    });
    return valid
      .filter((index) => ((below >> BigInt(index)) & 1n) === 0n)
      .map((index) => (this.#events[index] as AccessEvent).id)
      .sort();
  }

  #contains(mask: bigint, id: string): boolean {
    const index = this.#indexOf.get(id);
    return index !== undefined && ((mask >> BigInt(index)) & 1n) === 1n;
  }

  #mask(heads: readonly string[]): bigint | null {
    let mask = 0n;
    for (const head of heads) {
      const index = this.#indexOf.get(head);
      if (index === undefined) return null;
      mask |= this.#pasts[index] as bigint;
    }
    return mask;
  }

  #isValid(index: number): boolean {
    let valid = this.#valid.get(index);
    if (valid === undefined) this.#valid.set(index, (valid = this.#judge(index)));
    return valid;
  }

  #judge(index: number): boolean {
    const event = this.#events[index] as AccessEvent;
    if (event.kind === 'genesis') return index === 0 && event.author === event.user && event.role === 'owner';
    const state = this.before(event.id);
    const author = roleRank(state.members.get(event.author)?.role);
    if (author === 0 || state.revoked.has(`${event.author} ${event.authorDevice}`)) return false;
    const target = roleRank(state.members.get(event.user)?.role);
    const self = event.user === event.author;
    switch (event.kind) {
      case 'keys':
        return true;
      case 'remove':
        return target !== rank.owner && (self || mayChange(author, target));
      case 'revoke':
        return event.device !== null && (self || mayChange(author, target));
      case 'grant':
      case 'lower': {
        const role = roleRank(event.role);
        if (role === 0 || event.encKey === null) return false;
        // Anyone may name a new encryption key for himself.
        if (event.kind === 'grant' && self && role === target) return true;
        if (!mayChange(author, role) || !mayChange(author, target)) return false;
        return event.kind === 'lower' ? role < target : role >= target;
      }
      case 'invite': {
        const open = [...state.invites.values()].filter((one) => !one.ended).length;
        return this.#mayInvite(event, state) && open < maxOpenInvites;
      }
      case 'uninvite':
      case 'lapse':
        return event.extra?.t === 'via' && author >= rank.manager && state.invites.has(event.extra.invite);
      case 'open':
        return event.extra?.t === 'open' && author >= rank.manager;
      case 'close':
        return author >= rank.manager;
    }
  }

  /** Whether he had the right to invite to that role, however many invitations were open. */
  #mayInvite(event: AccessEvent, state: AccessState): boolean {
    const author = roleRank(state.members.get(event.author)?.role);
    if (state.revoked.has(`${event.author} ${event.authorDevice}`)) return false;
    const role = roleRank(event.role);
    return event.extra?.t === 'invite' && role > 0 && mayChange(author, role);
  }

  /** Does counting removal `by` take `event` out? Not what its author had seen, nor what was made knowing of it. */
  #cuts(by: AccessEvent, event: AccessEvent): boolean {
    if (by.id === event.id || event.author !== by.user) return false;
    if (by.kind === 'revoke' && event.authorDevice !== by.device) return false;
    if (this.includes(by.id, event.id) || this.includes(event.id, by.id)) return false;
    const self = event.user === event.author && event.kind !== 'lower';
    const needs = event.kind === 'keys' || self ? rank.reader : rank.manager;
    return needs > (by.kind === 'lower' ? roleRank(by.role) : 0);
  }

  /** Rank of the author of a valid event when he made it. */
  #authorRank(event: AccessEvent): number {
    if (event.kind === 'genesis') return rank.owner;
    return roleRank(this.before(event.id).members.get(event.author)?.role);
  }

  #state(mask: bigint): AccessState {
    let state = this.#states.get(mask);
    if (state === undefined) this.#states.set(mask, (state = this.#evaluate(mask)));
    return state;
  }

  #evaluate(mask: bigint): AccessState {
    const events = this.#events.filter(
      (_, index) => ((mask >> BigInt(index)) & 1n) === 1n && this.#isValid(index),
    );
    const removals = this.#countingRemovals(events.filter((event) => isRemoval(event.kind)));
    const counted = events.filter((event) =>
      isRemoval(event.kind) ? removals.includes(event) : !removals.some((by) => this.#cuts(by, event)),
    );
    const members = new Map<UserId, AccessMember>();
    for (const [user, about] of Map.groupBy(
      counted.filter((event) => roleKinds.has(event.kind)),
      (event) => event.user,
    )) {
      const last = this.#maximal(about).sort(
        (a, b) =>
          Number(isRemoval(b.kind)) - Number(isRemoval(a.kind)) ||
          this.#authorRank(b) - this.#authorRank(a) ||
          (a.id < b.id ? -1 : 1),
      )[0] as AccessEvent;
      if (last.kind === 'remove' || last.role === null || last.encKey === null) continue;
      members.set(user, { userId: user, role: last.role, encKey: last.encKey, since: last.time });
    }
    return {
      members,
      revoked: new Set(removals.filter((e) => e.kind === 'revoke').map((e) => `${e.user} ${e.device}`)),
      removals,
      counting: new Set(counted.map((event) => event.id)),
      epochs: this.#maximal(counted.filter((event) => startsEpoch(event.kind)))
        .map((event) => event.id)
        .sort(),
      invites: invitesOf(counted),
      opening: this.#opening(counted),
    };
  }

  /** The last word on who may read beside members: closing beats opening, then the higher role, then the smaller id. */
  #opening(counted: readonly AccessEvent[]): AccessOpening | null {
    const about = counted.filter((event) => event.kind === 'open' || event.kind === 'close');
    const last = this.#maximal(about).sort(
      (a, b) =>
        Number(b.kind === 'close') - Number(a.kind === 'close') ||
        this.#authorRank(b) - this.#authorRank(a) ||
        (a.id < b.id ? -1 : 1),
    )[0];
    if (last?.extra?.t !== 'open') return null;
    return { id: last.id, visibility: last.extra.visibility, secret: last.extra.secret };
  }

  #maximal(events: readonly AccessEvent[]): AccessEvent[] {
    return events.filter(
      (event) => !events.some((other) => other !== event && this.includes(other.id, event.id)),
    );
  }

  #countingRemovals(valid: readonly AccessEvent[]): readonly AccessEvent[] {
    const counting: AccessEvent[] = [];
    let open = [...valid];
    while (open.length > 0) {
      // What no undecided removal may still cut off can be decided now; a ring of mutual cuts is opened at its strongest.
      const free = open.filter((event) => !open.some((by) => this.#cuts(by, event)));
      const decided =
        free.length > 0
          ? free
          : [
              [...open].sort(
                (a, b) => this.#authorRank(b) - this.#authorRank(a) || (a.id < b.id ? -1 : 1),
              )[0] as AccessEvent,
            ];
      for (const event of decided) {
        if (!counting.some((by) => this.#cuts(by, event))) counting.push(event);
      }
      open = open.filter((event) => !decided.includes(event));
    }
    return counting.sort((a, b) => (a.id < b.id ? -1 : 1));
  }
}

/** Invitations among counting entries. Of two with one key the smaller id says the terms; one end ends it for good. */
function invitesOf(counted: readonly AccessEvent[]): ReadonlyMap<string, AccessInvite> {
  const invites = new Map<string, AccessInvite>();
  const used = new Map<string, Set<UserId>>();
  const ended = new Set<string>();
  for (const event of counted) {
    if (event.extra?.t !== 'via') continue;
    const { invite } = event.extra;
    if (event.kind !== 'grant') ended.add(invite);
    else used.set(invite, (used.get(invite) ?? new Set()).add(event.user));
  }
  for (const event of [...counted].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    if (event.kind !== 'invite' || event.extra?.t !== 'invite' || event.role === null) continue;
    const { key, expires, uses } = event.extra;
    const ref = inviteRefOf(key);
    if (invites.has(ref)) continue;
    const { role, author, time: made } = event;
    const users = [...(used.get(ref) ?? [])].sort();
    invites.set(ref, { ref, role, author, key, expires, uses, made, used: users, ended: ended.has(ref) });
  }
  return invites;
}
