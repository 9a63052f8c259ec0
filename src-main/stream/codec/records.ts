import { createHash } from 'node:crypto';
import { AppError } from '../../../src-shared/errors.ts';
import {
  decodeDeviceCertificate,
  decodeStrict,
  deviceIdOf,
  encodeDeviceCertificate,
  encodeStrict,
  fieldsOf,
  isSigningKey,
  malformed,
  verifyDeviceCertificate,
  verifySignature,
} from '../../identity/index.ts';
import type { DeviceCertificate, DeviceId, Signer, UserId } from '../../identity/index.ts';
import { limits } from '../types.ts';
import type { AudienceKind, Rendition, RenditionKind, StreamId, TargetLatency } from '../types.ts';
import { posterTypeOf } from './poster.ts';

/** Which stream this is, for good: its hash is the id. It ties the stream's key to a device, and the device to a user. */
export interface Genesis {
  readonly streamId: StreamId;
  readonly audience: AudienceKind;
  /** Ed25519 key that signs everything else of this stream. */
  readonly streamKey: Uint8Array;
  readonly device: DeviceId;
  readonly user: UserId;
  /** ms since the epoch. */
  readonly startedAt: number;
  readonly bytes: Uint8Array;
}

/** How one run of an encoder begins. */
export interface Run {
  readonly run: number;
  /** `seq` of its first part. */
  readonly first: number;
  /** Init segments by rendition; empty for data. */
  readonly inits: readonly Uint8Array[];
}

/** What only the audience reads. */
export interface Programme {
  readonly title: string;
  /** JPEG or WebP. */
  readonly poster: Uint8Array | null;
  readonly renditions: readonly Rendition[];
  /** The newest ones, oldest first. */
  readonly runs: readonly Run[];
}

export type DescribedState = 'live' | 'away' | 'ended';

/** What a stream is at present. The highest number counts. */
export interface Description {
  readonly streamId: StreamId;
  readonly number: number;
  /** `away`: its encoder or its computer has gone, and may come back. */
  readonly state: DescribedState;
  /** Last part of an ended stream. */
  readonly last: number;
  readonly partMs: number;
  readonly targetLatency: TargetLatency;
  readonly dvrSeconds: number;
  /** Kind and bits a second of each rendition: what those need who pass it on without reading it. */
  readonly ladder: readonly { readonly kind: RenditionKind; readonly bandwidth: number }[];
  /** The encoded programme, sealed under the audience key unless the stream is public. */
  readonly programme: Uint8Array;
  readonly bytes: Uint8Array;
}

/** One key of an encrypted stream. */
export interface KeyRecord {
  readonly streamId: StreamId;
  /** Counts from 1. */
  readonly epoch: number;
  /** The epoch's key sealed under the audience key. */
  readonly sealed: Uint8Array;
  readonly bytes: Uint8Array;
}

/** The audience key of a private stream, boxed for everybody it is for. */
export interface AudienceRecord {
  readonly streamId: StreamId;
  readonly number: number;
  readonly boxes: readonly Uint8Array[];
  readonly bytes: Uint8Array;
}

/** What the directory and the gossip pass on of a public stream. */
export interface StreamAnnouncement {
  readonly genesis: Genesis;
  /** ms since the epoch. */
  readonly time: number;
  readonly state: 'live' | 'ended';
  readonly title: string;
  /** SHA-256 of the picture, which is asked for. */
  readonly poster: Uint8Array | null;
  readonly renditions: readonly Rendition[];
  readonly targetLatency: TargetLatency;
  readonly dvrSeconds: number;
  readonly viewers: number;
  /** Multiaddrs of the source. */
  readonly addresses: readonly string[];
  readonly bytes: Uint8Array;
}

export const maxGenesisBytes = 2048;
export const maxDescriptionBytes = 512 * 1024;
export const maxKeyBytes = 512;
export const maxAudienceBytes = 128 * 1024;
export const maxAnnouncementBytes = 6 * 1024;
const mostAddresses = 4;
const mostAddressLength = 256;
const mostRuns = 4;
const maxBox = 256;

