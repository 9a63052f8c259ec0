import type { AppStream } from '../../../../src-shared/apps/methods/index.ts';
import type { StreamSummary } from '../../../../src-shared/contract/index.ts';
import { AppError } from '../../../../src-shared/errors.ts';
import { notGranted } from '../../permissions/index.ts';
import type { AppHandlers, HandlerDeps } from '../types.ts';

type Names =
  | 'exc_streamList'
  | 'exc_streamListWatch'
  | 'exc_streamWatch'
  | 'exc_recordingOpen'
  | 'exc_streamPoster'
  | 'exc_streamLeave'
  | 'exc_streamPublish'
  | 'exc_streamStop';

/** A player that asks for nothing so long has gone, ms. */
const playbackIdle = 120_000;
/** An encoder that goes on after the end is told so for this long, ms. */
const farewell = 60_000;
const watchEvery = 500;

/** Streams: watched by playlists on the app's own origin, published by posting parts there. */
export function streamHandlers(deps: HandlerDeps): Pick<AppHandlers, Names> {
  const { node, clock } = deps;
  /** Streams that an app began, by id. */
  const begun = new Map<string, string>();

  return {
    async exc_streamList({ signal }) {
      // Private ones are between the person and their friends, what was recorded is theirs: an app hears of neither.
      const all = await node.streams.list({}, signal);
      const open = all.filter(({ own, state }) => !(own && state === 'ended'));
      return { streams: open.flatMap((one) => shownStream(one) ?? []) };
    },

    exc_streamListWatch: (call) =>
      call.subscribe('exc_streamListWatch', (send) => {
        let cancel: (() => void) | null = null;
        const stop = node.on('streams', () => {
          cancel ??= clock.after(watchEvery, () => {
            cancel = null;
            send({ changed: true });
          });
        });
        return () => {
          stop();
          cancel?.();
        };
      }),

    async exc_streamWatch(call, { stream }) {
      call.about(stream.slice(0, 64));
      const known = (await node.streams.list({}, call.signal)).find(({ streamId }) => streamId === stream);
      if (known?.audience === 'private') {
        throw new AppError('stream_unknown', 'There is no such stream that is open to apps.');
      }
      const { streamId, entrance, serve, close, closed } = await node.streams.watch(stream, call.signal);
      const mounted = deps.bytes(call.app.appId).mount(serve, { idle: playbackIdle, onIdle: close });
      void closed.then(() => mounted.end());
      call.signal.addEventListener('abort', close, { once: true });
      return { streamId, url: `${mounted.url}/${entrance}` };
    },

    async exc_recordingOpen(call, { link, path }) {
      const fileName = path.split('/').at(-1)!;
      call.about(fileName);
      const type = deps.previewType(fileName);
      // The permission is to watch, not to read what else is open somewhere.
      if (!/^(?:video|audio)\//.test(type ?? '')) {
        throw new AppError('unsupported', 'A recording is a video or a sound file.');
      }
      const read = (start: number, end: number | null, signal: AbortSignal) => {
        // Looked at anew for every request of an address that was given out.
        if (!call.has('streams.watch')) throw notGranted('streams.watch');
        return node.published.read({ link, path, start, end }, signal);
      };
      const { size, bytes } = await read(0, 0, call.signal);
      await bytes[Symbol.asyncIterator]().return?.();
      return { size, url: deps.bytes(call.app.appId).offer({ fileName, type, open: read }) };
    },

    async exc_streamPoster({ signal }, { stream }) {
      const known = (await node.streams.list({}, signal)).find(({ streamId }) => streamId === stream);
      if (!known || known.audience === 'private') {
        throw new AppError('stream_unknown', 'There is no such stream that is open to apps.');
      }
      const found = await node.streams.poster({ stream }, signal);
      return {
        url: found && `data:${found.type};base64,${Buffer.from(found.bytes).toString('base64')}`,
      };
    },

    async exc_streamLeave({ signal }, { stream }) {
      await node.streams.leave({ stream }, signal);
      return { ok: true };
    },

    async exc_streamPublish(call, input) {
      call.about(input.title);
      await call.ask({
        kind: 'share',
        text: input.title,
        discloses: [input.audience === 'public' ? 'streamPublic' : 'streamByLink', 'streamShows'],
      });
      const { streamId, link, serve, ended } = await node.streams.publish(input, call.signal);
      begun.set(streamId, call.app.appId);
      const mounted = deps.bytes(call.app.appId).mount(serve);
      void ended.then(() => {
        begun.delete(streamId);
        clock.after(farewell, () => mounted.end());
      });
      return { streamId, link, ingestUrl: mounted.url };
    },

    async exc_streamStop({ app, signal }, { stream }) {
      if (begun.get(stream) !== app.appId) {
        throw new AppError('not_found', 'This app has begun no such stream.');
      }
      await node.streams.stop({ stream }, signal);
      return { ok: true };
    },
  };
}

function shownStream(one: StreamSummary): AppStream | null {
  const {
    streamId,
    title,
    userId,
    link,
    audience,
    state,
    away,
    poster,
    own,
    startedAt,
    viewers,
    renditions,
  } = one;
  if (audience === 'private') return null;
  return {
    streamId,
    title,
    userId,
    link,
    audience,
    state,
    away,
    poster,
    own,
    startedAt,
    viewers,
    renditions,
  };
}
