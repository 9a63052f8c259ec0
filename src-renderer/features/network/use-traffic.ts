import { computed, ref, shallowRef } from 'vue';
import { startOfDay, startOfHour, sumTraffic } from '../../../src-shared/traffic.ts';
import type { TrafficSum } from '../../../src-shared/traffic.ts';
import { useLink } from '../../rpc/node-link.ts';

const hoursShown = 24;
const daysShown = 31;
const peersShown = 8;

export interface PeerSum {
  /** '' stands for many. */
  readonly peerId: string;
  readonly userId: string | null;
  readonly sent: number;
  readonly received: number;
}

/** The beginnings of the last hours or days, oldest first, each found by the calendar: not all days have 24 hours. */
function stretches(count: number, startOf: (time: number) => number): readonly number[] {
  const found = [startOf(Date.now())];
  while (found.length < count) found.unshift(startOf(found[0]! - 1));
  return found;
}
const filled = (sums: readonly TrafficSum[], beginnings: readonly number[]): readonly TrafficSum[] => {
  const known = new Map(sums.map((sum) => [sum.from, sum]));
  return beginnings.map((from) => known.get(from) ?? { from, sent: 0, received: 0 });
};
const total = (sums: readonly TrafficSum[]) => ({
  sent: sums.reduce((sum, one) => sum + one.sent, 0),
  received: sums.reduce((sum, one) => sum + one.received, 0),
});

/** What the node noted of its traffic: hours of the last day, days of the last month. */
export function useTraffic() {
  const link = useLink();
  const hours = shallowRef<readonly TrafficSum[]>([]);
  const days = shallowRef<readonly TrafficSum[]>([]);
  /** The busiest computers of the last month. */
  const peers = shallowRef<readonly PeerSum[]>([]);
  const loaded = ref(false);
  const failed = ref(false);

  async function load(): Promise<void> {
    const lastHours = stretches(hoursShown, startOfHour);
    const lastDays = stretches(daysShown, startOfDay);
    const ask = (step: 'minutes' | 'hours', since: number) =>
      link.call((client) => client.net.traffic({ step, since: new Date(since).toISOString() }));
    try {
      const since = new Date(lastDays[0]!).toISOString();
      const [fine, coarse, each] = await Promise.all([
        ask('minutes', lastHours[0]!),
        ask('hours', lastDays[0]!),
        link.call((client) => client.net.trafficByPeer({ since })),
      ]);
      peers.value = each.slice(0, peersShown);
      hours.value = filled(sumTraffic(fine.slots, startOfHour), lastHours);
      days.value = filled(sumTraffic(coarse.slots, startOfDay), lastDays);
      loaded.value = true;
      failed.value = false;
    } catch {
      failed.value = true;
    }
  }
  return {
    hours,
    days,
    peers,
    failed,
    load,
    todaySum: computed(() => (loaded.value ? total(days.value.slice(-1)) : null)),
    monthSum: computed(() => (loaded.value ? total(days.value) : null)),
  };
}
