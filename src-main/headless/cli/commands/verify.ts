import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Command } from '@commander-js/extra-typings';
import { InvalidArgumentError } from '@commander-js/extra-typings';
import type { ProofCheck } from '../../../../src-shared/contract/index.ts';
import { AppError, isAppError } from '../../../../src-shared/errors.ts';
import { formatFields } from '../format.ts';
import { printError } from '../session.ts';
import type { Answer } from '../session.ts';
import type { Run } from '../program.ts';
import { checkLedgerProof, expectOf, compare, readLedgerProof, restsOn } from './verify-ledger.ts';
import type { LedgerAnswer } from './verify-ledger.ts';

/** A proof is headers and one operation; nothing honest is larger. Bytes. */
const maxProof = 256 * 1024 * 1024;

interface Expectations {
  readonly file?: string | undefined;
  readonly drive?: string | undefined;
  readonly user?: string | undefined;
  readonly checkpoint?: string | undefined;
  readonly latest?: string | undefined;
}

function parseCheckpoint(text: string): string {
  if (!/^[^:\s]+:[0-9a-fA-F]{64}$/.test(text)) throw new InvalidArgumentError('It must be CHAIN:HASH.');
  return text;
}

export function addVerifyCommand(program: Command, run: Run): void {
  program
    .command('verify')
    .description(
      'checks a proof of a file version, a balance or a transaction: needs no daemon, no data folder and no network',
    )
    .argument('<proof>', 'the file with the proof')
    .option('--file <path>', 'the proof must be about these bytes')
    .option('--drive <id>', 'the proof must be about this drive')
    .option('--user <id>', 'this user must have written or anchored it, or have the balance')
    .option('--checkpoint <chain:hash>', 'a block of a ledger that you trust', parseCheckpoint)
    .option('--latest <file>', 'a newer proof of the same writer: both must be of one history')
    .action((proof, expected) => run((session) => verify(proof, expected, session.json)));
}

async function verify(proofFile: string, expected: Expectations, json: boolean): Promise<Answer> {
  try {
    const value = await checkProof(proofFile, expected);
    if ('type' in value) return { value, text: ledgerText(value) };
    const text = formatFields([
      ['holds', 'yes'],
      ['drive', value.drive],
      ['path', value.path],
      ['version', value.version],
      ['sha256', value.hash],
      ['user', value.user ?? 'unknown'],
      ...(value.anchor === null
        ? []
        : ([
            ['existed by', value.anchor.time],
            ['block', `${value.anchor.height} of ${value.anchor.chainId}`],
          ] as const)),
      ['rests on', value.root],
    ]);
    return { value, text };
  } catch (error) {
    const refusals = ['proof_invalid', 'malformed', 'fork'] as const;
    if (!isAppError(error) || !refusals.some((code) => error.code === code)) throw error;
    // The same line as any refusal; for programs an answer that says both, that it does not hold and why.
    await printError(error, false);
    const value = { ok: false, error: { code: error.code, message: error.message } };
    return { value, text: json ? '' : 'The proof does not hold.', failed: true };
  }
}

function ledgerText(value: LedgerAnswer): string {
  const said = (name: string, one: string | null): [string, string][] => (one === null ? [] : [[name, one]]);
  return formatFields([
    ['holds', 'yes'],
    ['of', value.type],
    ['network', value.chain],
    ['block', value.height],
    ['time', value.time],
    ...said('user', value.user),
    ...said('token', value.symbol),
    ...said('smallest units', value.units),
    ...said('transaction', value.tx),
    ...said('ended', value.code === '' ? 'done' : value.code),
    ...said('drive', value.drive),
    ...said('entry', value.version),
    ['rests on', value.root],
  ]);
}

/**
 * Checks a proof against itself and against what is expected of it.
 * @throws AppError `proof_invalid`, `malformed`; `not_found`, `invalid_argument` when a file can't be read
 */
async function checkProof(proofFile: string, expected: Expectations): Promise<ProofCheck | LedgerAnswer> {
  const { size } = await stat(proofFile).catch((cause: unknown) => unreadable(proofFile, cause));
  if (size > maxProof) throw new AppError('malformed', `${proofFile} is too large to be a proof.`);
  const bytes = await readFile(proofFile).catch((cause: unknown) => unreadable(proofFile, cause));
  const ledgerProof = await readLedgerProof(bytes);
  if (ledgerProof) {
    const answer = await checkLedgerProof(ledgerProof, expected.checkpoint);
    expectOf(answer, expected);
    return answer;
  }
  const read = await readVersion(bytes, {
    ...(expected.drive === undefined ? {} : { drive: expected.drive }),
    ...(expected.user === undefined ? {} : { user: expected.user }),
  });
  const { version, head } = read;
  if (expected.checkpoint !== undefined) {
    if (!head) {
      throw new AppError(
        'proof_invalid',
        'This proof stands under no block of a ledger, so it can not be compared with a checkpoint.',
      );
    }
    compare(head, expected.checkpoint);
  }
  if (expected.latest !== undefined) await compareHistories(read, expected.latest);
  if (expected.file !== undefined) {
    const hash = await hashFile(expected.file);
    if (hash !== version.hash) {
      throw new AppError(
        'proof_invalid',
        `${expected.file} is not what the proof is about: its bytes differ.`,
        {
          details: { expected: version.hash, found: hash },
        },
      );
    }
  }
  const { drive, path, version: name, hash, user } = version;
  const anchor = head && {
    chainId: head.chainId,
    height: head.anchoredIn,
    time: new Date(head.anchoredAt).toISOString(),
  };
  const root = head
    ? `${version.root}; anchored in ${restsOn(head, expected.checkpoint !== undefined)}`
    : version.root;
  return { ok: true, drive, path, version: name, hash, user, anchored: head !== null, anchor, root };
}

/** A checked proof of a version, with its anchor or without. */
async function readVersion(bytes: Uint8Array, expect: { readonly drive?: string; readonly user?: string }) {
  const { decodeAnchoredProof, feedOf, verifyAnchoredProof } = await import('../../../ledger/index.ts');
  const anchored = decodeAnchoredProof(bytes);
  if (anchored) return verifyAnchoredProof(anchored, expect);
  const { verifyProof } = await import('../../../drive/index.ts');
  const version = verifyProof(bytes, expect);
  return { version, head: null, feed: feedOf(version.chain) };
}

/**
 * Two proofs of entries of one writer: of one history, or somebody rewrote it.
 * @throws AppError `fork`; `proof_invalid` when they can't be compared
 */
async function compareHistories(
  { feed }: Awaited<ReturnType<typeof readVersion>>,
  file: string,
): Promise<void> {
  const bytes = await readFile(file).catch((cause: unknown) => unreadable(file, cause));
  const { differingEntry } = await import('../../../ledger/index.ts');
  const other = await readVersion(bytes, {});
  const at = differingEntry(feed, other.feed);
  if (at === null) return;
  const anchored = other.head ? `, which is anchored in block ${other.head.anchoredIn}` : '';
  throw new AppError(
    'fork',
    `This history was rewritten: its entry ${at} is another one than in ${file}${anchored}.`,
  );
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash).catch((cause: unknown) =>
    unreadable(file, cause),
  );
  return hash.digest('hex');
}

function unreadable(file: string, cause: unknown): never {
  if ((cause as NodeJS.ErrnoException).code === 'ENOENT')
    throw new AppError('not_found', `There is no file ${file}.`, { cause });
  throw new AppError('invalid_argument', `Can't read ${file}: ${(cause as Error).message}.`, { cause });
}
