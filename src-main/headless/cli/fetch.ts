import { open, rename, rm } from 'node:fs/promises';
import { AppError, errorCodes } from '../../../src-shared/errors.ts';
import type { ErrorCode } from '../../../src-shared/errors.ts';

/**
 * The bytes behind a download URL of the daemon.
 * @throws AppError with the daemon's code, or `unreachable` when the bytes end too early
 */
export async function* fetchBytes(url: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const response = await fetch(url, { signal, redirect: 'error' });
  if (!response.ok || !response.body) {
    const text = (await response.text()).trim();
    const code =
      errorCodes.find((known) => text.startsWith(`${known}: `)) ?? ('internal' satisfies ErrorCode);
    throw new AppError(code, text.replace(`${code}: `, '') || 'The node did not hand out the bytes.');
  }
  try {
    yield* response.body;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new AppError('unreachable', 'The node stopped in the middle of the bytes.', { cause });
  }
}

/** Writes them to a file beside its final name, which it gets only when it is whole. */
export async function fetchToFile(url: string, file: string, signal: AbortSignal): Promise<void> {
  const temporary = `${file}.${process.pid}.part`;
  const handle = await open(temporary, 'wx', 0o600).catch((cause: unknown) => {
    throw new AppError('invalid_argument', `Can't write ${file}: ${(cause as Error).message}.`, { cause });
  });
  try {
    try {
      for await (const chunk of fetchBytes(url, signal)) await handle.writeFile(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
