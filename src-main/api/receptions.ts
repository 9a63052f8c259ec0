import { createHash } from 'node:crypto';
import { AppError } from '../../src-shared/errors.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import { createChannel } from './channel.ts';
import type { Channel } from './channel.ts';

/** How long an upload that was announced may take to begin, ms. */
const beginWithin = 60_000;
/** How long an upload of which something came may rest, ms: whoever closed the window can go on until then. */
const restAtMost = 24 * 3_600_000;
/** An upload whose last bytes came this recently is still being sent by somebody, ms. */
const sendingFor = 3000;
const maxOpen = 1000;
/** So much of the end of what came is remembered: a file that is to go on from there has to be the same there. */
const tailBytes = 65_536;

/** What an upload is of, for a window that finds it unfinished. */
export interface UploadLabel {
  readonly drive: string;
  readonly path: string;
  /** Of the file that is sent, as its sender's disk says; ms since the epoch. */
  readonly modified: number | null;
}

/** Something that may be sent here, once: whole, or in parts one after another. */
export interface Reception {
  /** null: a window that opens later has nothing to do with it. */
  readonly label: UploadLabel | null;
  /** Bytes, exactly. */
  readonly size: number;
  take(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
}

/** An upload in parts of which something came and something is missing. */
export interface Unfinished {
  readonly token: string;
  readonly label: UploadLabel;
  readonly size: number;
  readonly received: number;
  /** Of the last 64 KiB received, or of all when there are fewer: SHA-256, hex. */
  readonly tail: string;
  /** Somebody sends it at this moment. */
  readonly sending: boolean;
}

/** An upload in parts that has begun. */
interface Running {
  readonly channel: Channel<Uint8Array>;
  readonly done: Promise<void>;
  readonly abort: AbortController;
  received: number;
  tail: Buffer;
  /** When the last bytes came, ms. */
  last: number;
}

interface Expected {
  readonly reception: Reception;
  until: number;
  running: Running | null;
  busy: boolean;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Receptions {
  /** @returns the name under which the bytes may come */
  add(token: string, reception: Reception): void;
  /** Uploads that can go on where they stopped. */
  unfinished(): readonly Unfinished[];
  /** Answers PUT, HEAD and DELETE for one of them; null: there is none of that name. Throws what taking the bytes threw. */
  serve(token: string, request: Request): Promise<Answer | null>;
}

/**
 * Files on their way in. A PUT with `content-range` brings one part and is answered with `upload-offset`, how much is here;
 * HEAD tells the same after a connection broke, DELETE gives up. What rests for too long is given up as well: whoever
 * takes the bytes then leaves nothing behind.
 */
export function createReceptions(clock: Clock): Receptions {
  const expected = new Map<string, Expected>();

  function prune(): void {
    const now = clock.now();
    for (const [token, one] of expected) {
      if (one.busy || (one.until >= now && expected.size < maxOpen)) continue;
      giveUp(token, one, 'The upload was not continued.');
    }
  }

  function giveUp(token: string, one: Expected, why: string): void {
    expected.delete(token);
    const error = new AppError('cancelled', why);
    one.running?.abort.abort(error);
    one.running?.channel.fail(error);
  }

  function begin(reception: Reception): Running {
    const channel = createChannel<Uint8Array>();
    const abort = new AbortController();
    const done = reception.take(channel.values, abort.signal);
    // Told where it is awaited; a part may be under way until then.
    done.catch((error: unknown) => channel.fail(error));
    return { channel, done, abort, received: 0, tail: Buffer.alloc(0), last: clock.now() };
  }

  async function takePart(token: string, one: Expected, request: Request, part: Part): Promise<Answer> {
    const { size } = one.reception;
    const running = (one.running ??= begin(one.reception));
    const here = () => ({ 'upload-offset': String(running.received) });
    if (one.busy || part.start !== running.received || part.total !== size || part.end > size)
      return { status: 409, headers: here() };
    one.busy = true;
    try {
      for await (const chunk of request.body ?? []) {
        if (running.received + chunk.length > part.end)
          throw new AppError('invalid_argument', 'The file changed while it was being sent.');
        await running.channel.push(chunk).catch((error: unknown) => {
          throw new NotTaken({ cause: error });
        });
        running.received += chunk.length;
        running.tail = tailOf(running.tail, chunk);
        running.last = clock.now();
      }
    } catch (error) {
      // The connection broke: the rest of this part can still come.
      if (!(error instanceof NotTaken) && !(error instanceof AppError))
        return { status: 499, headers: here() };
      giveUp(token, one, 'The upload failed.');
      // Whoever took the bytes says best why it did not want more of them.
      if (error instanceof NotTaken) await running.done;
      throw error instanceof NotTaken ? error.cause : error;
    } finally {
      one.busy = false;
      one.until = clock.now() + restAtMost;
      clock.after(restAtMost + 1000, prune);
    }
    if (running.received < size) return { status: 202, headers: here() };
    running.channel.end();
    expected.delete(token);
    await running.done;
    return { status: 204 };
  }

  return {
    add(token, reception) {
      prune();
      expected.set(token, { reception, until: clock.now() + beginWithin, running: null, busy: false });
    },
    unfinished() {
      prune();
      const found: Unfinished[] = [];
      for (const [token, { reception, running, busy }] of expected) {
        if (!running || running.received === 0 || !reception.label) continue;
        found.push({
          token,
          label: reception.label,
          size: reception.size,
          received: running.received,
          tail: createHash('sha256').update(running.tail).digest('hex'),
          sending: busy || clock.now() - running.last < sendingFor,
        });
      }
      return found;
    },
    async serve(token, request) {
      const one = expected.get(token);
      if (!one || (one.until < clock.now() && !one.busy)) {
        if (one) giveUp(token, one, 'The upload was not continued.');
        return null;
      }
      if (request.method === 'DELETE') {
        giveUp(token, one, 'Cancelled.');
        await one.running?.done.catch(() => {});
        return { status: 204 };
      }
      if (request.method === 'HEAD') {
        one.until = clock.now() + restAtMost;
        return { status: 200, headers: { 'upload-offset': String(one.running?.received ?? 0) } };
      }
      const part = readContentRange(request.headers.get('content-range'));
      if (part) return takePart(token, one, request, part);
      if (one.running) return { status: 409 };
      expected.delete(token);
      await one.reception.take(exactly(request.body, one.reception.size), request.signal);
      return { status: 204 };
    },
  };
}

/** The last bytes of all that came. */
function tailOf(before: Buffer, chunk: Uint8Array): Buffer {
  if (chunk.length >= tailBytes) return Buffer.from(chunk.subarray(chunk.length - tailBytes));
  return Buffer.concat([before.subarray(Math.max(0, before.length + chunk.length - tailBytes)), chunk]);
}

/** The bytes came well and were not wanted. */
class NotTaken extends Error {
  constructor(options: ErrorOptions) {
    super('not taken', options);
  }
}

interface Part {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly total: number;
}

/** RFC 9110, section 14.4; null for anything else. */
function readContentRange(header: string | null): Part | null {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(header ?? '');
  if (!match) return null;
  const [start, last, total] = match.slice(1).map(Number) as [number, number, number];
  return last < start ? null : { start, end: last + 1, total };
}

/** Passes on exactly `size` bytes; throws `invalid_argument` when there are more or fewer. */
async function* exactly(body: ReadableStream<Uint8Array> | null, size: number): AsyncGenerator<Uint8Array> {
  let seen = 0;
  const wrong = () => new AppError('invalid_argument', 'The file changed while it was being sent.');
  for await (const chunk of body ?? []) {
    seen += chunk.length;
    if (seen > size) throw wrong();
    yield chunk;
  }
  if (seen < size) throw wrong();
}
