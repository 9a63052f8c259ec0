import type { AppStream, ParamsOf, ResultOf } from '../apps/methods/index.ts';
import type { Transport, Unsubscribe } from './transport.ts';

export interface Streams {
  /** Live ones first. Needs `streams.watch`. */
  list(): Promise<readonly AppStream[]>;
  /** Says that the list may have changed. */
  watchList(listener: () => void): Promise<Unsubscribe>;
  /** Joins a stream, by id or link. @returns an LL-HLS playlist for a player such as hls.js */
  watch(stream: string): Promise<ResultOf<'exc_streamWatch'>>;
  /** The picture of a stream of the list, as a `data:` address for `<img>`; null when it has none, or nobody has it. */
  poster(streamId: string): Promise<string | null>;
  /** Watches it no more. */
  leave(streamId: string): Promise<void>;
  /**
   * A recording that somebody published with `Folder.publish`: a video or sound file of that folder. Needs `streams.watch`.
   * @param recording `link`: of the folder; `path`: in it
   * @returns an address on this page's own origin, for `<video>`; good for an hour after each use
   * @throws AppRequestError `not_found`, `not_granted` for a link that does not open its drive, `drive_unknown`, `unreachable`
   */
  recording(recording: ParamsOf<'exc_recordingOpen'>): Promise<ResultOf<'exc_recordingOpen'>>;
  /** Goes live; the person is asked. Needs `streams.publish`. */
  publish(stream: ParamsOf<'exc_streamPublish'>): Promise<ResultOf<'exc_streamPublish'>>;
  /** Ends a stream that this app began. */
  stop(streamId: string): Promise<void>;
}

export function createStreams(transport: Transport): Streams {
  const { request } = transport;
  return {
    list: async () => (await request('exc_streamList')).streams,
    watchList: (listener) => transport.subscribe('exc_streamListWatch', {}, () => listener()),
    watch: (stream) => request('exc_streamWatch', { stream }),
    poster: async (stream) => (await request('exc_streamPoster', { stream })).url,
    leave: async (stream) => void (await request('exc_streamLeave', { stream })),
    recording: (recording) => request('exc_recordingOpen', recording),
    publish: (stream) => request('exc_streamPublish', stream),
    stop: async (stream) => void (await request('exc_streamStop', { stream })),
  };
}
