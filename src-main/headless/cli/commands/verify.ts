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

/** A proof is headers and one operation; nothing honest is larger. Bytes. */
const maxProof = 256 * 1024 * 1024;

interface Expectations {
  readonly file?: string | undefined;
  readonly drive?: string | undefined;
  readonly user?: string | undefined;
  readonly checkpoint?: string | undefined;
}

function parseCheckpoint(text: string): string {
  if (!/^[^:\s]+:[0-9a-fA-F]{64}$/.test(text)) throw new InvalidArgumentError('It must be CHAIN:HASH.');
  return text;
}

export function addVerifyCommand(program: Command, run: Run): void {
  program
    .command('verify')
    .description('checks a proof of a file version: needs no daemon, no data folder and no network')
    .argument('<proof>', 'the file with the proof')
    .option('--file <path>', 'the proof must be about these bytes')
    .option('--drive <id>', 'the proof must be about this drive')
    .option('--user <id>', 'this user must have written it')
    .option('--checkpoint <chain:hash>', 'a block of a ledger that you trust', parseCheckpoint)
    .action((proof, expected) => run((session) => verify(proof, expected, session.json)));
}

async function verify(proofFile: string, expected: Expectations, json: boolean): Promise<Answer> {
  try {
    const value = await checkProof(proofFile, expected);
    const text = formatFields([
      ['holds', 'yes'],
      ['drive', value.drive],
      ['path', value.path],
      ['version', value.version],
      ['sha256', value.hash],
      ['user', value.user ?? 'unknown'],
      ['rests on', value.root],
    ]);
    return { value, text };
  } catch (error) {
    if (!isAppError(error, 'proof_invalid') && !isAppError(error, 'malformed')) throw error;
    // The same line as any refusal; for programs an answer that says both, that it does not hold and why.
    await printError(error, false);
    const value = { ok: false, error: { code: error.code, message: error.message } };
    return { value, text: json ? '' : 'The proof does not hold.', failed: true };
  }
}

/**
 * Checks a proof against itself and against what is expected of it.
 * @throws AppError `proof_invalid`, `malformed`; `invalid_argument` when a file can't be read; `unsupported`
 */
async function checkProof(proofFile: string, expected: Expectations): Promise<ProofCheck> {
  if (expected.checkpoint !== undefined) {
    throw new AppError(
      'unsupported',
      'This version has no ledger yet, so it can not compare with a checkpoint.',
    );
  }
  const { size } = await stat(proofFile).catch((cause: unknown) => unreadable(proofFile, cause));
  if (size > maxProof) throw new AppError('malformed', `${proofFile} is too large to be a proof.`);
  const bytes = await readFile(proofFile).catch((cause: unknown) => unreadable(proofFile, cause));
  const { verifyProof } = await import('../../../drive/index.ts');
  const proof = verifyProof(bytes, {
    ...(expected.drive === undefined ? {} : { drive: expected.drive }),
    ...(expected.user === undefined ? {} : { user: expected.user }),
  });
  if (expected.file !== undefined) {
    const hash = await hashFile(expected.file);
    if (hash !== proof.hash) {
      throw new AppError(
        'proof_invalid',
        `${expected.file} is not what the proof is about: its bytes differ.`,
        {
          details: { expected: proof.hash, found: hash },
        },
      );
    }
  }
  const { drive, path, version, hash, user, root } = proof;
  return { ok: true, drive, path, version, hash, user, anchored: false, root };
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash).catch((cause: unknown) =>
    unreadable(file, cause),
  );
  return hash.digest('hex');
}

function unreadable(file: string, cause: unknown): never {
  throw new AppError('invalid_argument', `Can't read ${file}: ${(cause as Error).message}.`, { cause });
}
