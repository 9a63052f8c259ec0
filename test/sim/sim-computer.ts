import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import BetterSqlite from 'better-sqlite3';
import { AppError } from '../../src-shared/errors.ts';
import type { Logger } from '../../src-shared/runtime.ts';
import { createInlineContentIo, openDrive, type Drive, type OpDraft } from '../../src-main/drive/index.ts';
import { seededRandom, type TestPerson } from '../../src-main/drive/testing.ts';
import { createExchange } from '../../src-main/exchange/index.ts';
import { createOwnFeedCheck } from '../../src-main/node/own-feed.ts';
import { openDatabase, type Chunk, type ChunkStore, type Database } from '../../src-main/store/index.ts';
import { createFolderSync, type FolderSync } from '../../src-main/sync/index.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimNetwork } from './sim-network.ts';
import { createVirtualDisk, type DiskImage, type VirtualDisk } from './virtual-fs.ts';

/** What a computer keeps besides its folder: the data folder of the node. */
interface DataImage {
  readonly chain: Uint8Array | null;
  readonly db: Buffer | null;
  readonly chunks: ReadonlyMap<string, Uint8Array>;
}
export interface Snapshot {
  readonly data: DataImage;
  readonly disk: DiskImage;
}

/** A running engine. */
interface Life {
  readonly drive: Drive;
  readonly sync: FolderSync;
  readonly capture: () => DataImage | null;
  /** Releases what it holds; what it would still do reaches nothing any more. */
  readonly end: () => Promise<void>;
}

/** One computer: its disk, its data, and, while it is up, the real engine over them. */
export interface SimComputer {
  readonly name: string;
  readonly peerId: string;
  readonly disk: VirtualDisk;
  readonly clock: ReturnType<Scheduler['clock']>;
  /** null while it is down. */
  life(): Life | null;
  /** @param history when it joins: all that is in the drive so far */
  boot(history: readonly Uint8Array[]): Promise<void>;
  /** The program ends at its `operations`-th operation on the disk from now on; `power`: with the whole computer. */
  crashSoon(operations: number, power: boolean): void;
  /** Ends it now, without any goodbye. */
  crash(power: boolean): void;
  snapshot(): Snapshot | null;
  /** Puts back an older state of everything it holds; it has to be down. */
  restore(snapshot: Snapshot): void;
  /** Ends all engines it ever ran. */
  clean(): Promise<void>;
}

export const folder = '/folder';

/** What changes a folder, as traced; temp files and what is only looked at are left out. */
const changing = /^(rename|place|unlink|rmdir|mkdir|chmod) (?!.*(tmp|trash|versions|\.extrachain| done)$)/;

function describe(op: OpDraft): string {
  const short = (id: string): string => id.slice(-6);
  const at = 'parent' in op ? ` at ${short(op.parent)}/${op.name}` : '';
  const over = 'base' in op ? ` over ${op.base.map((id) => id.slice(-10)).join(' ')}` : '';
  const content = 'content' in op && op.content?.kind === 'file' ? ` ${op.content.size} B` : '';
  const what = op.t === 'set' ? op.key : short(op.node);
  return `${op.t} ${what}${at}${content}${over}`;
}

