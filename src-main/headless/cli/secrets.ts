import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { AppError } from '../../../src-shared/errors.ts';

/**
 * Reads a secret from a file, or from standard input for `-`; a line break at its end does not belong to it.
 * @throws AppError `invalid_argument` when there is none
 */
export async function readSecret(file: string, what: string): Promise<string> {
  let secret: string;
  try {
    secret = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
  } catch (cause) {
    const reason =
      (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : String(cause);
    throw new AppError('invalid_argument', `Can't read the ${what} from ${file}: ${reason}.`, { cause });
  }
  const line = secret.replace(/\r?\n$/, '');
  if (line.trim() === '') throw new AppError('invalid_argument', `The file ${file} holds no ${what}.`);
  return line;
}
