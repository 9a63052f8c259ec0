import { AppError } from '../../../src-shared/errors.ts';
import type { Programme } from '../codec/records.ts';
import type { PartNote, Rendition, RenditionKind, TargetLatency } from '../types.ts';
import { createBackView } from './back-view.ts';
import type { BackView } from './back-view.ts';
import { holds, mediaPlaylist, multivariantPlaylist, readDirectives } from './playlist.ts';
import { createWaiters } from '../waiters.ts';
import { createTrack } from './track.ts';
import type { ShownPart, Track } from './track.ts';

/** A file for a player. */
export interface HlsFile {
  readonly type: string;
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  /** It never changes. */
  readonly lasting: boolean;
}

/** What players of one stream are told and given. */
export interface HlsOrigin {
  /** What is played has begun or changed. */
  programme(programme: Programme): void;
  add(header: PartNote): void;
  gap(rendition: number, seq: number): void;
  cut(seq: number): void;
  end(): void;
  /** Where a player that has just come begins: the multivariant playlist, or the bytes of a stream of data. */
  entrance(): string;
  /**
   * @param signal ends waiting
   * @throws AppError `not_found`, `invalid_argument`, `gone`, `timeout`
   */
  get(file: string, query: URLSearchParams, signal: AbortSignal): Promise<HlsFile>;
  gaps(): number;
  /** `seq` of the part of a rendition that is shown next; null before the first. */
  next(rendition: number): number | null;
}

/** What a player adds to the address to say that it plays parts, so that it need not wait for a whole segment. */
const lowLatency = 'low-latency';
/** The first segment of a playlist is waited for so long, ms of media. */
const longestFirstMs = 3_000;
const playlistType = 'application/vnd.apple.mpegurl';

/** Moments that players went back to, which are kept at a time. */
const mostViews = 4;

/**
 * @param deps.payload the readable bytes of a part that is here; rejects when they are not
 * @param deps.back what is needed to show what was sent before this node came; without it nobody goes back further than that
 */
