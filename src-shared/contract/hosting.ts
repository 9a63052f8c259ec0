import { z } from './zod.ts';
import { amount, wanted as coins } from './amounts.ts';
import { count, driveId, nothing, peerId, time, userId } from './common.ts';
import { command, query } from '../rpc/contract.ts';

/** Of a drive: its id, or a name only one drive has. */
const drive = z.string().min(1).max(1024);

/** A computer that keeps a copy of a drive and cannot read it. */
export const driveHost = z.object({
  peerId,
  userId: userId.nullable(),
  connected: z.boolean(),
  /** It has all history and every block it is to keep. */
  complete: z.boolean(),
  /** It keeps every file that is kept whole. */
  whole: z.boolean(),
  /** Its place among those that keep one shard each of erasure-coded files; null: it keeps none. */
  slot: count.nullable(),
  /** On its disk, as it says. */
  bytes: count,
  lastAudit: z.object({ time, ok: z.boolean() }).nullable(),
  /** An error code when it broke its contract and is being replaced. */
  problem: z.string().nullable(),
  /** By contracts on the ledger, all of this host together; null: there are none. Amounts of base coin. */
  pay: z
    .object({
      /** For an hour that is proven. */
      hour: amount,
      paid: amount,
      /** Hours of contracts that were not proven. */
      missed: count,
      until: time,
      /** False: it did not take (all of) them yet. */
      taken: z.boolean(),
    })
    .nullable(),
});
export type DriveHost = z.infer<typeof driveHost>;

/**
 * Large files that rarely change are erasure-coded: any `data` of their `data + parity` shards, each on a host of its own, give
 * them back, at `(data + parity) / data` times their size.
 */
export const codedFiles = z.object({
  /** Ciphertext of the files themselves, without parity; null: only the device that sees to the copies knows. */
  bytes: count.nullable(),
  data: count,
  parity: count,
  /** Slots that a host fills with all its shards. */
  complete: count,
});

export const driveHosts = z.object({
  wanted: count,
  /** Complete copies on hosts: nothing is lost when all but one of so many hosts are. */
  copies: count,
  coded: codedFiles.nullable(),
  hosts: z.array(driveHost),
  /** Of the active network's base coin; null: no network is followed. */
  symbol: z.string().nullable(),
  /** What this device pays for copies, on the active network; null: nothing. Amounts of base coin. */
  pay: z
    .object({
      /** For a GiB, copy and hour. */
      price: amount,
      /** What each host puts down. */
      collateral: amount,
      /** A contract runs so long. */
      hours: count,
      /** What all of it may come to, and came to less what came back. */
      budget: amount,
      spent: amount,
      /** Why no contracts are made now: an error code; null: nothing is wrong. */
      problem: z.string().nullable(),
    })
    .nullable(),
});
export type DriveHosts = z.infer<typeof driveHosts>;

export const hostStatus = z.object({
  offering: z.boolean(),
  /** Bytes lent; 0 when nothing is. */
  quota: count,
  /** Bytes that others have here. */
  used: count,
  /** Bytes that contracts promise to others. */
  reserved: count,
  /** Bytes that somebody who is not known here may reserve, and all of them together; null: there is no bound, or pay is asked for. */
  strangers: z.object({ each: count, together: count }).nullable(),
  /** Share of what is lent from which that comes, in [0, 1]. */
  strangerShare: z.number(),
  /** Base coins wanted for a GiB and hour; null: drives are kept for nothing, too. And what is put down at the most for a paid copy. */
  price: amount.nullable(),
  collateral: amount,
  /** Of the active network's base coin; null: no network is followed. */
  symbol: z.string().nullable(),
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
      /** By contracts on the ledger: for an hour that is proven, so far, and how many contracts; null: it is kept for nothing. */
      pay: z.object({ hour: amount, paid: amount, contracts: count, missed: count }).nullable(),
      /** When it goes if nothing pays for it until then; null: something does, or nothing is asked for it. */
      goes: time.nullable(),
    }),
  ),
  /** Drives that went in the last thirty days because nothing paid for them, and until when they are not taken again. */
  unpaid: z.array(z.object({ driveId, until: time })),
});
export type HostStatus = z.infer<typeof hostStatus>;

/** Disk lent to others, and copies of own drives on the disks of others. */
export const hosting = {
  /** Lends so many bytes to others; what is promised already stays. */
  offer: command(
    z.object({
      quota: z.int().positive(),
      /** null: for nothing, too; left out: as before. */
      price: coins.nullable().optional(),
      collateral: coins.optional(),
      /** Share of it that somebody who is not known here may reserve for nothing; left out: as before. */
      strangerShare: z.number().min(0).max(1).optional(),
    }),
    hostStatus,
  ),
  /** Takes nothing new; those whose drives are here move away, then it is deleted. */
  stop: command(nothing, hostStatus),
  status: query(nothing, hostStatus),
  /** How many copies of the drive there are to be on hosts; 0 takes all back. */
  replicate: command(
    z.object({
      drive,
      copies: z.int().min(0).max(32),
      /** What is paid for them by contracts on the active network; null: nothing any more; left out: as before. */
      pay: z
        .object({
          price: coins,
          budget: coins,
          hours: z.int().min(1).max(87_840).default(168),
          collateral: coins.default('0'),
        })
        .nullable()
        .optional(),
      password: z.string().max(1024).optional(),
    }),
    driveHosts,
  ),
  hosts: query(z.object({ drive }), driveHosts),
};