const contexts = {
  genesis: 'extrachain stream v1\0',
  description: 'extrachain stream description v1\0',
  key: 'extrachain stream key v1\0',
  audience: 'extrachain stream audience v1\0',
  announcement: 'extrachain stream announcement v1\0',
} as const;
type What = keyof typeof contexts;

function sign(signer: Signer, what: What, body: unknown): Uint8Array {
  const bytes = encodeStrict(body);
  return encodeStrict([bytes, signer.sign(Buffer.concat([Buffer.from(contexts[what]), bytes]))]);
}

/** The body and its signature. */
function split(bytes: Uint8Array, most: number, what: What): { body: Uint8Array; sig: Uint8Array } {
  const value = decodeStrict(bytes, most, `stream ${what}`);
  if (!Array.isArray(value) || value.length !== 2) throw malformed(`stream ${what}`, 'not a signed record');
  const [body, sig] = value as unknown[];
  if (!(body instanceof Uint8Array) || !(sig instanceof Uint8Array) || sig.length !== 64)
    throw malformed(`stream ${what}`, 'not a signed record');
  return { body, sig };
}

function checkedSplit(bytes: Uint8Array, most: number, what: What, key: Uint8Array): Uint8Array {
  const { body, sig } = split(bytes, most, what);
  if (!verifySignature(key, Buffer.concat([Buffer.from(contexts[what]), body]), sig))
    throw new AppError('bad_signature', `The ${what} of a stream was not signed by its source.`);
  return body;
}

/** @param device signs for the computer that streams */
export function makeGenesis(
  device: Signer,
  certificate: DeviceCertificate,
  what: { readonly audience: AudienceKind; readonly streamKey: Uint8Array; readonly startedAt: number },
): Genesis {
  return readGenesis(
    sign(device, 'genesis', {
      v: 1,
      audience: what.audience,
      streamKey: what.streamKey,
      device: device.publicKey,
      certificate: encodeDeviceCertificate(certificate),
      startedAt: what.startedAt,
    }),
  );
}

/** @throws AppError `malformed`, `too_large`, `bad_signature` */
export function readGenesis(bytes: Uint8Array): Genesis {
  const what = 'stream genesis';
  const { body, sig } = split(bytes, maxGenesisBytes, 'genesis');
  const fields = fieldsOf(
    decodeStrict(body, maxGenesisBytes, what),
    ['v', 'audience', 'streamKey', 'device', 'certificate', 'startedAt'],
    what,
  );
  fields.integer('v', 1, 1);
  const device = fields.bytes('device', 32);
  const streamKey = fields.bytes('streamKey', 32);
  if (!isSigningKey(device) || !isSigningKey(streamKey)) throw malformed(what, 'a key is not valid');
  const certificate = decodeDeviceCertificate(fields.bytes('certificate'));
  if (!verifyDeviceCertificate(certificate) || Buffer.compare(certificate.deviceKey, device) !== 0)
    throw new AppError('bad_signature', 'The source of a stream does not speak for the user it names.');
  if (!verifySignature(device, Buffer.concat([Buffer.from(contexts.genesis), body]), sig))
    throw new AppError('bad_signature', 'A stream was not begun by the computer it names.');
  const audience = fields.text('audience');
  if (audience !== 'public' && audience !== 'unlisted' && audience !== 'private')
    throw malformed(what, 'its audience is unknown');
  return {
    streamId: createHash('sha256').update(bytes).digest('hex'),
    audience,
    streamKey,
    device: deviceIdOf(device),
    user: certificate.user,
    startedAt: fields.integer('startedAt'),
    bytes: new Uint8Array(bytes),
  };
}

