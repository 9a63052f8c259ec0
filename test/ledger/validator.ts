/**
 * A validator as a process of its own: network, SQLite files and chain as in a node, without the rest. Reads commands as lines of
 * JSON from stdin, answers on stdout. `node validator.ts '<Config>'`.
 */
import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { silentLogger } from '../../src-shared/runtime.ts';
import { AppError } from '../../src-shared/errors.ts';
import { hexOf, txHash } from '../../src-main/ledger/codec/index.ts';
import { faultsOf } from '../../src-main/ledger/modules/index.ts';
import {
  addressOfName,
  balanceIn,
  genesisOf,
  nonceIn,
  openChainNode,
  transfer,
} from '../../src-main/ledger/chain/testing/world.ts';
import type { BlockTxs } from '../../src-main/ledger/chain/types.ts';
import type { ConsensusParams } from '../../src-main/ledger/consensus/index.ts';

export interface Config {
  readonly index: number;
  readonly validators: number;
  readonly users: readonly string[];
  readonly genesisTime: number;
  readonly dir: string;
  readonly ip: string;
  readonly port: number;
  readonly consensus: Partial<ConsensusParams>;
  readonly verbose?: boolean;
  /** Measures slices of the event loop. */
  readonly slices?: boolean;
}

export type Command =
  | { readonly op: 'status' }
  | { readonly op: 'want'; readonly peer: string; readonly address: string }
  | { readonly op: 'cut'; readonly peer: string }
  | { readonly op: 'submit'; readonly tx: string }
  /** Of the base coin, and nonces, of these accounts. */
  | { readonly op: 'accounts'; readonly names: readonly string[] }
  | { readonly op: 'find'; readonly hashes: readonly string[] }
  | { readonly op: 'roots' }
  | { readonly op: 'faults' }
  /** How long the event loop of the main thread was held up by work since the last time this was asked. */
  | { readonly op: 'slices' }
  /** Sends transfers of `users` in turn at a steady rate, and measures until each is final here. */
  | {
      readonly op: 'load';
      readonly perSecond: number;
      readonly seconds: number;
      readonly users: readonly string[];
    };

export interface LoadResult {
  readonly sent: number;
  readonly refused: number;
  readonly final: number;
  readonly failed: number;
  readonly seconds: number;
  /** ms from the submission to the block, sorted. */
  readonly latencies: readonly number[];
}

const config = JSON.parse(process.argv[2] as string) as Config;
mkdirSync(config.dir, { recursive: true });
const genesis = genesisOf(config.validators, config.users, config.genesisTime);
const print = (level: string) => (fields: Record<string, unknown>, text: string) =>
  void process.stderr.write(`${config.index} ${level} ${text} ${JSON.stringify(fields)}\n`);
const node = await openChainNode({
  name: `process ${config.index}`,
  ip: config.ip,
  port: config.port,
  genesis,
  dir: config.dir,
  consensusKey: `consensus ${config.index}`,
  thread: true,
  consensus: config.consensus,
  logger: config.verbose
    ? { debug() {}, info: print('info'), warn: print('warn'), error: print('error') }
    : silentLogger,
});
const { chain, ledger } = node;
const { network } = node.node;
const out = (value: unknown): void =>
  void process.stdout.write(
    `${JSON.stringify(value, (_key, one: unknown) =>
      typeof one === 'bigint' ? one.toString() : one instanceof Uint8Array ? hexOf(one) : one,
    )}\n`,
  );
await chain.start();
/** Hash and outcome of each transaction of a block. */
const outcomes = (txs: BlockTxs | null): (readonly [hash: string, ok: boolean])[] =>
  Array.from(txs?.ok ?? [], (ok, i) => [hexOf(txs!.hashes.subarray(32 * i, 32 * i + 32)), ok === 1]);
chain.on('block', ({ height, txs }) => {
  if (!loading) out({ event: 'block', height, txs: outcomes(txs) });
});
chain.on('problem', (problem) => out({ event: 'problem', problem }));
let loading = false;
out({ event: 'ready', peer: network.peerId, address: network.addresses()[0] });

