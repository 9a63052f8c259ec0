import { AppError } from '../../../src-shared/errors.ts';
import { decodeStrict, deviceIdOf, deviceKeyOf, encodeStrict, malformed } from '../../identity/index.ts';
import type { Candidate, Have, Message, Peer, Refusal } from './types.ts';
import { bounds } from './types.ts';

/*
 * Messages are strict dag-cbor lists that start with their name; peers are the 32 bytes of their keys. Nothing is accepted that
 * would not come out of the encoder again, byte by byte.
 */

const what = 'stream message';
const maxSeq = 2 ** 40;
const refusals: readonly Refusal[] = ['full', 'loop', 'unfit', 'banned'];

/**
 * Encodes one message; the reducer makes none that `decodeMessage` would refuse.
 * @throws AppError `malformed` if it is too long, `invalid_argument` for a peer whose key is not Ed25519
 */
export function encodeMessage(message: Message): Uint8Array {
  const bytes = encodeStrict(fieldsOf(message));
  if (bytes.length > bounds.message) throw malformed(what, 'it is too long');
  return bytes;
}

function fieldsOf(m: Message): unknown[] {
  switch (m.type) {
    case 'join':
    case 'standby':
      return [m.type, m.fanOut];
    case 'candidates':
      return [m.type, m.list.map(candidateFields)];
    case 'probe':
      return [m.type, m.nonce];
    case 'probed':
      return [m.type, m.nonce, m.self && candidateFields(m.self)];
    case 'attach':
      return [m.type, m.from, m.renditions, m.rescue, m.fanOut, m.addresses];
    case 'accepted':
      return [m.type, m.from, m.path.map(deviceKeyOf), m.edge];
    case 'refused':
      return [m.type, m.why, m.list.map(candidateFields)];
    case 'detach':
      return [m.type, m.until];
    case 'move':
      return [m.type, m.until, m.list.map(candidateFields)];
    case 'subscribe':
      return [m.type, m.renditions];
    case 'beat':
      return [m.type, m.path.map(deviceKeyOf), m.edge, m.queueMs, m.others.map(candidateFields)];
    case 'status':
      return [m.type, m.fanOut, m.free, m.weakest, m.queueMs, m.below.map(candidateFields)];
    case 'have':
      return [
        m.type,
        m.path.map(deviceKeyOf),
        m.have.map(({ rendition, from, bits }) => [rendition, from, bits]),
        m.free,
        m.rescue,
      ];
    case 'idle':
      return [m.type, m.edge, m.source];
    case 'pull':
    case 'missing':
      return [m.type, m.rendition, m.seqs];
    case 'lowered':
      return [m.type, m.rendition, m.seq];
    case 'leaving':
      return [m.type, m.inMs];
    case 'end':
      return [m.type, m.last];
  }
}

const candidateFields = (one: Candidate): unknown[] => [
  deviceKeyOf(one.peer),
  one.addresses,
  one.depth,
  one.free,
  one.weakest,
  one.queueMs,
  one.ageS,
  one.branch === null ? null : deviceKeyOf(one.branch),
  one.heardMs,
];

/**
 * Decodes one message.
 * @throws AppError `too_large`, `malformed` for anything that is not exactly one of them, within `bounds`
 */
export function decodeMessage(bytes: Uint8Array): Message {
  const [kind, ...fields] = list(decodeStrict(bytes, bounds.message, what), 7);
  const read =
    typeof kind === 'string' && Object.hasOwn(readers, kind) ? readers[kind as Message['type']] : null;
  if (!read) throw malformed(what, 'its kind is unknown');
  const [count, reader] = read;
  if (fields.length !== count) throw malformed(what, 'it has not the fields of its kind');
  return reader(fields);
}

