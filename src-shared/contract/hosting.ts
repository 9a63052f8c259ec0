import { z } from './zod.ts';
import { count, driveId, nothing, peerId, time, userId } from './common.ts';
import { command, query } from '../rpc/contract.ts';

/** Of a drive: its id, or a name only one drive has. */
const drive = z.string().min(1).max(1024);

/** A computer that keeps a copy of a drive and cannot read it. */
export const driveHost = z.object({
  peerId,
  userId: userId.nullable(),
  connected: z.boolean(),
  /** It has all history and all blocks of the present files. */
  complete: z.boolean(),
  /** On its disk, as it says. */
  bytes: count,
  lastAudit: z.object({ time, ok: z.boolean() }).nullable(),
  /** An error code when it broke its contract and is being replaced. */
  problem: z.string().nullable(),
});
export type DriveHost = z.infer<typeof driveHost>;

export const driveHosts = z.object({ wanted: count, hosts: z.array(driveHost) });
export type DriveHosts = z.infer<typeof driveHosts>;

export const hostStatus = z.object({
  offering: z.boolean(),
  /** Bytes lent; 0 when nothing is. */
  quota: count,
  /** Bytes that others have here. */
  used: count,
  /** Bytes that contracts promise to others. */
  reserved: count,
  drives: z.array(
    z.object({
      driveId,
      /** Who asked for it, when known. */
      userId: userId.nullable(),
      bytes: count,
      reserved: count,
      /** Blocks that did not come yet. */
      missing: count,
      until: time,
    }),
  ),
});
export type HostStatus = z.infer<typeof hostStatus>;

/** Disk lent to others, and copies of own drives on the disks of others. */
export const hosting = {
  /** Lends so many bytes to others; what is promised already stays. */
  offer: command(z.object({ quota: z.int().positive() }), hostStatus),
  /** Takes nothing new; those whose drives are here move away, then it is deleted. */
  stop: command(nothing, hostStatus),
  status: query(nothing, hostStatus),
  /** How many copies of the drive there are to be on hosts; 0 takes all back. */
  replicate: command(z.object({ drive, copies: z.int().min(0).max(32) }), driveHosts),
  hosts: query(z.object({ drive }), driveHosts),
};
