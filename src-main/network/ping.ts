import { randomBytes } from 'node:crypto';
import type { Connection } from '@libp2p/interface';
import { byteStream } from '@libp2p/utils';

const protocol = '/ipfs/ping/1.0.0';
const length = 32;

/**
 * One round trip over a given connection (libp2p's own client picks a connection itself, which may be another one).
 * @returns ms
 */
export async function pingConnection(connection: Connection, signal: AbortSignal): Promise<number> {
  const stream = await connection.newStream(protocol, { signal, runOnLimitedConnection: true });
  try {
    const bytes = byteStream(stream);
    const payload = randomBytes(length);
    // The first round trip also settles the protocol; only the second is the network's.
    await bytes.write(payload, { signal });
    await bytes.read({ bytes: length, signal });
    const started = performance.now();
    await bytes.write(payload, { signal });
    const answer = await bytes.read({ bytes: length, signal });
    const elapsed = performance.now() - started;
    if (!payload.equals(answer.subarray())) throw new Error('wrong ping answer');
    await stream.close({ signal });
    return elapsed;
  } catch (error) {
    stream.abort(error as Error);
    throw error;
  }
}
