import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, isAppError, isErrorCode } from '../../../src-shared/errors.ts';
import type { Feed, FeedItem } from '../../../src-shared/media/index.ts';
import { ticksPerSecond } from '../../../src-shared/media/index.ts';

/** Data goes in parts of so many bytes. */
const dataPart = 64 * 1024;
/** A part of data stands for so many ticks: what waits is measured in them. */
const dataTicks = 4_500;
/** Data waits while more than this waits to leave the node, ms. */
const mostQueued = 250;
/** A pipe that says nothing for so long is one whose writer waits for the stream to begin, ms. */
const silence = 2_000;

/**
 * What `--from` names: a file, a folder of music, or `-` for standard input. Media is told by its first bytes; anything else is sent as it is, also
 * what is written to a pipe only after the stream began, unless `media` says what it will be.
 * @throws AppError `not_found`, `unsupported`
 */
export async function openFeed(
  from: string,
  options: {
    readonly loop: boolean;
    readonly data: boolean;
    readonly media: boolean;
    readonly stdin: Readable;
  },
): Promise<Feed> {
  if (from === '-') {
    const { head, stream } = await withHead(options.stdin, options.data ? 0 : options.media ? null : silence);
    if (!options.media && (options.data || !isMedia(head))) return dataFeed(stream);
    const { openStreamFeed } = await import('./media-feed.ts');
    return openStreamFeed(stream);
  }
  const found = await stat(from).catch((cause: unknown) => {
    throw new AppError('not_found', `There is no ${from}.`, { cause });
  });
  if (found.isDirectory()) {
    const { openFolderFeed } = await import('./media-feed.ts');
    return openFolderFeed(from, options.loop);
  }
  const handle = await open(from);
  const head = new Uint8Array(16);
  await handle.read(head, 0, 16, 0);
  await handle.close();
  if (options.data || !isMedia(head))
    return dataFeed(Readable.toWeb(createReadStream(from)) as unknown as AsyncIterable<Uint8Array>);
  const { openFileFeed } = await import('./media-feed.ts');
  return openFileFeed(from, options.loop);
}

/** MP4 and its kin, Matroska and WebM, MP3 (with or without ID3), Ogg, ADTS, WAV, FLAC. */
function isMedia(head: Uint8Array): boolean {
  const text = Buffer.from(head).toString('latin1');
  return (
    ['ftyp', 'styp', 'moov'].includes(text.slice(4, 8)) ||
    text.startsWith('\x1a\x45\xdf\xa3') ||
    text.startsWith('ID3') ||
    text.startsWith('OggS') ||
    text.startsWith('fLaC') ||
    (text.startsWith('RIFF') && text.slice(8, 12) === 'WAVE') ||
    (head[0] === 0xff && (head[1]! & 0xe0) === 0xe0 && head[1] !== 0xff)
  );
}

/**
 * The first 16 bytes of a pipe, and all of it. Fewer where it ends earlier, or where they do not come in time.
 * @param within how long to wait for them, ms; null: until they come
 */
async function withHead(
  stdin: Readable,
  within: number | null,
): Promise<{ readonly head: Uint8Array; readonly stream: ReadableStream<Uint8Array> }> {
  const reader = (Readable.toWeb(stdin) as unknown as ReadableStream<Uint8Array>).getReader();
  const pieces: Uint8Array[] = [];
  let length = 0;
  let ended = false;
  /** Under way still when the time is over: what comes of it belongs to the stream. */
  let reading: ReturnType<typeof reader.read> | null = null;
  const late = new AbortController();
  const deadline =
    within === null
      ? new Promise<null>(() => {})
      : sleep(within, null, { signal: late.signal }).catch(() => null);
  while (length < 16 && !ended) {
    reading ??= reader.read();
    const read = await Promise.race([reading, deadline]);
    if (read === null) break;
    reading = null;
    ended = read.done;
    if (read.value) {
      pieces.push(read.value);
      length += read.value.length;
    }
  }
  late.abort();
  const first = new Uint8Array(Buffer.concat(pieces));
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      if (first.length > 0) controller.enqueue(first);
      if (ended) controller.close();
    },
    async pull(controller) {
      const { value, done } = await (reading ?? reader.read());
      reading = null;
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return { head: first.subarray(0, 16), stream };
}