export function encodeProgramme({ title, poster, renditions, runs }: Programme): Uint8Array {
  return encodeStrict({
    title,
    poster: poster ?? new Uint8Array(),
    renditions: renditions.map(renditionValue),
    runs: runs.slice(-mostRuns).map(({ run, first, inits }) => ({ run, first, inits: [...inits] })),
  });
}

/** @throws AppError `malformed`, `too_large` */
export function readProgramme(bytes: Uint8Array): Programme {
  const what = 'stream programme';
  const fields = fieldsOf(
    decodeStrict(bytes, maxDescriptionBytes, what),
    ['title', 'poster', 'renditions', 'runs'],
    what,
  );
  const poster = orNull(fields.bytes('poster'));
  if (poster && (poster.length > limits.posterBytes || posterTypeOf(poster) === null))
    throw malformed(what, 'its picture is none that is shown');
  const renditions = fields.list('renditions', limits.renditions).map(readRendition);
  return {
    title: titleOf(fields.text('title'), what),
    poster,
    renditions,
    runs: fields.list('runs', mostRuns).map((value) => {
      const one = fieldsOf(value, ['run', 'first', 'inits'], what);
      const inits = one.list('inits', limits.renditions).map((init) => {
        if (!(init instanceof Uint8Array) || init.length > limits.initBytes)
          throw malformed(what, 'an init segment is too large');
        return init;
      });
      if (inits.length !== renditions.length) throw malformed(what, 'an init segment is missing');
      return { run: one.integer('run', 0, 0xffffffff), first: one.integer('first'), inits };
    }),
  };
}

export function makeDescription(signer: Signer, one: Omit<Description, 'bytes'>): Description {
  const bytes = sign(signer, 'description', {
    v: 1,
    stream: Buffer.from(one.streamId, 'hex'),
    number: one.number,
    state: one.state,
    last: one.last,
    partMs: one.partMs,
    targetLatency: one.targetLatency,
    dvrSeconds: one.dvrSeconds,
    ladder: one.ladder.map(({ kind, bandwidth }) => [kind, bandwidth]),
    programme: one.programme,
  });
  return { ...one, bytes };
}

/** @throws AppError `malformed`, `too_large`, `bad_signature` */
export function readDescription(bytes: Uint8Array, genesis: Genesis): Description {
  const what = 'stream description';
  const body = checkedSplit(bytes, maxDescriptionBytes, 'description', genesis.streamKey);
  const fields = fieldsOf(
    decodeStrict(body, maxDescriptionBytes, what),
    [
      'v',
      'stream',
      'number',
      'state',
      'last',
      'partMs',
      'targetLatency',
      'dvrSeconds',
      'ladder',
      'programme',
    ],
    what,
  );
  fields.integer('v', 1, 1);
  if (Buffer.from(fields.bytes('stream', 32)).toString('hex') !== genesis.streamId)
    throw malformed(what, 'it is of another stream');
  const ladder = fields.list('ladder', limits.renditions).map((value) => {
    if (!Array.isArray(value) || value.length !== 2) throw malformed(what, 'a rendition cannot be read');
    const [kind, bandwidth] = value as unknown[];
    return { kind: kindOf(kind, what), bandwidth: bandwidthOf(bandwidth, what) };
  });
  if (ladder.length === 0) throw malformed(what, 'it has no rendition');
  return {
    streamId: genesis.streamId,
    number: fields.integer('number'),
    state: describedStateOf(fields.text('state'), what),
    last: fields.integer('last'),
    partMs: fields.integer('partMs', 20, 2000),
    targetLatency: latencyOf(fields.text('targetLatency'), what),
    dvrSeconds: fields.integer('dvrSeconds', 10, 3600),
    ladder,
    programme: fields.bytes('programme'),
    bytes: new Uint8Array(bytes),
  };
}

export function makeKeyRecord(signer: Signer, one: Omit<KeyRecord, 'bytes'>): KeyRecord {
  const body = { v: 1, stream: Buffer.from(one.streamId, 'hex'), epoch: one.epoch, sealed: one.sealed };
  return { ...one, bytes: sign(signer, 'key', body) };
}

