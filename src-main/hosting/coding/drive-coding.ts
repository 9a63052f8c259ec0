import type { Clock } from '../../../src-shared/runtime.ts';
import type { Drive, TreeNode } from '../../drive/index.ts';
import type { BlockSource } from '../../exchange/index.ts';
import type { SlotsWanted } from '../drive-plan.ts';
import type { HostRow, ReplicaRecords } from '../replica-records.ts';
import type { HostRole } from '../types.ts';
import { createColdFiles } from './cold-files.ts';
import type { CodingRules, ColdFiles } from './cold-files.ts';
import type { CodingPool } from './coding-pool.ts';
import { codeFor } from './stripe.ts';
import type { ErasureCode, Shard } from './stripe.ts';
import type { StripeRecords } from './stripe-records.ts';

export interface DriveCodingDeps {
  readonly drive: Drive;
  readonly source: BlockSource;
  readonly records: ReplicaRecords;
  readonly stripes: StripeRecords;
  readonly coding: CodingPool;
  readonly rules: () => CodingRules;
  readonly clock: Clock;
  /** A slot without a host for so long ends the coding. ms. */
  readonly silenceMs: () => number;
  readonly isConnected: (host: string) => boolean;
  /** Room that the host of a slot must have. Bytes. */
  readonly reserved: (role: HostRole) => number;
  /** Asks connected hosts for stripes of these blocks: what they told, and how many answered. */
  readonly search: (
    ids: readonly Uint8Array[],
    signal: AbortSignal,
  ) => Promise<{ readonly answered: number; readonly stripes: readonly Uint8Array[] }>;
  readonly fetch: (shard: Shard, signal: AbortSignal) => Promise<Uint8Array | null>;
}

/** The erasure-coded files of one drive, as its keeper sees to them. */
export interface DriveCoding {
  readonly cold: ColdFiles;
  /**
   * Decides whether files are coded from now on, for so many copies.
   * @param others who lend disk besides the drive's hosts
   */
  choose(wanted: number, others: readonly string[]): void;
  /** Whether they are. */
  readonly isOn: boolean;
  /** Hosts with a slot that the drive needs; null: nothing is coded. */
  slotsWanted(): SlotsWanted | null;
  /**
   * Codes some files, or gives up stripes that can't be kept. Returns whether there is more to do at once.
   * @param walk all files of the drive, in pages
   */
  step(
    wanted: number,
    walk: (signal: AbortSignal) => AsyncIterable<readonly TreeNode[]>,
    signal: AbortSignal,
  ): Promise<boolean>;
  /** Goes on with stripes whose shards, or whose blocks' whole copies, are in place. Returns what happened. */
  settle(wanted: number): { readonly settled: boolean; readonly ended: boolean };
  /** Gives up stripes that cost more than whole copies of what is in use of them (hex ids); returns how many. */
  dissolveWasteful(used: ReadonlySet<string>, wanted: number): number;
}

const hourMs = 3_600_000;

export function createDriveCoding(deps: DriveCodingDeps): DriveCoding {
  const { drive, records, stripes, clock } = deps;
  const startedAt = clock.now();
  const rows = (): readonly HostRow[] => records.hosts(drive.id);
  let code: ErasureCode | null = null;
  let coldLookAt = clock.now();
  let codeAgainAt = clock.now();
  /** When every slot had a host. */
  let filledAt = clock.now();

  /** Hosts of slots know stripes; at first they may not be connected yet. */
  async function known(
    ids: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[] | null> {
    const { answered, stripes: found } = await deps.search(ids, signal);
    const mayWait = rows().some(({ slot }) => slot !== null) && clock.now() - startedAt < deps.silenceMs();
    return answered === 0 && mayWait ? null : found;
  }

  const cold = createColdFiles({ ...deps, known });

  function slotsWanted(): SlotsWanted | null {
    const codes = stripes.codes(drive.id);
    if (codes.length === 0) return null;
    return {
      slots: Math.max(...codes.map(({ data, parity }) => data + parity)),
      parity: Math.min(...codes.map(({ parity }) => parity)),
      bytes: deps.reserved({ whole: false, slot: 0 }),
    };
  }

  return {
    cold,
    choose(wanted, others) {
      const wished = codeFor(wanted);
      const broken = new Set(rows().flatMap((row) => (row.broken === null ? [] : row.host)));
      const there = new Set([...rows().map(({ host }) => host), ...others]);
      const isOn =
        wished !== null &&
        clock.now() >= codeAgainAt &&
        [...there].filter((host) => !broken.has(host)).length >= wished.data + wished.parity;
      // With too few hosts all files are kept whole.
      code = isOn ? wished : null;
    },
    get isOn() {
      return code !== null;
    },
    slotsWanted,
    async step(wanted, walk, signal) {
      let again = false;
      const slots = slotsWanted()?.slots ?? 0;
      const filled = new Set(rows().flatMap((row) => (row.broken === null ? (row.slot ?? []) : [])));
      if (filled.size >= slots) filledAt = clock.now();
      const isStuck = clock.now() - filledAt >= deps.silenceMs();
      // No host is found for some shard, or fewer hosts may be lost than with as many copies as are wanted now.
      if (stripes.dissolve(drive.id, isStuck ? Number.POSITIVE_INFINITY : wanted - 1) > 0) {
        again = true;
        if (isStuck) codeAgainAt = clock.now() + hourMs;
      }
      if (code === null || stripes.count(drive.id).dissolving > 0) {
        return stripes.endWaiting(drive.id) > 0 || again;
      }
      if (clock.now() >= coldLookAt) {
        coldLookAt = clock.now() + hourMs;
        for await (const page of walk(signal)) cold.note(page);
      }
      const state = await cold.step(code, signal);
      if (state === 'done' || state === 'absent') stripes.endWaiting(drive.id);
      // A computer that has just joined is still getting the files.
      if (state === 'absent') coldLookAt = Math.min(coldLookAt, clock.now() + deps.silenceMs());
      return state === 'more' || again;
    },
    settle(wanted) {
      const { placing, dissolving } = stripes.count(drive.id);
      if (placing + dissolving === 0) return { settled: false, ended: false };
      const seq = records.seq(drive.id);
      const good = rows().filter(
        (row) =>
          row.complete &&
          row.sentSeq === seq &&
          row.broken === null &&
          row.missSince === null &&
          deps.isConnected(row.host),
      );
      const slots = slotsWanted()?.slots ?? 0;
      const filled = new Set(good.flatMap(({ slot }) => slot ?? []));
      const settled = placing > 0 && filled.size >= slots && stripes.settle(drive.id) > 0;
      const whole = good.filter((row) => row.whole).length;
      const ended = dissolving > 0 && whole >= wanted && stripes.finishDissolving(drive.id) > 0;
      // They may be coded anew.
      if (ended) coldLookAt = clock.now();
      return { settled, ended };
    },
    dissolveWasteful: (used, wanted) => stripes.dissolveWasteful(drive.id, used, wanted),
  };
}
