import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { Clock, Logger } from '../../../src-shared/runtime.ts';
import type { Network, ProtocolOptions } from '../../network/index.ts';
import { decodeBlock } from '../chain/wire.ts';
import type { Chain } from '../chain/types.ts';
import { blockId, decodeTx, hexOf, listRoot, resultsRoot, sameBytes, txHash } from '../codec/index.ts';
import type { Hash, SignedHeader, TxResult, ValidatorSet } from '../types.ts';
import {
  balanceProof,
  balanceRowKey,
  batchRowKey,
  decodeLedgerProof,
  feedProof,
  feedRowKey,
  headProof,
  verifyLedgerProof,
} from '../execute/proofs.ts';
import type { LedgerProof } from '../execute/proofs.ts';
import { accountOf } from '../modules/account.ts';
import { partiesOf } from '../execute/block-records.ts';
import type { RowProof } from '../state/proof.ts';
import { verifyRow } from '../state/proof.ts';
import { bytesKey, keyBytes } from '../state/table.ts';
import type { Key } from '../state/table.ts';
import { createPartialState, noRows } from './partial-state.ts';
import type { KnownRows, MissingRows } from './partial-state.ts';
import type { FoundTx, LedgerAccess } from './reader.ts';
import {
  decodeReadAnswer,
  encodeReadRequest,
  maxHistory,
  maxKeys,
  maxReadAnswerBytes,
  maxScans,
} from './wire.ts';
import type { ReadAnswer, ReadRequest } from './wire.ts';

/** Of both sides. */
export const readOptions: ProtocolOptions = {
  maxFrame: maxReadAnswerBytes,
  maxStreams: 16,
  idleTimeout: 15_000,
  maxRate: 60,
};
export const readProtocol = (chainId: string): string => `chain-read-${chainId}/1`;

/** Times that a look is repeated with what it missed. */
const maxRounds = 12;
/** Blocks that an answer may be older than the newest header known here. */
const maxLag = 10;
/** How long a header newer than the newest one here is waited for, ms. */
const headerPatience = 10_000;
/** Subjects whose rows are remembered to be asked for at once. */
const maxSubjects = 64;