/** For each kind: how many fields follow its name, and how they are read. */
const readers: { readonly [T in Message['type']]: readonly [number, (f: readonly unknown[]) => Message] } = {
  join: [1, ([fanOut]) => ({ type: 'join', fanOut: integer(fanOut, bounds.fanOut) })],
  candidates: [1, ([all]) => ({ type: 'candidates', list: candidates(all, bounds.candidates) })],
  probe: [1, ([nonce]) => ({ type: 'probe', nonce: integer(nonce, 2 ** 31) })],
  probed: [
    2,
    ([nonce, self]) => ({
      type: 'probed',
      nonce: integer(nonce, 2 ** 31),
      self: self === null ? null : candidate(self),
    }),
  ],
  attach: [
    5,
    ([from, wanted, rescue, fanOut, addresses]) => ({
      type: 'attach',
      from: from === null ? null : integer(from, maxSeq),
      renditions: renditions(wanted),
      rescue: flag(rescue),
      fanOut: integer(fanOut, bounds.fanOut),
      addresses: list(addresses, bounds.addresses).map(address),
    }),
  ],
  accepted: [
    3,
    ([from, way, edge]) => ({
      type: 'accepted',
      from: integer(from, maxSeq),
      path: path(way),
      edge: integer(edge, maxSeq, -1),
    }),
  ],
  refused: [
    2,
    ([why, all]) => {
      const known = refusals.find((one) => one === why);
      if (!known) throw malformed(what, 'a refusal has no reason');
      return { type: 'refused', why: known, list: candidates(all, bounds.candidates) };
    },
  ],
  detach: [1, ([until]) => ({ type: 'detach', until: until === null ? null : integer(until, maxSeq, -1) })],
  move: [
    2,
    ([until, all]) => ({
      type: 'move',
      until: integer(until, maxSeq, -1),
      list: candidates(all, bounds.candidates),
    }),
  ],
  standby: [1, ([fanOut]) => ({ type: 'standby', fanOut: integer(fanOut, bounds.fanOut) })],
  subscribe: [1, ([wanted]) => ({ type: 'subscribe', renditions: renditions(wanted) })],
  beat: [
    4,
    ([way, edge, queueMs, others]) => ({
      type: 'beat',
      path: path(way),
      edge: integer(edge, maxSeq, -1),
      queueMs: integer(queueMs, bounds.ms),
      others: candidates(others, bounds.others),
    }),
  ],
  status: [
    5,
    ([fanOut, free, weakest, queueMs, below]) => ({
      type: 'status',
      fanOut: integer(fanOut, bounds.fanOut),
      free: integer(free, bounds.fanOut),
      weakest: integer(weakest, bounds.fanOut),
      queueMs: integer(queueMs, bounds.ms),
      below: candidates(below, bounds.others),
    }),
  ],
  have: [
    4,
    ([way, all, free, rescue]) => ({
      type: 'have',
      path: path(way),
      have: list(all, bounds.renditions).map(have),
      free: integer(free, bounds.fanOut),
      rescue: integer(rescue, bounds.fanOut),
    }),
  ],
  idle: [2, ([edge, source]) => ({ type: 'idle', edge: integer(edge, maxSeq, -1), source: flag(source) })],
  pull: [2, ([one, seqs]) => ({ type: 'pull', rendition: rendition(one), seqs: parts(seqs) })],
  missing: [2, ([one, seqs]) => ({ type: 'missing', rendition: rendition(one), seqs: parts(seqs) })],
  lowered: [2, ([one, seq]) => ({ type: 'lowered', rendition: rendition(one), seq: integer(seq, maxSeq) })],
  leaving: [1, ([inMs]) => ({ type: 'leaving', inMs: integer(inMs, bounds.ms) })],
  end: [1, ([last]) => ({ type: 'end', last: integer(last, maxSeq, -1) })],
};

function candidates(value: unknown, max: number): Candidate[] {
  const all = list(value, max).map(candidate);
  if (new Set(all.map(({ peer: one }) => one)).size !== all.length)
    throw malformed(what, 'a member is named twice');
  return all;
}

function candidate(value: unknown): Candidate {
  const fields = list(value, 9);
  if (fields.length !== 9) throw malformed(what, 'a member is not described in full');
  return {
    peer: peer(fields[0]),
    addresses: list(fields[1], bounds.addresses).map(address),
    depth: integer(fields[2], bounds.depth),
    free: integer(fields[3], bounds.fanOut),
    weakest: integer(fields[4], bounds.fanOut),
    queueMs: integer(fields[5], bounds.ms),
    ageS: integer(fields[6], 3_600),
    branch: fields[7] === null ? null : peer(fields[7]),
    heardMs: integer(fields[8], bounds.ms),
  };
}

/** From the source to the sender, nobody twice. */
function path(value: unknown): Peer[] {
  const all = list(value, bounds.depth).map(peer);
  if (all.length === 0 || new Set(all).size !== all.length)
    throw malformed(what, 'a way from the source is wrong');
  return all;
}

function have(value: unknown): Have {
  const [one, from, bits, ...more] = list(value, 3);
  if (!(bits instanceof Uint8Array) || bits.length > bounds.haveBytes || more.length > 0) {
    throw malformed(what, 'a bitmap is wrong');
  }
  return { rendition: rendition(one), from: integer(from, maxSeq), bits };
}

const rendition = (value: unknown): number => integer(value, bounds.renditions - 1);

/** Rising, so nobody is asked for one thing twice. */
function renditions(value: unknown): number[] {
  return rising(list(value, bounds.renditions).map(rendition));
}

function parts(value: unknown): number[] {
  return rising(list(value, bounds.seqs).map((seq) => integer(seq, maxSeq)));
}

function rising(all: number[]): number[] {
  if (all.length === 0 || all.some((one, i) => i > 0 && one <= all[i - 1]!)) {
    throw malformed(what, 'a list is empty or not in order');
  }
  return all;
}

function list(value: unknown, max: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > max) throw malformed(what, 'a list is missing or too long');
  return value as readonly unknown[];
}

function integer(value: unknown, max: number, min = 0): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
    throw malformed(what, 'a number is out of range');
  }
  return value;
}

function flag(value: unknown): boolean {
  if (typeof value !== 'boolean') throw malformed(what, 'a yes or no is missing');
  return value;
}

function address(value: unknown): string {
  if (typeof value !== 'string' || value.length === 0 || Buffer.byteLength(value) > bounds.addressBytes) {
    throw malformed(what, 'an address is wrong');
  }
  return value;
}

function peer(value: unknown): Peer {
  if (!(value instanceof Uint8Array) || value.length !== 32) throw malformed(what, 'a peer is wrong');
  try {
    return deviceIdOf(value);
  } catch (cause) {
    throw cause instanceof AppError ? malformed(what, 'a peer is wrong', cause) : cause;
  }
}
