import type { AppContract } from '../../src-shared/contract/index.ts';
import type { Handlers } from '../../src-shared/rpc/index.ts';
import type { Clock } from '../../src-shared/runtime.ts';
import type { Downloads } from './downloads.ts';
import type { NodeServices } from './node-services.ts';
import { serveIngest, servePlayback } from './stream-routes.ts';
import { watchList, watchState } from './watch.ts';
import type { Hints } from './watch.ts';

/** A player that asks for nothing so long has gone, ms. */
const playbackIdle = 120_000;

/** An encoder that goes on after the end is told so for this long, ms. */
const farewell = 60_000;

/** The `streams` group: what the node does, and the capability URLs that its bytes go over. */
export function createStreamHandlers(
  streams: NodeServices['streams'],
  {
    clock,
    downloads,
    changed,
  }: { readonly clock: Clock; readonly downloads: Downloads; readonly changed: Hints },
): Handlers<AppContract>['streams'] {
  /** A capability URL for the parts of an own stream. */
  function ingestOf(streamId: string): string {
    const ingest = streams.ingest(streamId);
    const mounted = downloads.mount((request, rest) => serveIngest(ingest, request, rest));
    void ingest.ended.then(() => clock.after(farewell, () => mounted.end()));
    return mounted.url;
  }

  return {
    stop: (input, signal) => streams.stop(input, signal),
    invite: (input, signal) => streams.invite(input, signal),
    list: (input, signal) => streams.list(input, signal),
    leave: (input, signal) => streams.leave(input, signal),
    stats: (input, signal) => streams.stats(input, signal),
    relay: (input, signal) => streams.relay(input, signal),
    encoderOpen: (input, signal) => streams.encoderOpen(input, signal),
    encoderClose: (input, signal) => streams.encoderClose(input, signal),
    encoder: (input, signal) => streams.encoder(input, signal),
    watchEncoder: (_, signal) => watchState(changed, () => streams.encoder({}, signal), clock, signal),
    follow: (input, signal) => streams.follow(input, signal),
    following: (input, signal) => streams.following(input, signal),
    async start(input, signal) {
      const { streamId, link } = await streams.start(input, signal);
      return { streamId, link, ingestUrl: ingestOf(streamId) };
    },
    async resume(input, signal) {
      const { streamId, link } = await streams.resume(input, signal);
      return { streamId, link, ingestUrl: ingestOf(streamId) };
    },
    async watch(input, signal) {
      const { streamId } = await streams.watch(input, signal);
      const playback = streams.playback(streamId);
      const mounted = downloads.mount((request, rest) => servePlayback(playback, request, rest), {
        idle: playbackIdle,
        onIdle: () => playback.close(),
      });
      void playback.closed.then(() => mounted.end());
      return { streamId, url: `${mounted.url}/${playback.entrance}` };
    },
    async poster(input, signal) {
      const found = await streams.poster(input, signal);
      if (!found) return { url: null };
      const { bytes, type } = found;
      const open = async (start: number, end: number | null) => {
        const part = bytes.subarray(start, end ?? bytes.length);
        return { size: bytes.length, bytes: ReadableStream.from([part]) as AsyncIterable<Uint8Array> };
      };
      return { url: downloads.offer({ fileName: 'poster', type, open }) };
    },
    watchList: (_, signal) =>
      watchList(
        changed,
        () => streams.list({}, signal),
        (one) => one.streamId,
        clock,
        signal,
      ),
    watchStats: (input, signal) => watchState(changed, () => streams.stats(input, signal), clock, signal),
  };
}
