import { access } from 'node:fs/promises';
import type { DriveCheckReport } from '../../../src-shared/contract/index.ts';
import { AppError } from '../../../src-shared/errors.ts';

/**
 * `drive verify` while no daemon runs: opens the data folder itself, under its lock and with no network.
 * @throws AppError `not_found` when there is no such data folder; `locked`
 */
export async function verifyOffline(
  dataDir: string,
  drive: string,
  signal: AbortSignal,
): Promise<DriveCheckReport> {
  await access(dataDir).catch((cause: unknown) => {
    throw new AppError('not_found', `There is no data folder ${dataDir}.`, { cause });
  });
  const { lockFolder } = await import('../../platform/index.ts');
  const { createNode } = await import('../../node/index.ts');
  const lock = lockFolder(dataDir);
  try {
    const node = await createNode({
      dataDir,
      listen: [],
      bootstrap: [],
      mdns: false,
      password: null,
      logLevel: 'error',
      offline: true,
    });
    await node.start();
    try {
      return await node.drives.verify({ drive }, signal);
    } finally {
      await node.stop();
    }
  } finally {
    lock.release();
  }
}
