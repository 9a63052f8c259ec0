import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { WebSocket } from 'ws';
import { contract } from '../../src-shared/contract/index.ts';
import type { AppContract } from '../../src-shared/contract/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import { connect } from '../../src-shared/rpc/index.ts';
import type { Connection } from '../../src-shared/rpc/index.ts';
import { systemClock } from '../platform/index.ts';
import { apiFileName } from './server/api-file.ts';
import { maxPayload, webSocketPort } from './server/web-socket-port.ts';

/** How long a running daemon may take to answer the door, ms. */
const patience = 10_000;

/**
 * Connects to the daemon that runs on a data folder.
 * @throws AppError `not_running` when there is none, `permission_denied` when it belongs to another user
 */
export async function connectToDaemon(dataDir: string): Promise<Connection<AppContract>> {
  const { url, token } = await readApiFile(dataDir);
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/rpc`, {
    headers: { authorization: `Bearer ${token}` },
    handshakeTimeout: patience,
    perMessageDeflate: false,
    maxPayload,
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', (cause) => reject(notRunning(dataDir, cause)));
  });
  return connect(contract, webSocketPort(socket), { clock: systemClock });
}

async function readApiFile(dataDir: string): Promise<{ url: string; token: string }> {
  const file = path.join(dataDir, apiFileName);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EACCES') {
      throw new AppError('permission_denied', `You may not read ${file}: the daemon is another user's.`, {
        cause,
      });
    }
    throw notRunning(dataDir, cause);
  }
  try {
    const { url, token } = JSON.parse(text) as Record<string, unknown>;
    if (typeof url === 'string' && typeof token === 'string' && /^http:\/\/[^/]+$/.test(url))
      return { url, token };
  } catch {
    // Reported below.
  }
  throw new AppError('corrupt', `${file} can't be read; start the daemon again.`);
}

function notRunning(dataDir: string, cause: unknown): AppError {
  return new AppError('not_running', `No daemon runs on ${dataDir}; start one with "extrachain daemon".`, {
    cause,
  });
}
