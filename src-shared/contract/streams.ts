import { z } from './zod.ts';
import { count, done, driveId, nothing, path, peerId, time, userId, watched, watchedList } from './common.ts';
import { command, query, subscription } from '../rpc/contract.ts';

/** Lower-case hex of the SHA-256 of a stream's genesis. */
export const streamId = z.string().regex(/^[0-9a-f]{64}$/);
/** A stream by its id or its link. */
const stream = z.string().min(1).max(16_384);

/** What a rendition carries: sound and pictures, sound alone, or any bytes in order. */
export const renditionKind = z.enum(['av', 'audio', 'data']);

/** One encoding of the stream. All renditions of a run share the clock of 90 kHz. */
export const rendition = z.object({
  id: z.string().regex(/^[a-z0-9]{1,16}$/),
  kind: renditionKind,
  /** As RFC 6381 writes them, separated by commas; '' for data. */
  codecs: z
    .string()
    .max(100)
    .regex(/^[A-Za-z0-9.,_-]*$/),
  width: z.int().min(1).max(16_384).optional(),
  height: z.int().min(1).max(16_384).optional(),
  frameRate: z.number().min(0.1).max(1000).optional(),
  /** Highest bits a second over a segment. */
  bandwidth: z.int().min(1).max(1_000_000_000),
});
export type Rendition = z.infer<typeof rendition>;

/** `public` stands in the directory, `unlisted` is for who has the link, a list of users is for them alone, encrypted. */
export const audience = z.union([z.enum(['public', 'unlisted']), z.array(userId).max(1000)]);

export const streamSummary = z.object({
  streamId,
  title: z.string(),
  /** Who streams; null: not known here. */
  userId: userId.nullable(),
  link: z.string(),
  audience: z.enum(['public', 'unlisted', 'private']),
  state: z.enum(['live', 'ended']),
  /** Live, but its source has gone for a moment: nothing comes until it is back. */
  away: z.boolean(),
  /** A name of its picture, another one when the picture changes; null: it has none. `poster` gives it. */
  poster: z.string().nullable(),
  /** It is sent from this computer. */
  own: z.boolean(),
  /** It is watched (or passed on) here now. */
  watching: z.boolean(),
  /** Its user is followed here. */
  followed: z.boolean(),
  startedAt: time,
  /** Players as far as they are known here; 0 where only the source could tell. */
  viewers: count,
  renditions: z.array(rendition),
  targetLatency: z.enum(['default', 'interactive']),
  /** How far back one may go, seconds. */
  dvrSeconds: count,
  /** Where it is recorded, or was; of own streams. */
  recording: z.object({ driveId, path }).nullable(),
});
export type StreamSummary = z.infer<typeof streamSummary>;

/** One computer this one passes the stream on to. */
export const streamChild = z.object({
  peerId,
  /** Players behind it, its own included. */
  viewers: count,
  /** Media that waits to leave for it, ms. */
  queueMs: z.number().nonnegative(),
  /** Parts it was not sent because its queue was full. */
  dropped: count,
  /** Round trip, ms. */
  rtt: z.number().nonnegative().nullable(),
});

export const streamStats = z.object({
  streamId,
  role: z.enum(['source', 'repeater', 'viewer']),
  /** Hops from the source; null while it has no parent. */
  depth: count.nullable(),
  parent: peerId.nullable(),
  backups: z.array(peerId),
  children: z.array(peerId),
  /** Of `children`, what is known of each. */
  branches: z.array(streamChild),
  /** Bytes on the wire for this stream, control included. */
  sent: count,
  received: count,
  /** Of `received`, parts that were here already. */
  duplicateBytes: count,
  /** Parts refused: forged, replayed, out of bounds. */
  rejected: count,
  /** Of the newest part, from capture to being playable here, by both clocks; null before the first. */
  latencyMs: z.number().nullable(),
  /** Parts that were given up as lost. */
  gaps: count,
  /** How often it changed its parent, and the longest pause that made, ms. */
  switches: count,
  longestPauseMs: count,
  /** Players: here, or of the whole stream where this is the source. */
  viewers: count,
  run: count,
  /** Renditions of which parts came in the last seconds: what can be played now. */
  arriving: z.array(z.string()),
  /** Parts in the window, of all renditions. */
  parts: count,
  /** Of the source: parts taken from the encoder. */
  ingested: count,
  /** Acknowledged by children, bytes a second; what the uplink is known to carry. */
  uplink: count,
});
export type StreamStats = z.infer<typeof streamStats>;

export const relaySettings = z.object({
  /** Whether this computer passes on streams to others; `auto`: while it watches them. */
  enabled: z.enum(['auto', 'on', 'off']),
  /** Bytes a second that streams may use of the upload; null: as measured. */
  uplink: z.int().positive().nullable(),
});
export type RelaySettings = z.infer<typeof relaySettings>;

