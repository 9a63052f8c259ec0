import { mkdtempSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../src-shared/runtime.ts';
import type { Logger } from '../../src-shared/runtime.ts';
import { createDrive, rootNode } from '../../src-main/drive/index.ts';
import { person, seededRandom } from '../../src-main/drive/testing.ts';
import { openDatabase } from '../../src-main/store/index.ts';
import { seeded } from '../support/trees.ts';
import { patchGlobals, seedEverything } from './determinism.ts';
import { createScheduler } from './scheduler.ts';
import { createSimComputer, folder, type SimComputer, type Snapshot } from './sim-computer.ts';
import { createSimNetwork } from './sim-network.ts';
import { createKeepsakes, editOnce, textsOn, textsShown } from './sim-user.ts';

export interface SimulationResult {
  /** What happened, a line each: equal for equal seeds. */
  readonly protocol: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

/** Straight to the terminal, so that the protocol of one seed is not cut up by the test runner. */
function say(...parts: unknown[]): void {
  writeSync(
    2,
    `${parts.map((part) => (part instanceof Error ? part.stack : typeof part === 'string' ? part : JSON.stringify(part))).join(' ')}\n`,
  );
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** ms of virtual time in which everybody must be in step once nothing more goes wrong. */
const patience = 3_600_000;

/**
 * Two or three computers with the real engine, drive, history and exchange over virtual disks, clocks and a network that is
 * late, splits and breaks; users edit, programs are killed, power fails, disks are put back to older states, clocks jump, disks
 * fill up. At the end nothing goes wrong any more, and then: all folders are equal, whatever a user wrote and nobody
 * deleted is in them, histories verify, and nobody forked.
 * @throws Error naming the seed
 */
export async function simulate(
  seed: number,
  options: {
    readonly log?: boolean;
    readonly trace?: boolean;
    /** People also free files of their disks and fetch them again. */
    readonly online?: boolean;
  } = {},
): Promise<SimulationResult> {
  const scheduler = createScheduler();
  seedEverything(seed, () => scheduler.elapsed());
  const undo = patchGlobals();
  const dir = mkdtempSync(join(tmpdir(), 'extrachain-sim-'));
  const protocol: string[] = [];
  const counts: Record<string, number> = {};
  const note = (kind: string, line: string): void => {
    counts[kind] = (counts[kind] ?? 0) + 1;
    protocol.push(`${scheduler.elapsed().toFixed(1)} ${kind} ${line}`);
    if (options.log) say(protocol.at(-1));
  };
  const computers: SimComputer[] = [];
  try {
    await scenario();
    return { protocol, counts };
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  } finally {
    await scheduler
      .wait(Promise.all(computers.map((one) => one.clean())), 600_000, () => 'the engines end')
      .finally(undo);
    rmSync(dir, { recursive: true, force: true });
  }

  async function scenario(): Promise<void> {
    const random = seeded(seed);
    const network = createSimNetwork(scheduler, seeded(seed + 1));
    const names = ['Ann', 'Ben', 'Cid'].slice(0, 2 + Math.floor(random() * 2));
    const keepsakes = createKeepsakes();
    const logger: Logger = options.log
      ? {
          ...silentLogger,
          warn: (fields, message) => say('   warn', message, fields['err']),
          error: (fields, message) => say('   error', message, fields['err'] ?? fields['error']),
        }
      : silentLogger;

    // ---- the drive, made by the first, shared with the others
    const people = names.map((name) => person(name));
    const [owner] = people;
    if (owner === undefined) return;
    let writerSecret: Uint8Array | null = null;
    const db = openDatabase(':memory:');
    const home = join(dir, 'first');
    const drive = await createDrive({
      identity: owner,
      writerKeys: { get: () => writerSecret, put: (_id, secret) => void (writerSecret = secret.slice()) },
      clock: scheduler.clock(Date.UTC(2026, 10, 22, 15)),
      random: seededRandom(`drive ${seed}`),
      name: 'simulated',
      storage: () => ({ dir: home, db }),
    });
    for (const who of people.slice(1)) await drive.share(who.userId, who.encKey, 'editor');
    // What a computer that joins fetches first of all.
    const first = [...drive.missingFor([])].map((entry) => entry.bytes);
    const chain = readFileSync(join(home, 'chain.log'));
    drive.close();
    for (const [index, who] of people.entries()) {
      computers.push(
        createSimComputer({
          name: names[index] ?? '',
          who,
          driveId: drive.id,
          writerSecret: index === 0 ? writerSecret : null,
          dir,
          seed,
          scheduler,
          network,
          random: seeded(seed * 10 + index),
          logger,
          trace: (line) => {
            if (options.trace) say(`   ${scheduler.elapsed().toFixed(1)} ${names[index]}: ${line}`);
          },
          data: {
            chain: index === 0 ? chain : null,
            db: index === 0 ? db.serialize() : null,
            chunks: new Map(),
          },
        }),
      );
    }
    db.close();

    const boot = (one: SimComputer, joins = false): Promise<void> =>
      scheduler.wait(
        one.boot(joins && one !== computers[0] ? first : []),
        120_000,
        () => `${one.name} starts`,
      );
    for (const one of computers) {
      if (random() < 0.3) {
        one.disk.user.mkdir(folder);
        for (let i = 0; i < 4; i++) note('edit', `${one.name}: ${editOnce(one, random, keepsakes)}`);
      }
      await boot(one, true);
    }

    /** Draws of its own, so that a seed does the same else with and without files held online only. */
    const extra = seeded(seed + 2);
    const never = new AbortController().signal;

    function freeOrFetch(one: SimComputer): void {
      const life = one.life();
      const nodes: string[] = [rootNode];
      const collect = (id: string): void => {
        for (const node of life?.drive.tree.children(id) ?? []) {
          nodes.push(node.id);
          if (node.kind === 'dir') collect(node.id);
        }
      };
      collect(rootNode);
      const node = nodes[Math.floor(extra() * nodes.length)] ?? rootNode;
      const dice = extra();
      if (life === null || dice < 0.4) return;
      const what = dice < 0.75 ? 'free' : 'fetch';
      note(what, `${one.name} ${life.drive.tree.path(node) || 'all'}`);
      // Whether it can be done is the engine's to say; nothing may get lost either way.
      const done = what === 'free' ? life.sync.online.free(node, never) : life.sync.online.fetch(node, never);
      void done.then(
        (report) => report && report.files > 0 && note('freed', `${one.name} ${report.files}`),
        () => {},
      );
    }

    // ---- trouble
    const snapshots = new Map<SimComputer, Snapshot>();
    const restored = new Set<SimComputer>();
    const steps = 25 + Math.floor(random() * 50);
    for (let i = 0; i < steps; i++) {
      const one = computers[Math.floor(random() * computers.length)]!;
      const dice = random();
      if (dice < 0.6) {
        // People edit in bursts.
        for (let n = 1 + Math.floor(random() * 4); n > 0; n--)
          note('edit', `${one.name}: ${editOnce(one, random, keepsakes)}`);
      } else if (dice < 0.68) {
        const power = random() < 0.5;
        const at = 1 + Math.floor(random() ** 2 * 150);
        note(power ? 'power cut' : 'kill', `${one.name} in ${at} operations`);
        one.crashSoon(at, power);
      } else if (dice < 0.76) {
        const down = computers.filter((each) => each.life() === null);
        for (const each of down) {
          note('start', each.name);
          await boot(each);
        }
      } else if (dice < 0.84) {
        const apart = computers.filter(() => random() < 0.5).map((each) => each.peerId);
        note('partition', `${apart.length} of ${computers.length}`);
        network.partition([computers.map((each) => each.peerId).filter((id) => !apart.includes(id)), apart]);
      } else if (dice < 0.89) {
        note('heal', '');
        network.heal();
      } else if (dice < 0.92) {
        note('break', 'a connection');
        network.breakOne();
      } else if (dice < 0.94) {
        const taken = one.snapshot();
        if (taken && random() < 0.6) {
          note('snapshot', one.name);
          snapshots.set(one, taken);
        }
      } else if (dice < 0.96) {
        const old = snapshots.get(one);
        if (old) {
          note('restore', one.name);
          if (one.life()) one.crash(false);
          if (one.life()) continue;
          const before = textsOn(one);
          one.restore(old);
          restored.add(one);
          const survivors = new Set(computers.flatMap((each) => [...textsOn(each)]));
          keepsakes.forgetLost(before, survivors);
        }
      } else if (dice < 0.98) {
        const hours = Math.round((random() - 0.5) * 48);
        note('clock', `${one.name} ${hours} h`);
        one.clock.jump(hours * 3_600_000);
      } else {
        one.disk.full = !one.disk.full;
        note('disk', `${one.name} ${one.disk.full ? 'full' : 'has room'}`);
      }
      if (options.online) freeOrFetch(computers[Math.floor(extra() * computers.length)]!);
      const until = scheduler.elapsed() + random() ** 2 * 4000;
      scheduler.after(until - scheduler.elapsed(), () => {});
      await scheduler.run(
        () => scheduler.elapsed() >= until,
        60_000,
        () => 'time passes',
      );
    }

    // ---- all is well again
    note('calm', '');
    network.heal();
    for (const one of computers) {
      one.disk.full = false;
      one.crashSoon(Number.POSITIVE_INFINITY, false);
      if (one.life() === null) await boot(one);
    }
    await settle();
    await judge();

    async function settle(): Promise<void> {
      const says = (): string =>
        JSON.stringify(
          computers.map((one) => ({
            name: one.name,
            ...one.life()?.sync.status(),
            lacks: [...lostPaths(one)],
          })),
        );
      const end = scheduler.elapsed() + patience;
      for (;;) {
        for (const one of computers) {
          const scan = one.life()?.sync.scan();
          if (scan) await scheduler.wait(scan, patience, () => `${one.name} scans: ${says()}`);
        }
        for (const one of computers) {
          if (one.life()?.sync.status().state !== 'held') continue;
          note('confirm', one.name);
          await one.life()?.sync.confirm();
        }
        // Everything back onto every disk: what was freed has to be somewhere. Again and again, as some may just be being freed.
        for (const one of computers) {
          const life = one.life();
          if ((life?.sync.status().onlineFiles ?? 0) > 0)
            void life?.sync.online.fetch(rootNode, never).catch(() => {});
        }
        const pause = scheduler.elapsed() + 5000;
        await scheduler.run(() => scheduler.elapsed() >= pause || inStep(), patience, says);
        if (inStep()) return;
        if (scheduler.elapsed() > end)
          throw new Error([`not in step: ${says()}`, ...network.penalties].join('\n'));
      }
    }

    function inStep(): boolean {
      const lives = computers.map((one) => one.life());
      const heads = lives.map((life) => (life?.drive.heads() ?? []).map(hex).join());
      return (
        new Set(heads).size === 1 &&
        lives.every((life) => life?.sync.status().state === 'in_step' && life.sync.status().onlineFiles === 0)
      );
    }

    /** Paths of the drive's tree whose bytes this computer does not find anywhere, and who wrote them. */
    function lostPaths(one: SimComputer): Map<string, string> {
      const found = new Map<string, string>();
      const life = one.life();
      const walk = (id: string): void => {
        for (const node of life?.drive.tree.children(id) ?? []) {
          if (node.kind === 'dir') walk(node.id);
          else if (node.content && life?.sync.contentState(node.content) !== 'here') {
            const path = life?.drive.tree.path(node.id) ?? '';
            const wrote = life?.drive.versions(path).find((version) => version.version === node.version);
            found.set(
              path,
              `${wrote?.op} ${wrote?.size} of ${names[people.findIndex((who) => who.userId === wrote?.user)]}`,
            );
          }
        }
      };
      walk(rootNode);
      return found;
    }

    async function judge(): Promise<void> {
      const problems: string[] = [...network.penalties];
      const trees = computers.map((one) => one.disk.tree(folder));
      for (const one of computers) {
        for (const [path, what] of lostPaths(one)) problems.push(`${path}: ${one.name} lacks it, ${what}`);
      }
      for (const path of [...new Set(trees.flatMap((tree) => [...tree.keys()]))].sort()) {
        const values = trees.map((tree) => tree.get(path) ?? 'missing');
        if (new Set(values).size > 1) problems.push(`${path}: ${values.join(' | ')}`);
      }
      const shown = computers.map((one) => textsShown(one));
      for (const text of keepsakes.expected()) {
        const lacking = computers.filter((_, index) => !shown[index]?.has(text)).map((one) => one.name);
        if (lacking.length > 0) {
          const elsewhere = computers.filter((one) => textsOn(one).has(text)).map((one) => one.name);
          problems.push(
            `"${text}" is not shown by ${lacking.join(', ')} (anywhere on the disk of: ${elsewhere.join(', ') || 'nobody'})`,
          );
        }
      }
      for (const one of computers) {
        const drive = one.life()?.drive;
        if (!drive) continue;
        const check = await scheduler.wait(drive.verify(), patience, () => 'verify');
        if (!check.ok || check.forbidden.length > 0)
          problems.push(`${one.name}: history ${JSON.stringify(check)}`);
        if (check.forks.length > 0 && restored.size === 0) problems.push(`${one.name}: forks`);
      }
      if (problems.length > 0) throw new Error(`\n${problems.join('\n')}`);
    }
  }
}
