import type { Activity } from '../../src-shared/contract/index.ts';
import type { Clock } from '../../src-shared/runtime.ts';

/** The last things that happened, for people: kept in memory, bounded. */
export interface ActivityLog {
  add(what: Partial<Omit<Activity, 'id' | 'time'>> & Pick<Activity, 'kind' | 'message'>): Activity;
  last(count: number): readonly Activity[];
}

export function createActivityLog(clock: Clock, capacity = 1000): ActivityLog {
  const items: Activity[] = [];
  let id = 0;
  return {
    add(what) {
      const item: Activity = {
        driveId: null,
        path: null,
        userId: null,
        peerId: null,
        said: null,
        ...what,
        id: id++,
        time: new Date(clock.now()).toISOString(),
      };
      items.push(item);
      if (items.length > capacity) items.shift();
      return item;
    },
    last: (count) => items.slice(Math.max(0, items.length - count)),
  };
}
