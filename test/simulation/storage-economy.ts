import { createSeeded } from '../../src-main/ledger/consensus/testing/seeded.ts';
import { leafRoot, proveLeaf } from '../../src-main/history/index.ts';
import { listRoot, proveInList, sha256 } from '../../src-main/ledger/codec/index.ts';
import { as, attempt, createBareState, fund } from '../../src-main/ledger/modules/testing/bare-state.ts';
import type { BareState } from '../../src-main/ledger/modules/testing/bare-state.ts';
import { contentOf } from '../../src-main/ledger/modules/storage/content.ts';
import {
  answerOf,
  challengeOf,
  hosts,
  periodMs,
  periodOf,
  samplesOf,
  seedOf,
  seeds,
} from '../../src-main/ledger/modules/storage/state.ts';
import { dueContracts, storageModule } from '../../src-main/ledger/modules/storage/storage.ts';
import { account, balanceOf } from '../../src-main/ledger/modules/value.ts';
import { bytesKey, numberKey } from '../../src-main/ledger/state/table.ts';
import { addressOfName } from '../../src-main/ledger/testing.ts';

/*
 * A year of paid storage with hosts of four kinds, on the state machine's own storage module. What disk, fees and outages cost
 * is assumed (and said); what is paid, missed, caught and burned is what the module does.
 */

/** `honest` keeps everything. `lazy` deleted a part and owns up to it. `lying` deleted it and makes answers up. `colluding`: two accounts, one disk. */
export type HostKind = 'honest' | 'lazy' | 'lying' | 'colluding';
const kinds: readonly HostKind[] = ['honest', 'lazy', 'lying', 'colluding'];

export interface EconomyOptions {
  /** Periods (hours). */
  readonly periods: number;
  /** Contracts each host keeps. */
  readonly contracts: number;
  /** Part of the contracts that lazy and lying hosts delete. */
  readonly deleted: number;
  /** Part of the periods in which a computer is off. */
  readonly off: number;
  /** What a GiB costs its keeper an hour, as a part of what a contract pays for it. */
  readonly diskCost: number;
  /** What a host puts down for a contract, in hours of its pay. */
  readonly collateralHours: number;
  readonly seed: number;
}

/** What one host has come to: earned less what its disk, fees and lost collateral cost, in pay of one contract and hour. */
export interface HostResult {
  readonly name: string;
  readonly kind: HostKind;
  /** At the end of each of the points. */
  readonly net: readonly number[];
  readonly paid: number;
  readonly burned: number;
  readonly caught: number;
  readonly ended: number;
}

const pay = 1000n;
/** Two transactions an hour at the least price, as a part of the pay of one contract and hour. */
const feePerTx = 0.002;
const leaves = [1, 2, 3, 4].map((fill) => new Uint8Array(1024).fill(fill));
const block = Buffer.concat(leaves);
const made = contentOf([{ root: leafRoot(block), bytes: block.length }]);
const points = 60;

