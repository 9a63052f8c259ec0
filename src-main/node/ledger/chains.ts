import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import pLimit from 'p-limit';
import { AppError, isAppError } from '../../../src-shared/errors.ts';
import { hashOfUserId } from '../../identity/index.ts';
import {
  chainIdOf,
  decodeGenesis,
  defaultParams,
  encodeGenesis,
  genesisFrom,
  readProtocol,
  replayInThread,
  sameBytes,
} from '../../ledger/index.ts';
import type { Address, Genesis, Role } from '../../ledger/index.ts';
import type { Online } from '../core.ts';
import { formatChainLink, parseChainLink } from './chain-link.ts';
import { createBalanceHistory } from './balance-history.ts';
import type { BalanceHistory } from './balance-history.ts';
import { createEarnings, seenOf } from './earnings.ts';
import type { Earnings } from './earnings.ts';
import { createChainRecords } from './chain-records.ts';
import type { ChainRecord, Lightened } from './chain-records.ts';
import { fetchGenesis, serveGenesis } from './genesis-exchange.ts';
import { readGenesis } from './genesis-file.ts';
import { createChainOpener } from './open-chain.ts';
import type { OpenChain, Running, StartFrom } from './open-chain.ts';
import { roleBySize } from './role-by-size.ts';
import { shownBalances } from './shown.ts';
import { activityWords } from '../activity-words.ts';

export type { OpenChain } from './open-chain.ts';