/** @throws AppError `malformed`, `too_large`, `bad_signature` */
export function readKeyRecord(bytes: Uint8Array, genesis: Genesis): KeyRecord {
  const body = checkedSplit(bytes, maxKeyBytes, 'key', genesis.streamKey);
  const fields = fieldsOf(
    decodeStrict(body, maxKeyBytes, 'stream key'),
    ['v', 'stream', 'epoch', 'sealed'],
    'stream key',
  );
  fields.integer('v', 1, 1);
  if (Buffer.from(fields.bytes('stream', 32)).toString('hex') !== genesis.streamId)
    throw malformed('stream key', 'it is of another stream');
  return {
    streamId: genesis.streamId,
    epoch: fields.integer('epoch', 1, 0xffffffff),
    sealed: fields.bytes('sealed', 60),
    bytes: new Uint8Array(bytes),
  };
}

export function makeAudience(signer: Signer, one: Omit<AudienceRecord, 'bytes'>): AudienceRecord {
  const body = {
    v: 1,
    stream: Buffer.from(one.streamId, 'hex'),
    number: one.number,
    boxes: [...one.boxes],
  };
  return { ...one, bytes: sign(signer, 'audience', body) };
}

/** @throws AppError `malformed`, `too_large`, `bad_signature` */
export function readAudience(bytes: Uint8Array, genesis: Genesis): AudienceRecord {
  const what = 'stream audience';
  const body = checkedSplit(bytes, maxAudienceBytes, 'audience', genesis.streamKey);
  const fields = fieldsOf(
    decodeStrict(body, maxAudienceBytes, what),
    ['v', 'stream', 'number', 'boxes'],
    what,
  );
  fields.integer('v', 1, 1);
  if (Buffer.from(fields.bytes('stream', 32)).toString('hex') !== genesis.streamId)
    throw malformed(what, 'it is of another stream');
  return {
    streamId: genesis.streamId,
    number: fields.integer('number', 1),
    boxes: fields.list('boxes', limits.viewers + 1).map((box) => {
      if (!(box instanceof Uint8Array) || box.length > maxBox) throw malformed(what, 'a box is too large');
      return box;
    }),
    bytes: new Uint8Array(bytes),
  };
}

export function makeAnnouncement(signer: Signer, one: Omit<StreamAnnouncement, 'bytes'>): StreamAnnouncement {
  const addresses = one.addresses.filter((at) => at.length <= mostAddressLength).slice(0, mostAddresses);
  const bytes = sign(signer, 'announcement', {
    v: 1,
    genesis: one.genesis.bytes,
    time: one.time,
    state: one.state,
    title: one.title,
    poster: one.poster ?? new Uint8Array(),
    renditions: one.renditions.map(renditionValue),
    targetLatency: one.targetLatency,
    dvrSeconds: one.dvrSeconds,
    viewers: one.viewers,
    addresses,
  });
  return { ...one, addresses, bytes };
}

/** @throws AppError `malformed`, `too_large`, `bad_signature` */
export function readAnnouncement(bytes: Uint8Array): StreamAnnouncement {
  const what = 'stream announcement';
  const { body } = split(bytes, maxAnnouncementBytes, 'announcement');
  const fields = fieldsOf(
    decodeStrict(body, maxAnnouncementBytes, what),
    [
      'v',
      'genesis',
      'time',
      'state',
      'title',
      'poster',
      'renditions',
      'targetLatency',
      'dvrSeconds',
      'viewers',
      'addresses',
    ],
    what,
  );
  fields.integer('v', 1, 1);
  const genesis = readGenesis(fields.bytes('genesis'));
  checkedSplit(bytes, maxAnnouncementBytes, 'announcement', genesis.streamKey);
  if (genesis.audience !== 'public') throw malformed(what, 'the stream is not public');
  const poster = orNull(fields.bytes('poster'));
  if (poster && poster.length !== 32) throw malformed(what, 'its picture is not named by a hash');
  return {
    genesis,
    time: fields.integer('time'),
    state: stateOf(fields.text('state'), what),
    title: titleOf(fields.text('title'), what),
    poster,
    renditions: fields.list('renditions', limits.renditions).map(readRendition),
    targetLatency: latencyOf(fields.text('targetLatency'), what),
    dvrSeconds: fields.integer('dvrSeconds', 10, 3600),
    viewers: fields.integer('viewers'),
    addresses: fields.list('addresses', mostAddresses).map((at) => {
      if (typeof at !== 'string' || at.length > mostAddressLength || !at.endsWith(`/p2p/${genesis.device}`))
        throw malformed(what, 'an address is not of its source');
      return at;
    }),
    bytes: new Uint8Array(bytes),
  };
}

