import { AppError, errorCodes } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

/** Longest message either side accepts, in UTF-16 units. Lists are paged and bytes do not cross, so this is plenty. */
export const maxMessage = 1024 * 1024;
/** Items of a subscription that may be under way before the receiver has taken any. */
export const creditWindow = 256;
/** Calls one connection may have open. */
export const maxOpenCalls = 256;

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** What the calling side says. `id` names a call; it is chosen by the caller and not used twice at a time. */
export type CallerFrame =
  | { readonly t: 'open'; readonly id: number; readonly call: string; readonly input: unknown }
  | { readonly t: 'cancel'; readonly id: number }
  | { readonly t: 'credit'; readonly id: number; readonly n: number }
  | { readonly t: 'ping' };

/** What the serving side says. `ok`, `end` and `err` are the last frame of a call. */
export type ServerFrame =
  | { readonly t: 'ok'; readonly id: number; readonly value: unknown }
  | { readonly t: 'item'; readonly id: number; readonly value: unknown }
  | { readonly t: 'end'; readonly id: number }
  | { readonly t: 'err'; readonly id: number; readonly error: WireError }
  | { readonly t: 'pong' };

function refuse(reason: string): never {
  throw new AppError('protocol_violation', `The other side sent a message that makes no sense: ${reason}.`);
}

function parseObject(message: unknown): Record<string, unknown> {
  if (typeof message !== 'string') refuse('not text');
  if (message.length > maxMessage) {
    throw new AppError('too_large', 'The other side sent a message longer than allowed.', {
      details: { limit: maxMessage },
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch {
    refuse('not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse('not an object');
  return value as Record<string, unknown>;
}

function parseId(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) refuse('bad call number');
  return value as number;
}

/** Reads what a caller sent. Throws `protocol_violation` or `too_large`, after which the port is to be closed. */
export function decodeCallerFrame(message: unknown): CallerFrame {
  const frame = parseObject(message);
  switch (frame['t']) {
    case 'open': {
      const call = frame['call'];
      if (typeof call !== 'string' || call.length > 100) refuse('bad call name');
      return { t: 'open', id: parseId(frame['id']), call, input: frame['input'] };
    }
    case 'cancel':
      return { t: 'cancel', id: parseId(frame['id']) };
    case 'credit': {
      const n = frame['n'];
      if (!Number.isSafeInteger(n) || (n as number) < 1 || (n as number) > creditWindow) refuse('bad credit');
      return { t: 'credit', id: parseId(frame['id']), n: n as number };
    }
    case 'ping':
      return { t: 'ping' };
    default:
      return refuse('unknown kind');
  }
}

/** Reads what a server sent. Throws `protocol_violation` or `too_large`. */
export function decodeServerFrame(message: unknown): ServerFrame {
  const frame = parseObject(message);
  switch (frame['t']) {
    case 'ok':
      return { t: 'ok', id: parseId(frame['id']), value: frame['value'] };
    case 'item':
      return { t: 'item', id: parseId(frame['id']), value: frame['value'] };
    case 'end':
      return { t: 'end', id: parseId(frame['id']) };
    case 'err':
      return { t: 'err', id: parseId(frame['id']), error: parseError(frame['error']) };
    case 'pong':
      return { t: 'pong' };
    default:
      return refuse('unknown kind');
  }
}

/** Writes a frame. Throws `too_large`; what JSON cannot hold (a bigint, a cycle) throws a TypeError. */
export function encodeFrame(frame: CallerFrame | ServerFrame): string {
  const message = JSON.stringify(frame);
  if (message.length > maxMessage) {
    throw new AppError('too_large', 'This does not fit into one message.', {
      details: { limit: maxMessage },
    });
  }
  return message;
}

const codes: ReadonlySet<unknown> = new Set(errorCodes);

function parseError(value: unknown): WireError {
  if (typeof value !== 'object' || value === null) refuse('bad error');
  const { code, message, details } = value as Record<string, unknown>;
  if (typeof message !== 'string') refuse('bad error');
  return {
    // A newer node may know codes that we don't.
    code: codes.has(code) ? (code as ErrorCode) : 'internal',
    message,
    details:
      typeof details === 'object' && details !== null ? (details as Record<string, unknown>) : undefined,
  };
}

/** What may leave the node about a failure: declared errors as they are, of anything else only that it happened. */
export function errorToWire(error: unknown): WireError {
  if (error instanceof AppError) {
    const wire = { code: error.code, message: error.message };
    if (error.details === undefined) return wire;
    try {
      // Checked here, so that a frame with an error can always be written.
      if (JSON.stringify(error.details).length <= maxMessage / 4) return { ...wire, details: error.details };
    } catch {
      // Details that are not JSON stay here.
    }
    return wire;
  }
  return { code: 'internal', message: 'Something went wrong inside the node; its log says more.' };
}

export function errorFromWire(error: WireError): AppError {
  return new AppError(
    error.code,
    error.message,
    error.details === undefined ? {} : { details: error.details },
  );
}
