import type { Transfer } from '../../src-shared/contract/index.ts';
import type { Online } from './core.ts';
import type { Drives } from './drives.ts';

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

  function rate(id: string): number {
    const samples = flows.get(id)?.samples ?? [];
    const first = samples[0];
    if (!first) return 0;
    const seconds = Math.max(0.25, (node.clock.now() - first.at) / 1000);
    return seconds > windowMs / 1000 ? 0 : (samples.at(-1)!.total - first.total) / seconds;
  }

  return {
    list: () =>
      drives.list().flatMap(({ record, sync }): Transfer[] => {
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
        return found;
      }),
    stop: off,
  };
}
