import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import path from 'node:path';
import { seeded } from '../support/trees.ts';

export interface SwarmNode {
  readonly name: string;
  readonly address: string;
  readonly user: string;
}

export type Orders =
  | {
      readonly t: 'begin';
      readonly names: readonly string[];
      readonly host: number;
      readonly bytes: number;
      readonly upload: number;
    }
  | { readonly t: 'members'; readonly users: readonly string[] }
  | { readonly t: 'hold'; readonly name: string }
  | { readonly t: 'fetch'; readonly name: string; readonly peers: readonly string[] }
  | { readonly t: 'count' | 'end' };

export type Report =
  | { readonly t: 'begun'; readonly nodes: readonly SwarmNode[] }
  | { readonly t: 'ready' }
  | { readonly t: 'fetched'; readonly name: string; readonly ms: number }
  | { readonly t: 'counted'; readonly sent: readonly { readonly name: string; readonly bytes: number }[] }
  | { readonly t: 'failed'; readonly message: string };

export interface SwarmOptions {
  readonly processes: number;
  readonly nodesEach: number;
  readonly bytes: number;
  /** What each node may send, bytes a second. */
  readonly upload: number;
  /** Others that each newcomer knows beside the first node. */
  readonly knows: number;
  /** A newcomer comes after so many ms. */
  readonly everyMs: number;
}

export interface SwarmResult {
  /** Until each had all of it, ms, sorted. */
  readonly fetched: readonly number[];
  /** From the first newcomer until the last one had all of it, ms. */
  readonly ms: number;
  /** Bytes each node sent, the first node first. */
  readonly sent: readonly number[];
}

/** One node has a popular file; others come one after another, fetch it and serve what they have. */
export async function runSwarm(options: SwarmOptions): Promise<SwarmResult> {
  const random = seeded(30);
  const children = Array.from({ length: options.processes }, () =>
    fork(path.join(import.meta.dirname, 'swarm-process.ts'), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    }),
  );
  try {
    const begun = await Promise.all(
      children.map((child, p) =>
        ask(
          child,
          {
            t: 'begin',
            names: Array.from({ length: options.nodesEach }, (_, i) => `node ${p}/${i}`),
            host: 100 + p * options.nodesEach,
            bytes: options.bytes,
            upload: options.upload,
          },
          'begun',
        ),
      ),
    );
    // Neighbours in the list are in different processes.
    const nodes = Array.from({ length: options.nodesEach }, (_, i) =>
      begun.map(({ nodes: some }, p) => ({ ...some[i]!, child: children[p]! })),
    ).flat();
    const users = nodes.map(({ user }) => user);
    await Promise.all(children.map((child) => ask(child, { t: 'members', users }, 'ready')));
    const [first, ...others] = nodes;
    await ask(first!.child, { t: 'hold', name: first!.name }, 'ready');

    const since = performance.now();
    const fetched = await Promise.all(
      others.map(async ({ child, name }, i) => {
        await new Promise((resolve) => setTimeout(resolve, i * options.everyMs));
        const here = nodes.slice(1, i + 1).sort(() => random() - 0.5);
        const peers = [first!, ...here.slice(0, options.knows)].map(({ address }) => address);
        return (await ask(child, { t: 'fetch', name, peers }, 'fetched', name)).ms;
      }),
    );
    const ms = performance.now() - since;
    const counted = await Promise.all(children.map((child) => ask(child, { t: 'count' }, 'counted')));
    const sent = new Map(counted.flatMap((one) => one.sent.map(({ name, bytes }) => [name, bytes] as const)));
    return {
      fetched: fetched.sort((a, b) => a - b),
      ms,
      sent: nodes.map(({ name }) => sent.get(name) ?? 0),
    };
  } finally {
    for (const child of children) if (child.connected) child.send({ t: 'end' });
    await Promise.all(children.map(ended));
  }
}

function ask<T extends Report['t']>(
  child: ChildProcess,
  orders: Orders,
  kind: T,
  name?: string,
): Promise<Extract<Report, { t: T }>> {
  return new Promise((resolve, reject) => {
    const hear = (report: Report): void => {
      if (report.t === 'failed') done(() => reject(new Error(report.message)));
      else if (report.t === kind && (name === undefined || !('name' in report) || report.name === name))
        done(() => resolve(report as Extract<Report, { t: T }>));
    };
    const lost = (): void => done(() => reject(new Error('a process of the swarm ended')));
    const done = (settle: () => void): void => {
      child.off('message', hear);
      child.off('exit', lost);
      settle();
    };
    child.setMaxListeners(100);
    child.on('message', hear);
    child.once('exit', lost);
    child.send(orders);
  });
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
    child.once('exit', () => {
      clearTimeout(late);
      resolve();
    });
  });
}