/** The networks this computer follows. One is active: wallet and names are of it. */
export interface Chains {
  list(): readonly OpenChain[];
  /** By id; null: the active one, founded if there is none. @throws AppError `chain_unknown`, `no_identity` */
  get(chainId: string | null): Promise<OpenChain>;
  /** The active one if there is one. */
  current(): OpenChain | null;
  /** @param continues a network that stands still, whose state this one begins with, and who runs the validators that go on */
  create(name: string, genesisText: string | null, continues?: Continuation | null): Promise<OpenChain>;
  /** Follows a network in that role. One that is followed already becomes the active one; `light` makes one that checks every block here light. */
  join(link: string, role: Role, signal: AbortSignal): Promise<OpenChain>;
  /** The network a link names; null: none. Nothing is asked of anybody. */
  inLink(link: string): LinkedChain | null;
  activate(chainId: string): Promise<OpenChain>;
  leave(chainId: string): Promise<void>;
  /** `auto`: full, as long as the ledger takes less of the disk than the setting `ledger.fullBytes` says, else light. Any other role stays. */
  setRole(chainId: string | null, role: Role | 'auto'): Promise<OpenChain>;
  linkOf(chain: OpenChain): string;
  /** It was used: it does not give way to another without being asked. */
  used(chain: OpenChain): void;
  readonly balanceHistory: BalanceHistory;
  readonly earnings: Earnings;
  /** Runs all blocks of a chain once more, in a database that is thrown away. */
  verify(
    chain: OpenChain,
    signal: AbortSignal,
  ): Promise<{ ok: boolean; height: number; from: number; message: string }>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** A network that is continued. */
export interface Continuation {
  readonly chainId: string;
  readonly operators: readonly Address[];
  /** This user is one of them, and this computer takes the place of the one that validated for the user and is gone. */
  readonly newKey: boolean;
}

const homeName = 'home';
/** A network of one that nobody uses makes a block an hour. */
const homeEmptyBlockMs = 3_600_000;

/** A network named by a link, before it is followed. */
export interface LinkedChain {
  readonly chainId: string;
  readonly name: string;
  readonly followed: boolean;
  /** The unused network of one's own that gives way when this one is joined; null: none does. */
  readonly replaces: string | null;
}

/** What chains need of what is built on them. */
interface Others {
  /** How a linked computer learns which network the others of its user follow: a link, or null. */
  networkOfOthers(signal: AbortSignal): Promise<string | null>;
  /** Whether something here works with the whole state of a chain. */
  needsState(chainId: string): boolean;
  /** Funds that pay this computer for passing on streams. */
  relayedFunds(chainId: string): readonly number[];
}

/** How often it is looked at what the ledgers take of the disk, ms. */
const sizeEvery = 15_000;
/** How often it is noted what pools and relaying earned, ms: what came between two looks belongs to the later one. */
const earnedEvery = 10_000;
/** How long the other computers of this user are asked for their network, ms. */
const othersPatience = 10_000;

export function createChains(node: Online, others: Others): Chains {
  const { network, identity, clock, logger, events, settings } = node;
  const records = createChainRecords(node.db);
  const balanceHistory = createBalanceHistory(node.db);
  const earnings = createEarnings(node.db);
  const opener = createChainOpener(node);
  const { dirOf, keyFor, previousOf } = opener;
  const open = new Map<string, Running>();
  let founding: Promise<OpenChain> | null = null;
  let stopping = false;
  /** Roles change one after another: meanwhile a chain is not open. */
  const changing = pLimit(1);
  let cancelSizes = (): void => {};

  /** @param from where to go on: what this computer knew in its role before */
  async function run(record: ChainRecord, from?: StartFrom): Promise<Running> {
    const { chainId } = record;
    const running = await opener.open(record, from ?? {}, ({ time }) => {
      noteBalances(chainId, time).catch((error: unknown) =>
        logger.debug({ error: String(error) }, 'balances of a block could not be noted'),
      );
    });
    open.set(chainId, running);
    events.emit('chain', { chainId });
    return running;
  }

  async function noteBalances(chainId: string, time: number): Promise<void> {
    const running = open.get(chainId);
    const user = identity.userId();
    if (!running || user === null) return;
    const address = hashOfUserId(user);
    const held = await running.reader.read(
      (view) => shownBalances(view, address).map((one) => [one.symbol, one.amount] as const),
      `noted ${user}`,
    );
    if (open.get(chainId) === running) balanceHistory.note(chainId, user, time, new Map(held));
    if (clock.now() - running.earnedAt < earnedEvery) return;
    running.earnedAt = clock.now();
    const funds = others.relayedFunds(chainId);
    const seen = await running.reader.read((view) => seenOf(view, address, funds), `earned ${user}`);
    if (open.get(chainId) === running) earnings.note(chainId, user, seen);
  }

  async function halt(running: Running): Promise<void> {
    open.delete(running.record.chainId);
    running.off();
    if (running.ledger) network.unhandle(readProtocol(running.record.chainId));
    await running.chain.stop();
  }

  /** Founds a network that goes on with the state of one that stands still. */
  async function continued(name: string, { chainId, operators, newKey }: Continuation): Promise<OpenChain> {
    const { ledger } = byId(chainId);
    if (!ledger) {
      throw new AppError(
        'unsupported',
        'A light node keeps no state of the ledger; change its role to full.',
      );
    }
    const { name: first, time } = ledger.genesis.continues?.origin ?? ledger.genesis;
    const own = keyFor({ name: first, time }).publicKey;
    const genesis = genesisFrom(ledger, {
      name,
      time: clock.now(),
      operators,
      newKey: newKey ? { operator: ownOperator(operators), key: own } : null,
    });
    const validates = genesis.validators.some(({ key }) => sameBytes(key, own));
    return begin(genesis, validates ? 'validator' : 'full', false);
  }

  /** @throws AppError `not_allowed` when this user, whose phrase is here, is none of them */
  function ownOperator(operators: readonly Address[]): Address {
    const user = identity.userId();
    const own = user === null || identity.status().linked ? null : hashOfUserId(user);
    if (own && operators.some((one) => sameBytes(one, own))) return own;
    throw new AppError(
      'not_allowed',
      'A new key is for a validator of your own, on a computer that has its recovery phrase.',
    );
  }

  async function found(name: string, text: string | null, provisional: boolean): Promise<OpenChain> {
    const user = identity.userId();
    if (user === null) throw new AppError('no_identity', 'Create or restore an identity first.');
    const time = clock.now();
    const validatorKey = keyFor({ name, time }).publicKey;
    let genesis = readGenesis(text, { name, time, founder: hashOfUserId(user), validatorKey });
    if (provisional) {
      genesis = { ...genesis, params: { ...defaultParams, emptyBlockMs: homeEmptyBlockMs, eagerBlocks: 0 } };
    }
    return begin(genesis, 'validator', provisional);
  }

  async function begin(genesis: Genesis, role: Role, provisional: boolean): Promise<OpenChain> {
    const record: ChainRecord = {
      chainId: chainIdOf(genesis),
      name: genesis.name,
      genesis: encodeGenesis(genesis),
      role,
      auto: role === 'full',
      lightened: null,
      active: true,
      provisional,
      addresses: [],
    };
    const running = await run(record);
    await adopt(running);
    return running;
  }

  /** Remembers a chain that runs, makes it the active one and lets an unused one of our own give way. */
  async function adopt(running: Running): Promise<void> {
    records.add(running.record);
    const unused = [...open.values()].filter((one) => one !== running && one.record.provisional);
    refresh();
    for (const one of unused) {
      await halt(one);
      records.remove(one.record.chainId);
      balanceHistory.forget(one.record.chainId);
      earnings.forget(one.record.chainId);
      await rm(dirOf(one.record.chainId), { recursive: true, force: true });
    }
    events.emit('status', {});
  }

  /** After the records changed. */
  function refresh(): void {
    for (const record of records.all()) {
      const running = open.get(record.chainId);
      if (running) running.record = record;
    }
  }

  function byId(chainId: string): Running {
    const found = open.get(chainId);
    if (found) return found;
    throw new AppError('chain_unknown', `This computer does not follow ${chainId}.`);
  }

  const current = (): OpenChain | null => [...open.values()].find((one) => one.record.active) ?? null;

  /** A linked computer founds nothing: its account lives in the network of the computer that has the phrase. */
  async function joinOthers(): Promise<OpenChain> {
    const signal = AbortSignal.timeout(othersPatience);
    const link = await others.networkOfOthers(signal);
    if (link !== null) return join(link, 'full', signal);
    throw new AppError(
      'chain_unknown',
      'This computer follows no network yet; it joins the one of your other computers when it meets one.',
    );
  }

  async function home(): Promise<OpenChain> {
    if (stopping) throw new AppError('shutting_down', 'The node is stopping.');
    founding ??= (identity.status().linked ? joinOthers() : found(homeName, null, true)).finally(
      () => (founding = null),
    );
    return founding;
  }

  const setRole = (chainId: string | null, role: Role | 'auto'): Promise<OpenChain> =>
    changing(async () => {
      const running = chainId === null ? current() : byId(chainId);
      if (!running) throw new AppError('chain_unknown', 'This computer follows no network yet.');
      const { record } = running;
      if (role !== 'auto') return changeRole(record.chainId, role, false, null);
      // What gave way by itself stays so: its size is judged at the next look.
      if (record.auto) return running;
      return changeRole(record.chainId, 'full', true, null);
    });

  /** Inside `changing`. @throws what opening the chain throws; it has its old role then */
  async function changeRole(
    chainId: string,
    role: Role,
    auto: boolean,
    lightened: Lightened | null,
  ): Promise<OpenChain> {
    const running = byId(chainId);
    const { record } = running;
    // A light node has no state machine: it is built anew around what lies on the disk.
    if (role !== record.role && (role === 'light' || record.role === 'light')) {
      const from = knownOf(running);
      await halt(running);
      try {
        await run({ ...record, role, auto, lightened }, from);
      } catch (error) {
        await run(record);
        throw error;
      }
    } else if (role !== record.role) await running.chain.setRole(role);
    records.setRole(chainId, role, auto, lightened);
    refresh();
    events.emit('chain', { chainId });
    return byId(chainId);
  }

  /** What a chain in another role can go on from: the newest block known here. */
  function knownOf({ ledger, chain }: Running): StartFrom {
    const { height, blockId } = ledger?.last() ?? chain.status();
    if (height === 0) return {};
    const signed = ledger?.signedHeaderAt(height);
    const validators = ledger?.validatorsAt(height);
    return signed && validators ? { trusted: { signed, validators } } : { checkpoint: { height, blockId } };
  }

  function dueRole({ record, ledger, chain }: Running): ReturnType<typeof roleBySize> {
    const { problem, sync, peers } = chain.status();
    return roleBySize(record, {
      bytes: ledger?.bytes() ?? null,
      bound: settings.get('ledger.fullBytes'),
      inStep: problem === null && sync === 'following' && peers > 0,
      needed: others.needsState(record.chainId),
    });
  }

  /** Whether a chain that is followed continues this one, and so begins with its state. */
  const isContinued = (chainId: string): boolean =>
    [...open.values()].some(({ genesis }) => genesis.continues?.chainId === chainId);

  async function judgeSize(chainId: string): Promise<void> {
    const running = open.get(chainId);
    const role = running && !stopping ? dueRole(running) : null;
    if (!running || role === null) return;
    const { name } = running.record;
    const bytes = running.ledger?.bytes() ?? 0;
    await changeRole(chainId, role, true, role === 'light' ? { time: clock.now(), bytes } : null);
    logger.info({ chain: chainId, role, bytes }, 'the role of a chain followed its size');
    if (role === 'light' && !isContinued(chainId)) {
      const files = ['', '-wal', '-shm'].map((end) => path.join(dirOf(chainId), `ledger.db${end}`));
      await Promise.all(files.map((file) => rm(file, { force: true })));
    }
    const words = role === 'light' ? activityWords.chainLight(name) : activityWords.chainFull(name);
    events.emit('activity', node.activity.add({ kind: 'ledger', ...words }));
  }

  function lookAtSizes(): void {
    cancelSizes = clock.after(sizeEvery, () => {
      const due = [...open.values()].filter((one) => dueRole(one) !== null);
      void Promise.all(due.map(({ record }) => changing(() => judgeSize(record.chainId))))
        .catch((error: unknown) => logger.error({ error: String(error) }, 'a role could not follow the size'))
        .finally(() => void (stopping || lookAtSizes()));
    });
  }

  async function join(link: string, role: Role, signal: AbortSignal): Promise<OpenChain> {
    const { chainId, addresses } = parseChainLink(link);
    const known = open.get(chainId);
    if (known) {
      records.activate(chainId);
      refresh();
      events.emit('chain', { chainId });
      return role === 'light' && known.record.role === 'full' ? setRole(chainId, role) : known;
    }
    const asked: string[] = [];
    for (const address of addresses) {
      // One that answers is enough; the others are hints that may be out of date.
      const peer = await network.connect(address, signal).catch(() => null);
      if (peer !== null && !asked.includes(peer)) asked.push(peer);
    }
    for (const { peerId } of network.peers()) if (!asked.includes(peerId)) asked.push(peerId);
    const { genesis, bytes } = await fetchGenesis(network, chainId, asked, signal);
    const running = await run({
      chainId,
      name: genesis.name,
      genesis: bytes,
      role,
      auto: role === 'full',
      lightened: null,
      active: true,
      provisional: false,
      addresses,
    });
    await adopt(running);
    return running;
  }

  serveGenesis(network, (chainId) => open.get(chainId)?.record.genesis ?? null);

  return {
    balanceHistory,
    earnings,
    list: () => [...open.values()],
    async get(chainId) {
      // Nobody founds a network because theirs is being opened in another role.
      if (changing.activeCount > 0) await changing(() => {});
      return chainId === null ? (current() ?? home()) : byId(chainId);
    },
    current,
    create: (name, text, continues = null) =>
      continues ? continued(name, continues) : found(name, text, false),

    join,
    inLink(link) {
      let chainId: string;
      try {
        ({ chainId } = parseChainLink(link));
      } catch (error) {
        if (isAppError(error, 'invalid_argument') || isAppError(error, 'link_cut_short')) return null;
        throw error;
      }
      const followed = open.has(chainId);
      const unused = [...open.values()].find((one) => one.record.provisional);
      const name = chainId.slice(0, chainId.lastIndexOf('-'));
      return { chainId, name, followed, replaces: followed ? null : (unused?.record.name ?? null) };
    },

    async activate(chainId) {
      const running = byId(chainId);
      records.activate(chainId);
      refresh();
      events.emit('chain', { chainId });
      return running;
    },

    async leave(chainId) {
      const running = byId(chainId);
      const status = running.chain.status();
      if (status.voting && running.chain.validators().length > 1) {
        throw new AppError(
          'not_allowed',
          'This computer decides blocks of this network; leave its validators first, or it slows down for all.',
        );
      }
      await halt(running);
      records.remove(chainId);
      balanceHistory.forget(chainId);
      earnings.forget(chainId);
      await rm(dirOf(chainId), { recursive: true, force: true });
      const next = records.all()[0];
      if (running.record.active && next) records.activate(next.chainId);
      refresh();
      events.emit('status', {});
    },

    setRole,

    linkOf: ({ record }) =>
      formatChainLink({
        chainId: record.chainId,
        addresses: [...new Set([...network.addresses(), ...record.addresses])],
      }),

    used({ record }) {
      if (!record.provisional) return;
      records.keep(record.chainId);
      refresh();
    },

    async verify({ ledger, record }, signal) {
      if (!ledger)
        throw new AppError('unsupported', 'A light node keeps no blocks; change its role to full.');
      const dir = await mkdtemp(path.join(dirOf(record.chainId), 'verify-'));
      const start = {
        file: path.join(dirOf(record.chainId), 'ledger.db'),
        scratch: path.join(dir, 'ledger.db'),
        genesis: record.genesis,
        previousFile: previousOf(decodeGenesis(record.genesis)),
      };
      try {
        return { from: 0, ...(await replayInThread(start, signal)) };
      } finally {
        await rm(dir, { recursive: true, force: true });
      }
    },

    async start() {
      lookAtSizes();
      for (const record of records.all()) {
        try {
          await run(record);
        } catch (error) {
          // One damaged chain must keep nobody from their files.
          logger.error({ chain: record.chainId, error: String(error) }, 'a chain could not be opened');
          const words = activityWords.chainBroken(record.name, (error as Error).message);
          events.emit('activity', node.activity.add({ kind: 'problem', ...words }));
        }
      }
    },

    async stop() {
      stopping = true;
      cancelSizes();
      await changing(() => {});
      await founding?.catch(() => {});
      await Promise.all([...open.values()].map(halt));
    },
  };
}
