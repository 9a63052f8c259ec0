import type { Hash } from '../types.ts';

export type SignKind = 'proposal' | 'prevote' | 'precommit';

/** One signature this validator gave. */
export interface SignRecord {
  readonly kind: SignKind;
  readonly blockId: Hash | null;
  /** Of a proposal; -1 otherwise. */
  readonly validRound: number;
  readonly sig: Uint8Array;
}

/** All a validator must remember so that it never contradicts itself: it is on the disk before a signature leaves. */
export interface SignState {
  readonly height: number;
  readonly round: number;
  /** The signatures of that round. */
  readonly records: readonly SignRecord[];
  /** The last block it precommitted at that height. */
  readonly lock: { readonly round: number; readonly blockId: Hash } | null;
}

export interface SignRequest {
  readonly kind: SignKind;
  readonly height: number;
  readonly round: number;
  readonly validRound: number;
  readonly blockId: Hash | null;
}

export type SignDecision =
  /** Nothing stands against it. */
  | { readonly type: 'sign' }
  /** That step was signed before: the old signature goes out again, for whatever it was. */
  | { readonly type: 'resend'; readonly record: SignRecord }
  /** A step before the last one. */
  | { readonly type: 'refuse' };

const order: Readonly<Record<SignKind, number>> = { proposal: 0, prevote: 1, precommit: 2 };

export const emptySignState: SignState = { height: 0, round: 0, records: [], lock: null };

/** What may be done with a request to sign. Pure. */
export function decideSigning(state: SignState, request: SignRequest): SignDecision {
  if (request.height < state.height) return { type: 'refuse' };
  if (request.height > state.height || request.round > state.round) return { type: 'sign' };
  if (request.round < state.round) return { type: 'refuse' };
  const record = state.records.find(({ kind }) => kind === request.kind);
  if (record) return { type: 'resend', record };
  if (state.records.some(({ kind }) => order[kind] > order[request.kind])) return { type: 'refuse' };
  return { type: 'sign' };
}

/** The state once the request is signed. */
export function afterSigning(state: SignState, request: SignRequest, sig: Uint8Array): SignState {
  const { kind, height, round, validRound, blockId } = request;
  const sameHeight = height === state.height;
  const record: SignRecord = { kind, blockId, validRound, sig };
  return {
    height,
    round,
    records: sameHeight && round === state.round ? [...state.records, record] : [record],
    lock: kind === 'precommit' && blockId !== null ? { round, blockId } : sameHeight ? state.lock : null,
  };
}
