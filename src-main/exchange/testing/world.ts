import { createHash } from 'node:crypto';
import { AppError } from '../../../src-shared/errors.ts';
import { silentLogger } from '../../../src-shared/runtime.ts';
import type { Clock } from '../../../src-shared/runtime.ts';
import type { BlockRef } from '../../drive/index.ts';
import type { Network } from '../../network/index.ts';
import { createExchange } from '../exchange.ts';
import type { ExchangeOptions } from '../exchange.ts';
import type { BlockSource, Exchange, FetchRequest } from '../types.ts';
import { createMemoryDrive } from './memory-drive.ts';
import type { MemoryDrive } from './memory-drive.ts';

export const driveId = `b${'a'.repeat(58)}`;
export const realClock: Clock = {
  now: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};

/** Blocks held in a Map; counts what was read. */
export interface MapSource extends BlockSource {
  readonly blocks: Map<string, Uint8Array>;
  reads: number;
}

function createMapSource(): MapSource {
  const source: MapSource = {
    blocks: new Map(),
    reads: 0,
    async read(ids) {
      source.reads += ids.length;
      return ids.map((id) => source.blocks.get(Buffer.from(id).toString('hex')) ?? null);
    },
  };
  return source;
}

export interface Replica {
  readonly exchange: Exchange;
  readonly drive: MemoryDrive;
  readonly source: MapSource;
}

/** One participant: its exchange, its copy of the drive, its blocks. User and writer are named after the peer. */
export async function createReplica(
  network: Network,
  name: string,
  members: readonly string[],
  options: ExchangeOptions = {},
  clock: Clock = realClock,
): Promise<Replica> {
  const exchange = createExchange({ network, clock, logger: silentLogger }, options);
  const drive = createMemoryDrive(driveId, name, members);
  for (const member of members) drive.roles.set(`user ${member}`, 'editor');
  const source = createMapSource();
  exchange.addDrive(drive, source);
  await exchange.start();
  return { exchange, drive, source };
}

/** `count` blocks of pseudo-random content, the same for the same seed. */
export function makeBlocks(count: number, size: number, seed = 1): { ref: BlockRef; bytes: Uint8Array }[] {
  return Array.from({ length: count }, (_, i) => {
    const bytes = new Uint8Array(size);
    bytes.set(createHash('sha256').update(`${seed}/${i}`).digest().subarray(0, Math.min(32, size)));
    const id = createHash('sha256').update(bytes).digest();
    return { bytes, ref: { id, epoch: '11'.repeat(32), plainHash: id, len: size, weak: i } };
  });
}

export function put(source: MapSource, blocks: readonly { ref: BlockRef; bytes: Uint8Array }[]): void {
  for (const { ref, bytes } of blocks) source.blocks.set(Buffer.from(ref.id).toString('hex'), bytes);
}

/** Requests that check each block as a worker would and keep what came. */
export function requestsFor(
  blocks: readonly { ref: BlockRef }[],
  got: Map<string, Uint8Array> = new Map(),
): FetchRequest[] {
  return blocks.map(({ ref }) => ({
    ref,
    async accept(ciphertext) {
      if (Buffer.compare(createHash('sha256').update(ciphertext).digest(), ref.id) !== 0) {
        throw new AppError('bad_hash', 'The block does not match its id.');
      }
      got.set(Buffer.from(ref.id).toString('hex'), ciphertext.slice());
    },
  }));
}

/** Waits until the condition holds; fails loudly when it does not in time. */
export async function until(condition: () => boolean, ms = 30_000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not in ${ms} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
