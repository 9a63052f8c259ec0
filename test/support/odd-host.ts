import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { AppError } from '../../src-shared/errors.ts';
import { silentLogger } from '../../src-shared/runtime.ts';
import type { BlockSource, Exchange } from '../../src-main/exchange/index.ts';
import { createExchange } from '../../src-main/exchange/index.ts';
import { startRealNode } from '../../src-main/exchange/testing/real-network.ts';
import { createHosting } from '../../src-main/hosting/index.ts';
import { systemClock } from '../../src-main/platform/index.ts';

/** A host made of the program's own layers over libp2p, which does not do what it should. */
export interface OddHost {
  readonly peerId: string;
  address(): string;
  /** Folder of the ciphertext it keeps. */
  readonly chunks: string;
  /** May be changed while it runs. */
  readonly ways: OddWays;
  /** Drives it keeps something of. */
  drives(): number;
  stop(): Promise<void>;
}

export interface OddWays {
  /** Serves other bytes than it keeps. */
  wrongBytes: boolean;
  /** Takes contracts and lists of blocks, and fetches nothing. */
  takesNothingIn: boolean;
}

/** Starts one; it offers `quota` bytes, whatever it does with them. */
export async function startOddHost(
  dir: string,
  name: string,
  host: string,
  ways: Partial<OddWays> = {},
): Promise<OddHost> {
  const now: OddWays = { wrongBytes: false, takesNothingIn: false, ...ways };
  const { network, stop } = await startRealNode(name, host);
  const exchange = createExchange({ network, clock: systemClock, logger: silentLogger });
  const served = (source: BlockSource): BlockSource => ({
    async read(ids) {
      const found = await source.read(ids);
      return now.wrongBytes ? found.map((bytes) => bytes && bytes.map((byte) => byte ^ 1)) : found;
    },
  });
  const odd: Exchange = {
    ...exchange,
    addDrive: (drive, source) => exchange.addDrive(drive, served(source)),
    fetch: (...asked) =>
      now.takesNothingIn
        ? Promise.reject(new AppError('disk_full', 'There is no room for that.'))
        : exchange.fetch(...asked),
  };
  const hour = 3_600_000;
  const hosting = createHosting({
    dir: path.join(dir, 'hosting'),
    network,
    exchange: odd,
    clock: systemClock,
    logger: silentLogger,
    random: (n) => randomBytes(n),
    signer: { publicKey: new Uint8Array(32), sign: () => new Uint8Array(64) },
    card: () => new Uint8Array(),
    learnOwnCard: async () => {},
    quota: () => 500_000_000,
    asks: () => null,
    pays: () => null,
    times: () => ({ auditMs: hour, pollMs: hour, silenceMs: hour, repairMs: hour }),
    codingRules: () => ({ codedBytes: Number.MAX_SAFE_INTEGER, coldMs: hour }),
  });
  await exchange.start();
  await hosting.start();
  return {
    peerId: network.peerId,
    address: () => network.addresses()[0]!,
    chunks: path.join(dir, 'hosting', 'drives', 'chunks'),
    ways: now,
    drives: () => hosting.hosted().length,
    async stop() {
      await hosting.stop();
      await exchange.stop();
      await stop();
    },
  };
}
