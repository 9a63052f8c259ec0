/** Gives back what comes before all others. */
export interface Heap<T> {
  push(item: T): void;
  pop(): T | undefined;
  peek(): T | undefined;
  size(): number;
}

/** A binary heap. @param before whether one comes before another */
export function createHeap<T>(before: (a: T, b: T) => boolean): Heap<T> {
  const items: T[] = [];
  return {
    push(item) {
      let at = items.length;
      items.push(item);
      for (; at > 0; at = (at - 1) >> 1) {
        const parent = items[(at - 1) >> 1] as T;
        if (!before(item, parent)) break;
        items[at] = parent;
      }
      items[at] = item;
    },
    pop() {
      const top = items[0];
      const last = items.pop();
      if (items.length === 0 || last === undefined) return top;
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= items.length) break;
        if (child + 1 < items.length && before(items[child + 1] as T, items[child] as T)) child += 1;
        if (before(last, items[child] as T)) break;
        items[at] = items[child] as T;
        at = child;
      }
      items[at] = last;
      return top;
    },
    peek: () => items[0],
    size: () => items.length,
  };
}
