import { AppError } from '../../../src-shared/errors.ts';
import { hashOfUserId } from '../../identity/index.ts';
import {
  answerOf,
  beaconCommitOf,
  beaconHash,
  challengeOf,
  claimsOpen,
  contractView,
  dueContracts,
  hasContracts,
  hostEmission,
  listRoot,
  message,
  payOf,
  periodOf,
  planMove,
  proveInList,
  relayEmission,
  samplesOf,
  seedOf,
  storageView,
  validatorsView,
  vaultsView,
} from '../../ledger/index.ts';
import type { Hash, WireMessage } from '../../ledger/index.ts';
import { migrate } from '../../store/index.ts';
import type { Online } from '../core.ts';
import type { AccountKeys } from './account-keys.ts';
import { createPaidDrives } from './paid-drives.ts';
import type { PaidDrives } from './paid-drives.ts';
import { createPaidHosts } from './paid-hosts.ts';
import type { PaidHosts } from './paid-hosts.ts';
import type { Chains, OpenChain } from './chains.ts';
import { leafOfFile } from './kept-files.ts';
import { createRelayPay } from './relay-pay.ts';
import { hex } from './shown.ts';
import type { Wallet } from './wallet.ts';
import type { StreamRecords } from '../stream/stream-records.ts';

/**
 * What this node does on the ledger by itself: proves the copies it keeps, takes part in the beacon where it runs a validator, and
 * moves vaults where its owner lets it. One thing after another, a few seconds apart; what fails is tried again.
 */
export interface LedgerChores {
  /** Remembers where the bytes of a contract are. */
  keep(chainId: string, contract: number, file: string): void;
  fileOf(chainId: string, contract: number): string | null;
  /** Whether this computer is paid for what it keeps, or wants to be: a light node can't tell whether its contracts are all it sees. */
  needsState(chainId: string): boolean;
  /** Funds that receipts of this computer were shown to. */
  relayedFunds(chainId: string): readonly number[];
  /** What was proven here, the newest first. */
  proofs(chainId: string): readonly SentProof[];
  readonly paidDrives: PaidDrives;
  readonly paidHosts: PaidHosts;
  stop(): void;
}

/** A proof of this computer that was sent to the ledger. */
export interface SentProof {
  readonly period: number;
  /** Of the transaction. */
  readonly hash: Uint8Array;
  readonly copies: number;
  readonly bytes: number;
  /** What it pays, in units of the base coin. */
  readonly pay: bigint;
}

const migrations = [
  `CREATE TABLE kept_contracts (chain TEXT NOT NULL, contract INTEGER NOT NULL, file TEXT NOT NULL,
    PRIMARY KEY (chain, contract)) STRICT, WITHOUT ROWID`,
  `CREATE TABLE storage_claims (chain TEXT NOT NULL, period INTEGER NOT NULL, contract INTEGER NOT NULL, answer BLOB NOT NULL,
    PRIMARY KEY (chain, period, contract)) STRICT, WITHOUT ROWID`,
  `CREATE TABLE storage_proofs (chain TEXT NOT NULL, period INTEGER NOT NULL, hash BLOB NOT NULL, copies INTEGER NOT NULL,
    bytes INTEGER NOT NULL, pay TEXT NOT NULL, PRIMARY KEY (chain, period)) STRICT, WITHOUT ROWID`,
  // When it was put there, ms: a contract that was just asked for stands on the ledger a little later.
  `ALTER TABLE kept_contracts ADD COLUMN at INTEGER NOT NULL DEFAULT 0`,
];
/** Files of contracts that this computer has no part in are forgotten after so long by the ledger's clock. */
const forgottenAfterMs = 86_400_000;
/** How often that is looked at, ms. */
const sweepMs = 3_600_000;
/** Emission that somebody collected once is collected again by itself when so many periods wait: later it would lapse. */
const collectAfter = 12;
/** Proofs that are listed: a month of them. */
const proofsKept = 24 * 31;
const pollMs = 3000;
/** Tokens collected in one transaction. */
const maxCollected = 8;

/** What is to be sent in one transaction, and what to note then; null: nothing is due. */
export type Chore = {
  readonly made: readonly WireMessage[];
  sent?(hash: Uint8Array): void;
  failed?(error: AppError): void;
} | null;
const single = (made: WireMessage): Chore => ({ made: [made] });

