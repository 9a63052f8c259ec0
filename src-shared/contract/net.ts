import { z } from './zod.ts';
import { count, nothing, peerId, time, userId, watchedList } from './common.ts';
import { command, query, subscription } from '../rpc/contract.ts';

export const peer = z.object({
  peerId,
  userId: userId.nullable(),
  address: z.string(),
  direction: z.enum(['inbound', 'outbound']),
  relayed: z.boolean(),
  /** Round trip in ms; null: not measured yet. */
  rtt: z.number().nonnegative().nullable(),
  /** Bytes of this connection. */
  sent: count,
  received: count,
  /** Bytes a second, over the last seconds. */
  up: z.number().nonnegative(),
  down: z.number().nonnegative(),
  agent: z.string(),
});
export type Peer = z.infer<typeof peer>;

/** Bytes a second; null: no limit. */
const rate = z.int().positive().nullable();

export const bandwidth = z.object({
  /** The limits. */
  up: rate,
  down: rate,
  /** What flows now, bytes a second, and what flowed since the start, bytes. */
  upNow: z.number().nonnegative(),
  downNow: z.number().nonnegative(),
  sent: count,
  received: count,
  /** Of `up`, for readers of open drives who are no members: their bound, and bytes since the start. */
  readers: z.object({ up: rate, sent: count }),
});
export type Bandwidth = z.infer<typeof bandwidth>;

/** What all connections carried in one stretch of time. */
export const trafficSlot = z.object({ time, sent: count, received: count });
export type TrafficSlot = z.infer<typeof trafficSlot>;

export const net = {
  peers: query(nothing, z.array(peer)),
  /** Key `peerId`. */
  watchPeers: subscription(nothing, watchedList(peer)),
  /** A peer id, or a multiaddr ending in /p2p/<id>; dials when not connected. */
  ping: query(z.object({ peer: z.string().min(1).max(1024) }), z.object({ peerId, rtt: z.number() })),
  bandwidth: query(nothing, bandwidth),
  /**
   * What was carried by time, oldest first; stretches in which nothing flowed are left out. Five minutes are kept for two
   * days, hours for 92. `seconds` is the length of one stretch; they begin at multiples of it.
   */
  traffic: query(
    z.object({ step: z.enum(['minutes', 'hours']), since: time.optional() }),
    z.object({ seconds: z.int().positive(), slots: z.array(trafficSlot).max(4000) }),
  ),
  /**
   * What each computer was sent and sent on the days (UTC) that begin at `since` or later, the busiest first; kept for 92 days.
   * `peerId` '': those beyond the 512 that are told apart on one day.
   */
  trafficByPeer: query(
    z.object({ since: time.optional() }),
    z
      .array(
        z.object({
          peerId: z.union([peerId, z.literal('')]),
          userId: userId.nullable(),
          sent: count,
          received: count,
        }),
      )
      .max(50_000),
  ),
  /** What is left out stays as it is. */
  limit: command(
    z.object({ up: rate.optional(), down: rate.optional(), readers: rate.optional() }),
    bandwidth,
  ),
};

/** Settings are named by dotted words; what each may hold is known to the node, which answers `invalid_argument`. */
const settingKey = z
  .string()
  .regex(/^[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*$/)
  .max(100);
export const settingValue = z.union([
  z.string().max(4096),
  z.number(),
  z.boolean(),
  z.null(),
  z.array(z.string().max(1024)).max(100),
]);
export type SettingValue = z.infer<typeof settingValue>;

export const settings = {
  /** All, with their defaults filled in. */
  all: query(nothing, z.record(z.string(), settingValue)),
  get: query(z.object({ key: settingKey }), z.object({ key: z.string(), value: settingValue })),
  set: command(
    z.object({ key: settingKey, value: settingValue }),
    z.object({ key: z.string(), value: settingValue }),
  ),
};
