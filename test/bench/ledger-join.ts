import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {
  addressOfName,
  balanceIn,
  genesisOf,
  openChainNode,
  signerOf,
  transfer,
  until,
} from '../../src-main/ledger/chain/testing/world.ts';
import { chainIdOf, commitSignBytes, sameBytes, validatorIdOf } from '../../src-main/ledger/codec/index.ts';
import type { Genesis } from '../../src-main/ledger/codec/index.ts';
import { createApplication } from '../../src-main/ledger/execute/application.ts';
import { createTxChecker } from '../../src-main/ledger/execute/tx-checker.ts';
import type { Commit } from '../../src-main/ledger/types.ts';
import { openDatabase } from '../../src-main/store/index.ts';

const perBlock = 2000;
const accounts = Array.from({ length: 1000 }, (_, i) => `holder ${i}`);

/** Makes a chain of so many transfers, signed by its one validator, with a snapshot of its newest block. */
async function build(genesis: Genesis, file: string, txs: number): Promise<void> {
  const db = openDatabase(file);
  const ledger = createApplication(
    { db, genesis, checker: createTxChecker() },
    { keepBlocks: null, snapshots: null },
  );
  const chainId = chainIdOf(genesis);
  const signer = signerOf('consensus 0');
  const proposer = validatorIdOf(signer.publicKey);
  let lastCommit: Commit | null = null;
  let made = 0;
  // Two blocks without transactions at the end: the snapshot's header is not the newest.
  for (let height = 1; made < txs; height++) {
    const count = Math.min(perBlock, txs - made);
    const block = Array.from({ length: count }, (_, i) => {
      const n = made + i;
      const to = addressOfName(accounts[(n * 7 + 1) % accounts.length] as string);
      return transfer(
        genesis,
        accounts[n % accounts.length] as string,
        Math.floor(n / accounts.length),
        to,
        1n,
      );
    });
    made += count;
    await ledger.verifyTxs(block);
    const executed = ledger.propose({
      height,
      time: ledger.last().time + 1000,
      proposer,
      lastCommit,
      evidence: [],
      txs: block,
      maxBytes: genesis.params.maxBlockBytes,
    });
    if (executed.block.txs.length !== count) throw new Error(`only ${executed.block.txs.length} fit`);
    const blank: Commit = { height, round: 0, blockId: executed.blockId, signatures: [] };
    lastCommit = {
      ...blank,
      signatures: [{ validator: proposer, sig: signer.sign(commitSignBytes(chainId, blank)) }],
    };
    ledger.commit(executed, lastCommit);
  }
  await ledger.takeSnapshot();
  await ledger.stop();
  db.close();
}

/** A new node joins a long chain from a snapshot; a light node verifies old headers from a new one. Prints what it takes. */
export async function benchJoin(txs: number): Promise<void> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'extrachain-bench-join-'));
  const ends: (() => Promise<void>)[] = [];
  try {
    const genesis = genesisOf(1, accounts, Date.now() - 3_600_000);
    await mkdir(path.join(dir, 'source'));
    const began = performance.now();
    await build(genesis, path.join(dir, 'source', 'ledger.db'), txs);
    const seconds = (performance.now() - began) / 1000;
    console.log(
      `a chain of ${txs} transfers made in ${seconds.toFixed(1)} s (${Math.round(txs / seconds)}/s, signing and checking included)`,
    );
    const open = async (name: string, ip: string, role: 'full' | 'light') => {
      await mkdir(path.join(dir, name), { recursive: true });
      const node = await openChainNode({
        ...{ name, ip, genesis, role },
        dir: path.join(dir, name),
        consensusKey: null,
        thread: true,
        more: { snapshotFrom: 2 },
      });
      ends.push(() => node.stop());
      return node;
    };
    const source = await open('source', '127.0.4.2', 'full');
    await source.chain.start();
    const target = source.chain.status().height;
    const address = source.node.network.addresses()[0]!;

    const joiner = await open('joiner', '127.0.4.3', 'full');
    const start = performance.now();
    await joiner.chain.start();
    await joiner.node.network.connect(address);
    await until(
      () => joiner.chain.status().height >= target,
      () => `joined at ${joiner.chain.status().height} of ${target}`,
      120_000,
    );
    const joined = performance.now() - start;
    const holder = addressOfName('holder 3');
    const same =
      sameBytes(joiner.ledger.last().stateRoot, source.ledger.last().stateRoot) &&
      balanceIn(joiner.ledger, holder) === balanceIn(source.ledger, holder);
    console.log(
      `joined at block ${target} in ${(joined / 1000).toFixed(2)} s, ${joiner.ledger.blockAt(1) ? 'block by block' : 'from the snapshot'}; the state is ${same ? 'the same' : 'ANOTHER'}`,
    );

    const light = await open('light', '127.0.4.4', 'light');
    await light.chain.start();
    await light.node.network.connect(address);
    await until(
      () => light.chain.status().height >= target,
      () => 'the light node follows',
    );
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      const height = 1 + ((i * 7) % (target - 1));
      const at = performance.now();
      await light.chain.header(height);
      times.push(performance.now() - at);
    }
    times.sort((a, b) => a - b);
    console.log(
      `an old header fetched and verified from the newest one: median ${times[10]!.toFixed(1)} ms, longest ${times.at(-1)!.toFixed(1)} ms`,
    );
  } finally {
    for (const end of ends.reverse()) await end();
    await rm(dir, { recursive: true, force: true });
  }
}
