import { createHash } from 'node:crypto';
import { z } from 'zod';
import { AppError, isErrorCode } from '../../../src-shared/errors.ts';
import { canonicalJson, jsonHash } from './interface.ts';

/** `/extrachain/service/1`: JSON-RPC 2.0, one message a frame, UTF-8. */
export const serviceProtocol = 'service/1';
export const maxServiceFrame = 512 * 1024;

const id = z
  .int()
  .min(0)
  .max(2 ** 48);
const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const signature = z.string().regex(/^[A-Za-z0-9_-]{86}$/);
const units = z.string().regex(/^[1-9]\d{0,38}$/);
const slug = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/);
const user = z.string().min(1).max(128);

/** In units of the token. */
const priceOnWire = z.strictObject({ symbol: z.string().min(1).max(32), amount: units });
export type WirePrice = z.infer<typeof priceOnWire>;

/** Opens a session: its key signs the calls, the device of the connection vouches for it. */
const openParams = z.strictObject({
  v: z.literal(1),
  user,
  app: z.string().max(64).nullable(),
  key: hex32,
  expires: z.int().min(0),
  sig: signature,
});
export type OpenParams = z.infer<typeof openParams>;

const callParams = z.strictObject({
  owner: user,
  service: slug,
  interface: hex32,
  method: z.string().min(1).max(64),
  params: z.unknown(),
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  /** ms since the epoch: nobody waits for the answer longer. */
  deadline: z.int().min(0),
  maxFee: priceOnWire.nullable(),
  sig: signature,
});
export type CallParams = z.infer<typeof callParams>;

const request = z.discriminatedUnion('method', [
  z.strictObject({ jsonrpc: z.literal('2.0'), id, method: z.literal('open'), params: openParams }),
  z.strictObject({ jsonrpc: z.literal('2.0'), id, method: z.literal('call'), params: callParams }),
  z.strictObject({ jsonrpc: z.literal('2.0'), id, method: z.literal('list'), params: z.strictObject({}) }),
  z.strictObject({
    jsonrpc: z.literal('2.0'),
    id,
    method: z.literal('describe'),
    params: z.strictObject({ interface: hex32 }),
  }),
  /** A transaction that pays what the caller owes. */
  z.strictObject({
    jsonrpc: z.literal('2.0'),
    id,
    method: z.literal('settle'),
    params: z.strictObject({ owner: user, tx: hex32 }),
  }),
  z.strictObject({ jsonrpc: z.literal('2.0'), method: z.literal('cancel'), params: z.strictObject({ id }) }),
]);
export type ServiceRequest = z.infer<typeof request>;

/** What a provider signs after a call: what was asked, what was answered (by hash), and what it costs. */
export const receipt = z.strictObject({
  owner: user,
  service: slug,
  interface: hex32,
  method: z.string(),
  caller: user,
  app: z.string().nullable(),
  nonce: z.string(),
  params: hex32,
  result: hex32,
  items: z.int().min(0),
  fee: priceOnWire.nullable(),
  time: z.int().min(0),
  sig: signature,
});
export type Receipt = z.infer<typeof receipt>;

/** What a provider signs for who has a receipt of it: the word that makes their rating of it count. It says nothing of what was asked. */
export const useOnWire = z.strictObject({
  owner: user,
  service: slug,
  interface: hex32,
  caller: user,
  /** Days since 1970. */
  day: z.int().min(0),
  sig: signature,
});
export type Use = z.infer<typeof useOnWire>;

const offerOnWire = z.strictObject({
  owner: user,
  slug,
  title: z.string().max(100),
  text: z.string().max(500),
  interface: hex32,
  price: priceOnWire.nullable(),
});
export type WireOffer = z.infer<typeof offerOnWire>;

