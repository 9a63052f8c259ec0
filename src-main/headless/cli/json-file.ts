import { readFile } from 'node:fs/promises';
import { AppError } from '../../../src-shared/errors.ts';

/**
 * What a JSON file says; the node checks its shape.
 * @throws AppError `not_found` when there is no such file, `invalid_argument` when it can't be read as JSON
 */
export async function readJson<T>(file: string): Promise<T> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') throw new AppError('not_found', `There is no file ${file}.`, { cause });
    throw new AppError('invalid_argument', `${file} can't be read: ${cause.message}.`, { cause });
  });
  return parseJson<T>(text, file);
}

/** @param file where the text is from. @throws AppError `invalid_argument` */
export function parseJson<T>(text: string, file: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    const why = (cause as Error).message.replace(/\s+/g, ' ');
    throw new AppError('invalid_argument', `${file} can't be read as JSON: ${why}.`, { cause });
  }
}