export function simulateEconomy(options: EconomyOptions): readonly HostResult[] {
  const random = createSeeded(options.seed);
  const ctx: BareState = createBareState(['EXC']);
  const names = kinds.flatMap((kind) => [0, 1].map((n) => ({ kind, name: `${kind} ${n}` })));
  fund(ctx, 'client', 'EXC', 10n ** 24n);
  const send = (who: string, type: keyof typeof storageModule.messages, fields: object): boolean =>
    attempt(ctx, () =>
      (storageModule.messages[type] as { run(c: object, f: object): void }).run(as(ctx, who), fields),
    );
  const startPeriod = (): void => {
    // Secrets of honest validators: nobody knows the seed before.
    const period = periodOf(ctx.time);
    ctx.state.set(seeds, numberKey(period), sha256(Buffer.from(`${options.seed} ${period}`)));
    if (period > 8) ctx.state.set(seeds, numberKey(period - 8), null);
  };
  send('client', 'storage.buyFuel', { amount: 10n ** 22n });
  const collateral = pay * BigInt(options.collateralHours);
  const terms = { root: made.root, bytes: 4096, copies: 1, periods: options.periods + 5, host: null };
  // 4,096 bytes at this price pay `pay` an hour.
  const price = (pay * 2n ** 30n) / 4096n;
  let number = 0;
  const deleted = new Map<string, Set<number>>();
  for (const { kind, name } of names) {
    fund(ctx, name, 'EXC', 10n ** 15n);
    const gone = new Set<number>();
    for (let i = 0; i < options.contracts; i++) {
      send('client', 'storage.open', { ...terms, price, collateral });
      if (!send(name, 'storage.accept', { contract: number })) throw new Error('a contract was not taken');
      if ((kind === 'lazy' || kind === 'lying') && i < options.deleted * options.contracts) gone.add(number);
      number += 1;
    }
    deleted.set(name, gone);
  }
  const held = (name: string): bigint => balanceOf(ctx.state, account(addressOfName(name)), 'EXC');
  const state = new Map(
    names.map(({ name }) => [
      name,
      { begin: held(name), costs: 0, caught: 0, net: [] as number[], answers: null as Uint8Array[] | null },
    ]),
  );
  for (let step = 0; step < options.periods; step++) {
    ctx.time = (periodOf(ctx.time) + 1) * periodMs + 1000;
    ctx.height += 1;
    startPeriod();
    const period = periodOf(ctx.time);
    const off = new Map<string, boolean>(
      kinds.flatMap((kind) => [0, 1].map((n) => [`${kind} ${n}`, random.chance(options.off)] as const)),
    );
    // One computer, one outage.
    off.set('colluding 1', off.get('colluding 0') ?? false);
    // Whoever finds a silent host gets a tenth of what it put down, so somebody looks.
    for (const { name } of names) send('client', 'storage.report', { host: addressOfName(name) });
    for (const { kind, name } of names) {
      const own = state.get(name)!;
      const gone = deleted.get(name)!;
      const me = addressOfName(name);
      const due = dueContracts(ctx.state, me, period);
      // Disk for what is really kept; of a colluding pair only one has any.
      const kept = name === 'colluding 1' ? 0 : due.filter((one) => !gone.has(one.number)).length;
      own.costs += kept * options.diskCost;
      if (off.get(name)) {
        own.answers = null;
        continue;
      }
      const row = ctx.state.get(hosts, bytesKey(me));
      if (own.answers && row?.claim?.period === period - 1) {
        const missing = new Set(row.claim.missing);
        const before = dueContracts(ctx.state, me, period - 1).filter((one) => !missing.has(one.number));
        const wanted = samplesOf(seedOf(ctx.state, period), me, before.length);
        const openings = wanted.map((index) => {
          const at = challengeOf(seedOf(ctx.state, period - 1), me, before[index]!.number, 4096);
          const lost = gone.has(before[index]!.number);
          return {
            ...made.open(at, proveLeaf(block, at)!),
            ...(lost && { leaf: new Uint8Array(1024) }),
            inClaim: proveInList(own.answers!, index).path,
          };
        });
        if (!send(name, 'storage.prove', { slots: row.slots, openings })) own.caught += 1;
        own.costs += feePerTx;
      }
      const missing =
        kind === 'lazy' ? due.filter((one) => gone.has(one.number)).map((one) => one.number) : [];
      const lost = new Set(missing);
      const seed = seedOf(ctx.state, period);
      const answers = due
        .filter((one) => !lost.has(one.number))
        .map(({ number: one }) => {
          const leaf = gone.has(one) ? new Uint8Array(1024) : leaves[challengeOf(seed, me, one, 4096)]!;
          return answerOf(seed, me, one, leaf);
        });
      own.answers = send(name, 'storage.claim', { root: listRoot(answers), missing }) ? answers : null;
      own.costs += feePerTx;
    }
    if (step % Math.max(1, Math.floor(options.periods / points)) === 0 || step === options.periods - 1) {
      for (const { name } of names) {
        const own = state.get(name)!;
        // What is put down is still the host's while its copies stand.
        const standing = BigInt(ctx.state.get(hosts, bytesKey(addressOfName(name)))?.slots ?? 0) * collateral;
        const bonded = BigInt(options.contracts) * collateral;
        own.net.push(Number(held(name) - own.begin + standing - bonded) / Number(pay) - own.costs);
      }
    }
  }
  return names.map(({ kind, name }) => {
    const own = state.get(name)!;
    const slots = ctx.state.get(hosts, bytesKey(addressOfName(name)))?.slots ?? 0;
    const ended = options.contracts - slots;
    return {
      name,
      kind,
      net: own.net,
      paid: Number(held(name) - own.begin) / Number(pay),
      burned: ended * options.collateralHours,
      caught: own.caught,
      ended,
    };
  });
}