export function createLedgerChores(
  node: Online,
  chains: Chains,
  wallet: Wallet,
  keys: AccountKeys,
  receipts: () => StreamRecords | null,
): LedgerChores {
  const { db, clock, settings, logger, identity } = node;
  migrate(db, 'ledger chores', migrations);
  const insertFile = db.prepare(
    'INSERT OR REPLACE INTO kept_contracts (chain, contract, file, at) VALUES (?, ?, ?, ?)',
  );
  const selectFile = db.prepare<[string, number], { file: string }>(
    'SELECT file FROM kept_contracts WHERE chain = ? AND contract = ?',
  );
  const olderFiles = db.prepare<[string, number], { contract: number }>(
    'SELECT contract FROM kept_contracts WHERE chain = ? AND at < ?',
  );
  const forgetFile = db.prepare('DELETE FROM kept_contracts WHERE chain = ? AND contract = ?');
  const anyFile = db.prepare<[string]>('SELECT 1 FROM kept_contracts WHERE chain = ? LIMIT 1');
  const insertAnswer = db.prepare(
    'INSERT OR REPLACE INTO storage_claims (chain, period, contract, answer) VALUES (?, ?, ?, ?)',
  );
  const selectAnswers = db.prepare<[string, number], { contract: number; answer: Buffer }>(
    'SELECT contract, answer FROM storage_claims WHERE chain = ? AND period = ? ORDER BY contract',
  );
  const forget = db.prepare('DELETE FROM storage_claims WHERE chain = ? AND period < ?');
  const insertProof = db.prepare(
    'INSERT OR REPLACE INTO storage_proofs (chain, period, hash, copies, bytes, pay) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const forgetProofs = db.prepare('DELETE FROM storage_proofs WHERE chain = ? AND period < ?');
  const selectProofs = db.prepare<
    [string],
    { period: number; hash: Buffer; copies: number; bytes: number; pay: string }
  >('SELECT * FROM storage_proofs WHERE chain = ? ORDER BY period DESC');
  const paidDrives = createPaidDrives(node, () => chains.current());
  const paidHosts = createPaidHosts(node, () => chains.current());
  const relays = createRelayPay(node, receipts);
  let stopped = false;
  let cancel: (() => void) | null = null;
  /** Height at which something was sent last: its outcome is waited for. */
  let sentAt = -1;
  const sweptAt = new Map<string, number>();

  const own = (): Uint8Array => hashOfUserId(wallet.user());
  const fileOf = (chainId: string, contract: number): string | null =>
    selectFile.get(chainId, contract)?.file ?? null;

  /** @returns the transaction's hash; null: this computer may not send such */
  async function send(
    open: OpenChain,
    height: number,
    made: readonly WireMessage[],
  ): Promise<Uint8Array | null> {
    for (const { type } of made) if (!(await keys.may(open, type))) return null;
    const hash = await wallet.send(open, { messages: made, feeIn: null });
    sentAt = height;
    logger.debug({ types: made.map(({ type }) => type) }, 'a chore of the ledger was done');
    return hash;
  }

  /** The claim of this period, or the proof of the last one; null: nothing is due. */
  async function storageChore(open: OpenChain): Promise<Chore> {
    const { chainId } = open.record;
    const me = own();
    const seen = await open.reader.read(({ state, time }) => {
      const { host, period } = storageView(state, time, me);
      if (!host || host.slots === 0) return null;
      const of = (at: number) => ({ due: dueContracts(state, me, at), seed: seedOf(state, at) });
      return { host, period, open: claimsOpen(time), now: of(period), before: of(period - 1) };
    }, 'storage chores');
    if (!seen) return null;
    const { host, period } = seen;
    const leafFor = (seed: Hash, { number, contract }: (typeof seen.now.due)[0]) => {
      const file = fileOf(chainId, number);
      const at = challengeOf(seed, me, number, contract.bytes);
      if (file === null) return paidHosts.open(chainId, number, at).catch(() => null);
      return leafOfFile(file, contract.root, at).catch(() => null);
    };
    if (host.claim && host.claim.period === period - 1 && host.settled < period - 1) {
      const missing = new Set(host.claim.missing);
      const due = seen.before.due.filter(({ number }) => !missing.has(number));
      const answers = selectAnswers.all(chainId, period - 1).map(({ answer }) => new Uint8Array(answer));
      if (answers.length === due.length) {
        const wanted = samplesOf(seen.now.seed, me, due.length);
        const openings = await Promise.all(
          wanted.map(async (index) => {
            const found = await leafFor(seen.before.seed, due[index]!);
            return found && { ...found, inClaim: proveInList(answers, index).path };
          }),
        );
        const whole = openings.flatMap((one) => (one ? [one] : []));
        if (whole.length === wanted.length) {
          const made = message('storage.prove', { slots: host.slots, openings: whole });
          const kept = due.map(({ contract }) => contract);
          return {
            made: [made],
            sent(hash) {
              const bytes = kept.reduce((sum, one) => sum + one.bytes, 0);
              const pay = kept.reduce((sum, one) => sum + payOf(one), 0n);
              insertProof.run(chainId, period - 1, hash, kept.length, bytes, pay.toString());
              forgetProofs.run(chainId, period - proofsKept);
            },
          };
        }
      }
      return null;
    }
    if (!seen.open || host.claim?.period === period) return null;
    if (host.settled >= period || seen.now.due.length === 0) return null;
    const missing: number[] = [];
    const answers: Uint8Array[] = [];
    for (const one of seen.now.due) {
      const found = await leafFor(seen.now.seed, one);
      if (!found) missing.push(one.number);
      else {
        const answer = answerOf(seen.now.seed, me, one.number, found.leaf);
        answers.push(answer);
        insertAnswer.run(chainId, period, one.number, answer);
      }
    }
    forget.run(chainId, period - 2);
    return single(message('storage.claim', { root: listRoot(answers), missing }));
  }

  /** A secret for each period, never written down. */
  const secretOf = (open: OpenChain, period: number): Uint8Array =>
    identity.deviceSecret(`beacon ${open.record.chainId} ${period}`);

  async function beaconChore(open: OpenChain): Promise<Chore> {
    if (!settings.get('ledger.beacon')) return null;
    const me = own();
    const seen = await open.reader.read(({ state, time }) => {
      const runs = validatorsView(state).some(
        (one) =>
          hex(one.operator) === hex(me) &&
          one.power > 0n &&
          hex(one.key) === hex(open.validatorKey.publicKey),
      );
      // Nobody needs it while nothing is stored for pay.
      if (!runs || !hasContracts(state)) return null;
      return { period: periodOf(time), open: claimsOpen(time), commit: beaconCommitOf(state, me) };
    }, 'beacon chores');
    if (!seen) return null;
    const { period, commit } = seen;
    // Secrets are shown when claims are closed.
    if (commit && seen.open) return null;
    if (!commit) return single(message('beacon.commit', { hash: beaconHash(me, secretOf(open, period)) }));
    return commit.period === period - 1
      ? single(message('beacon.reveal', { secret: secretOf(open, commit.period) }))
      : null;
  }

  async function vaultChore(open: OpenChain): Promise<Chore> {
    if (!settings.get('vaults.rebalance')) return null;
    return open.reader.read((view) => {
      for (const { number, due } of vaultsView(view, null)) {
        const step = due ? planMove(view, number) : null;
        if (step) return single(message('vault.rebalance', { vault: number, ...step }));
      }
      return null;
    }, 'vault chores');
  }

  async function takeChore(open: OpenChain): Promise<Chore> {
    const made = await paidHosts.chore(open, own());
    return made && single(made);
  }

  const payChore = (open: OpenChain): Promise<Chore> => paidDrives.chore(open, own());

  const relayChore = (open: OpenChain): Promise<Chore> => relays.chore(open, own());

  /** Emission of tokens that were collected before: nobody else's tokens cost this account a fee. */
  async function collectChore(open: OpenChain): Promise<Chore> {
    const me = own();
    return open.reader.read((view) => {
      const made = [
        ...hostEmission
          .overdue(view, me, collectAfter)
          .map((symbol) => message('storage.collect', { symbol })),
        ...relayEmission
          .overdue(view, me, collectAfter)
          .map((symbol) => message('relay.collect', { symbol })),
      ].slice(0, maxCollected);
      return made.length === 0 ? null : { made };
    }, 'emission chores');
  }

  /** Forgets where the bytes of contracts are that this account has no part in any more. */
  async function sweep(open: OpenChain): Promise<void> {
    const { chainId } = open.record;
    if (clock.now() - (sweptAt.get(chainId) ?? Number.NEGATIVE_INFINITY) < sweepMs) return;
    sweptAt.set(chainId, clock.now());
    if (!anyFile.get(chainId)) return;
    const me = own();
    const gone = await open.reader.read(
      ({ state, time }) =>
        olderFiles
          .all(chainId, time - forgottenAfterMs)
          .filter(({ contract }) => !contractView(state, contract, me)?.slot),
      'kept contracts',
    );
    for (const { contract } of gone) forgetFile.run(chainId, contract);
  }

  async function work(): Promise<void> {
    const open = chains.current();
    if (!open || open.record.provisional || identity.userId() === null) return;
    const { height } = await open.reader.read((view) => ({ height: view.height }), 'height');
    if (height <= sentAt + 1) return;
    await sweep(open);
    const all = [storageChore, takeChore, payChore, relayChore, beaconChore, vaultChore, collectChore];
    for (const chore of all) {
      let due: Chore = null;
      try {
        due = await chore(open);
        if (!due) continue;
        const hash = await send(open, height, due.made);
        if (hash) return due.sent?.(hash);
      } catch (error) {
        if (error instanceof AppError) due?.failed?.(error);
        // One that fails (too little money, say) does not keep the others from their turn.
        logger.debug({ error: String(error) }, 'a chore of the ledger failed');
      }
    }
  }

  function schedule(): void {
    cancel = clock.after(pollMs, () => {
      work()
        .catch((error: unknown) => logger.debug({ error: String(error) }, 'a chore of the ledger failed'))
        .finally(() => {
          if (!stopped) schedule();
        });
    });
  }
  schedule();

  return {
    keep: (chainId, contract, file) => void insertFile.run(chainId, contract, file, clock.now()),
    fileOf,
    needsState: (chainId) =>
      settings.get('hosting.price') !== null ||
      anyFile.get(chainId) !== undefined ||
      node.hosting.paid().list(chainId).length > 0,
    relayedFunds: (chainId) => relays.funds(chainId),
    proofs: (chainId) =>
      selectProofs
        .all(chainId)
        .map(({ hash, pay, ...row }) => ({ ...row, hash: new Uint8Array(hash), pay: BigInt(pay) })),
    paidDrives,
    paidHosts,
    stop() {
      stopped = true;
      cancel?.();
    },
  };
}
