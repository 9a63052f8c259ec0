/**
 * `npm run bench:state [-- --blocks 20 --transfers 2000 --accounts 1000]`: one validator alone, in one process with nothing
 * else: how many transfers a second it checks and executes, with the parts of it; the commitment; a snapshot made and restored;
 * and Ed25519 three ways. The database is a real file, its transactions fully synchronous.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, loadavg, cpus } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { verifySignature, verifySignatureAsync } from '../../src-main/identity/index.ts';
import { chainIdOf, encodeBlock, signTx, decodeBlock } from '../../src-main/ledger/codec/index.ts';
import { createApplication } from '../../src-main/ledger/execute/application.ts';
import { createTxChecker } from '../../src-main/ledger/execute/tx-checker.ts';
import { message } from '../../src-main/ledger/modules/index.ts';
import { accountOf } from '../../src-main/ledger/modules/account.ts';
import { addressOfName, createTestChain, signerOf, testGenesis } from '../../src-main/ledger/testing.ts';
import { openDatabase } from '../../src-main/store/index.ts';
import type { SignedHeader } from '../../src-main/ledger/types.ts';

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '20' },
    transfers: { type: 'string', default: '2000' },
    accounts: { type: 'string', default: '1000' },
  },
});
const blocks = Number(values.blocks);
const transfers = Number(values.transfers);
const accounts = Number(values.accounts);

const dir = await mkdtemp(path.join(tmpdir(), 'bench-ledger-'));
try {
  console.log(
    `Node ${process.versions.node}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}; ${blocks} blocks of ${transfers} transfers among ${accounts} accounts`,
  );
  const genesis = testGenesis((one) => ({
    ...one,
    balances: [
      ...one.balances.map((row) => ({ ...row, amount: row.amount / 2n })),
      ...Array.from({ length: accounts }, (_, n) => ({
        address: addressOfName(`user ${n}`),
        symbol: 'EXC',
        amount: 1_000_000_000n,
      })),
    ],
  }));
  const chainId = chainIdOf(genesis);
  const db = openDatabase(path.join(dir, 'a.db'));
  const chain = createTestChain(genesis, [], { db, snapshots: { every: blocks, keep: 1 } });
  const signers = Array.from({ length: accounts }, (_, n) => signerOf(`user ${n}`));
  const addresses = signers.map((_, n) => addressOfName(`user ${n}`));
  const nonces = addresses.map((address) => accountOf(chain.ledger.state, address).nonce);
  const made = Array.from({ length: blocks }, (_, block) =>
    Array.from({ length: transfers }, (_, i) => {
      const n = (block * transfers + i) % accounts;
      const nonce = nonces[n] as number;
      nonces[n] = nonce + 1;
      return signTx(
        {
          v: 1,
          chainId,
          sender: addresses[n] as Uint8Array,
          nonce,
          validUntil: 1_000_000,
          feeAsset: 'EXC',
          feeMax: 1_000_000n,
          feePayer: null,
          msgs: [
            message('bank.send', {
              to: addresses[(n * 7 + i + 1) % accounts] as Uint8Array,
              symbol: 'EXC',
              amount: 1n,
              memo: '',
            }),
          ],
        },
        signers[n] as (typeof signers)[0],
      );
    }),
  );

  // As a validator alone does it: signatures on other threads, then one block proposed, executed, committed.
  // CPU time beside the clock: it says what a quiet machine would do when this one is not.
  const cpu = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  const spent = { verify: 0, block: 0, verifyCpu: 0, blockCpu: 0, followCpu: 0 };
  let failed = 0;
  const slowest = { block: 0 };
  const other = createApplication(
    { db: openDatabase(path.join(dir, 'b.db')), genesis, checker: createTxChecker() },
    { keepBlocks: null, snapshots: null },
  );
  let followed = 0;
  for (const txs of made) {
    const start = performance.now();
    const startCpu = cpu();
    await chain.checker.verifyTxs(txs);
    const verified = performance.now();
    const verifiedCpu = cpu();
    const { results } = chain.block({ txs });
    const done = performance.now();
    spent.verifyCpu += verifiedCpu - startCpu;
    spent.blockCpu += cpu() - verifiedCpu;
    spent.verify += verified - start;
    spent.block += done - verified;
    slowest.block = Math.max(slowest.block, done - verified);
    failed += transfers - results.filter(({ ok }) => ok).length;
    const stored = chain.ledger.blockAt(chain.ledger.last().height);
    if (!stored) throw new Error('no block');
    const bytes = encodeBlock(stored.block);
    const began = performance.now();
    const beganCpu = cpu();
    const block = decodeBlock(bytes);
    other.commit(other.execute(block), stored.commit);
    followed += performance.now() - began;
    spent.followCpu += cpu() - beganCpu;
  }
  const count = blocks * transfers;
  const rate = (ms: number, cpuMs: number): string =>
    `${Math.round((count / ms) * 1000)} a second, ${Math.round((count / cpuMs) * 1000)} a second of CPU`;
  console.log(
    `verified and made: ${rate(spent.verify + spent.block, spent.verifyCpu + spent.blockCpu)} (${failed} failed)`,
  );
  console.log(`  signatures on libuv's threads, with decoding: ${rate(spent.verify, spent.verifyCpu)}`);
  console.log(
    `  proposing, executing, committing: ${rate(spent.block, spent.blockCpu)}; slowest block ${slowest.block.toFixed(0)} ms`,
  );
  console.log(`another node, decoding and verifying on its main thread: ${rate(followed, spent.followCpu)}`);
  console.log(`resident: ${Math.round(process.memoryUsage().rss / 1e6)} MB with both`);

  const state = chain.ledger;
  const opened = performance.now();
  createApplication({ db, genesis, checker: createTxChecker() }, { keepBlocks: null, snapshots: null });
  console.log(`opened again in ${(performance.now() - opened).toFixed(0)} ms`);

  await state.settled();
  const [snapshot] = state.snapshots();
  if (snapshot) {
    const fresh = createApplication(
      { db: openDatabase(path.join(dir, 'c.db')), genesis, checker: createTxChecker() },
      { keepBlocks: null, snapshots: null },
    );
    const began = performance.now();
    const restore = fresh.restore(snapshot.manifest, state.signedHeaderAt(snapshot.height) as SignedHeader);
    for (const i of restore.chunks.keys()) {
      restore.put(i, state.snapshotChunk(snapshot.height, i) ?? new Uint8Array());
    }
    restore.finish();
    console.log(
      `a snapshot of ${count} transactions restored in ${(performance.now() - began).toFixed(0)} ms`,
    );
  }

  const checked = made[0]?.map((tx) => createTxChecker().prepare(tx)) ?? [];
  const one = (name: string, ms: number): void =>
    console.log(`${name}: ${Math.round((checked.length / ms) * 1000)} signatures a second`);
  let start = performance.now();
  for (const { sigs, signed } of checked) for (const { key, sig } of sigs) verifySignature(key, signed, sig);
  one('node:crypto, here', performance.now() - start);
  start = performance.now();
  await Promise.all(
    checked.flatMap(({ sigs, signed }) => sigs.map(({ key, sig }) => verifySignatureAsync(key, signed, sig))),
  );
  one('node:crypto, on libuv’s threads', performance.now() - start);
} finally {
  await rm(dir, { recursive: true });
}