const failure = z.strictObject({
  code: z.int(),
  message: z.string().max(1000),
  data: z.strictObject({ code: z.string().max(64) }),
});
const answer = z.union([
  z.strictObject({ jsonrpc: z.literal('2.0'), id, result: z.unknown() }),
  z.strictObject({ jsonrpc: z.literal('2.0'), id, error: failure }),
  z.strictObject({
    jsonrpc: z.literal('2.0'),
    method: z.literal('item'),
    params: z.strictObject({ id, value: z.unknown() }),
  }),
  /** Still at it: who says nothing for a while is taken for gone. */
  z.strictObject({ jsonrpc: z.literal('2.0'), method: z.literal('working'), params: z.strictObject({ id }) }),
]);
export type ServiceAnswer = z.infer<typeof answer>;

export const callResult = z.strictObject({ value: z.unknown(), receipt });
export const listResult = z.strictObject({ offers: z.array(offerOnWire).max(256) });
export const describeResult = z.strictObject({ interface: z.unknown() });
export const settleResult = z.strictObject({ owed: z.string().regex(/^\d{1,39}$/) });

export const encodeFrame = (message: ServiceRequest | ServiceAnswer): Uint8Array => {
  const bytes = Buffer.from(JSON.stringify(message));
  if (bytes.length > maxServiceFrame)
    throw new AppError('too_large', 'A call or an answer has at most 512 KiB.');
  return new Uint8Array(bytes);
};

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decode<T extends z.ZodType>(frame: Uint8Array, shape: T): z.output<T> {
  if (frame.length > maxServiceFrame) throw new AppError('too_large', 'A message of a service is too large.');
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(frame));
  } catch (cause) {
    throw new AppError('malformed', 'A message of a service is no JSON.', { cause });
  }
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AppError('malformed', 'A message of a service is none that is expected.', {
    cause: parsed.error,
  });
}

/** @throws AppError `malformed`, `too_large` */
export const decodeRequest = (frame: Uint8Array): ServiceRequest => decode(frame, request);
/** @throws AppError `malformed`, `too_large` */
export const decodeAnswer = (frame: Uint8Array): ServiceAnswer => decode(frame, answer);

/** What stands in an answer, checked. @throws AppError `malformed` */
export function resultOf<T extends z.ZodType>(shape: T, value: unknown): z.output<T> {
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AppError('malformed', 'An answer of a service is none that is expected.', {
    cause: parsed.error,
  });
}

const signed = (domain: string, ...parts: readonly string[]): Uint8Array =>
  new Uint8Array(
    createHash('sha256')
      .update(`extrachain ${domain} v1\0${parts.join('\n')}`)
      .digest(),
  );

/** What the caller's device signs to open a session with `provider`. */
export const openBytes = (
  provider: string,
  { user: who, app, key, expires }: Omit<OpenParams, 'sig' | 'v'>,
): Uint8Array => signed('service session', provider, who, app ?? '', key, String(expires));

/** What the session key signs for one call. */
export const callBytes = (provider: string, { params, ...call }: Omit<CallParams, 'sig'>): Uint8Array =>
  signed('service call', provider, canonicalJson({ ...call, params: jsonHash(params) }));

/** What the provider's device signs after a call. */
export const receiptBytes = (one: Omit<Receipt, 'sig'>): Uint8Array =>
  signed('service receipt', canonicalJson(one));

/** What the provider's device signs for its `Use`. */
export const useBytes = (one: Omit<Use, 'sig'>): Uint8Array => signed('service use', canonicalJson(one));

/** An error as it crosses: JSON-RPC's number, a sentence, our word. */
export function failureOf(error: unknown): z.infer<typeof failure> {
  const known = error instanceof AppError;
  const code = known ? error.code : 'internal';
  const message = known ? error.message.slice(0, 1000) : 'Something went wrong at the provider.';
  const number = code === 'method_unknown' ? -32601 : code === 'invalid_argument' ? -32602 : -32000;
  return { code: number, message, data: { code } };
}

/** The error that a provider told. */
export const errorOf = ({ message, data }: z.infer<typeof failure>): AppError =>
  new AppError(isErrorCode(data.code) ? data.code : 'internal', message, { details: { remote: true } });