function dataFeed(stream: AsyncIterable<Uint8Array>): Feed {
  async function* items(): AsyncGenerator<FeedItem> {
    let seq = 0;
    const part = (bytes: Uint8Array): FeedItem => {
      const at = seq++;
      const segment = Math.floor(at / 16);
      const pts = at * dataTicks;
      return { t: 'part', part: { seq: at, segment, pts, duration: dataTicks, independent: true, bytes } };
    };
    for await (const chunk of stream) {
      for (let at = 0; at < chunk.length; at += dataPart) yield part(chunk.subarray(at, at + dataPart));
    }
  }
  return {
    rendition: { id: 'd', kind: 'data', codecs: '', bandwidth: 20_000_000 },
    paced: false,
    items: items(),
  };
}

/** Where parts go. */
export interface Ingest {
  readonly url: string;
  /**
   * Another address of the same stream, after the node was away. Tried until it is there again.
   * @throws AppError when the stream has ended, or the node stays away
   */
  again(signal: AbortSignal): Promise<string>;
}

/**
 * Sends a feed to a stream's ingest until it ends, or the signal stops it; ends the stream in either case. A node that is started anew
 * meanwhile gets the rest of the feed: what is live goes on with what is made then, anything else where it was.
 * @throws AppError as the node answers
 */
export async function publish(feed: Feed, ingest: Ingest, signal: AbortSignal): Promise<void> {
  const { id } = feed.rendition;
  let { url } = ingest;
  let init: Uint8Array | null = null;
  /** The node is away: resolves when it is back. */
  let away: { readonly since: number; readonly back: Promise<void>; isBack: boolean } | null = null;
  let began: number | null = null;
  let offset = 0;
  let reached = 0;

  function leave(error: unknown): void {
    // Bytes must all arrive, in order; which of them did nobody can tell.
    if (feed.rendition.kind === 'data' || !isAppError(error, 'not_running')) throw error;
    const back = ingest.again(signal).then((found) => {
      url = found;
      gone.isBack = true;
    });
    back.catch(() => {});
    const gone = { since: Date.now(), back, isBack: false };
    away = gone;
  }

  /** @returns false while nothing can be sent, or this part can't be the first */
  async function isThere(independent: boolean): Promise<boolean> {
    if (!away) return true;
    if (feed.live && !away.isBack) await Promise.race([away.back, sleep(0)]);
    else await away.back;
    if (!away.isBack || !independent) return false;
    // The rest of a file comes later by as long as the node was away.
    if (began !== null && feed.paced) began += Date.now() - away.since;
    away = null;
    if (init) await post(`${url}/${id}/init`, init, signal);
    return true;
  }

  try {
    for await (const item of feed.items) {
      if (signal.aborted) break;
      try {
        if (item.t === 'init') {
          offset = reached;
          init = item.bytes;
          if (!away) await post(`${url}/${id}/init`, item.bytes, signal);
          continue;
        }
        const { part } = item;
        if (!(await isThere(part.independent))) continue;
        began ??= Date.now();
        const ms = (ticks: number): number => (1000 * (offset + ticks)) / ticksPerSecond;
        // A part is sent when its last picture would have been taken.
        const due = began + ms(part.pts + part.duration);
        if (feed.paced && due > Date.now()) await sleep(due - Date.now(), undefined, { signal });
        reached = offset + part.pts + part.duration;
        const captured = feed.paced ? Math.round(began + ms(part.pts)) : Date.now();
        const query = `pts=${part.pts}&duration=${part.duration}&captured=${captured}&independent=${part.independent ? 1 : 0}&segment=${part.segment}`;
        const answer = await post(`${url}/${id}/${part.seq}?${query}`, part.bytes, signal);
        if (!feed.paced && Number(answer.headers.get('stream-queue')) > mostQueued)
          await sleep(50, undefined, { signal });
      } catch (error) {
        if (signal.aborted) throw error;
        leave(error);
      }
    }
  } catch (error) {
    // Ended by `stream stop` or from the window: that is how it was to end.
    if (!signal.aborted && !isAppError(error, 'stream_ended')) throw error;
  } finally {
    await post(`${url}/end`, new Uint8Array(), AbortSignal.timeout(5_000)).catch(() => {});
  }
}

async function post(url: string, bytes: Uint8Array, signal: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { method: 'POST', body: bytes as Uint8Array<ArrayBuffer>, signal });
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new AppError('not_running', 'The daemon does not answer any more.', { cause });
  }
  if (response.ok) {
    await response.arrayBuffer();
    return response;
  }
  const text = await response.text();
  // Another start of the daemon knows nothing of this address.
  if (response.status === 404) throw new AppError('not_running', 'The daemon was started anew.');
  const code = response.headers.get('error-code');
  let message = `The daemon refused a part (${response.status}).`;
  try {
    ({ message } = (JSON.parse(text) as { error: { message: string } }).error);
  } catch {
    // No words of its own.
  }
  throw new AppError(isErrorCode(code) ? code : 'internal', message);
}
