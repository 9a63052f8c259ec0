import { z } from './zod.ts';
import {
  count,
  done,
  download,
  driveId,
  nothing,
  path,
  peerId,
  time,
  userId,
  watched,
  watchedList,
} from './common.ts';
import { command, query, subscription } from '../rpc/contract.ts';

/** How the keystore is protected: by a password, by the system's keychain, by a 0600 key file beside it, or it is locked now. */
export const keystoreState = z.enum(['password', 'keychain', 'unprotected', 'locked']);

export const nodeStatus = z.object({
  peerId,
  userId: userId.nullable(),
  /** Full multiaddrs ending in /p2p/<peerId>. */
  addresses: z.array(z.string()),
  /** Connected peers. */
  peers: count,
  drives: count,
  /** The ledger followed; `id` is null while there is none. */
  chain: z.object({ id: z.string().nullable(), height: count }),
  version: z.string(),
  /** Seconds since the daemon was ready. */
  uptime: z.number().nonnegative(),
  keystore: keystoreState,
  /** It was linked to another computer and has no recovery words: it changes nothing about identity and devices. */
  linked: z.boolean(),
});
export type NodeStatus = z.infer<typeof nodeStatus>;

export const transfer = z.object({
  /** Stable while it goes on. */
  id: z.string(),
  driveId,
  /** null when it is about the drive as a whole. */
  path: path.nullable(),
  direction: z.enum(['up', 'down']),
  /** Bytes. */
  done: count,
  /** Bytes; null when not known. */
  total: count.nullable(),
  /** Bytes a second over the last seconds. */
  rate: z.number().nonnegative(),
});
export type Transfer = z.infer<typeof transfer>;

export const activity = z.object({
  /** Grows by one. */
  id: count,
  time,
  driveId: driveId.nullable(),
  /** A word for programs: `added`, `changed`, `deleted`, `moved`, `conflict`, `problem`, `member`, ... */
  kind: z.string(),
  path: path.nullable(),
  userId: userId.nullable(),
  peerId: peerId.nullable(),
  /** A sentence for people. */
  message: z.string(),
  /** The same as a word with what stands in the sentence, for other languages; `error`: `values.code` is that of an error. null: only `message` says it. */
  said: z
    .object({ code: z.string(), values: z.record(z.string(), z.union([z.string(), z.number()])) })
    .nullable(),
});
export type Activity = z.infer<typeof activity>;

export const node = {
  status: query(nothing, nodeStatus),
  watch: subscription(nothing, watched(nodeStatus)),
  /** Files and drives on the move; key `id`. Coalesced to 4 Hz. */
  watchTransfers: subscription(nothing, watchedList(transfer)),
  /** What happened lately, oldest first, then as it happens. */
  watchActivity: subscription(z.object({ last: z.int().min(0).max(1000).default(100) }), activity),
  /** Stops the daemon after this call is answered. */
  shutdown: command(nothing, done),
};

export const check = z.object({
  name: z.string(),
  level: z.enum(['ok', 'warning', 'failed']),
  /** What was found and, if it isn't well, what to do: for people. */
  message: z.string(),
});
export type Check = z.infer<typeof check>;

export const diagnosis = z.object({ ok: z.boolean(), checks: z.array(check) });
export type Diagnosis = z.infer<typeof diagnosis>;

export const doctor = {
  check: query(nothing, diagnosis),
  /** A zip of reports with no secrets in it. */
  bundle: command(nothing, download),
};