/** Where another program on this computer sends a stream, such as OBS, and how that goes. */
export const encoderDoor = z.object({
  /** `waiting`: for the program; `live`: it sends. */
  state: z.enum(['off', 'waiting', 'live']),
  /** What the program is told: a server on loopback, and a key that is good once. */
  server: z.string().nullable(),
  key: z.string().nullable(),
  streamId: streamId.nullable(),
  link: z.string().nullable(),
  /** Why the last one ended otherwise than by its program or by `encoderClose`. */
  problem: z.string().nullable(),
});
export type EncoderDoor = z.infer<typeof encoderDoor>;

/** Live streams: sent from here, watched here, passed on. Bytes go over capability URLs of the second origin. */
export const streams = {
  /**
   * Goes live. Parts are sent to `<ingestUrl>/<rendition>/init`, then `<ingestUrl>/<rendition>/<seq>?pts=&duration=&captured=&
   * independent=&segment=`, and `<ingestUrl>/end` ends it; docs/streams.md has it in full.
   */
  start: command(
    z.object({
      title: z.string().trim().min(1).max(200),
      /** A picture for lists and the player: a JPEG or WebP of at most 64 KiB, in base64. */
      poster: z.base64().max(88_000).nullable().default(null),
      audience: audience.default('public'),
      /** Records into this drive. */
      record: z.string().min(1).max(1024).nullable().default(null),
      dvrSeconds: z.int().min(10).max(3600).default(1800),
      renditions: z.array(rendition).min(1).max(6),
      targetLatency: z.enum(['default', 'interactive']).default('default'),
      /** About how long a part is, ms; none may be longer than twice that. */
      partMs: z.int().min(50).max(1000).default(200),
      /** Most computers the source itself sends to; null: as its uplink allows. */
      fanout: z.int().min(1).max(32).nullable().default(null),
      /**
       * The encoder comes back by itself (`resume`) when the node was started anew: the stream waits for it. Otherwise it ends when the node is
       * stopped in order.
       */
      outlives: z.boolean().default(false),
    }),
    z.object({ streamId, link: z.string(), ingestUrl: z.url() }),
  ),
  /**
   * Goes on with an own stream whose encoder lost its `ingestUrl`: the node was started anew (within five minutes; two minutes after that
   * without parts it ends). Init segments come first again: it is a new run.
   */
  resume: command(z.object({ stream }), z.object({ streamId, link: z.string(), ingestUrl: z.url() })),
  /**
   * Waits on loopback for another program that speaks RTMP, with H.264 and AAC; the stream goes live when it sends and ends when it goes.
   * One at a time.
   */
  encoderOpen: command(
    z.object({
      title: z.string().trim().min(1).max(200),
      poster: z.base64().max(88_000).nullable().default(null),
      audience: audience.default('public'),
      record: z.string().min(1).max(1024).nullable().default(null),
      targetLatency: z.enum(['default', 'interactive']).default('default'),
      /** 0: any free one. */
      port: z.int().min(0).max(65_535).default(1935),
    }),
    encoderDoor,
  ),
  /** Waits no more, and ends what it sends. */
  encoderClose: command(nothing, encoderDoor),
  encoder: query(nothing, encoderDoor),
  watchEncoder: subscription(nothing, watched(encoderDoor)),
  /** Ends an own stream for everybody. */
  stop: command(z.object({ stream }), done),
  /**
   * Lets people into an own private stream, or out of it: what is sent from then on opens for nobody else. Answers whom it is for;
   * with neither, it changes nothing.
   */
  invite: command(
    z.object({
      stream,
      add: z.array(userId).max(1000).default([]),
      remove: z.array(userId).max(1000).default([]),
    }),
    z.object({ users: z.array(userId) }),
  ),
  /** Live ones first: own, watched, and those heard of. */
  list: query(nothing, z.array(streamSummary)),
  /** Key `streamId`. */
  watchList: subscription(nothing, watchedList(streamSummary)),
  /**
   * Joins it; `url` is a multivariant LL-HLS playlist, good while it is asked for. With `?back=SECONDS` behind it, it begins so long ago,
   * as far back as the stream allows and somebody has it.
   */
  watch: command(z.object({ stream }), z.object({ streamId, url: z.url() })),
  /** An address of a stream's picture, good for a minute after each use; null when it has none, or nobody has it. */
  poster: query(z.object({ stream }), z.object({ url: z.url().nullable() })),
  /** Watches it no more. */
  leave: command(z.object({ stream }), done),
  stats: query(z.object({ stream }), streamStats),
  /** At most four times a second. */
  watchStats: subscription(z.object({ stream }), watched(streamStats)),
  /** What is left out stays as it is. */
  relay: command(relaySettings.partial(), relaySettings),
  /** Says when this user goes live; and what is followed. */
  follow: command(z.object({ user: userId, on: z.boolean() }), z.object({ users: z.array(userId) })),
  following: query(nothing, z.object({ users: z.array(userId) })),
};
