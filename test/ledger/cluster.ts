import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { ConsensusParams } from '../../src-main/ledger/consensus/index.ts';
import type { Command, Config } from './validator.ts';

/** A validator process, its parent's side. */
export interface ValidatorProcess {
  readonly index: number;
  readonly peer: string;
  readonly address: string;
  readonly pid: number;
  /** @throws Error with the code of the refusal, or when the process is gone */
  ask<T = unknown>(command: Command): Promise<T>;
  onBlock(listener: (height: number, txs: readonly (readonly [string, boolean])[]) => void): void;
  /** What it reported as a problem. */
  problems(): readonly unknown[];
  signal(name: NodeJS.Signals): void;
  gone: Promise<void>;
}

export interface ClusterOptions {
  readonly validators: number;
  readonly users: readonly string[];
  readonly dir: string;
  readonly consensus: Partial<ConsensusParams>;
  readonly verbose?: boolean;
  readonly slices?: boolean;
}

/** Validators as processes, each connected to all others. */
export interface Cluster {
  readonly genesisTime: number;
  readonly processes: readonly (ValidatorProcess | null)[];
  alive(): readonly ValidatorProcess[];
  start(index: number): Promise<ValidatorProcess>;
  kill(index: number): Promise<void>;
  /** Takes one off the network, or puts it back. */
  cut(index: number): Promise<void>;
  heal(index: number): Promise<void>;
  stop(): Promise<void>;
}

const { nodeFlags } = (await import(new URL('../../bin/bootstrap.mjs', import.meta.url).href)) as {
  readonly nodeFlags: readonly string[];
};
const script = path.join(import.meta.dirname, 'validator.ts');
const cache = path.join(import.meta.dirname, '../../node_modules/.cache/node');

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const genesisTime = Date.now();
  const processes: (ValidatorProcess | null)[] = Array.from({ length: options.validators }, () => null);
  const ports = new Map<number, number>();

  async function start(index: number): Promise<ValidatorProcess> {
    const config: Config = {
      index,
      validators: options.validators,
      users: options.users,
      genesisTime,
      dir: path.join(options.dir, String(index)),
      ip: `127.0.3.${10 + index}`,
      port: ports.get(index) ?? 0,
      consensus: options.consensus,
      verbose: options.verbose ?? false,
      slices: options.slices ?? false,
    };
    const one = await spawnValidator(config);
    ports.set(index, Number(/\/tcp\/(\d+)/.exec(one.address)?.[1]));
    processes[index] = one;
    await connect(index);
    return one;
  }

  /** One side dials, so that a cut is not undone by the other. */
  async function connect(index: number): Promise<void> {
    const one = processes[index];
    if (!one) return;
    for (const other of processes) {
      if (!other || other === one) continue;
      const [low, high] = other.index < index ? [other, one] : [one, other];
      // A paused process answers when it goes on.
      void low.ask({ op: 'want', peer: high.peer, address: high.address }).catch(() => {});
    }
  }

  const cluster: Cluster = {
    genesisTime,
    processes,
    alive: () => processes.filter((one) => one !== null),
    start,
    async kill(index) {
      const one = processes[index];
      processes[index] = null;
      one?.signal('SIGKILL');
      await one?.gone;
    },
    async cut(index) {
      const one = processes[index];
      if (!one) return;
      await Promise.all(
        cluster
          .alive()
          .flatMap((other) =>
            other === one
              ? []
              : [one.ask({ op: 'cut', peer: other.peer }), other.ask({ op: 'cut', peer: one.peer })],
          ),
      );
    },
    heal: connect,
    async stop() {
      for (const one of cluster.alive()) {
        one.signal('SIGCONT');
        one.signal('SIGTERM');
      }
      await Promise.all(
        cluster
          .alive()
          .map((one) =>
            Promise.race([
              one.gone,
              new Promise((resolve) => setTimeout(resolve, 5000)).then(() => one.signal('SIGKILL')),
            ]),
          ),
      );
    },
  };
  await Promise.all(processes.map((_one, index) => start(index)));
  for (let index = 0; index < options.validators; index++) await connect(index);
  return cluster;
}

async function spawnValidator(config: Config): Promise<ValidatorProcess> {
  // As the daemon is started: its flags, and with compiled code from the cache.
  const child: ChildProcess = spawn(process.execPath, [...nodeFlags, script, JSON.stringify(config)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? cache },
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  const listeners: ((height: number, txs: readonly (readonly [string, boolean])[]) => void)[] = [];
  const problems: unknown[] = [];
  const ready = Promise.withResolvers<{ peer: string; address: string }>();
  let next = 0;
  let dead = false;
  void gone.then(() => {
    dead = true;
    for (const { reject } of waiting.values()) reject(new Error('the process is gone'));
    ready.reject(new Error(`validator ${config.index} ended before it was ready`));
  });
  ready.promise.catch(() => {});
  createInterface(child.stdout!).on('line', (line) => {
    const message = JSON.parse(line) as {
      event?: string;
      id?: number;
      result?: unknown;
      error?: { code: string; message: string };
      [key: string]: unknown;
    };
    if (message.event === 'ready') ready.resolve(message as never);
    else if (message.event === 'block')
      for (const listener of listeners) listener(message['height'] as number, message['txs'] as never);
    else if (message.event === 'problem') problems.push(message['problem']);
    else {
      const call = waiting.get(message.id as number);
      waiting.delete(message.id as number);
      if (message.error) call?.reject(Object.assign(new Error(message.error.message), message.error));
      else call?.resolve(message.result as never);
    }
  });
  // What is asked of a process in the moment it is killed gets no answer: its end says so.
  child.stdin!.on('error', () => {});
  const { peer, address } = await ready.promise;
  return {
    index: config.index,
    peer,
    address,
    pid: child.pid as number,
    ask(command) {
      if (dead) return Promise.reject(new Error('the process is gone'));
      return new Promise((resolve, reject) => {
        const id = next++;
        waiting.set(id, { resolve, reject });
        child.stdin!.write(`${JSON.stringify({ id, ...command })}\n`, () => {});
      });
    },
    onBlock: (listener) => void listeners.push(listener),
    problems: () => problems,
    signal: (name) => void child.kill(name),
    gone,
  };
}