export function createSimComputer(deps: {
  readonly name: string;
  readonly who: TestPerson;
  readonly driveId: string;
  readonly writerSecret: Uint8Array | null;
  readonly dir: string;
  readonly seed: number;
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly random: () => number;
  readonly logger: Logger;
  readonly data: DataImage;
  /** Told what the engine does to the folder and signs into the history. */
  readonly trace: (line: string) => void;
}): SimComputer {
  const { name, who, scheduler, network, random } = deps;
  const clock = scheduler.clock(Date.UTC(2026, 10, 22, 15, 30) + Math.floor(random() * 7_200_000));
  const disk = createVirtualDisk(() => clock.now());
  let secret = deps.writerSecret;
  let data = deps.data;
  /** What the database was at some earlier moment: a power cut may bring it back, as it is not flushed at each commit. */
  let lazyDb: Buffer | null = data.db;
  let life: Life | null = null;
  let generation = 0;
  let countdown = Number.POSITIVE_INFINITY;
  let countdownPower = false;
  const ends: (() => Promise<void>)[] = [];

  function crash(power: boolean): void {
    const captured = life?.capture();
    if (!captured) {
      // In the middle of a transaction: at the next operation.
      if (life !== null) countdown = 1;
      return;
    }
    const dead = life;
    life = null;
    countdown = Number.POSITIVE_INFINITY;
    void dead?.end();
    network.leave(who.deviceId);
    data = captured;
    if (power && random() < 0.5) {
      data = { ...captured, db: lazyDb ?? captured.db };
      deps.trace('database is as last flushed');
    }
    if (power) disk.cutPower(random);
  }

  async function boot(history: readonly Uint8Array[]): Promise<void> {
    const dir = join(deps.dir, `${name}-${generation++}`);
    mkdirSync(dir, { recursive: true });
    if (data.chain) writeFileSync(join(dir, 'chain.log'), data.chain);
    const db: Database = data.db ? new BetterSqlite(data.db) : openDatabase(':memory:');
    db.pragma('foreign_keys = ON');
    let alive = true;
    const trace = (line: string): void => {
      if (alive) deps.trace(line);
    };
    const chunks = createMemoryChunks(data.chunks);
    const bytes = seededRandom(`${deps.seed} ${name} ${generation}`);
    const capture = (): DataImage | null => {
      if (db.inTransaction) return null;
      return {
        chain: readFileSync(join(dir, 'chain.log')),
        db: db.serialize(),
        chunks: new Map(chunks.kept),
      };
    };
    const check = (): void => {
      if (!alive) throw new AppError('shutting_down', 'This program was killed.');
    };
    const point = (operation: string): Promise<void> | void => {
      check();
      if (changing.test(operation)) trace(operation);
      countdown -= 1;
      if (countdown <= 0) {
        die(countdownPower);
        check();
      }
      if (random() < 0.02 && !db.inTransaction) {
        lazyDb = db.serialize();
        trace('database flushed');
      }
      if (operation.endsWith(' done') || random() < 0.6) return;
      return new Promise((resolve, reject) => {
        scheduler.after(random() * 4, () =>
          alive ? resolve() : reject(new AppError('shutting_down', 'Killed.')),
        );
      });
    };
    const die = (power: boolean): void => {
      crash(power);
      if (life === null) alive = false;
    };
    const view = disk.view(point);
    const drive = await openDrive({
      identity: who,
      writerKeys: { get: () => secret, put: (_drive, made) => void (secret = made.slice()) },
      clock,
      random: bytes,
      dir,
      db,
      driveId: deps.driveId,
      ...(history[0] && { genesis: history[0] }),
    });
    if (history.length > 0) await drive.ingest(history);
    // Between an entry's being signed and its being noted as agreed.
    drive.on('entries', () => {
      if (!alive) return;
      countdown -= 3;
      if (countdown <= 0) die(countdownPower);
    });
    const net = network.join(who.deviceId, who.userId);
    const exchange = createExchange(
      { network: net, clock, logger: deps.logger, random: bytes },
      { bulk: () => false },
    );
    drive.on('entries', ({ entries, local }) =>
      trace(
        `entries ${local ? 'of its own' : 'from others'}: ${entries.map(({ id }) => id.slice(-8)).join(' ')}`,
      ),
    );
    const guarded = createOwnFeedCheck({ drive, exchange, network: net, clock, logger: deps.logger });
    const traced: Drive = {
      ...guarded.drive,
      async commit(ops) {
        const versions = await guarded.drive.commit(ops);
        ops.forEach((op, index) => trace(`signed ${versions[index]?.slice(-10)} ${describe(op)}`));
        return versions;
      },
    };
    const sync = createFolderSync({
      drive: traced,
      exchange,
      content: createInlineContentIo(view),
      chunks: chunks.store,
      db,
      folder,
      clock,
      random: bytes,
      logger: deps.logger,
      fs: view,
      async flush() {
        check();
        lazyDb = db.serialize();
      },
      async watcher(...[, , events]) {
        disk.onChange = (at) => {
          // Watchers are hints: late, and sometimes silent.
          if (!alive || (at !== folder && !at.startsWith(`${folder}/`)) || at.includes('.extrachain')) return;
          if (random() < 0.8) scheduler.after(random() * 300, () => events.hint(at.slice(folder.length + 1)));
        };
        return { newFolder() {}, stop: async () => {} };
      },
    });
    let ended: Promise<void> | null = null;
    const end = (): Promise<void> => {
      alive = false;
      ended ??= (async () => {
        guarded.stop();
        await sync.stop();
        await exchange.stop();
        drive.close();
        db.close();
      })();
      return ended;
    };
    ends.push(end);
    await exchange.start();
    exchange.addDrive(traced, sync.blocks);
    life = { drive: traced, sync, capture, end };
    try {
      await sync.start();
    } catch (error) {
      if (alive) throw error;
    }
  }

  return {
    name,
    peerId: who.deviceId,
    disk,
    clock,
    life: () => life,
    boot,
    crash,
    crashSoon(operations, power) {
      countdown = operations;
      countdownPower = power;
    },
    snapshot() {
      const now = life === null ? data : life.capture();
      return now === null ? null : { data: now, disk: disk.image() };
    },
    restore(snapshot) {
      data = snapshot.data;
      lazyDb = snapshot.data.db;
      disk.restore(snapshot.disk);
    },
    async clean() {
      network.leave(who.deviceId);
      await Promise.all(ends.map((end) => end()));
    },
  };
}

function createMemoryChunks(before: ReadonlyMap<string, Uint8Array>): {
  store: ChunkStore;
  kept: Map<string, Uint8Array>;
} {
  const kept = new Map(before);
  const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex');
  return {
    kept,
    store: {
      async start() {},
      async stop() {},
      has: (id) => kept.has(hex(id)),
      async put(chunks: readonly Chunk[]) {
        for (const { id, bytes } of chunks) kept.set(hex(id), bytes);
      },
      get: async (id) => kept.get(hex(id)) ?? null,
      recheck: async () => [],
      async delete(ids) {
        for (const id of ids) kept.delete(hex(id));
      },
      pin() {},
      async setBudget() {},
      usage: () => ({ bytes: 0, count: kept.size, budget: 1e12 }),
    },
  };
}
