/** Events in virtual time: a binary heap, ties in the order they were put in. */
export interface VirtualTime {
  now(): number;
  at(time: number, run: () => void): void;
  after(ms: number, run: () => void): void;
  /** Runs the next event; false when there is none before `end`. */
  step(end: number): boolean;
}

interface Entry {
  readonly time: number;
  readonly order: number;
  readonly run: () => void;
}

const before = (a: Entry, b: Entry): boolean => a.time < b.time || (a.time === b.time && a.order < b.order);

export function createVirtualTime(): VirtualTime {
  let now = 0;
  let order = 0;
  const heap: Entry[] = [];

  function push(entry: Entry): void {
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (before(heap[parent]!, entry)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  function pop(): Entry {
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length > 0) {
      let i = 0;
      for (;;) {
        let child = 2 * i + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
        if (before(last, heap[child]!)) break;
        heap[i] = heap[child]!;
        i = child;
      }
      heap[i] = last;
    }
    return top;
  }

  return {
    now: () => now,
    at: (time, run) => push({ time: Math.max(time, now), order: order++, run }),
    after: (ms, run) => push({ time: now + ms, order: order++, run }),
    step(end) {
      if (heap.length === 0 || heap[0]!.time > end) {
        now = Math.max(now, end);
        return false;
      }
      const entry = pop();
      now = entry.time;
      entry.run();
      return true;
    },
  };
}
