import { decodeStrict, encodeStrict, fieldsOf, malformed } from '../identity/index.ts';
import type { UserId } from '../identity/index.ts';
import { encodeProgramme, readGenesis, readProgramme } from './codec/records.ts';
import type { Genesis, Run } from './codec/records.ts';
import type { Rendition, TargetLatency } from './types.ts';

/** Numbers that were set aside: what has been sent lies below both. */
export interface StreamPosition {
  readonly seq: number;
  readonly segment: number;
}

/** What an own stream needs to go on after its node was started anew. It holds the stream's secrets. */
export interface OwnState {
  readonly secret: Uint8Array;
  readonly genesis: Genesis;
  readonly title: string;
  readonly poster: Uint8Array | null;
  readonly renditions: readonly Rendition[];
  readonly dvrSeconds: number;
  readonly targetLatency: TargetLatency;
  readonly partMs: number;
  readonly fanOut: number | null;
  readonly outlives: boolean;
  readonly linkKey: Uint8Array | null;
  readonly audienceKey: Uint8Array | null;
  readonly users: readonly UserId[];
  /** Audiences so far, and the newest one's record. */
  readonly audiences: number;
  readonly audience: Uint8Array | null;
  /** Records of the newest epochs, oldest first. */
  readonly keys: readonly Uint8Array[];
  /** Of the newest description. */
  readonly number: number;
  readonly epoch: number;
  readonly runs: readonly Run[];
}

const what = 'kept stream';
const maxBytes = 1024 * 1024;

export function encodeOwnState(one: OwnState): Uint8Array {
  return encodeStrict({
    v: 1,
    secret: one.secret,
    genesis: one.genesis.bytes,
    programme: encodeProgramme(one),
    dvrSeconds: one.dvrSeconds,
    targetLatency: one.targetLatency,
    partMs: one.partMs,
    fanOut: one.fanOut,
    outlives: one.outlives ? 1 : 0,
    linkKey: one.linkKey,
    audienceKey: one.audienceKey,
    users: [...one.users],
    audiences: one.audiences,
    audience: one.audience,
    keys: [...one.keys],
    number: one.number,
    epoch: one.epoch,
  });
}

/** @throws AppError `malformed`, `too_large`, `bad_signature` */
export function readOwnState(bytes: Uint8Array): OwnState {
  const value = decodeStrict(bytes, maxBytes, what);
  const names = ['v', 'secret', 'genesis', 'programme', 'dvrSeconds', 'targetLatency', 'partMs', 'fanOut'];
  names.push(
    'outlives',
    'linkKey',
    'audienceKey',
    'users',
    'audiences',
    'audience',
    'keys',
    'number',
    'epoch',
  );
  const fields = fieldsOf(value, names, what);
  const record = value as Record<string, unknown>;
  fields.integer('v', 1, 1);
  const optional = (name: string): Uint8Array | null => (record[name] === null ? null : fields.bytes(name));
  const bytesOf = (one: unknown): Uint8Array => {
    if (one instanceof Uint8Array) return one;
    throw malformed(what, 'a key is not one');
  };
  const { title, poster, renditions, runs } = readProgramme(fields.bytes('programme'));
  return {
    secret: fields.bytes('secret', 32),
    genesis: readGenesis(fields.bytes('genesis')),
    title,
    poster,
    renditions,
    runs,
    dvrSeconds: fields.integer('dvrSeconds', 10, 3600),
    targetLatency: fields.text('targetLatency') === 'interactive' ? 'interactive' : 'default',
    partMs: fields.integer('partMs', 20, 2000),
    fanOut: record['fanOut'] === null ? null : fields.integer('fanOut', 1, 32),
    outlives: fields.integer('outlives', 0, 1) === 1,
    linkKey: optional('linkKey'),
    audienceKey: optional('audienceKey'),
    users: fields.list('users', 1000).map(String),
    audiences: fields.integer('audiences'),
    audience: optional('audience'),
    keys: fields.list('keys', 64).map(bytesOf),
    number: fields.integer('number'),
    epoch: fields.integer('epoch'),
  };
}
