import { AppError, isAppError } from '../../../../src-shared/errors.ts';
import type { LedgerProof, Proven } from '../../../ledger/index.ts';

/** What a proof of the ledger says, for programs. Amounts are in the smallest unit of their token: a proof does not say its decimals. */
export interface LedgerAnswer {
  readonly ok: true;
  readonly type: 'balance' | 'tx' | 'head' | 'feed';
  readonly chain: string;
  readonly height: number;
  readonly time: string;
  readonly user: string | null;
  readonly symbol: string | null;
  readonly units: string | null;
  readonly tx: string | null;
  /** '' when the transaction did what it says. */
  readonly code: string | null;
  readonly drive: string | null;
  readonly version: string | null;
  readonly anchored: boolean;
  /** What the answer rests on. */
  readonly root: string;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The proof in a file if it is one of the ledger; null: it is something else. */
export async function readLedgerProof(bytes: Uint8Array): Promise<LedgerProof | null> {
  const { decodeLedgerProof } = await import('../../../ledger/index.ts');
  try {
    return decodeLedgerProof(bytes);
  } catch (error) {
    if (isAppError(error, 'malformed') || isAppError(error, 'too_large')) return null;
    throw error;
  }
}

/**
 * Checks a proof of the ledger against itself and against a block that is trusted.
 * @param checkpoint `CHAIN:HASH`; undefined: the answer rests on the validators it names
 * @throws AppError `proof_invalid`
 */
export async function checkLedgerProof(
  proof: LedgerProof,
  checkpoint: string | undefined,
): Promise<LedgerAnswer> {
  const { verifyLedgerProof } = await import('../../../ledger/index.ts');
  const { userIdOfHash } = await import('../../../identity/index.ts');
  const { entryId } = await import('../../../history/index.ts');
  const found = verifyLedgerProof(proof);
  if (checkpoint !== undefined) compare(found, checkpoint);
  const common = {
    ok: true as const,
    chain: found.chainId,
    height: found.height,
    time: new Date(found.time).toISOString(),
    ...{ user: null, symbol: null, units: null, tx: null, code: null, drive: null, version: null },
    anchored: false,
    root: restsOn(found, checkpoint !== undefined),
  };
  switch (found.type) {
    case 'balance':
      return {
        ...common,
        type: 'balance',
        user: userIdOfHash(found.address),
        symbol: found.symbol,
        units: found.amount.toString(),
      };
    case 'tx':
      return { ...common, type: 'tx', tx: hex(found.hash), code: found.code };
    case 'head':
      return {
        ...common,
        type: 'head',
        height: found.anchoredIn,
        time: new Date(found.anchoredAt).toISOString(),
        user: userIdOfHash(found.sender),
        drive: entryId(found.head.drive),
        version: entryId(found.head.entry),
        anchored: true,
      };
    case 'feed':
      return {
        ...common,
        type: 'feed',
        height: found.anchoredIn,
        time: new Date(found.anchoredAt).toISOString(),
        version: entryId(found.head),
        code: found.forked ? 'fork' : '',
        anchored: true,
      };
  }
}

const about: Readonly<Record<LedgerAnswer['type'], string>> = {
  balance: 'a balance',
  tx: 'a transaction',
  head: 'an anchored drive',
  feed: 'an anchored feed',
};

/**
 * Whether the answer is about what was asked for: an expectation that a proof says nothing of is not met.
 * @throws AppError `proof_invalid`
 */
export function expectOf(
  answer: LedgerAnswer,
  expected: {
    readonly file?: string | undefined;
    readonly latest?: string | undefined;
    readonly drive?: string | undefined;
    readonly user?: string | undefined;
  },
): void {
  const what = `The proof is of ${about[answer.type]}`;
  if (expected.file !== undefined || expected.latest !== undefined) {
    throw new AppError('proof_invalid', `${what}: it says nothing of a file.`);
  }
  for (const name of ['drive', 'user'] as const) {
    const wanted = expected[name];
    if (wanted === undefined || wanted === answer[name]) continue;
    const found = answer[name];
    throw new AppError(
      'proof_invalid',
      found === null
        ? `${what}: it does not say of which ${name}.`
        : `${what} of the ${name} ${found}, not of ${wanted}.`,
    );
  }
}

/** What an answer of the ledger rests on, in words. */
export function restsOn({ chainId, checkpoint }: Proven, trusted: boolean): string {
  const block = `block ${checkpoint.height} (${hex(checkpoint.blockId)}) of ${chainId}`;
  return trusted
    ? `${block}, which is trusted`
    : `${block}, signed by the validators ${hex(checkpoint.validatorsHash)}; whether they are its validators was not asked`;
}

/** @throws AppError `proof_invalid` when it rests on another block than the one that is trusted */
export function compare({ chainId, checkpoint }: Proven, wanted: string): void {
  const at = wanted.lastIndexOf(':');
  if (wanted.slice(0, at) !== chainId) {
    throw new AppError(
      'proof_invalid',
      `The proof is of the network ${chainId}, not of ${wanted.slice(0, at)}.`,
    );
  }
  if (wanted.slice(at + 1).toLowerCase() !== hex(checkpoint.blockId)) {
    throw new AppError(
      'proof_invalid',
      `The proof rests on block ${checkpoint.height} (${hex(checkpoint.blockId)}), which is not the trusted one.`,
    );
  }
}