async function load(command: Extract<Command, { readonly op: 'load' }>): Promise<LoadResult> {
  const { perSecond, seconds, users } = command;
  loading = true;
  const nonces = users.map((name) => nonceIn(ledger, addressOfName(name)));
  const to = addressOfName('receiver');
  const sentAt = new Map<string, number>();
  const latencies: number[] = [];
  let failed = 0;
  let refused = 0;
  let sent = 0;
  const off = chain.on('block', ({ txs }) => {
    const now = performance.now();
    for (const [key, ok] of outcomes(txs)) {
      const at = sentAt.get(key);
      if (at === undefined) continue;
      sentAt.delete(key);
      if (ok) latencies.push(now - at);
      else failed += 1;
    }
  });
  const began = performance.now();
  const total = perSecond * seconds;
  let issued = 0;
  // As users do it: each waits until one is taken before the next, and offers again what was refused.
  await Promise.all(
    users.map(async (name, user) => {
      for (;;) {
        if (issued >= total) return;
        if (issued >= Math.floor(((performance.now() - began) / 1000) * perSecond)) {
          await new Promise((resolve) => setTimeout(resolve, 2));
          continue;
        }
        issued += 1;
        const tx = transfer(genesis, name, nonces[user] as number, to, 1n);
        sentAt.set(hexOf(txHash(tx)), performance.now());
        for (;;) {
          try {
            await chain.submit(tx);
            nonces[user]! += 1;
            sent += 1;
            break;
          } catch (error) {
            const later =
              error instanceof AppError && ['mempool_full', 'nonce_too_high'].includes(error.code);
            if (!later) throw error;
            refused += 1;
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
        }
      }
    }),
  );
  const sentFor = (performance.now() - began) / 1000;
  const end = performance.now() + 15_000;
  while (sentAt.size > 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
  off();
  loading = false;
  return {
    sent,
    refused,
    final: latencies.length,
    failed,
    seconds: sentFor,
    latencies: latencies.toSorted((a, b) => a - b),
  };
}

async function answer(command: Command): Promise<unknown> {
  switch (command.op) {
    case 'status':
      return {
        ...chain.status(),
        memory: process.memoryUsage.rss(),
        cpu: process.cpuUsage(),
        mainCpu: process.threadCpuUsage(),
      };
    case 'want':
      network.want(command.peer, [command.address]);
      return null;
    case 'cut':
      network.unwant(command.peer);
      await network.disconnect(command.peer);
      return null;
    case 'submit':
      return chain.submit(new Uint8Array(Buffer.from(command.tx, 'base64')));
    case 'accounts':
      return command.names.map((name) => {
        const address = addressOfName(name);
        return { balance: balanceIn(ledger, address), nonce: nonceIn(ledger, address) };
      });
    case 'find':
      return command.hashes.map(
        (hash) => ledger.findTx(new Uint8Array(Buffer.from(hash, 'hex')))?.height ?? null,
      );
    case 'roots':
      return Array.from({ length: ledger.last().height }, (_, i) => {
        const signed = ledger.signedHeaderAt(i + 1);
        return signed && `${hexOf(signed.commit.blockId)} ${hexOf(signed.header.stateRoot)}`;
      });
    case 'faults':
      return faultsOf(ledger.state, {
        params: genesis.params,
        base: genesis.tokens[0]!.spec.symbol,
      });
    case 'slices': {
      const seen = { ...slices };
      Object.assign(slices, { ticks: 0, over25: 0, longest: 0 });
      return seen;
    }
    case 'load':
      return load(command);
  }
}

/** Slices of the main thread by its processor time: a busy machine does not lengthen them. */
const slices = { ticks: 0, over25: 0, longest: 0 };
if (config.slices) {
  let last = process.threadCpuUsage();
  setInterval(() => {
    const now = process.threadCpuUsage();
    const ms = (now.user + now.system - last.user - last.system) / 1000;
    last = now;
    slices.ticks += 1;
    if (ms > 25) slices.over25 += 1;
    slices.longest = Math.max(slices.longest, ms);
  }, 1).unref();
}

const commands = createInterface(process.stdin);
// The parent is gone.
commands.on('close', () => process.exit(1));
commands.on('line', (line) => {
  const { id, ...command } = JSON.parse(line) as Command & { readonly id: number };
  answer(command as Command).then(
    (result) => out({ id, result }),
    (error: unknown) =>
      out({ id, error: { code: (error as { code?: string }).code ?? 'internal', message: String(error) } }),
  );
});
process.on('SIGTERM', () => void node.stop().then(() => process.exit(0)));
process.stdout.on('error', () => process.exit(1));