/** Receipts stand below the ledger, which pays for them. */
export { makeReceipt, maxReceiptBytes, readReceipt } from '../../identity/index.ts';
export type { Receipt } from '../../identity/index.ts';

function renditionValue(one: Rendition): unknown {
  return {
    id: one.id,
    kind: one.kind,
    codecs: one.codecs,
    width: one.width ?? null,
    height: one.height ?? null,
    // dag-cbor keeps whole numbers exact; frames a second in thousandths.
    frameRate: one.frameRate === undefined ? null : Math.round(one.frameRate * 1000),
    bandwidth: one.bandwidth,
  };
}

function readRendition(value: unknown): Rendition {
  const what = 'stream rendition';
  const fields = fieldsOf(value, ['id', 'kind', 'codecs', 'width', 'height', 'frameRate', 'bandwidth'], what);
  const id = fields.text('id');
  const codecs = fields.text('codecs');
  if (!/^[a-z0-9]{1,16}$/.test(id)) throw malformed(what, 'its name is not one');
  // It stands in a playlist: nothing that could end the quotes.
  if (!/^[A-Za-z0-9.,_-]{0,100}$/.test(codecs)) throw malformed(what, 'its codecs are not written as such');
  const record = value as Record<string, unknown>;
  const optional = (key: string, max: number): number | undefined =>
    record[key] === null ? undefined : fields.integer(key, 1, max);
  const frameRate = optional('frameRate', 1_000_000);
  return {
    id,
    kind: kindOf(fields.text('kind'), what),
    codecs,
    width: optional('width', 16_384),
    height: optional('height', 16_384),
    frameRate: frameRate === undefined ? undefined : frameRate / 1000,
    bandwidth: bandwidthOf(record['bandwidth'], what),
  };
}

// Control characters and what turns the reading direction: a title must not look like something else.
const unfit = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A title without what must not stand in one. */
export const cleanTitle = (text: string): string => text.normalize('NFC').replaceAll(unfit, ' ').trim();

function titleOf(text: string, what: string): string {
  if (Buffer.byteLength(text) > limits.titleBytes || text !== cleanTitle(text))
    throw malformed(what, 'its title is too long or has signs that must not stand there');
  return text;
}

function kindOf(value: unknown, what: string): RenditionKind {
  if (value === 'av' || value === 'audio' || value === 'data') return value;
  throw malformed(what, 'a kind of rendition is unknown');
}

function bandwidthOf(value: unknown, what: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 1_000_000_000)
    return value as number;
  throw malformed(what, 'a bandwidth is out of range');
}

function stateOf(value: string, what: string): 'live' | 'ended' {
  if (value === 'live' || value === 'ended') return value;
  throw malformed(what, 'its state is unknown');
}

/** No bytes stand for nothing. */
const orNull = (bytes: Uint8Array): Uint8Array | null => (bytes.length === 0 ? null : bytes);

function describedStateOf(value: string, what: string): DescribedState {
  return value === 'away' ? value : stateOf(value, what);
}

function latencyOf(value: string, what: string): TargetLatency {
  if (value === 'default' || value === 'interactive') return value;
  throw malformed(what, 'its latency is unknown');
}
