import { count, path, time, userId } from '../../contract/common.ts';
import { rendition, streamId } from '../../contract/streams.ts';
import { z } from '../../contract/zod.ts';
import { shownText } from '../text.ts';
import { appUrl, method, nothing, ok, watching } from './frame.ts';

/** By id or by link. */
const stream = z.string().min(1).max(4096);

const appStream = z.object({
  streamId,
  title: z.string(),
  userId: userId.nullable(),
  link: z.string(),
  /** `unlisted`: only who has the link is to know of it. */
  audience: z.enum(['public', 'unlisted']),
  state: z.enum(['live', 'ended']),
  /** Live, but its source has gone for a moment. */
  away: z.boolean(),
  /** A name of its picture, for `exc_streamPoster`; null: it has none. */
  poster: z.string().nullable(),
  /** Sent from this computer. */
  own: z.boolean(),
  startedAt: time,
  viewers: count,
  renditions: z.array(rendition),
});
export type AppStream = z.infer<typeof appStream>;

export const streamMethods = {
  /** Live ones first: public ones heard of, those watched here and own ones. */
  exc_streamList: method(['streams.watch'], nothing, z.object({ streams: z.array(appStream) })),
  /** Tells that the list may have changed. */
  exc_streamListWatch: watching(['streams.watch'], nothing, z.object({ changed: z.literal(true) })),
  /** Joins it; `url` is an LL-HLS playlist on the app's own origin. */
  exc_streamWatch: method(['streams.watch'], z.object({ stream }), z.object({ streamId, url: appUrl })),
  /**
   * A recording that somebody published: a video or sound file at `path` of a drive that is open to whoever has `link`. `url` is good for
   * `<video>`, for an hour after each use.
   */
  exc_recordingOpen: method(
    ['streams.watch'],
    z.object({ link: z.string().min(1).max(8192), path: path.min(1) }),
    z.object({ size: count, url: appUrl }),
  ),
  /** The picture of a stream of the list as a `data:` address; null when it has none, or nobody has it. */
  exc_streamPoster: method(
    ['streams.watch'],
    z.object({ stream: streamId }),
    z.object({ url: z.string().nullable() }),
  ),
  exc_streamLeave: method(['streams.watch'], z.object({ stream: streamId }), ok),
  /** Goes live in the person's name; the person is asked. Parts are posted to `ingestUrl` as docs/streams.md says. */
  exc_streamPublish: method(
    ['streams.publish'],
    z.object({
      title: shownText(200).trim().min(1),
      audience: z.enum(['public', 'unlisted']).default('public'),
      renditions: z.array(rendition).min(1).max(6),
      partMs: z.int().min(50).max(1000).default(200),
    }),
    z.object({ streamId, link: z.string(), ingestUrl: appUrl }),
  ),
  /** Ends a stream that this app began. */
  exc_streamStop: method(['streams.publish'], z.object({ stream: streamId }), ok),
};
