import { AppError, isAppError } from '../../../src-shared/errors.ts';
import type { DeviceId } from '../../identity/index.ts';
import { chainIdOf, decodeGenesis, maxGenesisBytes } from '../../ledger/index.ts';
import type { Genesis } from '../../ledger/index.ts';
import type { Network, ProtocolOptions } from '../../network/index.ts';

const protocol = 'genesis/1';
const options: ProtocolOptions = {
  maxFrame: maxGenesisBytes,
  maxStreams: 4,
  idleTimeout: 15_000,
  maxRate: 10,
};
const maxIdBytes = 100;

/** Hands the genesis of the chains followed here to whoever names one. An empty answer: it is not followed here. */
export function serveGenesis(
  network: Pick<Network, 'handle'>,
  genesisOf: (chainId: string) => Uint8Array | null,
): void {
  network.handle(protocol, options, async (stream) => {
    const frame = await stream.read();
    if (frame === null) return;
    if (frame.length > maxIdBytes) throw new AppError('too_large', 'This is no name of a chain.');
    await stream.send(genesisOf(Buffer.from(frame).toString('latin1')) ?? new Uint8Array());
  });
}

/**
 * Asks peers, one after another, for the genesis of a chain. Whoever answers can't lie: its hash is in the id.
 * @throws AppError `unreachable` when nobody asked has it
 */
export async function fetchGenesis(
  network: Pick<Network, 'open' | 'penalise'>,
  chainId: string,
  peers: readonly DeviceId[],
  signal: AbortSignal,
): Promise<{ readonly genesis: Genesis; readonly bytes: Uint8Array }> {
  let failure: unknown = null;
  for (const peer of peers) {
    try {
      const stream = await network.open(peer, protocol, options, signal);
      await stream.send(Buffer.from(chainId, 'latin1'));
      const bytes = await stream.read(signal);
      await stream.close();
      if (!bytes || bytes.length === 0) continue;
      const genesis = decodeGenesis(bytes);
      if (chainIdOf(genesis) !== chainId)
        throw new AppError('bad_hash', 'This is the genesis of another chain.');
      return { genesis, bytes };
    } catch (error) {
      if (signal.aborted) throw error;
      if (isAppError(error, 'bad_hash') || isAppError(error, 'malformed')) {
        network.penalise(peer, `genesis: ${error.message}`);
      }
      failure = error;
    }
  }
  throw new AppError('unreachable', 'Nobody who follows this network can be reached now; try again later.', {
    cause: failure,
  });
}
