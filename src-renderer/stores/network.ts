import { defineStore } from 'pinia';
import { shallowRef, triggerRef, watch } from 'vue';
import type { Bandwidth, Peer } from '../../src-shared/contract/index.ts';
import { follow } from '../rpc/follow.ts';
import { useLink } from '../rpc/node-link.ts';
import { useNode } from './node.ts';

/** Samples kept: half an hour of seconds. */
const kept = 1800;

/** Who is connected, and what flows. */
export const useNetwork = defineStore('network', () => {
  const link = useLink();
  const node = useNode();
  const peers = shallowRef<readonly Peer[]>([]);
  const bandwidth = shallowRef<Bandwidth | null>(null);
  /** Seconds, bytes a second down, up: columns as the chart wants them. */
  const samples = shallowRef<[number[], number[], number[]]>([[], [], []]);

  follow(
    () => node.online,
    (_, failed) =>
      link.watchList<Peer>(
        (client) => client.net.watchPeers(),
        (one) => one.peerId,
        (items) => (peers.value = items),
        failed,
      ),
  );

  async function sample() {
    if (!node.online || node.connection !== 'open') return;
    try {
      const now = await link.call((client) => client.net.bandwidth());
      bandwidth.value = now;
      const [at, down, up] = samples.value;
      at.push(Date.now() / 1000);
      down.push(now.downNow);
      up.push(now.upNow);
      for (const column of [at, down, up]) if (column.length > kept) column.shift();
      triggerRef(samples);
    } catch {
      // The connection says by itself that it is gone.
    }
  }
  /** What flowed before this window looked, as the node noted it by five minutes: the chart begins with that. */
  async function look() {
    const since = Date.now() - kept * 1000;
    try {
      const { seconds, slots } = await link.call((client) =>
        client.net.traffic({ step: 'minutes', since: new Date(since).toISOString() }),
      );
      const begun = Date.now() - (node.status?.uptime ?? 0) * 1000;
      const noted = new Map(slots.map((slot) => [Date.parse(slot.time), slot]));
      const end = (samples.value[0][0] ?? Date.now() / 1000) * 1000;
      const columns: [number[], number[], number[]] = [[], [], []];
      const step = seconds * 1000;
      for (let from = Math.floor(Math.max(since, begun) / step) * step; from < end; from += step) {
        const [first, last] = [Math.max(from, begun), Math.min(from + step, end)];
        const length = Math.max(1, last - first) / 1000;
        const slot = noted.get(from);
        columns[0].push((first + last) / 2000);
        columns[1].push((slot?.received ?? 0) / length);
        columns[2].push((slot?.sent ?? 0) / length);
      }
      samples.value = columns.map((column, i) => [...column, ...samples.value[i]!]) as typeof columns;
    } catch {
      // The chart begins now, then.
    }
  }
  let timer = 0;
  watch(
    () => node.online,
    (online) => {
      clearInterval(timer);
      if (!online) return;
      void sample().then(() => (samples.value[0].length <= 1 ? look() : undefined));
      // A hidden window is not looked at, and browsers let its timers run slowly anyway.
      timer = window.setInterval(() => void sample(), 1000);
    },
    { immediate: true },
  );

  /** Round trips, rates and sums of now. */
  async function refreshPeers() {
    if (!node.online || node.connection !== 'open') return;
    try {
      peers.value = await link.call((client) => client.net.peers());
    } catch {
      // What was shown stays.
    }
  }
  async function limit(limits: { up?: number | null; down?: number | null }) {
    bandwidth.value = await link.call((client) => client.net.limit(limits));
  }
  return { peers, bandwidth, samples, refreshPeers, limit };
});