export function createHlsOrigin(deps: {
  readonly partMs: number;
  readonly targetLatency: TargetLatency;
  readonly kinds: readonly RenditionKind[];
  readonly payload: (note: PartNote) => Promise<Uint8Array>;
  readonly back?: {
    /** How far back one may go, s. */
    readonly seconds: number;
    readonly has: (rendition: number, seq: number) => boolean;
    readonly note: (rendition: number, seq: number) => Promise<PartNote | null>;
    readonly fetch: (rendition: number, seqs: readonly number[]) => void;
  };
}): HlsOrigin {
  let current: Programme | null = null;
  const inits = new Map<string, Uint8Array>();
  const tracks: Track[] = [];
  const waiters = createWaiters();
  /** By where they begin; who was asked for last is last. */
  const views = new Map<number, BackView>();
  let ended = false;

  function trackOf(rendition: number): Track {
    // Data is wanted from its beginning, sound and pictures from where a player comes in.
    for (let n = tracks.length; n <= rendition; n++)
      tracks.push(createTrack(deps.partMs, deps.kinds[n] === 'data' ? 0 : null));
    return tracks[rendition]!;
  }

  /** @throws AppError `timeout` */
  async function until<T>(ready: () => T | null, signal: AbortSignal): Promise<T> {
    for (;;) {
      const value = ready();
      if (value !== null) return value;
      if (signal.aborted)
        throw new AppError('timeout', 'What was asked for did not come in time; ask again.');
      await waiters.next(signal);
    }
  }

  function find(id: string): { readonly index: number; readonly rendition: Rendition } | null {
    if (!current) return null;
    const index = current.renditions.findIndex((one) => one.id === id);
    if (index < 0) throw notFound();
    return { index, rendition: current.renditions[index]! };
  }

  /** What begins at this part; null: what is live. @throws AppError `gone`, `invalid_argument` */
  function viewOf(from: number | null): BackView | null {
    if (from === null) return null;
    if (!deps.back) throw notFound();
    let view = views.get(from);
    views.delete(from);
    view ??= createBackView(from, {
      ...deps.back,
      partMs: deps.partMs,
      live: trackOf,
      changed: () => waiters.wake(),
    });
    views.set(from, view);
    if (view.failed()) {
      // Asked for anew it is looked for anew.
      views.delete(from);
      throw new AppError('gone', 'So far back nothing of this stream is kept any more.');
    }
    if (views.size > mostViews) views.delete(views.keys().next().value as number);
    return view;
  }

  /** The part that lies so many seconds back, as far as one may go. */
  function seqOf(seconds: number): number | null {
    const edge = Math.max(...tracks.map((track) => track.next() ?? 0)) - 1;
    if (edge < 0 || !deps.back) return null;
    return Math.max(0, edge - Math.round((Math.min(seconds, deps.back.seconds) * 1000) / deps.partMs));
  }

  async function playlist(id: string, query: URLSearchParams, signal: AbortSignal): Promise<HlsFile> {
    const { wanted, skip } = readDirectives(query);
    const from = numberIn(query, 'from');
    return until(() => {
      const found = find(id);
      if (!found || found.rendition.kind === 'data') return null;
      const view = viewOf(from);
      const track = view ? view.track(found.index) : trackOf(found.index);
      if (!track || (track.segments().length === 0 && !track.ended())) return null;
      if (view && from !== null) {
        if (wanted ? !holds(track, wanted) : !isEnough(track, false)) return null;
        const body = Buffer.from(mediaPlaylist(track, { ...deps, others: [], from }, skip));
        return { type: playlistType, body, lasting: false };
      }
      if (wanted ? !holds(track, wanted) : !isEnough(track, query.has(lowLatency))) return null;
      const others = current!.renditions
        .map((one, n) => ({ id: one.id, kind: one.kind, track: trackOf(n) }))
        .filter((one) => one.id !== id && one.kind !== 'data');
      const text = mediaPlaylist(track, { ...deps, others, from: null }, skip);
      return { type: playlistType, body: Buffer.from(text), lasting: false };
    }, signal);
  }

  const typeOf = (rendition: Rendition): string =>
    rendition.kind === 'audio'
      ? 'audio/mp4'
      : rendition.kind === 'av'
        ? 'video/mp4'
        : 'application/octet-stream';

  function shown(index: number, seq: number): PartNote | 'gap' | null {
    for (const segment of trackOf(index).segments()) {
      for (const part of segment.parts) if (part.seq === seq) return part.header ?? 'gap';
    }
    return null;
  }

  async function part(id: string, seq: number, signal: AbortSignal): Promise<HlsFile> {
    const { rendition, header: wanted } = await until(() => {
      const found = find(id);
      if (!found) return null;
      const track = trackOf(found.index);
      const next = track.next();
      // Only the part that a playlist hinted at may be waited for.
      if (next !== null && seq === next && !track.ended()) return null;
      const header = shown(found.index, seq);
      if (header === null || header === 'gap') throw notFound();
      return { rendition: found.rendition, header };
    }, signal);
    return { type: typeOf(rendition), body: await deps.payload(wanted), lasting: true };
  }

  async function segment(id: string, number: number, from: number | null): Promise<HlsFile> {
    const found = find(id);
    const view = viewOf(from);
    const track = found && (view ? view.track(found.index) : trackOf(found.index));
    const one = track?.segments().find((each) => each.segment === number);
    if (!found || !one?.complete) throw notFound();
    view?.asked(found.index, one.parts.at(-1)?.seq ?? 0);
    const bodies: Uint8Array[] = [];
    for (const each of one.parts) if (each.header) bodies.push(await deps.payload(each.header));
    if (bodies.length === 0) throw notFound();
    const body = new Uint8Array(Buffer.concat(bodies));
    return { type: typeOf(found.rendition), body, lasting: true };
  }

  /** All bytes of a rendition of data from what is here on, until the stream ends. A hole ends it early. */
  async function* bytesOf(index: number): AsyncGenerator<Uint8Array> {
    let at: number | null = null;
    for (;;) {
      const track = trackOf(index);
      const from: number | null = at;
      const parts = track.segments().flatMap((one) => one.parts);
      const fresh: readonly ShownPart[] = from === null ? parts : parts.filter((one) => one.seq >= from);
      for (const one of fresh) {
        if (at !== null && one.seq !== at)
          throw new AppError('gone', 'Some of the data is not here any more.');
        if (one.header === null) throw new AppError('gone', 'Some of the data did not come.');
        yield await deps.payload(one.header);
        at = one.seq + 1;
      }
      if (track.ended()) return;
      if (fresh.length === 0) await waiters.next();
    }
  }

  return {
    programme(programme) {
      current = programme;
      for (const run of programme.runs) {
        programme.renditions.forEach((one, n) => {
          const init = run.inits[n];
          if (init && init.length > 0) inits.set(`${one.id}/${run.run}`, init);
        });
      }
      programme.renditions.forEach((_, n) => trackOf(n));
      // A stream restarts a few times at the most; what a window shows is among the newest.
      while (inits.size > 64) inits.delete(inits.keys().next().value as string);
      if (ended) for (const track of tracks) track.end();
      waiters.wake();
    },
    add(header) {
      trackOf(header.rendition).add(header);
      for (const view of views.values()) {
        view.add(header);
        view.advance();
      }
      waiters.wake();
    },
    gap(rendition, seq) {
      trackOf(rendition).gap(seq);
      for (const view of views.values()) view.gap(rendition, seq);
      waiters.wake();
    },
    cut(seq) {
      for (const track of tracks) track.cut(seq);
      for (const view of views.values()) view.cut(seq);
    },
    end() {
      ended = true;
      for (const track of tracks) track.end();
      for (const view of views.values()) view.advance();
      waiters.wake();
    },
    entrance() {
      const data = current?.renditions.find((one) => one.kind === 'data');
      return data ? `${data.id}/data` : 'stream.m3u8';
    },
    async get(file, query, signal) {
      if (file === 'stream.m3u8') {
        const back = numberIn(query, 'back');
        return until(() => {
          if (!current || !tracks.some((track) => track.segments().length > 0 || track.ended())) return null;
          const from = back === null ? null : seqOf(back);
          const added = from !== null ? `from=${from}` : query.has(lowLatency) ? lowLatency : '';
          const body = Buffer.from(multivariantPlaylist(current.renditions, added));
          return { type: playlistType, body, lasting: false };
        }, signal);
      }
      const match =
        /^([a-z0-9]{1,16})\/(index\.m3u8|data|init-(\d{1,10})\.mp4|(\d{1,15})\.m4s|s(\d{1,15})\.m4s)$/.exec(
          file,
        );
      if (!match) throw notFound();
      const [, id, name, run, seq, number] = match as unknown as [
        string,
        string,
        string,
        string?,
        string?,
        string?,
      ];
      if (name === 'index.m3u8') return playlist(id, query, signal);
      if (run !== undefined) {
        const init = inits.get(`${id}/${Number(run)}`);
        if (!init) throw notFound();
        return { type: typeOf(find(id)!.rendition), body: init, lasting: true };
      }
      if (seq !== undefined) return part(id, Number(seq), signal);
      if (number !== undefined) return segment(id, Number(number), numberIn(query, 'from'));
      const found = await until(() => find(id), signal);
      if (found.rendition.kind !== 'data') throw notFound();
      return { type: typeOf(found.rendition), body: bytesOf(found.index), lasting: false };
    },
    next: (rendition) => trackOf(rendition).next(),
    gaps: () => tracks.reduce((sum, track) => sum + track.gaps(), 0),
  };
}

/**
 * May a player that comes be given the playlist? One that plays parts begins at once; any other takes a playlist without a whole
 * segment for a broken one, and waits for the first. A segment that does not end is not waited for.
 */
function isEnough(track: Track, playsParts: boolean): boolean {
  const [first, second] = track.segments();
  if (playsParts || track.ended() || second || !first || first.complete) return true;
  return first.parts.reduce((sum, one) => sum + one.duration, 0) >= longestFirstMs;
}

/** @throws AppError `invalid_argument` */
function numberIn(query: URLSearchParams, name: string): number | null {
  const text = query.get(name);
  if (text === null) return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new AppError('invalid_argument', `"${name}" of an address of a stream is a whole number.`);
}

const notFound = (): AppError =>
  new AppError('not_found', 'There is no such file in this stream, or no longer.');