interface Deps {
  readonly chain: Pick<Chain, 'chainId' | 'header' | 'peers' | 'status' | 'waitFor'>;
  readonly network: Pick<Network, 'open' | 'penalise'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A header this node verified, with the set that signed it. */
interface Ground {
  readonly signed: SignedHeader;
  readonly validators: ValidatorSet;
}

const invalid = (why: string): AppError => new AppError('proof_invalid', `The answer does not hold: ${why}.`);

/** Reads the ledger through others, believing nothing that is not proven. */
export function createLightReader({ chain, network, clock, logger }: Deps): LedgerAccess {
  const protocol = readProtocol(chain.chainId);
  /** What looks at a subject needed the last time. */
  const wanted = new Map<string, MissingRows>();

  /** Asks the peers of the chain, the furthest first, until one gives an answer that `check` accepts. */
  async function ask<T extends ReadRequest['type'], R>(
    request: Extract<ReadRequest, { readonly type: T }>,
    check: (answer: Extract<ReadAnswer, { readonly type: T }>) => Promise<R> | R,
  ): Promise<R> {
    const { problem } = chain.status();
    if (problem) throw new AppError(problem.code, problem.message);
    const peers = [...chain.peers()].sort((a, b) => b.height - a.height);
    let failure: unknown = null;
    for (const { peerId } of peers) {
      try {
        const stream = await network.open(peerId, protocol, readOptions);
        try {
          await stream.send(encodeReadRequest(request));
          const frame = await stream.read();
          if (frame === null) throw new AppError('unreachable', 'The other computer gave no answer.');
          const answer = decodeReadAnswer(frame);
          if (answer.type !== request.type) {
            throw new AppError('protocol_violation', 'The other computer answered another question.');
          }
          void stream.close();
          return await check(answer as never);
        } catch (error) {
          stream.abort(error as Error);
          throw error;
        }
      } catch (error) {
        if (isAppError(error, 'not_found') || isAppError(error, 'too_large')) throw error;
        for (const code of ['malformed', 'proof_invalid', 'protocol_violation'] as const) {
          if (isAppError(error, code)) network.penalise(peerId, `${protocol}: ${error.message}`);
        }
        logger.debug({ peer: peerId, error: String(error) }, 'a peer gave no answer about the ledger');
        failure = error;
      }
    }
    throw new AppError('unreachable', 'Nobody who keeps this network’s ledger can be reached now.', {
      cause: failure,
    });
  }

  /** A header by its height as this node verified it; waited for a little when it is newer than those here. */
  async function trusted(height: number): Promise<SignedHeader> {
    if (height > chain.status().height) {
      const stopper = new AbortController();
      const cancel = clock.after(headerPatience, () => stopper.abort());
      try {
        await chain.waitFor(height, stopper.signal);
      } catch (cause) {
        throw new AppError('unreachable', `The header of block ${height} did not come.`, { cause });
      } finally {
        cancel();
      }
    }
    return chain.header(height);
  }

  async function ground(answer: Extract<ReadAnswer, { readonly type: 'rows' }>): Promise<Ground> {
    const { block } = answer;
    if (!block) throw new AppError('unreachable', 'The other computer has no block of this network yet.');
    const { height } = block.signed.header;
    if (height + maxLag < chain.status().height) {
      throw new AppError('unreachable', 'The other computer is behind.');
    }
    const own = await trusted(height);
    if (!sameBytes(own.commit.blockId, blockId(block.signed.header)))
      throw invalid('its block is another one');
    return block;
  }

  /** Rows of one state, each proven. */
  function rowsOf(keys: readonly Key[], prefixes: readonly Key[]) {
    return ask(
      { type: 'rows', keys: keys.map(keyBytes), prefixes: prefixes.map(keyBytes) },
      async (answer) => {
        const under = await ground(answer);
        const { stateRoot } = under.signed.header;
        const known = noRows();
        const take = (proof: RowProof, key: Key): void => {
          if (bytesKey(proof.key) !== key || !verifyRow(stateRoot, proof))
            throw invalid('a row is another one');
          known.rows.set(key, proof.value);
        };
        if (answer.rows.length !== keys.length || answer.scans.length !== prefixes.length) {
          throw invalid('rows are missing in it');
        }
        for (const [i, key] of keys.entries()) take(answer.rows[i] as RowProof, key);
        for (const [i, prefix] of prefixes.entries()) {
          const { rows, more } = answer.scans[i] as (typeof answer.scans)[0];
          let before = '';
          for (const row of rows) {
            const key = bytesKey(row.key);
            if (!key.startsWith(prefix) || key <= before || row.value === null) {
              throw invalid('its rows are out of order');
            }
            take(row, key);
            before = key;
          }
          known.scans.set(prefix, { keys: rows.map((row) => bytesKey(row.key)), more });
        }
        return { under, known, rows: answer.rows };
      },
    );
  }

  /** Runs it on what is known; answers what is missing, or how it ended. */
  function attempt<T>(
    look: (view: Parameters<Parameters<LedgerAccess['read']>[0]>[0]) => T,
    known: KnownRows,
    { header }: { readonly header: { readonly height: number; readonly time: number } },
  ): { readonly missing: MissingRows } | { readonly value: T } {
    const missing: MissingRows = { keys: new Set(), prefixes: new Set() };
    const { height, time } = header;
    try {
      const value = look({ state: createPartialState(known, missing), height, time });
      if (missing.keys.size + missing.prefixes.size === 0) return { value };
    } catch (error) {
      // Whatever went wrong, went wrong without what is missing.
      if (missing.keys.size + missing.prefixes.size === 0) throw error;
    }
    return { missing };
  }

  async function read<T>(
    look: (view: Parameters<Parameters<LedgerAccess['read']>[0]>[0]) => T,
    about?: string,
  ): Promise<T> {
    const before = about === undefined ? undefined : wanted.get(about);
    const keys = new Set(before?.keys);
    const prefixes = new Set(before?.prefixes);
    for (let round = 0; round < maxRounds; round++) {
      const { known, under } = await rowsOf([...keys], [...prefixes]);
      const outcome = attempt(look, known, under.signed);
      if ('value' in outcome) {
        if (about !== undefined) {
          wanted.delete(about);
          wanted.set(about, { keys, prefixes });
          if (wanted.size > maxSubjects) wanted.delete(wanted.keys().next().value as string);
        }
        return outcome.value;
      }
      for (const key of outcome.missing.keys) keys.add(key);
      for (const prefix of outcome.missing.prefixes) prefixes.add(prefix);
      if (keys.size > maxKeys || prefixes.size > maxScans) break;
    }
    if (about !== undefined) wanted.delete(about);
    throw new AppError('too_large', 'This takes more of the ledger than a light node asks for.');
  }

  async function provenTx(encoded: Uint8Array, message: string): Promise<FoundTx & { proof: LedgerProof }> {
    const proof = decodeLedgerProof(encoded);
    const proven = verifyLedgerProof(proof);
    if (proven.type !== 'tx') throw invalid('it proves something else');
    if (proven.chainId !== chain.chainId) throw invalid('it is of another chain');
    const own = await trusted(proven.checkpoint.height);
    if (!sameBytes(own.commit.blockId, proven.checkpoint.blockId)) throw invalid('its block is another one');
    const { subject } = proof;
    const index = subject.type === 'tx' ? subject.place.index : 0;
    const { hash, ok, code, fee } = proven;
    const result: TxResult = { hash, ok, code, fee, message };
    return { proof, bytes: proven.tx, place: { height: proven.height, index, time: proven.time, result } };
  }

  const askTx = (hash: Hash) =>
    ask({ type: 'tx', hash }, async ({ proof, waiting, message }) => {
      if (proof) {
        const found = await provenTx(proof, message);
        if (!sameBytes(txHash(found.bytes), hash)) throw invalid('it is of another transaction');
        return found;
      }
      if (waiting && !sameBytes(decodeTx(waiting).hash, hash)) throw invalid('it is another transaction');
      return waiting && { bytes: waiting, place: null, proof: null };
    });

  return {
    read,

    async proveBalance(address, symbol) {
      const { under, rows } = await rowsOf([balanceRowKey(address, symbol)], []);
      return balanceProof(under, address, symbol, rows[0] as RowProof);
    },
    async proveTx(hash) {
      const found = await askTx(hash);
      if (found?.proof) return found.proof;
      throw new AppError('not_found', 'This transaction is in no block.');
    },
    async proveHead(sender, batch, index) {
      const { under, rows } = await rowsOf([batchRowKey(sender, batch.root)], []);
      return headProof(under, sender, batch, index, rows[0] as RowProof);
    },

    async proveFeed(writer, incarnation) {
      const { under, rows } = await rowsOf([feedRowKey(writer, incarnation)], []);
      return feedProof(under, writer, incarnation, rows[0] as RowProof);
    },

    findTx: askTx,

    accountTxs: (address, before, limit) =>
      ask({ type: 'account', address, before, limit: Math.min(limit, maxHistory) }, async ({ txs }) => {
        const found: FoundTx[] = [];
        for (const { proof, message } of txs) {
          const { proof: _, ...one } = await provenTx(proof, message);
          if (!partiesOf(decodeTx(one.bytes).body).has(bytesKey(address))) {
            throw invalid('it does not concern that account');
          }
          found.push(one);
        }
        return found;
      }),

    async nextNonce(address) {
      const committed = await read(({ state }) => accountOf(state, address).nonce, `nonce ${hexOf(address)}`);
      // Nobody can prove what waits. A false answer costs no more than a transaction that never gets into a block.
      const told = await ask({ type: 'nonce', address }, ({ nonce }) => nonce).catch(() => committed);
      return Math.max(committed, told);
    },

    async block(height) {
      const { header, commit } = await trusted(height);
      return ask({ type: 'block', height }, ({ block: bytes, results }) => {
        if (!bytes) return null;
        const block = decodeBlock(bytes);
        const named = results.map((one) => ({ ...one, message: '' }));
        const fits =
          sameBytes(blockId(block.header), commit.blockId) &&
          sameBytes(listRoot(block.txs.map(txHash)), header.txRoot) &&
          sameBytes(resultsRoot(named), header.resultsRoot);
        if (!fits) throw invalid('the block is another one');
        return { block, commit, results: named };
      });
    },
  };
}
