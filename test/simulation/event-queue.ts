/** What happens next, by simulated time; a binary heap. Events of one time come in the order they were added. */
export interface EventQueue<E> {
  readonly size: number;
  add(time: number, event: E): void;
  next(): { readonly time: number; readonly event: E } | null;
}

export function createEventQueue<E>(): EventQueue<E> {
  // Keys lie beside the events, and a hole moves instead of pairs being swapped: millions of events go through here.
  let times = new Float64Array(1024);
  let orders = new Float64Array(1024);
  const events: E[] = [];
  let size = 0;
  let added = 0;
  const grow = (): void => {
    const more = new Float64Array(times.length * 2);
    more.set(times);
    times = more;
    const moreOrders = new Float64Array(orders.length * 2);
    moreOrders.set(orders);
    orders = moreOrders;
  };
  const precedes = (at: number, time: number, order: number): boolean => {
    const t = times[at]!;
    return t < time || (t === time && orders[at]! < order);
  };
  return {
    get size() {
      return size;
    },
    add(time, event) {
      if (size === times.length) grow();
      const order = added++;
      let at = size++;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        // Of two at one time the one added first is already above.
        if (times[parent]! <= time) break;
        times[at] = times[parent]!;
        orders[at] = orders[parent]!;
        events[at] = events[parent]!;
        at = parent;
      }
      times[at] = time;
      orders[at] = order;
      events[at] = event;
    },
    next() {
      if (size === 0) return null;
      const first = { time: times[0]!, event: events[0]! };
      size--;
      const time = times[size]!;
      const order = orders[size]!;
      const event = events[size]!;
      events.length = size;
      if (size > 0) {
        let at = 0;
        for (;;) {
          const left = 2 * at + 1;
          if (left >= size) break;
          const right = left + 1;
          const least = right < size && precedes(right, times[left]!, orders[left]!) ? right : left;
          if (!precedes(least, time, order)) break;
          times[at] = times[least]!;
          orders[at] = orders[least]!;
          events[at] = events[least]!;
          at = least;
        }
        times[at] = time;
        orders[at] = order;
        events[at] = event;
      }
      return first;
    },
  };
}
