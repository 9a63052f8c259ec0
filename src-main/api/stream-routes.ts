import { AppError } from '../../src-shared/errors.ts';
import { errorToWire } from '../../src-shared/rpc/index.ts';
import type { Ingest, Playback } from '../stream/index.ts';

/** Largest init segment and part that are taken from an encoder, bytes. */
export const maxInitBytes = 64 * 1024;
export const maxPartBytes = 4 * 1024 * 1024;
/** How long a playlist may keep its asker waiting, ms: a little more than the source may be silent. */
const longestWait = 8_000;

/**
 * What an encoder posts to: `<rendition>/init`, `<rendition>/<seq>?pts=…`, `end`. Answers 204 with how the stream is doing in its
 * headers, or a JSON error `{error: {code, message}}`. Never throws.
 */
export async function serveIngest(ingest: Ingest, request: Request, rest: string): Promise<Response> {
  try {
    if (request.method !== 'POST') return json(405, new AppError('unsupported', 'Parts are sent by POST.'));
    if (rest === 'end') {
      await ingest.end();
      return healthy(ingest);
    }
    const match = /^([a-z0-9]{1,16})\/(init|\d{1,15})$/.exec(rest);
    if (!match) throw new AppError('invalid_argument', 'This is no address of an init segment or a part.');
    const [, rendition, what] = match as unknown as [string, string, string];
    if (what === 'init') {
      await ingest.init(rendition, await bodyOf(request, maxInitBytes));
    } else {
      const query = new URL(request.url).searchParams;
      const meta = {
        pts: wholeOf(query, 'pts'),
        duration: wholeOf(query, 'duration'),
        captured: wholeOf(query, 'captured'),
        independent: wholeOf(query, 'independent') === 1,
        segment: wholeOf(query, 'segment'),
      };
      await ingest.part(rendition, Number(what), meta, await bodyOf(request, maxPartBytes));
    }
    return healthy(ingest);
  } catch (error) {
    return json(statusOf(error), error);
  }
}

/** What a player asks of the playlists and segments of one stream. Never throws. */
export async function servePlayback(playback: Playback, request: Request, rest: string): Promise<Response> {
  try {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return json(405, new AppError('unsupported', 'Streams are read by GET.'));
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(longestWait)]);
    const answer = await playback.get(rest, new URL(request.url).searchParams, signal);
    const whole = answer.body instanceof Uint8Array ? answer.body : null;
    const body = whole ?? ReadableStream.from(answer.body as AsyncIterable<Uint8Array>);
    return new Response(request.method === 'HEAD' ? null : (body as ReadableStream<Uint8Array>), {
      headers: {
        ...common,
        'content-type': answer.type,
        ...(whole && { 'content-length': String(whole.length) }),
        'cache-control': answer.lasting ? 'private, max-age=600, immutable' : 'no-store',
      },
    });
  } catch (error) {
    return json(statusOf(error), error);
  }
}

function healthy(ingest: Ingest): Response {
  const health = ingest.health();
  return new Response(null, {
    status: 204,
    headers: {
      ...common,
      'cache-control': 'no-store',
      'stream-queue': String(Math.round(health.queueMs)),
      'stream-uplink': String(Math.round(health.uplink)),
      'stream-dropped': String(health.dropped),
      'stream-viewers': String(health.viewers),
    },
  });
}

function wholeOf(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value))
    throw new AppError('invalid_argument', `"${name}" is not a whole number.`);
  return value;
}

/** All of a body, never more than `most` bytes in memory. */
async function bodyOf(request: Request, most: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > most) {
      throw new AppError('too_large', `More than ${most} bytes are not taken at once.`, {
        details: { most },
      });
    }
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : new Uint8Array(Buffer.concat(chunks));
}

const common = {
  'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
} as const;

function json(status: number, error: unknown): Response {
  const { code, message, details } = errorToWire(error);
  return new Response(`${JSON.stringify({ error: { code, message, ...(details && { details }) } })}\n`, {
    status,
    headers: {
      ...common,
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'error-code': code,
    },
  });
}

const statuses: Partial<Record<string, number>> = {
  invalid_argument: 400,
  malformed: 400,
  not_allowed: 403,
  not_invited: 403,
  not_found: 404,
  stream_unknown: 404,
  gone: 404,
  part_out_of_order: 409,
  stream_ended: 410,
  too_large: 413,
  rate_limited: 429,
  timeout: 503,
  cancelled: 503,
};

const statusOf = (error: unknown): number =>
  (error instanceof AppError ? statuses[error.code] : undefined) ?? 500;
