import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { createSigner } from '../../identity/index.ts';
import type { Signer } from '../../identity/index.ts';
import {
  createChain,
  createFullReader,
  createLightReader,
  createReadServer,
  decodeGenesis,
  genesisHash,
  genesisValidators,
  openChainThread,
  readOptions,
  readProtocol,
} from '../../ledger/index.ts';
import type {
  Chain,
  ChainGenesis,
  ChainOptions,
  Genesis,
  Header,
  LedgerAccess,
  LedgerReader,
} from '../../ledger/index.ts';
import type { Online } from '../core.ts';
import type { ChainRecord } from './chain-records.ts';

/** A chain that runs here. */
export interface OpenChain {
  readonly record: ChainRecord;
  readonly genesis: Genesis;
  readonly chain: Chain;
  /** The state; null for a light node. */
  readonly ledger: LedgerReader | null;
  /** Reads the state, here or through others. */
  readonly reader: LedgerAccess;
  /** Header of the newest block known here; null before the first. */
  newest(): Header | null;
  /** Signs for the account where it gave this computer's key the right to: see `wallet.signerFor`. */
  readonly delegatedKey: Signer;
  /** Signs for this computer's validator, whether it has one or not. */
  readonly validatorKey: Signer;
}

/** A chain as who looks after all of them holds it: its role may change. */
export interface Running extends OpenChain {
  /** When it was last looked at what was earned. */
  earnedAt: number;
  record: ChainRecord;
  ledger: LedgerReader | null;
  chain: Chain;
  off: () => void;
}

/** What this computer knew of a chain in its role before. */
export type StartFrom = Pick<ChainOptions, 'trusted' | 'checkpoint'>;

/** What a chain may take of the disk before its oldest blocks give way; a full node needs its state and the newest ones only. */
const mostBytes = 2 * 1024 ** 3;

/** Opens chains in their folders, with the keys that this computer has for each. */
export interface ChainOpener {
  dirOf(chainId: string): string;
  /** The key of this computer's validator on the chain with that genesis. */
  keyFor(origin: Pick<Genesis, 'name' | 'time'>): Signer;
  /** The ledger of the network that this one continues, if it was followed here. */
  previousOf(genesis: Genesis): string | null;
  /**
   * Starts a chain in the role its record says, and answers questions of others about it.
   * @param from where to go on
   * @throws AppError as `openChainThread` and `createChain`; nothing runs then
   */
  open(record: ChainRecord, from: StartFrom, onBlock: (header: Header) => void): Promise<Running>;
}

export function createChainOpener(node: Online): ChainOpener {
  const { network, identity, clock, random, logger, events, dataDir } = node;

  const dirOf = (chainId: string): string => path.join(dataDir, 'chains', chainId);
  /** A key for each chain, so that nothing signed for one is of use in another; from what stands in the genesis, as that comes first. */
  const seedFor = ({ name, time }: Pick<Genesis, 'name' | 'time'>): Uint8Array =>
    identity.deviceSecret(`validator ${name} ${time}`);
  const keyFor = (origin: Pick<Genesis, 'name' | 'time'>): Signer => createSigner(seedFor(origin));

  /** The ledger of the network that this one continues, if it was followed here. */
  function previousOf({ continues }: Genesis): string | null {
    const file = continues && path.join(dirOf(continues.chainId), 'ledger.db');
    return file !== null && existsSync(file) ? file : null;
  }

  async function open(
    record: ChainRecord,
    from: StartFrom,
    onBlock: (header: Header) => void,
  ): Promise<Running> {
    const genesis = decodeGenesis(record.genesis);
    const dir = dirOf(record.chainId);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const seed = seedFor(genesis.continues?.origin ?? genesis);
    const validatorKey = createSigner(seed);
    const facts: ChainGenesis = {
      chainId: record.chainId,
      hash: genesisHash(genesis),
      time: genesis.time,
      validators: genesisValidators(genesis),
      unbondingMs: genesis.tokens[0]?.spec.staking?.unbondingMs ?? 0,
    };
    const options = {
      dir: path.join(dir, 'consensus'),
      peers: record.addresses.flatMap((address) => {
        const peerId = address.split('/p2p/').at(-1);
        return peerId === undefined ? [] : [{ peerId, hints: [address] }];
      }),
      consensus: consensusOf(genesis),
      ...from,
    };
    let opened: { readonly chain: Chain; readonly ledger: LedgerReader | null } | null = null;
    try {
      opened =
        record.role === 'light'
          ? {
              chain: await createChain(
                {
                  genesis: facts,
                  ...{ application: null, network, signer: null, clock, random, logger },
                },
                { role: 'light', ...options },
              ),
              ledger: null,
            }
          : await openChainThread(
              { genesis, chain: facts, network, consensusSeed: seed, logger },
              {
                role: record.role,
                ...options,
                file: path.join(dir, 'ledger.db'),
                previousFile: previousOf(genesis),
                keepBlocks: null,
                keepBytes: mostBytes,
              },
            );
      const { chain, ledger } = opened;
      const reader = ledger
        ? createFullReader(ledger, chain)
        : createLightReader({ chain, network, clock, logger });
      if (ledger) {
        network.handle(readProtocol(record.chainId), readOptions, createReadServer(ledger, chain));
      }
      let newest: Header | null = null;
      const changed = (): void => events.emit('chain', { chainId: record.chainId });
      const offs = (['block', 'round', 'mempool', 'sync', 'problem'] as const).map((name) =>
        chain.on(name, changed),
      );
      offs.push(
        chain.on('block', ({ header }) => {
          newest = header;
          onBlock(header);
        }),
      );
      await chain.start();
      const { height } = chain.status();
      if (height > 0) newest ??= (await chain.header(height)).header;
      return {
        record,
        genesis,
        chain,
        ledger,
        reader,
        newest: () => newest,
        validatorKey,
        delegatedKey: createSigner(identity.deviceSecret(`ledger key ${record.chainId}`)),
        off: () => offs.forEach((end) => end()),
        earnedAt: Number.NEGATIVE_INFINITY,
      };
    } catch (error) {
      await opened?.chain.stop();
      throw error;
    }
  }

  return { dirOf, keyFor, previousOf, open };
}

/** The intervals of consensus that a chain's genesis fixes. */
function consensusOf({ params }: Genesis) {
  return {
    blockInterval: params.blockMs,
    emptyBlockInterval: params.emptyBlockMs,
    eagerBlocks: params.eagerBlocks,
    maxDrift: params.clockDriftMs,
  };
}
