import { createSeeded } from '../../src-main/ledger/consensus/testing/seeded.ts';
import { addressOfName, genesisOf, transfer } from '../../src-main/ledger/chain/testing/world.ts';
import { hexOf, txHash } from '../../src-main/ledger/codec/index.ts';
import { startCluster } from './cluster.ts';
import type { Cluster, ValidatorProcess } from './cluster.ts';

export interface BankOptions {
  readonly seed: number;
  readonly dir: string;
  /** How many perturbations, one after another. */
  readonly perturbations: number;
  /** How long a pause or a cut lasts, ms. */
  readonly outage: number;
  readonly consensus: Parameters<typeof startCluster>[0]['consensus'];
  readonly log?: (line: string) => void;
}

export interface BankResult {
  readonly transfers: number;
  readonly acknowledged: number;
  readonly heights: number;
  readonly perturbations: Readonly<Record<string, number>>;
}

const users = Array.from({ length: 8 }, (_, i) => `user ${i}`);
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const kinds = ['kill', 'pause', 'disconnect', 'restart'] as const;

/**
 * Clients move money between accounts through four validators as processes, while one after another is killed, paused, cut off or
 * restarted. Then all must have the same blocks and states, every acknowledged transfer exactly once, and no money made or lost.
 * @throws Error that says what is wrong
 */
export async function runBank(options: BankOptions): Promise<BankResult> {
  const random = createSeeded(options.seed);
  const log = options.log ?? (() => {});
  const cluster = await startCluster({
    validators: 4,
    users,
    dir: options.dir,
    consensus: options.consensus,
  });
  try {
    const genesis = genesisOf(4, users, cluster.genesisTime);
    const acknowledged = new Set<string>();
    const sent = new Map<string, { from: number; to: number; amount: bigint }>();
    const watch = (one: ValidatorProcess): void =>
      one.onBlock((_height, txs) => {
        for (const [hash, ok] of txs) if (ok) acknowledged.add(hash);
      });
    for (const one of cluster.alive()) watch(one);
    let moving = true;

    /** One client: its next transfer when the last is final; what takes long is given to another validator, too. */
    async function client(from: number): Promise<void> {
      for (let nonce = 0; moving; nonce++) {
        const to = (from + 1 + random.below(users.length - 1)) % users.length;
        const amount = BigInt(1 + random.below(1000));
        const tx = transfer(
          genesis,
          users[from] as string,
          nonce,
          addressOfName(users[to] as string),
          amount,
        );
        const hash = hexOf(txHash(tx));
        sent.set(hash, { from, to, amount });
        const text = Buffer.from(tx).toString('base64');
        for (let tries = 0; !acknowledged.has(hash) && tries < 100; tries++) {
          const alive = cluster.alive();
          const one = alive[random.below(alive.length)];
          // A paused process does not answer: nobody waits for it.
          if (one) void one.ask({ op: 'submit', tx: text }).catch(() => {});
          for (let i = 0; i < 60 && !acknowledged.has(hash); i++) await wait(25);
        }
        if (!acknowledged.has(hash)) throw new Error(`a transfer of ${users[from]} never became final`);
      }
    }
    const clients = users.map((_name, from) => client(from));
    const settled = Promise.all(clients);
    settled.catch(() => {});

    const done: Record<string, number> = { kill: 0, pause: 0, disconnect: 0, restart: 0 };
    await wait(1000);
    for (let i = 0; i < options.perturbations; i++) {
      const kind = kinds[(i + options.seed) % kinds.length] as (typeof kinds)[number];
      const index = random.below(4);
      const victim = cluster.processes[index] as ValidatorProcess;
      log(`${kind} ${index}`);
      done[kind] = (done[kind] ?? 0) + 1;
      if (kind === 'kill' || kind === 'restart') {
        if (kind === 'kill') await cluster.kill(index);
        else {
          victim.signal('SIGTERM');
          await victim.gone;
        }
        (cluster.processes as (ValidatorProcess | null)[])[index] = null;
        await wait(kind === 'kill' ? options.outage / 2 : 100);
        watch(await cluster.start(index));
      } else if (kind === 'pause') {
        victim.signal('SIGSTOP');
        await wait(options.outage);
        victim.signal('SIGCONT');
      } else {
        await cluster.cut(index);
        await wait(options.outage);
        await cluster.heal(index);
      }
      const before = Math.max(...(await heightsOf(cluster)));
      const end = Date.now() + 60_000;
      while (Math.min(...(await heightsOf(cluster))) < before + 2) {
        if (Date.now() > end)
          throw new Error(
            `after ${kind} ${index} it does not go on: ${(await heightsOf(cluster)).join(' ')}`,
          );
        await wait(100);
      }
    }
    moving = false;
    await settled;

    // Everything that was sent is final now; wait until everybody has the last block.
    const top = Math.max(...(await heightsOf(cluster)));
    const end = Date.now() + 60_000;
    while (Math.min(...(await heightsOf(cluster))) < top) {
      if (Date.now() > end) throw new Error('not all came to the last block');
      await wait(100);
    }
    await check(cluster, acknowledged, sent);
    return {
      transfers: sent.size,
      acknowledged: acknowledged.size,
      heights: top,
      perturbations: done,
    };
  } finally {
    await cluster.stop();
  }
}

const heightsOf = (cluster: Cluster): Promise<readonly number[]> =>
  Promise.all(
    cluster.alive().map(async (one) => (await one.ask<{ height: number }>({ op: 'status' })).height),
  );

async function check(
  cluster: Cluster,
  acknowledged: ReadonlySet<string>,
  sent: ReadonlyMap<string, { from: number; to: number; amount: bigint }>,
): Promise<void> {
  const roots = await Promise.all(cluster.alive().map((one) => one.ask<string[]>({ op: 'roots' })));
  const shortest = Math.min(...roots.map(({ length }) => length));
  for (let height = 0; height < shortest; height++) {
    const all = new Set(roots.map((list) => list[height]));
    if (all.size !== 1)
      throw new Error(`blocks or states differ at height ${height + 1}: ${[...all].join(', ')}`);
  }
  const hashes = [...acknowledged];
  const net = users.map(() => 0n);
  const nonces = users.map(() => 0);
  for (const hash of hashes) {
    const { from, to, amount } = sent.get(hash) as { from: number; to: number; amount: bigint };
    net[from]! -= amount;
    net[to]! += amount;
    nonces[from]! += 1;
  }
  for (const one of cluster.alive()) {
    const places = await one.ask<(number | null)[]>({ op: 'find', hashes });
    const lost = hashes.filter((_hash, i) => places[i] === null);
    if (lost.length > 0) throw new Error(`validator ${one.index} lost ${lost.length} acknowledged transfers`);
    const faults = await one.ask<string[]>({ op: 'faults' });
    if (faults.length > 0) throw new Error(`validator ${one.index}: ${faults.join('; ')}`);
    const accounts = await one.ask<{ balance: string; nonce: number }[]>({ op: 'accounts', names: users });
    for (const [i, { balance, nonce }] of accounts.entries()) {
      if (nonce !== nonces[i])
        throw new Error(`${users[i]} made ${nonces[i]} transfers, but ${nonce} were applied`);
      // The rest are fees, which are never negative and at most what was allowed.
      const fees = 100_000_000_000n + net[i]! - BigInt(balance);
      if (fees < 0n || fees > BigInt(nonce) * 10_000n)
        throw new Error(`${users[i]} has ${balance}: ${fees} too little`);
    }
  }
}
