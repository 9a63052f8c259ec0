import type { Signer } from '../../identity/index.ts';
import { openDatabase } from '../../store/index.ts';
import { proposalSignBytes, voteSignBytes } from '../codec/index.ts';
import { bytesOf, codecOf, listOf, nullable, oneOf, record, whole } from '../codec/shape.ts';
import type { Hash } from '../types.ts';
import { afterSigning, decideSigning, emptySignState } from './sign-guard.ts';
import type { SignRequest, SignState } from './sign-guard.ts';

/** A signature that may leave, with what it is for: after a crash that may be something signed before. */
export interface Signed {
  readonly blockId: Hash | null;
  readonly validRound: number;
  readonly sig: Uint8Array;
}

/** The one place that signs votes and proposals. What it signed is on the disk before it returns. */
export interface ConsensusSigner {
  state(): SignState;
  /**
   * @returns null when a later step was signed already: then there is nothing to say
   * @throws AppError `disk_full` and other errors of the disk: then nothing was signed
   */
  sign(request: SignRequest): Signed | null;
  close(): void;
}

const round = whole(2 ** 31 - 1);
const stateCodec = codecOf<SignState>(
  record({
    height: whole(),
    round,
    records: listOf(
      record({
        kind: oneOf('proposal', 'prevote', 'precommit'),
        blockId: nullable(bytesOf(32)),
        validRound: whole(2 ** 31 - 1, -1),
        sig: bytesOf(64),
      }),
      3,
    ),
    lock: nullable(record({ round, blockId: bytesOf(32) })),
  }),
  'sign-state',
  1024,
);

const migrations = {
  sign: ['CREATE TABLE sign_state (chain TEXT PRIMARY KEY, state BLOB NOT NULL) STRICT, WITHOUT ROWID'],
};

/**
 * Opens the sign-state of one key in a file of its own, where each transaction is on the disk when it returns.
 * @param path `sign-state.db` of the chain's folder; never to be copied to a second computer
 * @throws AppError `corrupt`: a validator whose sign-state can't be read must not sign
 */
export function openConsensusSigner(path: string, chainId: string, signer: Signer): ConsensusSigner {
  const db = openDatabase(path, { durability: 'full', migrations, cacheKiB: 64 });
  const name = `${chainId} ${Buffer.from(signer.publicKey).toString('hex')}`;
  const select = db.prepare<[string], { state: Uint8Array }>('SELECT state FROM sign_state WHERE chain = ?');
  const replace = db.prepare('INSERT OR REPLACE INTO sign_state (chain, state) VALUES (?, ?)');
  const row = select.get(name);
  let state = row ? stateCodec.decode(new Uint8Array(row.state)) : emptySignState;
  return {
    state: () => state,
    sign(request) {
      const decision = decideSigning(state, request);
      if (decision.type === 'refuse') return null;
      if (decision.type === 'resend') return decision.record;
      const { kind, height, validRound, blockId } = request;
      const sig = signer.sign(
        kind === 'proposal'
          ? proposalSignBytes(chainId, { ...request, blockId: blockId as Hash })
          : voteSignBytes(chainId, { type: kind, height, round: request.round, blockId }),
      );
      const next = afterSigning(state, request, sig);
      replace.run(name, stateCodec.encode(next));
      state = next;
      return { blockId, validRound, sig };
    },
    close: () => void db.close(),
  };
}
