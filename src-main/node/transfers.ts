import type { Transfer } from '../../src-shared/contract/index.ts';
import type { Online } from './core.ts';
import type { FileFlow } from '../sync/index.ts';
import type { Drives, OpenDrive } from './drives.ts';

/** What flows between this node and the members of its drives: one line a drive and direction while something does. */
export interface Transfers {
  list(): readonly Transfer[];
  stop(): void;
}

interface Flow {
  total: number;
  /** Of the last seconds: when, and the running total then. */
  readonly samples: { readonly at: number; readonly total: number }[];
}

const windowMs = 5000;
/** Files of a drive and direction that are told of one by one; of more a person sees the sum. */
const shown = 24;
/** Files that come which are looked at for that. */
const most = 200;

export function createTransfers(node: Online, drives: Drives): Transfers {
  const flows = new Map<string, Flow>();
  const note = (id: string, total: number): void => {
    const flow = flows.get(id) ?? { total: 0, samples: [] };
    flow.total = total;
    flow.samples.push({ at: node.clock.now(), total });
    while (flow.samples.length > 1 && flow.samples[0]!.at < node.clock.now() - windowMs) flow.samples.shift();
    flows.set(id, flow);
  };
  const off = node.exchange.on('progress', ({ driveId, received, sent }) => {
    note(`down:${driveId}`, received);
    note(`up:${driveId}`, sent);
    node.events.emit('transfers', {});
  });

  /** The files that are on their way, as far as somebody wants to see them one by one. */
  function filesOf({ record, drive, sync }: OpenDrive): Transfer[] {
    const { driveId } = record;
    const lines = (direction: 'up' | 'down', flows: readonly FileFlow[]): Transfer[] =>
      flows.flatMap(({ node: id, done, total, active }) => {
        const path = active ? drive.tree.path(id) : null;
        if (path === null) return [];
        const name = `${direction}:${driveId}:${id}`;
        note(name, done);
        return [{ id: name, driveId, path, direction, done, total, rate: rate(name) }];
      });
    return [
      ...lines('down', sync.incoming(most)).slice(0, shown),
      ...lines('up', sync.outgoing().slice(-shown)),
    ];
  }

  function forget(): void {
    const oldest = node.clock.now() - windowMs;
    for (const [id, { samples }] of flows)
      if (id.split(':').length > 2 && samples.at(-1)!.at < oldest) flows.delete(id);
  }

  function rate(id: string): number {
    const samples = flows.get(id)?.samples ?? [];
    const first = samples[0];
    if (!first) return 0;
    const seconds = Math.max(0.25, (node.clock.now() - first.at) / 1000);
    return seconds > windowMs / 1000 ? 0 : (samples.at(-1)!.total - first.total) / seconds;
  }

  return {
    list() {
      forget();
      return drives.list().flatMap((one): Transfer[] => {
        const { record, sync } = one;
        const found: Transfer[] = [];
        const { driveId } = record;
        const { pendingBytes, pendingDown } = sync.status();
        const [down, up] = [rate(`down:${driveId}`), rate(`up:${driveId}`)];
        const received = flows.get(`down:${driveId}`)?.total ?? 0;
        if (pendingDown > 0 || down > 0) {
          found.push({
            id: `down:${driveId}`,
            driveId,
            path: null,
            direction: 'down',
            done: received,
            total: received + pendingBytes,
            rate: down,
          });
        }
        if (up > 0) {
          found.push({
            id: `up:${driveId}`,
            driveId,
            path: null,
            direction: 'up',
            done: flows.get(`up:${driveId}`)!.total,
            total: null,
            rate: up,
          });
        }
        return [...found, ...filesOf(one)];
      });
    },
    stop: off,
  };
}
